"""The code on pages of docs/ that need a beamline runs as it is printed, on the simulated one."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pexpect
import pytest
from commands import BIN, Terminal, environment, simulating

from whiteline.beamline import description

DEVICES = """
from whiteline.analysis import energies
from whiteline.beamline.build import build
from whiteline.beamline.description import load
from whiteline.beamline.store.writing import open_store
import bluesky.plan_stubs as bps

beamline = load({beamline!r})
devices = build(beamline)
devices.wait_for_connection(timeout=60)
"""

SMALL_FRAMES = """
import bluesky.plan_stubs as bps

RE(bps.mv(devices.photon_shutter, "Open"))
devices.camera.change({"roi": (896, 896, 256, 256), "binning": 4}).wait(60)
"""


def blocks(root: Path, page: str, language: str = "python") -> list[str]:
    """Return the code on a page, block by block: "python" is a script, and "ipython" is typed at the prompt."""
    return re.findall(rf"```{language}\n(.*?)```", (root / "docs" / page).read_text(), re.DOTALL)


def shortened(code: str, fewer: Mapping[str, str]) -> str:
    """Return code that takes fewer points: each text in it gives way to another."""
    for long, short in fewer.items():
        assert long in code, long
        code = code.replace(long, short)
    return code


def run_script(code: str, home: Path, where: dict[str, str]) -> str:
    """Run code as a script of its own, and return what it printed."""
    script = home / "page.py"
    script.write_text(code)
    done = subprocess.run([str(BIN / "python"), str(script)], env=where, cwd=home, capture_output=True, text=True,
                          check=False)  # fmt: skip
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr
    return done.stdout


def type_block(session: Terminal, home: Path, code: str) -> str:
    """Run a block in the names of a session, and return what was shown."""
    (home / "block.py").write_text(code)
    seen = session.type("exec(open('block.py').read()); print('came to its end')")
    print(seen)
    assert "came to its end" in seen.splitlines()
    return seen.rpartition("came to its end")[0]


def leave(session: Terminal) -> None:
    """Quit, and wait until it is over."""
    session.child.sendline("quit")
    session.child.expect(pexpect.EOF)
    session.child.close()


@pytest.fixture(scope="module")
def txm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    home = tmp_path_factory.mktemp("txm")
    with simulating(home, "--speed", "50") as told:
        yield home, environment(home, **told)


@pytest.fixture(scope="module")
def nanoprobe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    home = tmp_path_factory.mktemp("nanoprobe")
    with simulating(home, "--beamline", "nanoprobe", "--speed", "10") as told:
        yield home, environment(home, **told, WHITELINE_BEAMLINE="nanoprobe")


def test_the_first_scan(root: Path, tmp_path: Path) -> None:
    session = Terminal(tmp_path, environment(tmp_path), "--simulated", "--speed", "20")
    session.prompt()
    last = ""
    for block in blocks(root, "your-first-scan.md"):
        last = type_block(session, tmp_path, block)
    assert re.search(r"11 of 11|\d+ of \d+ energies", last), last
    assert "fraction of" in last
    assert 0 < float(last.split()[-1]) < 1
    leave(session)


def test_move_the_energy(root: Path, txm: tuple[Path, dict[str, str]]) -> None:
    moving, calibrated = blocks(root, "move-the-energy.md")
    design = """
from whiteline.analysis.calibration import Table

assert abs(devices.energy.position - 8345) < 0.1
energy, focus = devices.mono.calibration.calibration, devices.zone_plate.calibration.calibration
table = Table(axis="detector.z", unit="mm", energies=(7000.0, 9000.0), positions=(1500.0, 1800.0), errors=(0.1, 0.1),
              version=1, date="2026-01-01", source="scan 1")
