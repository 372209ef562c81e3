"""A second session on the same beamline is warned, and of one that is gone nobody is."""

import subprocess
import sys
from pathlib import Path

from whiteline.beamline.sole_session import Presence

HOLD = "import sys, time\nfrom pathlib import Path\nfrom whiteline.beamline.sole_session import Presence\n"
HOLD += "here = Presence(Path(sys.argv[1]))\nprint('here', flush=True)\ntime.sleep(600)\n"


def test_the_second_is_told_who_the_first_is_until_that_ends(tmp_path: Path) -> None:
    with Presence(tmp_path) as first:
        assert first.other == ""
        with Presence(tmp_path) as second:
            assert "there is another session of " in second.other
            assert "before you scan" in second.other
        with Presence(tmp_path) as third:  # one that was warned takes nothing away from the first
            assert third.other
    with Presence(tmp_path) as later:
        assert later.other == ""


def test_one_that_was_killed_warns_nobody(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        with Presence(tmp_path) as other:
            assert f"process {process.pid}" in other.other
        process.kill()
        process.wait()
        with Presence(tmp_path) as after:
            assert after.other == ""
