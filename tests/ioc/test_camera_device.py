"""The camera as a device: settings are checked, files hold what was asked for, and errors say what to do."""

import os
import threading
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import pytest

from whiteline.beamline.simulation import Simulated

LONG_S = 60.0
"""How long a test waits for what should happen soon."""

SMALL = (992, 960, 64, 48)
"""A region of the sensor: x, y, width, height."""

FAULT = "SIM:fault:"


@pytest.fixture(scope="module")
def twin(simulate) -> Simulated:  # type: ignore[no-untyped-def]
    return simulate("txm", speed=20.0)


@pytest.fixture(scope="module")
def built(twin: Simulated, tag: str, keep) -> Any:  # type: ignore[no-untyped-def]
    from whiteline.devices.camera import Camera

    return keep(
        Camera(
            f"{tag}TXM:camera:", name="camera", readout_s=0.02, write=twin.folder, read=twin.folder, pulse_wait_s=1.0
        )
    )


@pytest.fixture
def camera(built: Any, twin: Simulated, ca) -> Iterator[Any]:  # type: ignore[no-untyped-def]
    """The camera, with small frames."""
    built.configure(
        {"exposure": 0.1, "frames": 1, "roi": SMALL, "binning": 1, "trigger_mode": "Internal", "readout": 0.02}
    )
    yield built
    if twin.processes["beamline"].poll() is not None:
        return
    ca.put(f"{FAULT}dropped_frames", 0)
    ca.put(f"{FAULT}file_write_error", 0)
    built.unstage()


@pytest.fixture(scope="module")
def engine(twin: Simulated) -> Any:
    from bluesky import RunEngine

    return RunEngine()


def run(engine, plan) -> dict[str, list[dict[str, Any]]]:  # type: ignore[no-untyped-def]
    documents: dict[str, list[dict[str, Any]]] = {}
    engine(plan, lambda name, document: documents.setdefault(name, []).append(document))
    return documents


def file_of(documents) -> str:  # type: ignore[no-untyped-def]
    (resource,) = documents["resource"]
    return os.path.join(resource["root"], resource["resource_path"])  # noqa: PTH118


def test_a_run_writes_its_frames_where_its_documents_say(camera, engine) -> None:  # type: ignore[no-untyped-def]
    from bluesky import plan_stubs as bps
    from bluesky.plans import count

    def plan():  # type: ignore[no-untyped-def]
        yield from bps.configure(camera, {"frames": 3, "binning": 2})
        yield from bps.mv(camera.exposure, 0.05)
        yield from count([camera], 4)

    documents = run(engine, plan())
    key = documents["descriptor"][0]["data_keys"]["camera_image"]
    assert key["shape"] == [3, 24, 32]
    assert key["dtype_numpy"] == "<u2"
    (resource,) = documents["resource"]
    assert resource["resource_kwargs"]["frame_per_point"] == 3
    assert resource["resource_kwargs"]["chunk_shape"] == [1, 24, 32]
    assert len(documents["event"]) == len(documents["datum"]) == 4
    assert [one["data"]["camera_image"] for one in documents["event"]] == [
        one["datum_id"] for one in documents["datum"]
    ]
    assert [one["datum_kwargs"]["point_number"] for one in documents["datum"]] == [0, 1, 2, 3]
    assert [one["data"]["camera_exposure"] for one in documents["event"]] == [0.05] * 4
    configuration = documents["descriptor"][0]["configuration"]["camera"]["data"]
    assert configuration["camera_roi"] == list(SMALL)
    assert (configuration["camera_frames"], configuration["camera_binning"]) == (3, 2)
    assert documents["descriptor"][0]["data_keys"]["camera_exposure"]["units"] == "s"
    with h5py.File(file_of(documents)) as file:
        frames = file[resource["resource_kwargs"]["dataset"]]
        assert frames.shape == (12, 24, 32)
        assert frames.chunks == (1, 24, 32)
        assert frames.dtype == np.uint16


