"""The camera when its IOC hangs, or goes and comes back, and with pulses from outside: with frames that are known."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

IOC = Path(__file__).with_name("area_detector_ioc.py")
LONG_S = 60.0


@pytest.fixture(scope="module")
def begin(serve, tag: str) -> Callable[[], subprocess.Popen[bytes]]:  # type: ignore[no-untyped-def]
    return lambda: serve(IOC, f"{tag}camera:cam1:Acquire", tag)


@pytest.fixture(scope="module")
def ioc(begin) -> list[subprocess.Popen[bytes]]:  # type: ignore[no-untyped-def]
    """The process of the IOC; a test that ends it puts another one in its place."""
    return [begin()]


@pytest.fixture(scope="module")
def built(ioc, tag: str, keep) -> Any:  # type: ignore[no-untyped-def]
    from whiteline.devices.camera import Camera

    return keep(Camera(f"{tag}camera:", name="camera", readout_s=0.001, write="/", read="/", pulse_wait_s=2.0))


@pytest.fixture
def camera(built: Any, tmp_path: Path) -> Any:
    built.hdf1.place(str(tmp_path), str(tmp_path))
    built.configure({"exposure": 0.01, "frames": 2, "roi": (0, 0, 64, 48), "binning": 1, "trigger_mode": "Internal"})
    yield built
    built.unstage()


def frames_of(camera: Any) -> Any:
    name = camera.hdf1.full_file_name.get()
    camera.unstage()
    with h5py.File(name) as file:
        return file["entry/data/data"][:]


def test_region_and_binning_mean_pixels_of_the_sensor(camera) -> None:  # type: ignore[no-untyped-def]
    """Pixel (row, column) of frame n is 100 n + row + 2 column; binned ones are summed."""
    camera.configure({"roi": (8, 4, 6, 12), "binning": 2})
    camera.stage()
    camera.trigger().wait(LONG_S)
    found = frames_of(camera).astype(int)
    assert found.shape == (2, 6, 3)
    rows, columns = 4 + np.arange(12)[:, np.newaxis], 8 + np.arange(6)
    whole = rows + 2 * columns
    expected = whole.reshape(6, 2, 3, 2).sum(axis=(1, 3))
    assert np.array_equal(found - found[:, :1, :1], np.stack([expected - expected[0, 0]] * 2))
    assert (found[0] - expected)[0, 0] % 100 == 0


def test_frames_by_pulses_from_outside(camera, ca) -> None:  # type: ignore[no-untyped-def]
    camera.configure({"trigger_mode": "External", "frames": 3})
    camera.stage()
    status = camera.trigger()
    ca.wait("camera:cam1:DetectorState_RBV", lambda value: value == "Waiting", as_string=True)
    ca.put("inside:pulse", 3)
    status.wait(LONG_S)
    assert len(frames_of(camera)) == 3


def test_a_hanging_ioc_fails_the_trigger_in_time_and_unstaging_says_so(camera, ioc) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Lost, Overdue

    camera.stage()
    camera.trigger().wait(LONG_S)
    os.kill(ioc[0].pid, signal.SIGSTOP)
    try:
        with pytest.raises((Lost, Overdue)):
            camera.trigger().wait(LONG_S)
        with pytest.raises((Lost, Overdue)):
            camera.unstage()
    finally:
        os.kill(ioc[0].pid, signal.SIGCONT)
    camera.stage()
    camera.trigger().wait(LONG_S)
    assert len(frames_of(camera)) == 2


def test_a_camera_whose_ioc_comes_back_is_as_good_as_new(camera, ioc, begin) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Lost

    camera.configure({"exposure": 600.0})
    camera.stage()
    status = camera.trigger()
    ioc[0].kill()
    ioc[0].wait(LONG_S)
    with pytest.raises(Lost):
        status.wait(LONG_S)
    camera.unstage()
    ioc[0] = begin()
    camera.wait_for_connection(timeout=90)
    camera.configure({"exposure": 0.01, "frames": 2})
    for _ in range(2):
        camera.stage()
        camera.trigger().wait(LONG_S)
        assert len(frames_of(camera)) == 2
