"""What a session loads is not looked through for garbage; afterwards garbage is collected as ever."""

import gc
import subprocess
import sys

import pytest

from whiteline.beamline.cli.collecting_later import collecting_later

SCRIPT = """
import gc
from whiteline.beamline.cli.collecting_later import collecting_later
collections = []
gc.callbacks.append(lambda phase, about: collections.append(phase))
with collecting_later():
    kept = [[] for _ in range(200_000)]
    print(len(collections), gc.isenabled())
print(gc.isenabled(), gc.get_freeze_count() > 200_000)
more = [[] for _ in range(200_000)]
print(len(collections) > 0)
"""


def test_nothing_is_collected_within_and_what_was_made_stays() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split() == ["0", "False", "True", "True", "True"]


def test_it_is_on_again_after_an_error() -> None:
    try:
        with pytest.raises(OSError, match="no such"), collecting_later():
            raise OSError("no such file")
        assert gc.isenabled()
    finally:
        gc.unfreeze()
