"""A stack of the simulated TXM, opened as a run: by its documents, and from the store, while it goes and afterwards."""

import json
import warnings
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import Simulate

from whiteline.analysis.calibration import EnergyCalibration, FocusCalibration
from whiteline.analysis.runs import Run, RunBuilder, open_run
from whiteline.beamline.simulation import Simulated

ENERGIES = [8330.0, 8345.0, 8360.0]
FRAMES = 2
SETTINGS = {"exposure": 0.1, "frames": FRAMES, "roi": (960, 976, 128, 96), "binning": 1}


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("txm", speed=100.0)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any]) -> Any:
    from whiteline.beamline.build import build

    return keep(build(twin.beamline))


@pytest.fixture
def quiet() -> Any:
    """Let Tiled and what it is made of warn of each other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def stack(devices: Any, look: Callable[[], None]) -> Generator[Any, Any, None]:
    """Take a dark, and at each energy a flat and the sample; the second point of the sample is taken again."""
    import bluesky.plan_stubs as bps
    import bluesky.preprocessors as bpp

    camera, energy, sample = devices.camera, devices.energy, devices.sample
    shutters = (devices.photon_shutter, devices.fast_shutter)
    there = sample.coarse.x.position
    read = [camera, energy, sample.x]
    paused = False

    def point(stream: str) -> Generator[Any, Any, None]:
        yield from bps.checkpoint()
        yield from bps.mv(devices.fast_shutter, "Closed" if stream == "dark" else "Open")
        yield from bps.trigger_and_read(read, name=stream)
        yield from bps.mv(devices.fast_shutter, "Closed")

    def taken() -> Generator[Any, Any, None]:
        nonlocal paused
        yield from point("dark")
        yield from bps.mv(devices.photon_shutter, "Open")
        for number, value in enumerate(ENERGIES):
            yield from bps.checkpoint()
            yield from bps.mv(energy, value)
            yield from bps.mv(sample.coarse.x, there + sample.out.get())
            yield from point("flat")
            yield from bps.mv(sample.coarse.x, there)
            yield from point("primary")
            if number == 1 and not paused:
                paused = True
                yield from bps.pause()
        look()
        yield from bps.checkpoint()

    def back() -> Generator[Any, Any, None]:
        for shutter in shutters:
            yield from bps.mv(shutter, "Closed")
        yield from bps.mv(sample.coarse.x, there)

    yield from bps.configure(camera, SETTINGS)
    md = {"plan_name": "xanes_stack", "energies": ENERGIES, "num_points": 3, "motors": ["energy"]}
    inside = bpp.stage_wrapper(bpp.run_wrapper(taken(), md=md), [camera, energy])  # type: ignore[no-untyped-call]
    yield from bpp.finalize_wrapper(inside, back())  # type: ignore[no-untyped-call]


def test_a_stack_is_opened_while_it_goes_and_afterwards(twin: Simulated, devices: Any, quiet: Any) -> None:
    from bluesky import RunEngine
    from bluesky.utils import RunEngineInterrupted

    from whiteline.beamline.store.writing import open_store

    engine, builder = RunEngine(context_managers=[]), RunBuilder()
    documents: list[tuple[str, dict[str, Any]]] = []
    with open_store(twin.beamline) as store:
        engine.subscribe(store)
        engine.subscribe(builder)
        engine.subscribe(
            lambda name, document: documents.append((name, json.loads(json.dumps(document, default=list))))
        )
        seen: list[Run] = []

        def look() -> None:
            # the camera is staged: its file is still being written
            seen.append(builder.run())
            np.testing.assert_array_equal(seen[0].frames.readable(), [True] * 3)
            assert store.wait()
            seen.append(open_run(store.catalog[builder.run().uid]))
            seen[-1].frames[0]

        with pytest.raises(RunEngineInterrupted):
            engine(stack(devices, look))
        engine.resume()
        assert store.wait()
        assert not store.troubles
        stored = open_run(store.catalog[-1])
        finished = [builder.run(), open_run(documents), stored]
        for run in finished:
            judge(run)
    for run in finished:
        np.testing.assert_array_equal(np.asarray(run.frames), np.asarray(finished[0].frames))
    live, by_catalog = seen
    assert live.going
    assert by_catalog.going
    assert live.completeness.whole
    np.testing.assert_array_equal(by_catalog.wanted_energies, ENERGIES[: len(by_catalog.points)])
    assert len(by_catalog.points) >= 2, "all but the one that is held back"


def judge(run: Run) -> None:
    """See that all is where it belongs, by the file itself and by what the physics says."""
    assert run.exit_status == "success"
    np.testing.assert_allclose(run.energies, ENERGIES, atol=0.2)
    np.testing.assert_array_equal(run.wanted_energies, ENERGIES)
    assert (run.energies != run.wanted_energies).any(), "the readback of the Bragg angle, not the setpoint"
    assert str(run.completeness) == "3 of 3 points, 3 of 3 energies"
    assert [(one.stream, one.seq_num) for one in run.discarded] == [("primary", 2)]

    # one file: dark, then flat and sample in turns, the second sample twice
    (path,) = run.frames.files
    assert path == Path(path)
    with h5py.File(path) as file:
        raw = file["entry/data/data"][:].reshape(8, FRAMES, 96, 128)
    np.testing.assert_allclose(np.asarray(run.darks), raw[[0]].mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(np.asarray(run.flats), raw[[1, 3, 6]].mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(np.asarray(run.frames), raw[[2, 5, 7]].mean(axis=1), rtol=1e-6)
    assert next(iter(run.discarded[0].places.values())).first == 4 * FRAMES
    assert run.frames.frames_per_point.tolist() == [FRAMES] * 3
    assert run.flat_groups() == ((0,), (1,), (2,))
    flats, frames, dark = np.asarray(run.flats_for_frames()), np.asarray(run.frames), run.dark()
    assert (np.median(flats, axis=(1, 2)) > np.median(frames, axis=(1, 2))).all(), "the sample absorbs"
    assert np.median(frames) > 2 * np.median(dark)

    x = run.positions("sample_x")
    assert x.unit == "um"
    # only what was measured within the dwell: the readback may be of the coarse move just before
    assert np.ptp(x.interferometer) < 1
    np.testing.assert_array_equal(x.best, x.interferometer)
    assert ((x.rms > 0) & (x.rms < 0.05)).all()
    assert (run.positions("sample_x", "flat").interferometer > x.interferometer + 1000).all(), "the sample was out"
    magnification = run.magnification
    assert np.ptp(magnification) < 1e-3 * magnification[0]
    assert magnification[0] == pytest.approx(run.points.configuration["energy_wanted_magnification"], rel=1e-3)
    np.testing.assert_allclose(run.pixel_nm, 6500 / 10 / magnification, rtol=1e-9)
    calibrations = run.calibrations
    assert isinstance(calibrations["mono_calibration"], EnergyCalibration)
    assert isinstance(calibrations["zone_plate_calibration"], FocusCalibration)
    assert run.points.configuration["camera_frames"] == FRAMES
    dataset = run.to_xarray()
    assert dataset.camera_image.dims == ("energy", "y", "x")
    np.testing.assert_array_equal(dataset.camera_image[1, 4:9].values, frames[1, 4:9])
