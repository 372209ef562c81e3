"""The session as a person has it: a terminal, a scan, Ctrl-C, a pause, the data, and the way out."""

import random
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from commands import BIN, Terminal, environment, simulating


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    home = tmp_path_factory.mktemp("home")
    with simulating(home, "--speed", "20") as told:
        yield home, environment(home, **told)


def paused_scan(session: Terminal, seen: int = 3, later_s: float = 0.0) -> None:
    """Begin a scan of 31 points, and pause it by one Ctrl-C, so long after the point of this number was shown."""
    session.child.sendline("dscan(zone_plate.x, -5, 5, 30, 4)")
    session.child.expect(rf"\|\s+{seen} \|")
    time.sleep(later_s)
    session.child.sendintr()
    assert "RE.resume()" in session.prompt(), session.seen
    assert "'paused'" in session.type("str(RE.state)")
    assert "'Closed'" in session.type("fast_shutter.status.get()")


def test_a_day_at_the_beamline(floor: tuple[Path, dict[str, str]]) -> None:
    home, where = floor
    session = Terminal(home, where)
    greeting = session.prompt()
    assert "Simulated full-field transmission X-ray microscope" in greeting
    assert "photon shutter closed" in greeting
    assert "another session" not in greeting
    assert "no display, so no plots" in greeting
    session.type('mv(photon_shutter, "Open")')
    session.type("mv(energy, 8345)")
    assert "8345" in session.type("wa()")
    assert "sample_fine_x" in session.type("%wa motors")
    session.type("%mov sample.fine.x 3")
    assert re.search(r"sample_fine_x +3\b", session.type("wa()"))
    session.type("mvr(sample.fine.x, 1)")
    assert re.search(r"sample_fine_x +4\b", session.type("wa()"))
    assert "Traceback" not in session.type(
        "[one.__name__ for one in (bp, bps)], sd.baseline, bec, cat, resume, session"
    )
    assert re.search(r"\| +3 \|", session.type("ascan(zone_plate.x, 0, 1, 2, 0.1)"))
    session.type("use_sample('particles', material='LiNiO2')")
    told = session.type("print(preflight(xanes([counters], energy, [8330, 8340], shutter=fast_shutter)))")
    assert "duration" in told

    # a second one is warned
    second = Terminal(home, where)
    assert "there is another session of" in second.prompt()
    second.child.sendline("quit")
    second.child.expect(pexpect.EOF)

    # pause by Ctrl-C, go on to the end; pause, stop
    paused_scan(session)
    session.type("RE.resume()")
    assert re.search(r"\b31\b", session.type("len(open_run(cat[-1]).stream())"))
    paused_scan(session)
    session.type("RE.stop()")
    assert "'idle'" in session.type("str(RE.state)")
    assert "'Closed'" in session.type("fast_shutter.status.get()")
    assert "success" in session.type("open_run(cat[-1])")

    # a mistake is a sentence
    wrong = session.type("RE(xanes([counters], energy, [8.345]))")
    assert "keV" in wrong
    assert "Traceback" not in wrong
    session.type("import epics; epics.caput('SIM:fault:stalled_axis', 'TXM:zone_plate:x', wait=True)")
    stalled = session.type("mv(zone_plate.x, 1)")
    assert re.search(r"zone_plate_x .*stall", stalled), stalled
    assert "FailedStatus" not in stalled
    session.type("epics.caput('SIM:fault:stalled_axis', '', wait=True)")
    session.child.sendline("quit")
    session.child.expect(pexpect.EOF)
    session.child.close()
    assert session.child.exitstatus == 0

    # the next day
    again = Terminal(home, where)
    assert "sample particles" in again.prompt()
    assert "'LiNiO2'" in again.type("RE.md['material']")
    again.child.sendline("quit")
    again.child.expect(pexpect.EOF)
    listed = subprocess.run(
        [str(BIN / "whiteline"), "runs"], env=where | {"COLUMNS": "200"}, capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"scan_axis +particles +\d+ +success", listed), listed
    log = (home / "whiteline-data" / "txm-catalog" / "log" / "session.log").read_text()
    assert "bluesky" in log


def test_ipython_opens_it_from_the_folder_of_its_profile(floor: tuple[Path, dict[str, str]], root: Path) -> None:
    home, where = floor
    profile = home / "profile"  # a copy, as IPython keeps its history there
    shutil.copytree(root / "profile" / "startup", profile / "startup", ignore=shutil.ignore_patterns("__pycache__"))
    session = Terminal(home, where, command=("ipython", f"--profile-dir={profile}"))
    assert "Simulated full-field transmission X-ray microscope" in session.prompt()
    assert "'idle'" in session.type("str(RE.state)")
    assert "sample_fine_x" in session.type("wa()")
    session.child.sendline("quit")
    assert session.child.expect([r"\[y\]/n", pexpect.EOF]) in (0, 1)
    session.child.sendline("y") if session.child.isalive() else None
    session.child.expect(pexpect.EOF)


def test_ctrl_c_pauses_at_any_moment(floor: tuple[Path, dict[str, str]], seed: int) -> None:
    home, where = floor
    at = random.Random(seed)
    session = Terminal(home, where)
    session.prompt()
    session.type('mv(photon_shutter, "Open")')
    for _ in range(10):
        paused_scan(session, at.randint(1, 6), at.random())
        session.type("RE.stop()")
        assert "'idle'" in session.type("str(RE.state)")
    session.child.sendline("quit")
    session.child.expect(pexpect.EOF)


def test_a_session_that_ends_right_after_a_run_puts_it_into_the_catalog(floor: tuple[Path, dict[str, str]]) -> None:
    home, where = floor
    session = Terminal(home, where)
    session.prompt()
    session.type("dscan(zone_plate.x, -1, 1, 2, 0.1)")
    session.child.sendline("quit")
    session.child.expect(pexpect.EOF)
    session.child.close()
    assert session.child.exitstatus == 0
    assert "the run is in the journal" not in (session.child.before or "")
    assert not list((home / "whiteline-data" / "txm-catalog" / "journal").glob("*.jsonl"))


def test_without_a_beamline_it_opens_and_says_what_is_missing(tmp_path: Path) -> None:
    nowhere = {"EPICS_CA_ADDR_LIST": "127.0.0.1:9", "EPICS_CA_AUTO_ADDR_LIST": "NO"}
    session = Terminal(tmp_path, environment(tmp_path, **nowhere))
    seen = session.prompt()
    assert re.search(r"(?s)\d+ of \d+ devices do not answer: .*\bmono,.*Scans will fail", seen)
    assert "whiteline check" in seen
    assert "caRepeater" not in session.seen
    assert re.search(r"\b0\b", session.type("len(cat)"))
    session.child.sendline("quit")
    session.child.expect(pexpect.EOF)


def test_a_description_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(BIN / "whiteline"), "shell", "--beamline", "nowhere.toml"], env=environment(tmp_path), cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("whiteline: description nowhere.toml cannot be read")
    assert done.stderr.count("\n") == 1
