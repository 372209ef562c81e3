"""Rasters of the simulated nanoprobe over Channel Access: the nickel is where the twin's truth file has it."""

from collections.abc import Callable
from itertools import product
from typing import Any

import h5py
import numpy as np
import pytest
from ca_client import Channels
from conftest import Simulate
from instrument_truth import exposures
from numpy.typing import NDArray

from whiteline.beamline import twin as physics
from whiteline.beamline.simulation import Simulated

Numbers = NDArray[np.float64]

ENERGY, BELOW = 8360.0, 8300.0
DWELL_S = 0.5
STILL = [
    ("walk_nm = 2.0, creep_nm_per_s = 5.0", "walk_nm = 0.0, creep_nm_per_s = 0.0"),
    ("drift_urad_per_h = 0.5", "drift_urad_per_h = 0.0"),
]
"""A sample that does not drift: the truth is that of the first exposure."""

BESIDE_UM = 0.02
"""How far from its place a point may be: the piezo arrives within 15 nm, and the interferometer is noisy."""

CURRENT = 0.02
"""By what share the current in the ring may change during a map."""


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("nanoprobe", STILL, speed=20.0)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any], ca: Channels) -> Any:
    """The beamline, ready for a scan, with the photon shutter open."""
    from bluesky import RunEngine
    from bluesky import plan_stubs as bps

    from whiteline.beamline.build import build

    built = keep(build(twin.beamline))
    ca.put("FE:shutter:command", "Open")

    def ready() -> Any:
        yield from bps.mv(built.energy, ENERGY)
        yield from bps.configure(built.fluorescence, {"lines": ["Ni_Ka"], "checked_energy": ENERGY})
        chambers = {"gains": {"incident": 1e8}, "dark_rates": {"incident": {1e8: 10.0}}}
        yield from bps.configure(built.counters, chambers)

    RunEngine(context_managers=[])(ready())
    return built


@pytest.fixture(scope="module")
def middle(twin: Simulated) -> tuple[float, float]:
    """Where the stage has the largest particle in the beam [µm]."""
    x, y, _ = physics.nanoprobe(twin.beamline).sample.bodies[0].outline.centre
    return -float(x), -float(y)


def taken(plan: Any) -> Any:
    """Run a plan, and return its run."""
    from bluesky import RunEngine

    from whiteline.analysis.runs import RunBuilder

    builder, engine = RunBuilder(), RunEngine(context_managers=[])
    engine.subscribe(builder)
    engine(plan)
    return builder.run()


def true_counts(twin: Simulated, devices: Any, ca: Channels, fast: Any, slow: Any) -> tuple[Numbers, Numbers]:
    """Return the least and the most that the truth file says of the Kα line of nickel at and around each place.

    In photons per photon, shape (y, x) each.
    """
    per_um = [
        sum(emitted for line, emitted in one.fluorescence(ENERGY) if 7400 < line < 7550)
        for one in physics.nanoprobe(twin.beamline).sample.species
    ]
    found = []
    for beside in product((-BESIDE_UM, 0.0, BESIDE_UM), repeat=2):
        for axis, off, (start, stop, points) in zip("xy", beside, (fast, slow), strict=True):
            # the stage wobbles where it is turned, which its encoders do not know and the interferometer shows
            off += float(getattr(devices.sample, axis).zero.get())
            ca.put(f"SIM:truth:{axis}:start", start + off)
            ca.put(f"SIM:truth:{axis}:stop", stop + off)
            ca.put(f"SIM:truth:{axis}:points", points)
        ca.put("SIM:truth:write", 1, timeout=300)
        assert ca.severity("SIM:truth:message") == 0
        with h5py.File(ca.get("SIM:truth:file", as_string=True)) as file:
            found.append(np.tensordot(per_um, file["truth/thickness_um"][:], 1))
    return np.min(found, axis=0), np.max(found, axis=0)


def judge(counted: Numbers, expected: tuple[Numbers, Numbers]) -> bool:
    """Tell whether counts are those that are expected, but for their number in all and their Poisson noise."""
    least, most = expected
    low = (1 - CURRENT) * least * counted.sum() / most.sum()
    high = (1 + CURRENT) * most * counted.sum() / least.sum()
    return bool(((counted >= low - 6 * np.sqrt(low + 4)) & (counted <= high + 6 * np.sqrt(high + 4))).all())


