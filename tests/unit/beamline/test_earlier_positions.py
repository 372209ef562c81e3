"""What would move to bring all back to an old run: which axes, from where to where, and what cannot."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ophyd import Component, Device, Signal
from rich.console import Console

from whiteline.analysis.runs import UnreadableRun
from whiteline.beamline.earlier_positions import positions_before
from whiteline.devices.errors import Lost
from whiteline.devices.positioner import Positioner


class Soft(Positioner):
    """An axis without an IOC."""

    readback = Component(Signal, value=0.0)
    tolerance = 0.01
    travel = (-100.0, 100.0)

    @property
    def readback_signal(self) -> Signal:
        return self.readback

    @property
    def needed_signals(self) -> tuple[Signal, ...]:
        return (self.readback,)

    @property
    def egu(self) -> str:
        return "mm"

    def duration(self, start: float, end: float) -> float:
        return 0.0

    def _rests(self, errand: Any) -> bool:
        return True

    def _command(self, errand: Any, target: float) -> Callable[[], bool]:
        raise Lost("a soft axis does not move")

    def _halt(self) -> None:
        raise Lost("a soft axis does not move")


class Optic(Device):
    x = Component(Soft)
    z = Component(Soft)


NOW = {"zone_plate_x": 0.0, "zone_plate_z": -90.0, "sample_x": 1.0, "sample_z": 2.0}


@pytest.fixture
def devices() -> dict[str, Device]:
    found = {name: Optic(name=name) for name in ("zone_plate", "sample")}
    for name, value in NOW.items():
        device, axis = name.rsplit("_", 1)
        getattr(found[device], axis).readback.put(value)
    return found


def old_run(positions: dict[str, float], after: float = 50.0) -> list[tuple[str, dict[str, Any]]]:
    """Return the documents of a run that read axes before, and elsewhere after it."""
    keys = {name: {"source": "PV", "dtype": "number", "shape": []} for name in positions}
    documents: list[tuple[str, dict[str, Any]]] = [
        ("start", {"uid": "0123456789", "time": 1.0, "scan_id": 7}),
        ("descriptor", {"uid": "d", "run_start": "0123456789", "name": "baseline", "data_keys": keys, "time": 1.0}),
    ]
    for number, shift in enumerate((0.0, after), 1):
        data = {name: value + shift for name, value in positions.items()}
        stamps = dict.fromkeys(data, 1.0)
        event = {"uid": f"e{number}", "descriptor": "d", "seq_num": number, "time": 1.0}
        documents.append(("event", {**event, "data": data, "timestamps": stamps}))
    return documents


def shown(earlier: Any) -> str:
    console = Console(width=160)
    with console.capture() as text:
        console.print(earlier.table())
    return text.get()


def words(text: str) -> str:
    """Return a text as if it stood in one line."""
    return " ".join(text.split())


def test_what_moves_is_what_stands_elsewhere_than_before_the_run(devices: dict[str, Device]) -> None:
    earlier = positions_before(old_run({**NOW, "zone_plate_z": -95.0, "sample_x": 1.005, "sample_z": 3.0}), devices)
    moving = {way.axis.name: (way.stands, way.stood) for way in earlier.ways if way.moves}
    assert moving == {"zone_plate_z": (-90.0, -95.0), "sample_z": (2.0, 3.0)}
    assert [way.axis.name for way in earlier.ways if way.along_beam] == ["zone_plate_z"]
    text = shown(earlier)
    caption = words(text)
    assert "2 axes stand where they stood" in caption
    assert "scan 7" in caption
    row = next(line for line in text.splitlines() if "zone_plate_z" in line)
    assert "-90" in row
    assert "-95" in row
    assert "sample_x" not in text


def test_the_plan_moves_those_in_a_safe_order(devices: dict[str, Device]) -> None:
    earlier = positions_before(old_run({**NOW, "zone_plate_z": -95.0, "sample_z": 3.0}), devices)
    plan, moves, given = earlier.plan(), [], None
    while True:
        try:
            message = plan.send(given)
        except StopIteration as end:
            moved = end.value
            break
        given = None
        if message.command == "read":
            given = {message.obj.name: {"value": message.obj.position, "timestamp": 1.0}}
        if message.command == "set":
            moves.append((message.obj.name, message.args[0]))
    assert moved == ("zone_plate_z", "sample_z")
    assert moves == [("zone_plate_z", -95.0), ("sample_z", 3.0)]


def test_an_axis_that_the_run_did_not_read_is_named(devices: dict[str, Device]) -> None:
    earlier = positions_before(old_run({"zone_plate_x": 1.0, "zone_plate_z": np.nan, "sample_x": 1.0}), devices)
    assert earlier.unknown == ("zone_plate_z", "sample_z")
    assert "not recorded: zone_plate_z, sample_z" in words(shown(earlier))


def test_what_cannot_go_back_is_shown_and_refused_as_a_whole(devices: dict[str, Device]) -> None:
    earlier = positions_before(old_run({**NOW, "zone_plate_z": -120.0, "sample_z": 3.0}), devices)
    assert "must lie between -100 and 100 mm" in words(shown(earlier))
    with pytest.raises(ValueError, match="zone_plate_z -120 mm must lie between -100 and 100 mm"):
        next(earlier.plan())


def test_a_run_without_a_baseline_is_told(devices: dict[str, Device]) -> None:
    with pytest.raises(UnreadableRun, match="has no stream 'baseline'"):
        positions_before([("start", {"uid": "0123456789", "time": 1.0})], devices)
