"""The energy axis of the nanoprobe over Channel Access: in focus, the spot where it was, and nothing near anything."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ca_client import Channels
from conftest import Simulate
from instrument_truth import exposures, hidden_errors, true_calibrations

from whiteline.beamline.simulation import Simulated

ENERGIES = np.linspace(8200.0, 8600.0, 31)


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("nanoprobe", hidden_errors(np.random.default_rng()), speed=100.0)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any]) -> Any:
    from whiteline.beamline.build import build

    return keep(build(twin.beamline, calibrations=true_calibrations(twin.beamline)))


@pytest.fixture
def distances(devices: Any) -> list[tuple[float, float]]:
    """Collect how far apart zone plate and aperture, and aperture and sample, ever were [mm], as monitors tell it."""
    found: list[tuple[float, float]] = []
    lens, aperture = devices.zone_plate, devices.aperture

    def note(**_: Any) -> None:
        if lens.z.last_seen and aperture.z.last_seen:
            stands = lens.z._position - lens.calibration.calibration.a0
            found.append((aperture.z._position - stands, -aperture.z._position))

    for axis in (lens.z, aperture.z):
        axis.subscribe(note, event_type=axis.SUB_READBACK, run=False)
    return found


def test_the_spot_is_in_focus_and_stays_where_it_was(
    devices: Any, ca: Channels, distances: list[tuple[float, float]]
) -> None:
    for command in ("FE:shutter:command", "NANO:shutter:command"):
        ca.put(command, "Open")
    ca.put("NANO:fluorescence:det1:AcquireTime", 0.01)
    recorded = []
    for energy in ENERGIES:
        devices.energy.move(float(energy))
        recorded.append(devices.energy.readback.get())
        ca.put("NANO:fluorescence:det1:Acquire", 1)
    truth = {name: values[-len(ENERGIES) :] for name, values in exposures(ca).items()}
    np.testing.assert_allclose(truth["energy"], ENERGIES, atol=0.1)
    np.testing.assert_allclose(recorded, truth["energy"], atol=0.1)
    assert (np.abs(truth["defocus"]) <= 0.05 * truth["depth_of_focus"]).all()
    for axis in ("field_x", "field_y"):
        assert np.ptp(truth[axis]) < 20, "in nanometres"
    clearance = devices.aperture.law.clearance
    assert len(distances) > len(ENERGIES)
    assert np.min(distances) >= clearance


@pytest.mark.parametrize(("start", "end"), [(15000.0, 5000.0), (5000.0, 15000.0)])
def test_nothing_comes_near_on_the_longest_way(
    devices: Any, distances: list[tuple[float, float]], start: float, end: float
) -> None:
    devices.energy.move(start)
    # an aperture that was taken far upstream, where the zone plate comes to at low energies
    devices.aperture.z.move(-39.0)
    devices.energy.move(end)
    assert devices.aperture.z.position == pytest.approx(-devices.aperture.distance.get(), abs=1e-3)
    assert len(distances) > 10
    assert np.min(distances) >= devices.aperture.law.clearance


def test_an_aperture_that_would_touch_the_sample_or_cut_the_beam_is_refused(devices: Any) -> None:
    before, position = devices.aperture.distance.get(), devices.aperture.z.position
    try:
        devices.aperture.distance.put(0.2)
        with pytest.raises(ValueError, match="must be at least the clearance"):
            devices.energy.set(8333.0)
        devices.aperture.distance.put(30.0)
        with pytest.raises(ValueError, match="cuts the first order"):
            devices.energy.set(8333.0)
    finally:
        devices.aperture.distance.put(before)
    assert devices.aperture.z.position == position


def test_mirrors_let_the_energy_go_until_the_spot_has_walked(
    twin: Simulated, keep: Callable[[Any], Any], ca: Channels
) -> None:
    from whiteline.beamline.build import build

    devices = keep(build(twin.beamline.model_copy(update={"optic": "mirrors"})))
    before = devices.zone_plate.z.position
    devices.energy.move(8400.0)
    assert devices.energy.position == pytest.approx(8400.0, abs=0.02)
    assert devices.zone_plate.z.position == pytest.approx(before, abs=1e-5)
    vertical = devices.mirrors.vertical
    vertical.pitch.move(5.0)
    # twice the tilt times the focal length: 2 · 5 µrad · 300 mm
    assert vertical.beam_walk.get() == pytest.approx(3.0, rel=1e-3)
    with pytest.raises(ValueError, match="beam walk of mirrors_vertical 3 µm is above 1 µm"):
        devices.energy.set(8410.0)
    vertical.aligned_at.put(vertical.pitch.position)
    devices.energy.move(8410.0)
    assert devices.energy.position == pytest.approx(8410.0, abs=0.02)
