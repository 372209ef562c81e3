"""A channel that was lost is not replaced while those who share it are still being told."""

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