def settings_of(camera: Any) -> dict[str, Any]:
    """Return what the IOC has, asked now."""
    cam = camera.cam
    names = ("acquire_time", "num_images", "min_x", "min_y", "size_x", "size_y", "bin_x", "trigger_mode")
    return {name: getattr(cam, name).get(use_monitor=False) for name in names}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"exposure": 0.0}, "exposure of camera 0 s must be a finite number above 0"),
        ({"frames": 2.5}, "frames of camera 2.5 must be a whole number from 1 on"),
        ({"roi": (2000, 0, 64, 64)}, "from x = 2000 leaves the sensor, which ends at 2048; take at most 48"),
        ({"binning": 5}, "roi width of camera 64 pixels must be a multiple of the binning 5"),
        ({"trigger_mode": "Sometimes"}, "'Sometimes' is not one of those of its IOC: Internal, External"),
        ({"brightness": 3}, "camera has no setting 'brightness'; it has exposure"),
    ],
)
def test_a_setting_that_is_not_possible_is_refused_before_anything_is_put(camera, wrong, says: str) -> None:  # type: ignore[no-untyped-def]
    before = settings_of(camera)
    good = {"exposure": 0.3, "frames": 2} | wrong
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        camera.configure(good)
    assert settings_of(camera) == before


def test_region_and_binning_change_together_where_neither_could_alone(camera) -> None:  # type: ignore[no-untyped-def]
    camera.configure({"roi": (0, 0, 64, 64), "binning": 4})
    wanted = {"roi": (2039, 2039, 9, 9), "binning": 3}
    for name, value in wanted.items():
        with pytest.raises(ValueError, match="multiple of the binning"):
            getattr(camera, name).set(value)
    camera.configure(wanted)
    found = settings_of(camera)
    assert (found["min_x"], found["size_x"], found["min_y"], found["size_y"]) == (2039, 9, 2039, 9)
    assert (found["bin_x"], camera.point_shape) == (3, (1, 3, 3))
    camera.configure({"roi": camera.whole_sensor, "binning": 8})
    assert camera.point_shape == (1, 256, 256)


def test_a_camera_that_was_left_binned_one_way_only_is_binned_as_it_is_told(camera, ca) -> None:  # type: ignore[no-untyped-def]
    ca.put("TXM:camera:cam1:BinX", 2)
    camera.configure({"binning": 2})
    assert ca.get("TXM:camera:cam1:BinY_RBV") == 2
    assert camera.point_shape == (1, 24, 32)


def test_the_estimate_of_time_knows_frames_exposure_and_readout(camera) -> None:  # type: ignore[no-untyped-def]
    camera.configure({"exposure": 0.2, "frames": 5, "readout": 0.02})
    assert camera.duration_per_point == pytest.approx(1.1)
    camera.configure({"trigger_mode": "External", "pulse_wait": 3.0})
    assert camera.duration_per_point == pytest.approx(16.1)


def test_what_makes_a_description_stale_is_refused_while_staged(camera, ca) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Refused
    from whiteline.devices.frame_files import FramesLost

    camera.stage()
    with pytest.raises(Refused, match="binning of camera cannot change while it is staged"):
        camera.configure({"binning": 2})
    camera.exposure.set(0.07).wait(LONG_S)
    camera.trigger().wait(LONG_S)
    ca.put("TXM:camera:cam1:BinX", 2)  # somebody else, at the IOC
    # where the monitors are late, the file plugin refuses the frame, and that is told as well
    with pytest.raises((Refused, FramesLost), match=r"24[ ,x]+32.*stage it again"):
        fails(camera.trigger())


def fails(status: Any) -> None:
    """Wait for the end of a status, and raise what it failed with."""
    status.wait(LONG_S)


def test_dropped_frames_fail_the_trigger_and_no_more_are_added_to_their_file(camera, ca) -> None:  # type: ignore[no-untyped-def]
    """A file with a part of a point would shift all later ones."""
    from whiteline.devices.errors import Refused
    from whiteline.devices.frame_files import FramesLost

    camera.configure({"frames": 5})
    camera.stage()
    camera.trigger().wait(LONG_S)
    ca.put(f"{FAULT}dropped_frames", 2)
    with pytest.raises(FramesLost, match="was to write 5 frames, and 3 arrived in its file; 2 were dropped"):
        fails(camera.trigger())
    with pytest.raises(Refused, match="holds 8 frames where 5 belong"):
        fails(camera.trigger())
    camera.unstage()
    camera.stage()
    camera.trigger().wait(LONG_S)
    assert camera.hdf1.num_captured.get(use_monitor=False) == 5