"""
    told = "\ndevices.wait_for_connection(timeout=60)\nprint(devices.mono.calibration.calibration.version)"
    assert run_script(moving + design + calibrated + told, *txm).strip() == "0"


def test_take_a_scan(root: Path, txm: tuple[Path, dict[str, str]]) -> None:
    opened, stack, held, guard, known, watched = blocks(root, "take-a-scan.md")
    # three energies do not tell the chemistry; they do tell whether the code runs
    fewer = {'energies.xanes("Ni")': "[8320.0, 8345.0, 8370.0]"}
    code = "\n".join([
        opened,
        SMALL_FRAMES,
        shortened(stack, fewer),
        "store.wait(60)\nassert store.catalog[run].stop['exit_status'] == 'success'",
        guard,
        shortened(held, fewer | {"passes=5": "passes=2"}),
        "(run,) = RE(plan)\nstore.wait(60)\nassert store.catalog[run].start['plan_name'] == 'xanes_stack'",
        shortened(known, fewer),
        watched,
        shortened(stack, fewer),
        "store.wait(60)\nassert devices.fast_shutter.status.get() == 'Closed'",
    ])  # fmt: skip
    told = run_script(code, *txm)
    assert "dose per pixel" in told
    assert re.search(r"taken .*; dead time .*; dose .* Gy by the figure of the description", told)


def test_what_is_typed_at_the_prompt_of_a_full_field_microscope(root: Path, tmp_path: Path) -> None:
    home = tmp_path
    session = Terminal(home, environment(home), "--simulated")
    session.prompt()
    session.type('mv(photon_shutter, "Open")')
    type_block(session, home, 'camera.change({"roi": (768, 768, 512, 512), "binning": 2}).wait(60)')
    found = type_block(session, home, *blocks(root, "focus-follows-energy.md", "ipython"))
    assert "calibrated monochromator: " in found
    assert "calibrated zone_plate: " in found
    (flown,) = blocks(root, "fly-scans.md", "ipython")
    type_block(session, home, flown)
    assert "success" in session.type("open_run(cat[-1])")
    earlier, _ = blocks(root, "take-a-scan.md", "ipython")
    assert "energy" in type_block(session, home, earlier)
    session.child.sendline(
        "RE(xanes([counters], energy, [8320 + n for n in range(30)], dwell_s=1, shutter=fast_shutter))"
    )
    session.child.expect(r"\|\s+3 \|")
    session.child.sendintr()
    assert "RE.resume()" in session.prompt()
    session.type("RE.abort()")
    assert "still to be taken" in type_block(session, home, *blocks(root, "resume-a-scan.md", "ipython"))
    assert "30 of 30 points" in session.type("print(whole.completeness)")
    leave(session)


def test_a_session_of_ones_own(root: Path, txm: tuple[Path, dict[str, str]]) -> None:
    home, where = txm
    (code,) = (one for one in blocks(root, "live-page.md") if "site.toml" in one)
    (home / "site.toml").write_text((Path(description.__file__).parent / "txm.toml").read_text())
    code += "\nprint(session.devices.energy.position > 8000, sorted(session.missing))\nsession.close()"
    assert run_script(code, home, where).splitlines()[-1] == "True []"


def test_fly_scans(root: Path, nanoprobe: tuple[Path, dict[str, str]]) -> None:
    flown, looked, elements, chemistry = blocks(root, "fly-scans.md")
    begun = (
        DEVICES.format(beamline="nanoprobe")
        + """
from bluesky import RunEngine
from whiteline.analysis.live import LiveXanes

RE = RunEngine()
store = open_store(beamline)
live = LiveXanes(references=[], stage=("sample_y", "sample_x"))
RE.subscribe(store)
RE.subscribe(live)
RE(bps.mv(devices.photon_shutter, "Open"))
"""
    )
    code = "\n".join([
        begun,
        shortened(flown, {"1000)": "100)", "200)": "5)"}),
        "store.wait(60)",
        looked,
        "assert x.mean.shape[-1] == 100, x.mean.shape\nassert not found.fly.troubles",
        elements,
        shortened(chemistry, {'energies.xanes("Ni")': "[8320.0, 8345.0, 8370.0]"}),
        "store.wait(60)\nstack = open_run(store.catalog[-1])",
        "print(stack.map_of('capture_Ni_Ka').shape, stack.completeness)",
        "assert devices.fast_shutter.status.get() == 'Closed'",
    ])  # fmt: skip
    assert "(3, 51, 51)" in run_script(code, *nanoprobe)


def test_what_is_typed_at_the_prompt_of_a_scanning_microscope(root: Path, tmp_path: Path) -> None:
    home = tmp_path
    session = Terminal(home, environment(home), "--simulated", "--beamline", "nanoprobe")
    session.prompt()
    (knife,) = blocks(root, "run-the-simulated-beamline.md", "ipython")
    assert "calibrated zone_plate: " in type_block(session, home, knife)
    session.type("mv(sample.x, 0)")  # out of the shadow of the knife
    dark, look = blocks(root, "take-a-scan.md", "ipython")[1].split("\nrun =")
    type_block(session, home, dark)
    type_block(session, home, "RE(xanes([counters], energy, [8320, 8340, 8360], dwell_s=0.1, shutter=fast_shutter))")
    type_block(session, home, f"run ={look}")
    rates = "run.spectrum('counters_transmitted_rate', 'counters_incident_rate')"
    assert "3 True" in session.type(f"print({rates}.energies.size, (abs({rates}.absorption) < 20).all())")
    leave(session)


def test_the_simulated_beamline_in_ones_own_tests(root: Path, tmp_path: Path) -> None:
    script, fixture = blocks(root, "run-the-simulated-beamline.md")
    angle, unit = run_script(script, tmp_path, environment(tmp_path)).split()[-2:]
    assert 5 < float(angle) < 30
    assert unit == "deg"
    (tmp_path / "test_ring.py").write_text(fixture)
    assert "1 passed" in pytest_in(tmp_path)


def test_a_plan_of_ones_own(root: Path, tmp_path: Path) -> None:
    code = "".join(blocks(root, "write-a-plan.md"))
    assert run_script(code, tmp_path, environment(tmp_path)) == "4 points, Closed\n"


def test_a_project_of_ones_own(root: Path, tmp_path: Path) -> None:
    for name, block in zip(("conftest.py", "test_ours.py"), blocks(root, "test-without-hardware.md"), strict=True):
        (tmp_path / name).write_text(block)
    assert "2 passed" in pytest_in(tmp_path)


def pytest_in(folder: Path) -> str:
    """Run the tests of a project of one's own, and return what pytest says."""
    done = subprocess.run(
        [str(BIN / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"], env=environment(folder), cwd=folder,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout
