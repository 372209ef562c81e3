"""The live analysis on a stack of the twin, by our own devices: while it runs, at its end, and the same as offline."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from conftest import Simulate

from whiteline.analysis.spectrum_files import Spectrum
from whiteline.beamline import twin as configured
from whiteline.beamline.simulation import Simulated
from whiteline.sim.camera import Region

ENERGIES = [8233.0, 8303.0, 8333.0, 8340.0, 8344.0, 8347.0, 8350.0, 8353.0, 8358.0, 8368.0, 8400.0, 8450.0, 8530.0]
SIDE, BINNING = 128, 2


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("txm", speed=40.0)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any]) -> Any:
    from whiteline.beamline.build import build

    return keep(build(twin.beamline))


@pytest.fixture(scope="module")
def references(twin: Simulated) -> tuple[Spectrum, ...]:
    """The spectra of the two species, to an edge jump of 1: what the edge that is studied absorbs."""
    energy = np.arange(8200.0, 8601.0, 0.5)
    species = configured.full_field(twin.beamline).sample.species[:2]
    absorbed = [np.array([one.vacancies(float(value)) for value in energy]) for one in species]
    return tuple(
        Spectrum(name, energy, one / one[-200:].mean()) for name, one in zip(("Ni3+", "Ni2+"), absorbed, strict=True)
    )


def stack(devices: Any, live: Any, learnt: list[dict[str, Any]]) -> Iterator[Any]:
    """Darks, then at each energy a flat with the sample out and a frame with it in; the plan asks what was learnt."""
    import bluesky.plan_stubs as bps

    camera, energy, x = devices.camera, devices.energy, devices.sample.coarse.x
    home, out = x.position, x.position + devices.sample.out.get()
    region = Region.centred(camera.sensor, (SIDE, SIDE), BINNING)
    corner = (region.column, region.row, region.columns, region.rows)
    yield from bps.configure(camera, {"exposure": 0.2, "frames": 3, "binning": BINNING, "roi": corner})
    yield from bps.stage(camera)
    yield from bps.open_run(md={"energies": ENERGIES, "plan_name": "stack of a test"})
    yield from bps.trigger_and_read([camera, energy], name="dark")
    yield from bps.mv(devices.photon_shutter, "Open", devices.fast_shutter, "Open")
    for one in ENERGIES:
        yield from bps.mv(energy, one)
        yield from bps.mv(x, out)
        yield from bps.checkpoint()
        yield from bps.trigger_and_read([camera, energy], name="flat")
        yield from bps.mv(x, home)
        yield from bps.checkpoint()
        yield from bps.trigger_and_read([camera, energy], name="primary")
        learnt.append((yield from bps.trigger_and_read([live.shift, live.sharpness, live.error], name="live")))
    yield from bps.mv(devices.fast_shutter, "Closed", devices.photon_shutter, "Closed")
    yield from bps.close_run()
    yield from bps.unstage(camera)


def test_the_chemistry_is_known_while_the_scan_runs(
    twin: Simulated, devices: Any, references: tuple[Spectrum, ...]
) -> None:
    from bluesky import RunEngine

    from whiteline.analysis.live import LiveXanes, analyse

    live = LiveXanes(references=references, stage=None)
    documents: list[tuple[str, Any]] = []
    learnt: list[dict[str, Any]] = []
    engine = RunEngine(context_managers=[])
    engine.subscribe(live)
    engine.subscribe(lambda name, document: documents.append((name, document)))
    engine(stack(devices, live, learnt))
    results = live.wait(120)
    live.close()

    assert not results.troubles
    assert results.energies.size == len(ENERGIES)
    np.testing.assert_allclose(results.energies, ENERGIES, atol=0.3)
    assert results.planned == len(ENERGIES)
    # what the plan learnt is that of the frame that it had just taken
    frames = [reading["live_shift_frame"]["value"] for reading in learnt]
    assert frames == list(range(1, len(ENERGIES) + 1))
    errors = [reading["live_error_median"]["value"] for reading in learnt]
    determined = np.flatnonzero(np.isfinite(errors))
    assert 4 <= determined[0] + 1 <= 8
    assert errors[-1] < errors[determined[0]]
    assert learnt[-1]["live_sharpness_value"]["value"] > 0
    pixel = twin.beamline.camera.pixel_um * BINNING if twin.beamline.camera is not None else 0
    assert results.pixel_um is not None
    assert 0 < results.pixel_um < pixel / 10

    found = results.map("fraction of Ni2+")
    assert found.valid.mean() > 0.05
    assert 0.0 < np.median(found.value[found.valid]) < 1.0
    batch = analyse(documents, references=references)
    for name, one in batch.maps.items():
        np.testing.assert_array_equal(results.maps[name].valid, one.valid, err_msg=name)
        np.testing.assert_allclose(results.maps[name].value, one.value, rtol=2e-5, atol=2e-4, err_msg=name)
        np.testing.assert_allclose(results.maps[name].error, one.error, rtol=2e-4, atol=1e-6, err_msg=name)
