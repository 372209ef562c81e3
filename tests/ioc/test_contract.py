"""The contract between description, devices and IOCs: every process variable exists, connects, and has its unit.

Written over whatever devices `build` makes. Devices live in processes of their own here, one for each beamline.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from whiteline.beamline.description import load
from whiteline.beamline.simulation import Simulated, simulated
from whiteline.beamline.simulation.listing import process_variables
from whiteline.beamline.simulation.options import Options

ASK = """
import json, sys
from dataclasses import asdict
from whiteline.beamline.build import build
from whiteline.beamline.checking import check, needed
from whiteline.beamline.description import load

beamline = load(sys.argv[1])
devices = build(beamline)
found = check(devices, beamline, timeout=60)
before = {one.pv for one in needed(devices, beamline)}
for device in devices.values():
    for look in ("describe", "read", "describe_configuration", "read_configuration"):
        getattr(device, look, dict)()
after = {one.pv for one in needed(devices, beamline)}
classes = {name: f"{type(device).__module__}:{type(device).__name__}" for name, device in devices.items()}
axes = {
    f"{name}.{at}": f"{type(part).__module__}:{type(part).__name__}"
    for name, device in devices.items()
    for at, part in getattr(device, "walk_subdevices", list)()
}
print(json.dumps({
    "found": [asdict(one) for one in found], "late": sorted(after - before), "classes": classes | axes,
}))
"""

UNITS = {
    "SR:current": "mA",
    "MONO:crystal:temperature": "K",
    "MONO:feedback:correction": "urad",
    "ID:gap:readback": "mm",
    "TXM:camera:cam1:AcquireTime_RBV": "s",
    "NANO:fluorescence:det1:AcquireTime_RBV": "s",
    "TXM:interferometer:1:position": "um",
    "NANO:interferometer:1:position": "um",
    "NANO:bias:voltage": "V",
    "NANO:spectrometer:integration_time": "s",
    "TXM:capture:Gate_RBV": "s",
    "NANO:capture:Gate_RBV": "s",
    "NANO:capture:Start_RBV": "um",
    "ID:gap:velocity": "mm/s",
}
"""Units that the description does not name; those that a device of the beamline uses are checked."""


def ask(twin: Simulated, beamline: str, **environment: str) -> dict[str, Any]:
    command = [sys.executable, "-c", ASK, beamline]
    done = subprocess.run(
        command,
        env=os.environ | twin.environment | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module", params=["txm", "nanoprobe"])
def twin(
    request: pytest.FixtureRequest, ca_ports: list[int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Simulated]:
    options = Options(beamline=request.param, data=tmp_path_factory.mktemp(request.param), speed=20.0)
    with simulated(options, ports=ca_ports) as running:
        yield running


@pytest.fixture(scope="module")
def answer(twin: Simulated) -> dict[str, Any]:
    return ask(twin, twin.beamline.name)


def test_every_process_variable_exists_and_is_right(answer: dict[str, Any]) -> None:
    wrong = [one for one in answer["found"] if one["problem"]]
    assert not wrong, "\n".join(f"{one['needed']['pv']}: {one['problem']}" for one in wrong)
    assert len(answer["found"]) > 300
    assert all(one["connected"] and one["latency_ms"] > 0 for one in answer["found"])


def test_a_device_uses_nothing_that_was_not_checked(answer: dict[str, Any]) -> None:
    """Describing and reading every device asks for no further process variable."""
    assert answer["late"] == []


def test_what_fly_scans_use_is_checked_with_the_rest(answer: dict[str, Any]) -> None:
    """The limits of velocities, which nothing else asks for, too."""
    found = {one["needed"]["pv"]: one["needed"]["device"] for one in answer["found"]}
    assert [pv.rpartition(":")[2] for pv, device in found.items() if device == "capture"].count("Arm") == 1
    assert {"MONO:bragg.VMAX", "ID:gap:velocity"} <= set(found)
    assert any(pv.endswith("sample:fine:x.VMAX") for pv in found)
    assert any(device.endswith("_triggered") and pv.endswith("UniqueId_RBV") for pv, device in found.items())


def test_everything_that_the_description_names_is_used_by_a_device(twin: Simulated, answer: dict[str, Any]) -> None:
    named = {path for path in twin.beamline.pvs() if not path.startswith("simulation")}
    used = {one["needed"]["path"] for one in answer["found"]}
    assert used == named


def test_every_unit_is_that_of_the_description(twin: Simulated, answer: dict[str, Any], tmp_path: Path) -> None:
    units: dict[str, set[str]] = {}
    for one in answer["found"]:
        if one["needed"]["unit"] is not None:
            told = one["value"] if one["needed"]["pv"].endswith(".EGU") else one["unit"]
            assert told == one["needed"]["unit"]
            units.setdefault(one["needed"]["path"], set()).add(told)
    used = {one["needed"]["path"] for one in answer["found"]}
    axes = {path: {axis.unit} for path, axis in twin.beamline.axes().items() if path in used}
    assert len(axes) > 10
    assert units == axes
    found = {one["needed"]["pv"]: one for one in answer["found"]}
    for pv, unit in UNITS.items():
        if pv in found:
            assert found[pv]["unit"] == unit, pv
    # the unit that a client sees is the one that the IOC's list of process variables names
    listed = {one.name: one.unit for one in process_variables(twin.beamline, tmp_path)}
    compared = {pv: (one["unit"], listed[pv]) for pv, one in found.items() if pv in listed}
    assert len(compared) > 10
    assert not {pv: both for pv, both in compared.items() if both[0] != both[1]}


SITE = """
from whiteline.devices.monochromator import Monochromator
from whiteline.devices.motor import Motor

class Crystals(Monochromator):
    pass

class Stage(Motor):
    pass
"""


def test_a_class_of_the_site_is_built_instead_of_ours(twin: Simulated, answer: dict[str, Any], tmp_path: Path) -> None:
    from whiteline.beamline import description

    (tmp_path / "site_of_contract.py").write_text(SITE)
    text = (Path(description.__file__).parent / f"{twin.beamline.name}.toml").read_text()
    for old, new in (
        ("[monochromator]\n", '[monochromator]\nclass = "site_of_contract:Crystals"\n'),
        ("\npitch = {", '\npitch = { class = "site_of_contract:Stage",'),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "site.toml").write_text(text)
    assert load(tmp_path / "site.toml").monochromator.site_class == "site_of_contract:Crystals"
    built = ask(twin, str(tmp_path / "site.toml"), PYTHONPATH=str(tmp_path))
    ours = answer["classes"]
    changed = {name: now for name, now in built["classes"].items() if now != ours[name]}
    assert changed == {"mono": "site_of_contract:Crystals", "mono.pitch": "site_of_contract:Stage"}
    assert {one["needed"]["pv"] for one in built["found"]} == {one["needed"]["pv"] for one in answer["found"]}
    assert not [one for one in built["found"] if one["problem"]]
