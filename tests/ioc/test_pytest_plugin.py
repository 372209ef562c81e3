"""What whiteline gives to anyone's own tests: a fixture that runs the simulated beamline."""

import os
import subprocess
import sys
from pathlib import Path

OWN_TESTS = """
import pytest
from whiteline.beamline.simulation.options import Options


@pytest.fixture(scope="session")
def simulated_beamline_options(tmp_path_factory):
    return Options(beamline="nanoprobe", speed=50.0, data=tmp_path_factory.mktemp("frames"))


def test_the_beamline_answers(simulated_beamline):
    import epics

    assert simulated_beamline.beamline.name == "nanoprobe"
    assert epics.caget("SR:current", timeout=30) > 390
    assert epics.caput("NANO:aperture:x", 3.0, wait=True, timeout=30) == 1
    assert epics.caget("NANO:aperture:x.RBV", timeout=30) == 3.0
"""

TOO_LATE = """
import epics


def test_too_late(simulated_beamline):
    raise AssertionError("not reached")


epics.ca.initialize_libca()
"""


def run(folder: Path, text: str) -> "subprocess.CompletedProcess[str]":
    (folder / "test_own.py").write_text(text)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("EPICS_", "PYTEST_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=300, check=False)


def test_the_fixture_runs_a_beamline(tmp_path: Path) -> None:
    done = run(tmp_path, OWN_TESTS)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_who_has_used_channel_access_before_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, TOO_LATE)
    assert done.returncode == 1
    assert "start the simulated beamline before ophyd or epics is imported" in done.stdout
