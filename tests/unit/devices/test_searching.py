"""A channel that was lost is not replaced while those who share it are still being told, nor when it may be cleared."""

import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest


def test_a_lost_channel_is_let_alone_until_all_know_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from whiteline.devices import searching

    searched, begun = list[float](), threading.Event()

    def search_anew(_: Any) -> None:
        searched.append(time.monotonic())
        begun.set()

    monkeypatch.setattr(searching, "search_anew", search_anew)
    search = searching.Search(lambda target: threading.Thread(target=target, daemon=True))
    lost_at = time.monotonic()
    search.lost(SimpleNamespace(pvname="X:axis", connected=False))
    while not begun.wait(0.01) and time.monotonic() < lost_at + 20.0:
        search.found()  # something else has come back, which makes it look at once
    search.end()
    assert searched, "it was not searched for"
    assert searched[0] - lost_at >= searching.TOLD_S


AT_EXIT = """
import atexit, threading, time
from types import SimpleNamespace

replacing, begun = threading.Event(), threading.Event()
# as pyepics does, which registers first
atexit.register(lambda: print("cleared while one is replaced" if replacing.is_set() else "cleared"))

from whiteline.devices import searching

def search_anew(pv):
    replacing.set()
    begun.set()
    time.sleep(1.0)
    replacing.clear()

searching.search_anew = search_anew
search = searching.Search(lambda target: threading.Thread(target=target, daemon=True))
search.lost(SimpleNamespace(pvname="X:axis", connected=False))
assert begun.wait(20.0)
"""


def test_no_channel_is_replaced_when_python_ends_and_clears_all() -> None:
    done = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "cleared\n", "")