def test_the_nickel_is_where_it_truly_is(
    twin: Simulated, devices: Any, ca: Channels, middle: tuple[float, float]
) -> None:
    from whiteline.plans.raster import raster

    x, y = middle
    fast, slow = (x - 2.4, x + 1.2, 4), (y - 0.6, y + 1.8, 3)
    before = {axis: getattr(devices.sample, axis).position for axis in "xy"}
    dwells = devices.fluorescence.dwell.get(), devices.sample.interferometer.dwell.get()
    number = len(exposures(ca)["open"]) if ca.get("NANO:fluorescence:det1:ArrayCounter_RBV") else 0
    run = taken(
        raster(
            [devices.fluorescence, devices.counters, devices.spectrometer],
            devices.sample.x,
            devices.sample.y,
            fast_range=fast,
            slow_range=slow,
            dwell_s=DWELL_S,
            snake=True,
            energy=devices.energy,
            shutter=devices.fast_shutter,
        )
    )
    assert run.completeness.whole
    counted = run.map_of("fluorescence_Ni_Ka")
    expected = true_counts(twin, devices, ca, fast, slow)
    assert counted.sum() > 1e5
    assert judge(counted, expected)
    assert not any(judge(wrong, expected) for wrong in (counted[::-1], counted[:, ::-1], counted[::-1, ::-1]))
    truth = {name: values[number:] for name, values in exposures(ca).items()}
    assert len(truth["open"]) == 12
    assert truth["open"].all()
    # the interferometer averaged over the dwell of each point, and what it tells is where the point was wanted
    for axis, wanted in (("sample_x", np.linspace(*fast)), ("sample_y", np.linspace(*slow)[:, None])):
        np.testing.assert_allclose(run.map_of(f"{axis}_mean"), np.broadcast_to(wanted, (3, 4)), atol=0.02)
        assert (run.map_of(f"{axis}_rms") > 0).all()
    np.testing.assert_allclose(run.energies, ENERGY, atol=0.1)
    assert (run.map_of(run.start["roles"]["incident"]) > 0).all()
    assert run.points.read("spectrometer_spectrum").shape == (12, 1024)
    assert ca.get("NANO:shutter:status", as_string=True) == "Closed"
    for axis, position in before.items():
        assert getattr(devices.sample, axis).position == pytest.approx(position, abs=0.03)
    assert (devices.fluorescence.dwell.get(), devices.sample.interferometer.dwell.get()) == dwells


def test_a_stack_shows_nickel_above_its_edge_at_the_same_places(
    twin: Simulated, devices: Any, ca: Channels, middle: tuple[float, float]
) -> None:
    from whiteline.plans.raster_stack import raster_stack

    x, y = middle
    fast, slow = (x - 1.8, x + 1.2, 3), (y - 0.3, y + 0.9, 2)
    number = len(exposures(ca)["open"])
    run = taken(
        raster_stack(
            [devices.fluorescence, devices.counters],
            devices.energy,
            [BELOW, ENERGY],
            devices.sample.x,
            devices.sample.y,
            fast_range=fast,
            slow_range=slow,
            dwell_s=DWELL_S,
            shutter=devices.fast_shutter,
        )
    )
    assert run.raster_shape == (2, 2, 3)
    assert run.completeness.whole
    below, above = run.map_of("fluorescence_Ni_Ka")
    assert judge(above, true_counts(twin, devices, ca, fast, slow))
    assert above.sum() > 1e5
    assert below.sum() < 0.02 * above.sum()
    truth = {name: values[number:] for name, values in exposures(ca).items()}
    np.testing.assert_allclose(truth["energy"].reshape(2, 6), [[BELOW] * 6, [ENERGY] * 6], atol=0.2)
    assert (np.abs(truth["defocus"]) <= 0.05 * truth["depth_of_focus"]).all()
    assert truth["open"].all()
    # the field of view has followed: what the second map sees lies where it lay in the first one, within the piezo
    for axis in ("field_x", "field_y"):
        seen = truth[axis].reshape(2, 6)
        assert np.abs(seen[1] - seen[0]).max() < 60, "in nanometres"
