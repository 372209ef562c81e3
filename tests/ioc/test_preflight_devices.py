"""A preflight asks the devices of a beamline what they would do, and afterwards they do it: over Channel Access."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Simulate

from whiteline.beamline.simulation import Simulated

ENERGIES = 5200.0, 6000.0, 7112.0, 8333.0, 8340.0, 9000.0, 12000.0, 14500.0
"""From the reach of one harmonic to that of others, and steps within a dead band."""


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("nanoprobe", speed=300.0)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any]) -> Any:
    from whiteline.beamline.build import build

    return keep(build(twin.beamline))


def refused(go: Callable[[], Any]) -> str:
    """Return the sentence that something is refused with, "" if it is not."""
    try:
        go()
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("staged", [True, False])
def test_moves_go_where_they_went_in_the_mind(devices: Any, staged: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # a run that begins on the fifth harmonic cannot go down to 6000 eV, nor one on the third up to 14500 eV
    first = rng.permutation([8333.0, 6000.0, 14500.0])
    wanted = [*map(float, first), 8340.3, 8340.4, float(rng.choice(ENERGIES)), 4900.0]
    energy = devices.energy
    places: dict[Any, Any] = {}
    rehearsal = energy.rehearsal(places)
    if staged:
        rehearsal.stage()
    expected = []
    for value in wanted:
        sentence = refused(lambda value=value: rehearsal.move(value))
        expected.append((sentence, {axis.name: places.get(axis, axis.position) for axis in energy.axes}))
    assert any(sentence for sentence, _ in expected[:-1]) == staged

    if staged:
        energy.stage()
    try:
        for value, (sentence, positions) in zip(wanted, expected, strict=True):
            assert refused(lambda value=value: energy.move(value)) == sentence, value
            for axis in energy.axes:
                # a readback has noise, and what lies within the dead band of an axis may be either side of it
                assert axis.position == pytest.approx(positions[axis.name], abs=3 * axis.tolerance), (value, axis.name)
    finally:
        if staged:
            energy.unstage()


def test_a_rehearsal_moves_nothing_and_a_refused_move_leaves_it_where_it_was(devices: Any) -> None:
    energy = devices.energy
    energy.move(8333.0)
    before = {axis.name: axis.position for axis in energy.axes}
    places: dict[Any, Any] = {}
    rehearsal = energy.rehearsal(places)
    assert rehearsal.move(8400.0) > 0
    there = dict(places)
    with pytest.raises(ValueError, match=r"energy 15500 eV must lie between 5000 and 15000 eV"):
        rehearsal.move(15500.0)
    with pytest.raises(ValueError, match="looks like keV"):
        rehearsal.move(8.4)
    assert places == there
    assert rehearsal.move(8400.0) == 0
    for axis in energy.axes:
        assert axis.position == pytest.approx(before[axis.name], abs=2 * axis.tolerance)
    told = rehearsal.summary()
    assert told["harmonic of undulator"] == "5"
    # f = 96.8 mm at 8333 eV, and the aperture 10 mm before the sample
    nearest = float(told["least distance of zone plate and order-sorting aperture"].removesuffix(" mm"))
    assert nearest == pytest.approx(11.614e-3 * 8400.0 - 10.0, abs=0.2)
    low, high = rehearsal.travel["zone_plate_z"]
    assert high - low == pytest.approx(67 * 11.614e-3, rel=1e-3)


def test_a_calibration_that_changes_is_seen_at_once(devices: Any) -> None:
    from dataclasses import replace

    energy = devices.energy
    before = energy.preview(8400.0)

    def moves(signal: Any, value: Any, axis: str) -> float:
        """Return by how much an axis would go elsewhere with another value of a signal."""
        old = signal.get()
        signal.put(value)
        try:
            rehearsed: dict[Any, Any] = {}
            energy.rehearsal(rehearsed).move(8400.0)
            (there,) = (place for one, place in rehearsed.items() if one.name == axis)
            assert there == pytest.approx(energy.preview(8400.0)[axis], rel=1e-9)
            return float(there - before[axis])
        finally:
            signal.put(old)

    mono, lens = devices.mono.calibration, devices.zone_plate.calibration
    turned = replace(mono.calibration, offset=mono.calibration.offset + 0.01)
    assert moves(mono, turned, "mono_bragg") == pytest.approx(-0.01)
    nearer = replace(lens.calibration, a0=lens.calibration.a0 + 0.5)
    assert moves(lens, nearer, "zone_plate_z") == pytest.approx(0.5)
    assert moves(devices.undulator.detune, 30.0, "undulator_gap") > 1e-3
    assert energy.preview(8400.0) == before


def test_a_scan_is_refused_beforehand_by_what_would_end_it(devices: Any) -> None:
    from bluesky import RunEngine

    from whiteline.plans import xanes
    from whiteline.plans.preflight import preflight

    devices.energy.move(8333.0)

    def scan(energies: list[float]) -> Any:
        return xanes([devices.counters], devices.energy, energies, dwell_s=0.01)

    good = preflight(scan([8300.0, 8320.0]), thickness_um=2.0)
    assert not good.violations
    rows = dict(good.rows())
    assert rows["harmonic of undulator"] == "5"
    assert rows["depth of focus"] == "96.4 um at 8300 eV, sample 2 um"

    (sentence,) = preflight(scan([6000.0, 9000.0, 14500.0])).violations
    assert sentence.startswith("energy 14500 eV is above harmonic 3 at any gap; harmonic 5 or 7")
    with pytest.raises(ValueError, match=r"energy 14500 eV is above harmonic 3") as error:
        RunEngine({}, context_managers=[])(scan([6000.0, 9000.0, 14500.0]))
    assert str(error.value) == sentence
