"""`whiteline check`: it tells what is missing, wrong or silent, by device and process variable, and ends in time."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ca_client import Channels
from conftest import Simulate

from whiteline.beamline.description import load
from whiteline.beamline.simulation import Simulated
from whiteline.sim.ioc.loopback import client_environment
from whiteline.sim.ioc.ports import leased

RUN = "from whiteline.beamline.cli import main; main()"

BUSY_S = "20"
"""On a machine that is busy the IOCs are given longer to answer; what is missing is waited for as long [s]."""


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("txm", speed=20.0)


def check(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    limit = () if "--timeout" in words else ("--timeout", "60")
    command = [sys.executable, "-c", RUN, "check", *words, *limit]
    plain = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=180, check=False, env=plain | environment, encoding="utf-8"
    )


def edited(twin: Simulated, folder: Path, *edits: tuple[str, str]) -> str:
    """Write the description of the twin with some texts replaced, for the client alone."""
    text = Path(str(twin.options.beamline)).read_text()
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "edited.toml").write_text(text)
    return str(folder / "edited.toml")


def test_where_all_is_there_it_lists_them_and_ends_with_0(twin: Simulated) -> None:
    done = check("--beamline", str(twin.options.beamline))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    *table, last = done.stdout.splitlines()
    rows = {words[-6]: words for line in table[1:] if len(words := line.split()) >= 6}
    bragg = twin.beamline.monochromator.bragg
    there, kind, unit, value, latency = rows[f"{bragg.pv}.RBV"][-5:]
    assert (there, kind, unit) == ("yes", "double", "deg")
    assert float(value) == pytest.approx(13.7245, abs=1e-3)  # the angle of 8333 eV, where the twin starts
    assert float(latency) > 0
    assert last.startswith(f"{len(table) - 1} of {len(table) - 1} process variables of ")


def test_in_a_narrow_terminal_no_line_is_too_long(twin: Simulated) -> None:
    done = check("--beamline", str(twin.options.beamline), COLUMNS="80")
    assert done.returncode == 0, done.stdout
    *table, _ = done.stdout.splitlines()
    assert max(map(len, table)) <= 80
    assert f"{twin.beamline.monochromator.bragg.pv}.RBV" in done.stdout


@pytest.mark.parametrize(
    ("path", "where", "several"),
    [
        ("zone_plate.z", "zone_plate.z", True),
        ("monochromator.temperature", "mono.temperature", False),
        ("undulator.gap", "undulator.gap", True),
    ],
)
def test_a_name_that_is_wrong_in_the_description_is_told_exactly(
    twin: Simulated, tmp_path: Path, path: str, where: str, several: bool
) -> None:
    """The new name looks like an emoji and like markup of the terminal, and is shown as it stands."""
    name, wrong = twin.beamline.pvs()[path], "T:warning:[red]z"
    file = edited(twin, tmp_path, (f'"{name}"', f'"{wrong}"'))
    done = check("--beamline", file, "--missing-only", "--timeout", BUSY_S)
    assert (done.returncode, done.stderr) == (1, "")
    told, count = done.stdout.splitlines()
    assert told.startswith(f"{where} {wrong}, all " if several else f"{where} {wrong}: ")
    assert f"[{path}] of the description" in told
    right, _, total, *_ = count.split()
    assert 0 < int(right) < int(total)


def test_a_wrong_unit_is_told(twin: Simulated, ca: Channels) -> None:
    ca.put("MONO:pitch.EGU", "mrad")
    ca.put("MONO:roll.EGU", "µrad")  # another spelling of the right one
    try:
        done = check("--beamline", str(twin.options.beamline), "--missing-only")
    finally:
        ca.put("MONO:pitch.EGU", "urad")
        ca.put("MONO:roll.EGU", "urad")
    assert done.returncode == 1
    told, _ = done.stdout.splitlines()
    assert told.startswith(f"mono.pitch.motor_egu {twin.beamline.monochromator.pitch.pv}.EGU: its unit is 'mrad'")
    assert "'urad'" in told


def test_what_may_not_be_written_is_told(twin: Simulated, tmp_path: Path) -> None:
    current = f"{twin.beamline.ring.prefix}current"
    (tmp_path / "site_that_writes.py").write_text(
        "from ophyd import Component, EpicsSignal, FormattedComponent\n"
        "from whiteline.devices.monochromator import Monochromator\n"
        "class Writer(Monochromator):\n"
        f"    current = FormattedComponent(EpicsSignal, '{current}', kind='omitted')\n"
    )
    file = edited(twin, tmp_path, ("[monochromator]\n", '[monochromator]\nclass = "site_that_writes:Writer"\n'))
    done = check("--beamline", file, "--missing-only", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "")
    told, _ = done.stdout.splitlines()
    assert told.startswith(f"mono.current {current}: its IOC gives no right to write to it")


def test_where_nothing_is_there_it_ends_and_says_where_it_searched() -> None:
    """Without a repeater, and without a program that could be started as one: nobody hears the library complain."""
    with leased(3) as ports:
        environment = client_environment(*ports)
        done = check("--timeout", "2", **environment, PATH="")
    assert (done.returncode, done.stderr) == (1, "")
    assert "0 of " in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("Nothing answers at all.")
    assert environment["EPICS_CA_ADDR_LIST"] in last
    names = load("txm").pvs()
    assert f"mono.bragg {names['monochromator.bragg']}, all " in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--beamline", "none"), "description none cannot be read"),
        (("--beamline", "wrong.toml"), "[zone_plate] outer_zone_width_nm = -30.0: must be greater than 0"),
        (("--beamline", "classless.toml"), "[monochromator] class = 'nosuchmodule:X' cannot be imported"),
    ],
)
def test_a_wrong_description_is_one_sentence(
    twin: Simulated, tmp_path: Path, words: tuple[str, ...], sentence: str
) -> None:
    Path(edited(twin, tmp_path, ("outer_zone_width_nm = 30.0", "outer_zone_width_nm = -30.0"))).rename(
        tmp_path / "wrong.toml"
    )
    Path(edited(twin, tmp_path, ("[monochromator]\n", '[monochromator]\nclass = "nosuchmodule:X"\n'))).rename(
        tmp_path / "classless.toml"
    )
    option, file = words
    done = check(option, file if file == "none" else str(tmp_path / file))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("whiteline: ")
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


Keep = Callable[[Any], Any]


def test_an_ioc_that_hangs_is_told_once_it_was_connected(twin: Simulated, keep: Keep) -> None:
    from whiteline.beamline.build import build
    from whiteline.beamline.checking import check as ask

    devices = keep(build(twin.beamline))
    assert not [one for one in ask(devices, twin.beamline, timeout=60.0) if one.problem]
    twin.freeze("beamline")
    try:
        found = ask(devices, twin.beamline, timeout=5.0)
    finally:
        twin.thaw("beamline")
    silent = [one for one in found if one.needed.pv.startswith(twin.beamline.monochromator.bragg.pv)]
    assert silent
    for one in silent:
        assert one.connected
        assert "is there and does not answer" in one.problem
        assert one.latency_ms is None


def test_of_a_stock_area_detector_only_what_a_run_touches_counts(twin: Simulated, keep: Keep) -> None:
    """A setting that the IOC lacks is no fault until a run would set it."""
    from ophyd import Component, EpicsSignal
    from ophyd.areadetector.base import ADComponent
    from ophyd.areadetector.cam import AreaDetectorCam
    from ophyd.signal import EpicsSignalBase
    from stock_devices import Camera

    from whiteline.beamline.checking import check as ask

    class Newer(AreaDetectorCam):
        newer = ADComponent(EpicsSignal, "OfANewerVersion", kind="omitted")

    class NewerCamera(Camera):
        cam = Component(Newer, "cam1:")

    camera_table = twin.beamline.camera
    assert camera_table is not None
    camera = keep(NewerCamera(camera_table.prefix, name="camera"))
    camera.read_attrs = ["hdf1"]
    declared = [walk for walk in NewerCamera.walk_components() if issubclass(walk.item.cls, EpicsSignalBase)]
    found = ask({"camera": camera}, twin.beamline, timeout=60.0)
    assert not [one for one in found if one.problem]
    assert 10 < len(found) < len(declared)
    assert "cam.image_mode" in {one.needed.attribute for one in found}  # staging sets it
    camera.stage_sigs["cam.newer"] = 1
    missing = [one.needed for one in ask({"camera": camera}, twin.beamline, timeout=10.0) if one.problem]
    assert [(one.attribute, one.pv, one.path) for one in missing] == [
        ("cam.newer", f"{camera_table.prefix}cam1:OfANewerVersion", "camera")
    ]


@pytest.mark.parametrize(
    ("pv", "path"),
    [
        ("MONO:gap.RBV", "gap"),
        ("MONO:gap", "gap"),
        ("MONO:gap2.RBV", "another"),
        ("MONO:gap:readback", "gap"),
        ("FE:shutter:status", "shutter"),
        ("FE:shutter2:status", ""),
    ],
)
def test_the_table_that_names_a_process_variable_is_found(ca_ports: list[int], pv: str, path: str) -> None:
    from whiteline.beamline.checking import named_by

    assert named_by(pv, {"gap": "MONO:gap", "another": "MONO:gap2", "shutter": "FE:shutter:"}) == path


@pytest.mark.parametrize(
    ("told", "wanted", "fits"),
    [("microns", "um", True), ("µm", "um", True), ("mm", "um", False), ("", "mm", False), ("Deg", "deg", True)],
)
def test_units_may_be_spelt_as_floors_do(ca_ports: list[int], told: str, wanted: str, fits: bool) -> None:
    from whiteline.beamline.checking import unit_fits

    assert unit_fits(told, wanted) is fits
