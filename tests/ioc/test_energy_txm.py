"""The energy axis of the TXM over Channel Access: in focus by the truth at every energy, or it says why not."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from ca_client import Camera, Channels
from conftest import Simulate
from instrument_truth import EXACT, MEASURED, exposures, hidden_errors, true_calibrations
from numpy.typing import NDArray
from scipy import ndimage

from whiteline.analysis.calibration import EnergyCalibration, Table
from whiteline.analysis.laws.bragg import bragg_angle, dispersion
from whiteline.analysis.laws.full_field import detector_distance
from whiteline.beamline.simulation import Simulated

ENERGIES = np.linspace(8200.0, 8600.0, 61)


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    # at this speed crystals that drift are off by hours on a busy machine
    still = ("drift_urad_per_h = 0.5", "drift_urad_per_h = 0.0")
    return simulate("txm", [*hidden_errors(np.random.default_rng()), still], speed=100.0)


Build = Callable[..., Any]


@pytest.fixture(scope="module")
def build(twin: Simulated, keep: Callable[[Any], Any]) -> Build:
    """Build the devices of the twin with its true calibrations, in a mode of the detector."""

    def one(mode: str = "constant-magnification", detector_mm: float | None = None, **calibrations: Any) -> Any:
        from whiteline.beamline.build import build as build_devices

        axis = twin.beamline.energy.model_copy(update={"detector": mode, "detector_mm": detector_mm})
        beamline = twin.beamline.model_copy(update={"energy": axis})
        return keep(build_devices(beamline, calibrations=true_calibrations(twin.beamline) | calibrations))

    return one


def scan(energy: Any, energies: Iterable[float], ca: Channels, camera: Camera) -> dict[str, NDArray[np.float64]]:
    """Go to energies, expose at each, and return what was recorded there beside the truth, by field."""
    recorded: list[dict[str, float]] = []
    camera.open()  # the truth is written once there was light
    for one in energies:
        energy.move(float(one))
        recorded.append({name: reading["value"] for name, reading in energy.read().items()})
        camera.frames(1, side=16, exposure_s=0.01)
    truth = {name: values[-len(recorded) :] for name, values in exposures(ca).items()}
    return truth | {f"recorded_{name}": np.array([one[name] for one in recorded]) for name in recorded[0]}


MODES = ("constant-magnification", "fixed", "table")


@pytest.mark.parametrize("mode", MODES)
def test_the_image_is_in_focus_at_every_energy(
    mode: str, build: Build, ca: Channels, camera_of: Any, twin: Simulated
) -> None:
    plate, magnification = twin.beamline.zone_plate, twin.beamline.energy.magnification
    assert plate is not None
    assert magnification is not None
    if mode == "table":
        grid = np.linspace(8190.0, 8610.0, 8)
        # positions that no law would give: the zone plate has to follow what the table says
        positions = detector_distance(plate.law.focal_length(grid), magnification) + np.linspace(-20, 20, 8)
        table = Table(
            axis="detector.z",
            unit="mm",
            energies=tuple(grid),
            positions=tuple(positions),
            errors=(0.0,) * 8,
            **MEASURED,
        )
        devices = build(mode, **{"detector.z": table})
    elif mode == "fixed":
        devices = build(mode, detector_mm=1720.0)
    else:
        devices = build(mode)
    found = scan(devices.energy, ENERGIES, ca, camera_of(twin))
    np.testing.assert_allclose(found["energy"], ENERGIES, atol=0.1)
    np.testing.assert_allclose(found["recorded_energy"], found["energy"], atol=0.1)
    assert (np.abs(found["defocus"]) <= 0.05 * found["depth_of_focus"]).all()
    np.testing.assert_allclose(found["recorded_energy_magnification"], found["magnification"], rtol=1e-4)
    if mode == "constant-magnification":
        np.testing.assert_allclose(found["magnification"], magnification, rtol=2e-4)
    if mode == "fixed":
        assert np.ptp(found["recorded_energy_detector_z"]) == 0
        assert np.ptp(found["magnification"]) > 0.02 * magnification
    if mode == "table":
        np.testing.assert_allclose(found["recorded_energy_detector_z"], table.position(ENERGIES), rtol=1.1e-4)


def test_the_field_of_view_stays(build: Build, ca: Channels, camera_of: Any, twin: Simulated) -> None:
    found = scan(build().energy, ENERGIES[::10], ca, camera_of(twin))
    for axis in ("field_x", "field_y"):
        assert np.ptp(found[axis]) < 20, "in nanometres"
    uncorrected = np.ptp(found["recorded_energy_zone_plate_z"]) * 3.0 * 1e3
    assert uncorrected > 1000, "the run-out would have moved the image by a micrometre and more"


def test_an_electronvolt_of_error_is_a_quarter_of_the_depth_of_focus(
    build: Build, ca: Channels, camera_of: Any, twin: Simulated
) -> None:
    true = true_calibrations(twin.beamline)["monochromator"]
    assert isinstance(true, EnergyCalibration)
    offsets = {}
    for error_eV in (1.0, -1.0):
        degrees = np.degrees(1e-6 * error_eV / dispersion(8333.0, true.spacing))
        wrong = EnergyCalibration(spacing=true.spacing, offset=true.offset + degrees, covariance=EXACT, **MEASURED)
        found = scan(build(monochromator=wrong).energy, (8328.0, 8333.0, 8338.0), ca, camera_of(twin))
        offsets[error_eV] = found["energy"] - [8328, 8333, 8338]
        np.testing.assert_allclose(np.abs(found["defocus"]) / found["depth_of_focus"], 0.25, atol=0.02)
    # what both are off by alike, the difference does not see
    np.testing.assert_allclose(np.abs(offsets[1.0] - offsets[-1.0]) / 2, 1.0, atol=0.04)


def test_without_tracking_the_images_blur(build: Build, ca: Channels, camera_of: Any, twin: Simulated) -> None:
    camera, devices = camera_of(twin), build()
    camera.open()

    def detail(energy_eV: float) -> float:
        """Return the variance of fine detail that two frames have in common; their noise is not."""
        devices.energy.move(energy_eV)
        frames = camera.frames(2, side=512, exposure_s=0.2).astype(float)
        first, second = (one / ndimage.gaussian_filter(one, 40) for one in frames)
        fine = [ndimage.gaussian_filter(one, 1) - ndimage.gaussian_filter(one, 4) for one in (first, second)]
        return float(np.mean(fine[0] * fine[1]))

    followed = [detail(energy) for energy in (8400.0, 8460.0)]
    devices.energy.move(8400.0)
    devices.energy.optics_follow.put(False)
    sharp, blurred = detail(8400.0), detail(8460.0)
    devices.energy.optics_follow.put(True)
    assert sharp == pytest.approx(followed[0], rel=0.3)
    assert followed[1] > 3 * blurred
    assert detail(8460.0) > 3 * blurred


def test_preview_says_where_each_axis_goes(build: Build) -> None:
    devices = build()
    devices.energy.move(8250.0)
    before = {axis.name: axis.position for axis in devices.energy.axes}
    preview = devices.energy.preview(8345.0)
    assert {axis.name: axis.position for axis in devices.energy.axes} == before, "a preview moves nothing"
    assert set(preview) <= set(before)
    devices.energy.move(8345.0)
    for axis in devices.energy.axes:
        if axis.name in preview:
            # the zone plate is placed for what the detector and the Bragg axis reached
            assert axis.position == pytest.approx(preview[axis.name], abs=max(axis.tolerance, 2e-4, 1e-4 * 1700))
    assert preview["mono_bragg"] == pytest.approx(
        bragg_angle(8345.0, devices.mono.calibration.calibration.spacing) - devices.mono.calibration.calibration.offset,
        abs=1e-9,
    )


def test_axes_within_their_dead_bands_stay(build: Build, ca: Channels) -> None:
    devices = build()
    devices.energy.move(8333.0)
    moved: list[str] = []
    for axis in devices.energy.axes:
        axis.subscribe(lambda axis=axis, **_: moved.append(axis.name), event_type=axis.SUB_DONE, run=False)
    before = {axis.name: axis.position for axis in devices.energy.axes}
    devices.energy.move(8333.0)
    for axis in devices.energy.axes:
        assert axis.position == pytest.approx(before[axis.name], abs=axis.tolerance)
    devices.energy.move(8333.3)
    # 0.3 eV is 1.8 µm of zone plate: more than 2 % of the depth of focus; and 28 nm of crystal gap, less than its band
    assert devices.zone_plate.z.position != pytest.approx(before["zone_plate_z"], abs=1e-3)
    assert devices.mono.crystal_gap.position == pytest.approx(before["mono_crystal_gap"], abs=1e-6)
    assert devices.detector.z.position == pytest.approx(before["detector_z"], abs=1e-4)


def test_the_feedback_is_off_while_axes_move_and_locked_after(build: Build, ca: Channels) -> None:
    devices = build()
    devices.energy.move(8333.0)
    states: list[Any] = []
    devices.mono.feedback.status.subscribe(lambda value, **_: states.append(value), run=False)
    devices.energy.move(8340.0)
    assert "Off" in states
    assert ca.get("MONO:feedback:status", as_string=True) == "Locked"
    devices.mono.feedback.set("Off").wait(30)
    devices.energy.move(8333.0)
    assert ca.get("MONO:feedback:status", as_string=True) == "Off", "what was off before stays off"
    devices.mono.feedback.set("On").wait(30)


def test_one_harmonic_serves_an_edge(build: Build) -> None:
    devices = build()
    harmonics = set()
    for one in ENERGIES[::12]:
        devices.energy.move(float(one))
        harmonics.add(devices.undulator.harmonic.get())
    assert len(harmonics) == 1
    devices.undulator.energies.put([8200.0, 8600.0])
    assert devices.undulator.harmonic.get() in harmonics
    chosen = devices.undulator.law.choose_harmonic([8200.0, 8600.0])
    assert devices.undulator.harmonic.get() == chosen


def test_what_a_scientist_sees(build: Build) -> None:
    devices = build()
    assert devices.energy.hints == {"fields": ["energy"]}
    described = devices.energy.describe()
    assert described["energy"]["units"] == "eV"
    assert {"energy_setpoint", "energy_bragg", "energy_magnification", "energy_zone_plate_z"} <= set(described)
    assert devices.mono.hints == {"fields": ["mono_energy"]}
    configuration = devices.mono.read_configuration()
    assert '"kind": "energy"' in configuration["mono_calibration"]["value"]
