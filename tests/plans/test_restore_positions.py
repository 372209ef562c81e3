"""All axes back where they stood: refused as a whole, nothing moved for nothing, and no optics into the sample."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from bluesky import RunEngine
from fakes import FakeAxis, FakeBeamline
from running import taken

from whiteline.plans.restore_positions import restore_positions

SAMPLE_PLACES = ("x", "y", "coarse_x", "rotation")


class Nanoprobe:
    """Zone plate, aperture and sample along the beam, and what was moved in which order."""

    def __init__(self, sample: float, aperture: float, zone_plate: float) -> None:
        self.line = FakeBeamline()
        self.world = self.line.world
        self.world.positions |= {"sample_z": sample, "aperture_z": aperture, "zone_plate_z": zone_plate}
        self.axes = {
            name: FakeAxis(name, self.world, name, (-100.0, 100.0), "mm")
            for name in ("sample_z", "aperture_z", "zone_plate_z")
        }
        self.axes |= {name: FakeAxis(name, self.world, name) for name in SAMPLE_PLACES}
        self.order: list[str] = []
        for axis in self.axes.values():
            axis._put = self._noting(axis)  # type: ignore[method-assign]

    def _noting(self, axis: FakeAxis) -> Callable[[float], None]:
        def put(value: float) -> None:
            assert self.world.shutter == "Closed"
            self.order.append(axis.name)
            self.world.positions[axis.key] = value
            # all of this instrument is upstream: the zone plate, then the aperture, then the sample
            places = self.world.positions
            assert places["zone_plate_z"] < places["aperture_z"] < places["sample_z"], self.order

        return put

    def restore(self, positions: dict[str, float], **more: Any) -> Any:
        axes = [self.axes[name] for name in positions]
        along = [one for one in axes if one.name in ("aperture_z", "zone_plate_z")]
        return restore_positions(axes, list(positions.values()), along_beam=along, shutter=self.line.shutter, **more)


def test_every_axis_is_back_and_what_stood_there_was_not_moved() -> None:
    probe = Nanoprobe(0.0, -10.0, -90.0)
    probe.world.shutter = "Open"
    there = {"x": 3.0, "y": 5.0, "rotation": 90.0, "aperture_z": -10.0, "zone_plate_z": -95.0}
    taken(probe.restore(there))
    assert {name: probe.world.positions[name] for name in there} == there
    assert probe.order[0] == "zone_plate_z"
    assert set(probe.order) == {"y", "rotation", "zone_plate_z"}
    assert probe.world.shutter == "Closed"


def test_it_returns_what_was_moved() -> None:
    probe = Nanoprobe(0.0, -10.0, -90.0)
    engine = RunEngine(context_managers=[], call_returns_result=True)
    assert engine(probe.restore({"x": 3.0, "y": 5.0})).plan_result == ("y",)
    assert engine(probe.restore({"x": 3.0, "y": 5.0})).plan_result == ()


def test_what_is_within_its_tolerance_stays() -> None:
    probe = Nanoprobe(0.0, -10.0, -90.0)
    taken(probe.restore({"x": 3.009, "y": 5.0}, tolerances=[0.01, 0.01]))
    assert probe.order == ["y"]


def test_between_any_two_possible_states_nothing_meets(seed: int) -> None:
    """The fakes assert the order along the beam at every move."""
    chosen = random.Random(seed)
    for _ in range(300):
        now, then = (sorted((chosen.uniform(-90, -30), chosen.uniform(-29, -1))) for _ in range(2))
        probe = Nanoprobe(chosen.uniform(0.0, 5.0), now[1], now[0])
        taken_back = {"sample_z": chosen.uniform(0.0, 5.0), "aperture_z": then[1], "zone_plate_z": then[0]}
        names = list(taken_back)
        chosen.shuffle(names)
        list(_answered(probe, {name: taken_back[name] for name in names}))
        assert {name: probe.world.positions[name] for name in names} == {name: taken_back[name] for name in names}


def test_two_optics_pass_through_none_of_their_old_places() -> None:
    """The zone plate goes to where the aperture stands: the aperture has to go first, and the reverse."""
    probe = Nanoprobe(0.0, -30.0, -90.0)
    taken(probe.restore({"zone_plate_z": -20.0, "aperture_z": -5.0}))
    assert probe.order == ["aperture_z", "zone_plate_z"]
    probe.order.clear()
    taken(probe.restore({"aperture_z": -30.0, "zone_plate_z": -90.0}))
    assert probe.order == ["zone_plate_z", "aperture_z"]


def test_it_is_refused_as_a_whole_before_anything_moves() -> None:
    probe = Nanoprobe(0.0, -10.0, -90.0)
    for different, kind, says in [
        ({"x": 1.0, "zone_plate_z": -150.0}, ValueError, "zone_plate_z -150 mm must lie between"),
        ({"x": 1.0, "y": float("nan")}, ValueError, "positions nan must be a finite number"),
    ]:
        with pytest.raises(kind, match=says):
            next(probe.restore(different))
    x, y = probe.axes["x"], probe.axes["y"]
    for arguments, options, says in [
        (([x, y], [1.0]), {}, "2 axes, 1 positions and 2 tolerances"),
        (([x, x], [1.0, 2.0]), {}, "an axis twice"),
        (([x], [1.0]), {"along_beam": [y]}, "none of axes"),
        (([x], [1.0]), {"energy": probe.line.energy}, "give both, or neither"),
        (([x], [1.0]), {"energy": probe.line.energy, "energy_eV": 8.3}, "looks like keV"),
    ]:
        with pytest.raises(ValueError, match=says):
            next(restore_positions(*arguments, **options))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cannot play this part"):
        next(restore_positions([object()], [1.0]))  # type: ignore[list-item]
    assert probe.order == []
    assert probe.line.shutter.calls["set"] == 0


def test_the_energy_goes_first_and_what_it_brought_back_is_not_moved_again() -> None:
    probe = Nanoprobe(0.0, -10.0, -90.0)
    energy = probe.line.energy
    put = energy._put

    def follows(value: float) -> None:
        put(value)
        probe.order.append("energy")
        probe.world.positions["zone_plate_z"] = -97.0

    energy._put = follows  # type: ignore[method-assign]
    taken(probe.restore({"zone_plate_z": -97.0, "y": 5.0}, energy=energy, energy_eV=8333.0))
    assert probe.order == ["energy", "y"]
    assert energy.position == 8333.0


def _answered(probe: Nanoprobe, positions: dict[str, float]) -> Any:
    """Carry out the messages of a plan without a run engine, of which hundreds would take long."""
    plan = probe.restore(positions)
    given: Any = None
    while True:
        try:
            message = plan.send(given)
        except StopIteration:
            return
        given = None
        if message.command == "set":
            given = message.obj.set(*message.args)
        elif message.command == "locate":
            given = message.obj.locate()
        yield message