def test_a_full_disk_fails_the_trigger_and_the_next_staging_works(camera, ca) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.frame_files import FramesLost

    camera.configure({"frames": 3})
    camera.stage()
    camera.trigger().wait(LONG_S)
    ca.put(f"{FAULT}file_write_error", 1)
    with pytest.raises(FramesLost, match=r"0 arrived in its file; the file plugin says: .*No space left on device"):
        fails(camera.trigger())
    ca.wait("TXM:camera:cam1:Acquire_RBV", lambda value: value == 0)
    camera.unstage()
    ca.put(f"{FAULT}file_write_error", 0)
    camera.stage()
    camera.trigger().wait(LONG_S)


def test_a_folder_that_is_not_there_is_named_when_the_camera_is_staged(camera, twin: Simulated) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import DeviceError

    camera.hdf1.place("/proc/nowhere", "/proc/nowhere")
    try:
        with pytest.raises(DeviceError, match="/proc/nowhere/: its IOC says that the folder does not exist"):
            camera.stage()
    finally:
        camera.hdf1.place(str(twin.folder), str(twin.folder))
    camera.stage()
    camera.trigger().wait(LONG_S)


def test_documents_name_the_folder_as_clients_see_it(camera, engine, twin: Simulated, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from bluesky.plans import count

    seen_here = tmp_path / "mounted"
    seen_here.symlink_to(twin.folder)
    camera.hdf1.place(str(twin.folder), str(seen_here))
    try:
        documents = run(engine, count([camera]))
    finally:
        camera.hdf1.place(str(twin.folder), str(twin.folder))
    assert file_of(documents).startswith(f"{seen_here}/")
    assert str(camera.hdf1.full_file_name.get()).startswith(f"{twin.folder}/")
    with h5py.File(file_of(documents)) as file:
        assert file["entry/data/data"].shape == (1, 48, 64)


def test_an_abort_leaves_the_camera_idle_with_its_file_closed(camera, engine, ca) -> None:  # type: ignore[no-untyped-def]
    from bluesky import plan_stubs as bps
    from bluesky import preprocessors as bpp
    from bluesky.plans import count

    begun = []

    @bpp.stage_decorator([camera])
    @bpp.run_decorator()
    def aborted():  # type: ignore[no-untyped-def]
        begun.append((yield from bps.trigger(camera, group="frames")))
        yield from bps.null()
        raise KeyError("something else went wrong")

    camera.configure({"exposure": 600.0})
    with pytest.raises(KeyError, match="something else went wrong"):
        engine(aborted())
    assert begun[0].done
    assert ca.get("TXM:camera:cam1:Acquire_RBV") == 0
    assert ca.get("TXM:camera:HDF1:Capture_RBV") == 0
    camera.configure({"exposure": 0.1})
    documents = run(engine, count([camera], 2))
    with h5py.File(file_of(documents)) as file:
        assert file["entry/data/data"].shape[0] == 2


def test_a_camera_that_gets_no_pulse_fails_within_the_computed_time(camera, ca) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Overdue

    camera.configure({"trigger_mode": "External", "pulse_wait": 0.1, "frames": 2})
    camera.stage()
    with pytest.raises(Overdue, match=r"2 frames; 0 are in the file; it says 'Waiting for a trigger'"):
        fails(camera.trigger())
    camera.unstage()
    assert ca.get("TXM:camera:cam1:Acquire_RBV") == 0


class Killed(Exception):
    """In place of a client that is killed: nothing is put any more."""


def fly(triggered: Any) -> None:
    """Make ready for pulses that do not come, and leave off."""
    from whiteline.analysis.laws.fly_line import FlyLine

    triggered.stage()
    triggered.prepare(FlyLine("", 0.0, 0.5, 5, 0.3)).wait(LONG_S)
    triggered.unstage()


def test_after_a_flight_that_was_killed_at_any_of_its_puts_a_camera_takes_its_frames(  # type: ignore[no-untyped-def]
    camera, twin: Simulated, engine, ca, tag: str, keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bluesky.plans import count
    from ophyd import EpicsSignal

    from whiteline.devices.camera import Camera
    from whiteline.devices.errors import DeviceError
    from whiteline.devices.triggered import TriggeredDetector

    cam, put = f"{tag}TXM:camera:cam1:", EpicsSignal.put
    puts: list[str] = []
    alive = 1000

    def counted(signal: Any, *args: Any, **how: Any) -> None:
        if signal.root.name.startswith("doomed"):
            if len(puts) >= alive:
                raise Killed
            if signal.setpoint_pvname.startswith(cam):
                puts.append(signal.setpoint_pvname.removeprefix(cam))
        put(signal, *args, **how)

    def client(name: str) -> Any:
        folders = {"write": twin.folder, "read": twin.folder}
        detector = keep(Camera(f"{tag}TXM:camera:", name=name, readout_s=0.02, **folders))
        return keep(TriggeredDetector(cam, detector=detector, readout_s=0.02, most_per_s=100.0, buffer=100))

    monkeypatch.setattr(EpicsSignal, "put", counted)
    fly(client("doomed"))
    whole = list(puts)
    assert whole.count("TriggerMode") == whole.count("ImageMode") == 2, "set and put back"
    for alive in range(len(whole)):
        ca.put("TXM:camera:cam1:ImageMode", "Multiple")
        ca.put("TXM:camera:cam1:AcquireTime", 0.1)
        puts.clear()
        doomed = client(f"doomed {alive}")
        with pytest.raises(DeviceError, match="Killed"):
            fly(doomed)
        assert puts == whole[:alive]
        documents = run(engine, count([camera], 2))
        with h5py.File(file_of(documents)) as file:
            assert file["entry/data/data"].shape[0] == 2, f"killed before {whole[alive]}"
        assert ca.get("TXM:camera:cam1:TriggerMode_RBV", as_string=True) == "Internal"
        assert ca.get("TXM:camera:cam1:Acquire") == 0


def test_frames_that_shall_wait_for_pulses_do_so_although_a_live_view_went_before(camera, engine, ca) -> None:  # type: ignore[no-untyped-def]
    """What tells a killed flight from a choice must not undo the choice."""
    ca.put("TXM:camera:cam1:ImageMode", "Continuous")
    camera.configure({"trigger_mode": "External"})
    camera.stage()
    assert ca.get("TXM:camera:cam1:TriggerMode_RBV", as_string=True) == "External"
    camera.unstage()
    # nor if the live view comes after it
    ca.put("TXM:camera:cam1:ImageMode", "Continuous")
    camera.stage()
    assert ca.get("TXM:camera:cam1:TriggerMode_RBV", as_string=True) == "External"
    assert ca.get("TXM:camera:cam1:ImageMode_RBV", as_string=True) == "Multiple"


def test_a_trigger_shows_its_progress(camera) -> None:  # type: ignore[no-untyped-def]
    seen: list[int] = []
    camera.configure({"frames": 4, "exposure": 0.5})
    camera.stage()
    status = camera.trigger()
    status.watch(lambda current, **_: seen.append(current))
    status.wait(LONG_S)
    assert seen == sorted(seen)
    assert set(seen) <= {0, 1, 2, 3, 4}
    assert seen


def test_without_staging_nothing_is_triggered(camera) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Refused

    with pytest.raises(Refused, match="not staged"):
        camera.trigger()


def test_the_loss_of_the_ioc_fails_a_trigger_at_once_and_unstaging_still_works(camera, twin: Simulated) -> None:  # type: ignore[no-untyped-def]
    """This is the last test of this module: it ends an IOC."""
    from whiteline.devices.errors import Lost

    camera.configure({"exposure": 3600.0})
    camera.stage()
    status = camera.trigger()
    exposing = threading.Event()
    camera.cam.acquire.subscribe(lambda value, **_: value and exposing.set())
    assert exposing.wait(LONG_S)
    twin.kill("beamline")
    with pytest.raises(Lost, match="its IOC has gone"):
        fails(status)
    with pytest.raises(Lost, match="its IOC has gone"):
        camera.trigger()
    camera.unstage()
    assert not camera.is_staged
    with pytest.raises(Lost):
        camera.stage()
    assert not camera.is_staged
