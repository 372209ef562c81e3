"""The driver and the file plugin, through the classes of ophyd as they come, and through plain puts."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from whiteline.sim.ioc.loopback import server_environment
from whiteline.sim.ioc.readiness import wait_until_served

IOC = Path(__file__).with_name("area_detector_ioc.py")
CAM, FILE, INSIDE = "T:camera:cam1:", "T:camera:HDF1:", "T:inside:"
ROWS, COLUMNS = 48, 64
LONG_S = 20.0
"""How long a test waits for what should happen at once."""

READER = """
import sys, h5py
file = h5py.File(sys.argv[1], libver="latest", swmr=True)
arrays, numbers = file["entry/data/data"], file["entry/instrument/NDAttributes/NDArrayUniqueId"]
for _ in sys.stdin:
    arrays.refresh(), numbers.refresh()
    count = arrays.shape[0]
    print(count, numbers[count - 1] if count else -1, arrays[count - 1, 0, 0] if count else -1, flush=True)
"""
CLIENT = """
import sys, threading, epics
capture, acquire = epics.PV(sys.argv[1] + "HDF1:Capture"), epics.PV(sys.argv[1] + "cam1:Acquire")
for one in (capture, acquire):
    assert one.wait_for_connection(timeout=20)
capture.put(1, callback=lambda **_: None)
acquire.put(1, callback=lambda **_: None)
print("asked", flush=True)
threading.Event().wait()
"""
STOCK = """
import os, sys
from ophyd.areadetector.cam import AreaDetectorCam, CamBase
from ophyd.areadetector.plugins import HDF5Plugin, HDF5Plugin_V34
devices = [cls(sys.argv[1], name="cam") for cls in (CamBase, AreaDetectorCam)]
devices += [cls(sys.argv[2], name="hdf1") for cls in (HDF5Plugin, HDF5Plugin_V34)]
for device in devices:
    device.wait_for_connection(all_signals=True, timeout=20)
os._exit(0)
"""


@pytest.fixture(scope="module")
def tag() -> str:
    """No tag: this module serves names of its own."""
    return ""


@pytest.fixture(scope="module", autouse=True)
def _ioc(serve) -> None:
    serve(IOC, f"{CAM}Acquire")


@pytest.fixture(autouse=True)
def _as_it_was(ca, tmp_path: Path) -> Iterator[None]:
    for name, value in {"FilePath": f"{tmp_path}/", "FileName": "frames", "FileNumber": 0}.items():
        ca.put(f"{FILE}{name}", value)
    for name, value in {
        "EnableCallbacks": 1,
        "NumCapture": 0,
        "FileWriteMode": 2,
        "FileTemplate": "%s%s_%d.h5",
    }.items():
        ca.put(f"{FILE}{name}", value)
    for name, value in {"ImageMode": 1, "NumImages": 1, "AcquireTime": 0.001, "AcquirePeriod": 0.0}.items():
        ca.put(f"{CAM}{name}", value)
    yield
    for fault in ("held", "broken", "full", "drop"):
        ca.put(f"{INSIDE}{fault}", 0)
    ca.put(f"{CAM}Acquire", 0)
    ca.put(f"{FILE}Capture", 0)
    for name in ("AutoIncrement", "AutoSave", "BlockingCallbacks"):
        ca.put(f"{FILE}{name}", 1)
    for name in ("LazyOpen", "CreateDirectory", "EnableCallbacks"):
        ca.put(f"{FILE}{name}", 0)
    whole = {"MinX": 0, "MinY": 0, "SizeX": COLUMNS, "SizeY": ROWS, "BinX": 1, "ArrayCallbacks": 1, "TriggerMode": 0}
    for name, value in whole.items():
        ca.put(f"{CAM}{name}", value)


@pytest.fixture(scope="module")
def stock(_ioc) -> Any:
    """A camera of stock classes.

    It has names of its own: a device that is forgotten closes its channels, also those of others with the same names.
    """
    from ophyd import Component, DetectorBase, HDF5Plugin, SingleTrigger
    from ophyd.areadetector.cam import AreaDetectorCam
    from ophyd.areadetector.filestore_mixins import FileStoreHDF5IterativeWrite

    class FramesFile(FileStoreHDF5IterativeWrite, HDF5Plugin):
        pass

    class Camera(SingleTrigger, DetectorBase):
        cam = Component(AreaDetectorCam, "cam1:")
        hdf1 = Component(FramesFile, "HDF1:", write_path_template="/")

    camera = Camera("T:stock:camera:", name="camera")
    camera.read_attrs = ["hdf1"]
    camera.wait_for_connection(all_signals=True, timeout=LONG_S)
    return camera


@pytest.fixture
def camera(stock, tmp_path: Path) -> Any:
    """The camera, as it writes whole frames into the folder of this test, one a trigger."""
    stock.hdf1.write_path_template = str(tmp_path)
    cam = stock.cam
    settings = {cam.acquire_time: 0.001, cam.num_images: 1, cam.min_x: 0, cam.min_y: 0, cam.bin_x: 1, cam.bin_y: 1}
    for one, value in (settings | {cam.size.size_x: COLUMNS, cam.size.size_y: ROWS}).items():
        one.set(value).wait(LONG_S)
    return stock


@pytest.fixture(scope="module")
def engine(_ioc) -> Any:
    from bluesky import RunEngine

    return RunEngine()


class Asked:
    """A put whose completion is waited for later."""

    def __init__(self, ca, name: str, value: Any) -> None:
        self._done = threading.Event()
        ca(name).put(value, callback=lambda **_: self._done.set())

    @property
    def completed(self) -> bool:
        return self._done.is_set()

    def wait(self) -> None:
        assert self._done.wait(LONG_S), "the put did not complete"


def capture(ca, prefix: str = FILE) -> Asked:
    asked = Asked(ca, f"{prefix}Capture", 1)
    ca.wait(f"{prefix}Capture_RBV", lambda value: value == 1)
    return asked


def word(ca, name: str) -> str:
    return str(ca.get(name, as_string=True))


def tells(ca, name: str, wanted: str) -> str:
    """Wait for a long text; a get could be cut to the length of the text before."""
    return str(ca.wait(name, lambda value: value.endswith(wanted), as_string=True))


def whole(number: int) -> Any:
    return 100 * number + np.arange(ROWS)[:, np.newaxis] + 2 * np.arange(COLUMNS)


def frames_in(file: Path) -> list[Any]:
    """Return the frames of a file, and check all that a file holds."""
    with h5py.File(file) as found:
        arrays, attributes = found["entry/data/data"], found["entry/instrument/NDAttributes"]
        assert arrays.dtype == "uint16"
        assert arrays.chunks == (1, *arrays.shape[1:])
        assert arrays.maxshape == (None, *arrays.shape[1:])
        assert found["entry/instrument/detector/data"].shape == arrays.shape
        numbers, stamps = attributes["NDArrayUniqueId"][:], attributes["NDArrayTimeStamp"][:]
        assert len(numbers) == len(stamps) == len(arrays)
        assert np.all(np.diff(stamps) >= 0)
        assert np.all(attributes["energy"][:] == 8333.5)
        if arrays.shape[1:] == (ROWS, COLUMNS):
            for number, frame in zip(numbers, arrays, strict=True):
                assert np.array_equal(frame, whole(number))
        return [int(number) for number in numbers]


def only_file(folder: Path) -> Path:
    (file,) = folder.glob("*.h5")
    return file


def run(engine, plan) -> list[tuple[str, dict[str, Any]]]:
    documents: list[tuple[str, dict[str, Any]]] = []
    engine(plan, lambda name, document: documents.append((name, document)))
    return documents


def test_every_record_of_the_stock_classes_connects() -> None:
    """In a process of its own: the channels of a device that is forgotten close, and others would share them."""
    done = subprocess.run([sys.executable, "-c", STOCK, CAM, FILE], timeout=6 * LONG_S, check=False)
    assert done.returncode == 0


def test_a_count_writes_its_frames_in_order(camera, engine, tmp_path: Path) -> None:
    from bluesky.plans import count

    documents = run(engine, count([camera], num=5))
    numbers = frames_in(only_file(tmp_path))
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    names = [name for name, _ in documents]
    assert names == ["start", "descriptor", "resource", *["datum", "event"] * 5, "stop"]
    (resource,) = (document for name, document in documents if name == "resource")
    assert f"/{resource['resource_path']}" == str(only_file(tmp_path))
    assert resource["resource_kwargs"] == {"frame_per_point": 1}
    assert documents[1][1]["data_keys"]["camera_image"]["shape"] == (1, ROWS, COLUMNS)
    assert documents[1][1]["data_keys"]["camera_image"]["dtype_numpy"] == "<u2"
    points = [document["datum_kwargs"]["point_number"] for name, document in documents if name == "datum"]
    assert points == list(range(5))
    assert documents[-1][1]["exit_status"] == "success"


def test_a_scan_with_several_frames_a_trigger(camera, engine, tmp_path: Path) -> None:
    from bluesky.plans import scan
    from ophyd.sim import SynAxis

    camera.cam.num_images.set(3).wait(LONG_S)
    documents = run(engine, scan([camera], SynAxis(name="axis"), 0, 1, 4))
    numbers = frames_in(only_file(tmp_path))
    assert numbers == list(range(numbers[0], numbers[0] + 12))
    (resource,) = (document for name, document in documents if name == "resource")
    assert resource["resource_kwargs"] == {"frame_per_point": 3}
    assert [name for name, _ in documents].count("event") == 4
    assert camera.cam.num_images_counter.get(use_monitor=False) == 3
    assert camera.hdf1.num_captured.get(use_monitor=False) == 12


def test_staged_many_times(camera, engine, tmp_path: Path) -> None:
    from bluesky.plans import count

    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        camera.hdf1.write_path_template = str(folder)
        run(engine, count([camera], num=2))
        assert len(frames_in(only_file(folder))) == 2
        camera.stage()
        camera.unstage()
        assert sorted(len(frames_in(file)) for file in folder.glob("*.h5")) == [0, 2]


def test_a_region_with_binning(camera, engine, tmp_path: Path) -> None:
    from bluesky.plans import count

    cam = camera.cam
    region = {cam.min_y: 5, cam.min_x: 7, cam.size.size_y: 20, cam.size.size_x: 33, cam.bin_x: 2, cam.bin_y: 2}
    for one, value in region.items():
        one.set(value).wait(LONG_S)
    documents = run(engine, count([camera], num=2))
    assert documents[1][1]["data_keys"]["camera_image"]["shape"] == (1, 10, 16)
    file = only_file(tmp_path)
    frames_in(file)
    with h5py.File(file) as found:
        frames, numbers = found["entry/data/data"][:], found["entry/instrument/NDAttributes/NDArrayUniqueId"][:]
    places = np.arange(5, 25)[:, np.newaxis] + 2 * np.arange(7, 39)
    binned = places.reshape(10, 2, 16, 2).sum(axis=(1, 3))
    assert np.array_equal(frames, binned + 100 * numbers[:, np.newaxis, np.newaxis])
    assert [one.get(use_monitor=False) for one in (cam.array_size_bytes, camera.hdf1.width, camera.hdf1.height)] == [
        320,
        16,
        10,
    ]


def test_texts_may_be_empty_or_long(ca) -> None:
    for value in ("", "a" * 100, "b", "", "c" * 255):
        ca.put(f"{FILE}FileName", value)
        ca.wait(f"{FILE}FileName_RBV", lambda found, value=value: found == value, as_string=True)
    assert ca.severity(f"{FILE}FileName") == 0


def test_settings_keep_within_what_the_detector_can(ca) -> None:
    before = ca.get(f"{CAM}AcquireTime_RBV")
    ca.start(f"{CAM}AcquireTime", float("nan"))
    asked = {
        "NumImages": -3,
        "SizeX": 1000,
        "MinY": 500,
        "BinY": 4,
        "NumExposures": 5,
        "ReverseX": 1,
        "AcquirePeriod": -1,
    }
    for name, value in asked.items():
        ca.put(f"{CAM}{name}", value)
    found = {name: ca.get(f"{CAM}{name}_RBV") for name in (*asked, "BinX")}
    assert found == {
        "NumImages": 1,
        "SizeX": COLUMNS,
        "MinY": ROWS - 1,
        "BinY": 4,
        "BinX": 4,
        "NumExposures": 1,
        "ReverseX": 0,
        "AcquirePeriod": 0,
    }
    assert ca.get(f"{CAM}AcquireTime_RBV") == before
    assert ca.severity(f"{CAM}AcquireTime") == 0
    # of the last row, one pixel in height: the binning gives way
    assert [ca.get(f"{CAM}ArraySize{axis}_RBV") for axis in "XY"] == [COLUMNS, 1]


def test_another_process_reads_each_frame_when_its_put_has_completed(ca, tmp_path: Path) -> None:
    capture(ca)
    command = [sys.executable, "-c", READER, tells(ca, f"{FILE}FullFileName_RBV", "frames_0.h5")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for taken in range(1, 11):
            ca.put(f"{CAM}Acquire", 1)
            number = ca.get(f"{CAM}UniqueId_RBV")
            reader.stdin.write("\n")
            reader.stdin.flush()
            assert reader.stdout.readline().split() == [str(taken), str(number), str(100 * number)]
        assert word(ca, f"{FILE}SWMRActive_RBV") == "Active"
        ca.put(f"{FILE}Capture", 0)
        reader.stdin.close()
    assert word(ca, f"{FILE}SWMRActive_RBV") == "Off"
    assert len(frames_in(only_file(tmp_path))) == 10


def test_a_put_completes_only_when_the_frame_is_in_the_file(ca, tmp_path: Path) -> None:
    capture(ca)
    ca.put(f"{INSIDE}held", 1)
    asked = Asked(ca, f"{CAM}Acquire", 1)
    ca.wait(f"{CAM}Acquire_RBV", lambda value: value == 1)
    # another put and its completion pass meanwhile
    ca.put(f"{CAM}Gain", 2.0)
    assert not asked.completed
    assert ca.get(f"{CAM}AcquireBusy") == 1
    assert ca.get(f"{FILE}NumCaptured_RBV") == 0
    ca.put(f"{INSIDE}held", 0)
    asked.wait()
    assert ca.get(f"{FILE}NumCaptured_RBV") == 1
    assert ca.get(f"{CAM}AcquireBusy") == 0
    assert ca.get(f"{CAM}Acquire_RBV") == 0
    with h5py.File(only_file(tmp_path), swmr=True) as file:
        assert file["entry/data/data"].shape[0] == 1


def test_a_second_put_joins_the_acquisition_that_runs(ca) -> None:
    counted = ca.get(f"{CAM}ArrayCounter_RBV")
    ca.put(f"{INSIDE}held", 1)
    puts = [Asked(ca, f"{CAM}Acquire", 1) for _ in range(2)]
    ca.wait(f"{CAM}Acquire_RBV", lambda value: value == 1)
    ca.put(f"{INSIDE}held", 0)
    for one in puts:
        one.wait()
    assert ca.get(f"{CAM}ArrayCounter_RBV") == counted + 1


def test_a_plugin_that_does_not_block_is_waited_for(ca, tmp_path: Path) -> None:
    ca.put(f"{FILE}BlockingCallbacks", 0)
    ca.put(f"{CAM}NumImages", 15)
    capture(ca)
    ca.put(f"{CAM}Acquire", 1)
    assert ca.get(f"{FILE}NumCaptured_RBV") == 15
    ca.put(f"{FILE}Capture", 0)
    assert len(frames_in(only_file(tmp_path))) == 15


def test_the_clock_is_told_of_each_exposure_before_the_next(ca) -> None:
    """Exposures run ahead of the making of frames, but not far: memory is bounded."""
    ca.put(f"{CAM}NumImages", 10)
    ca.put(f"{INSIDE}forget", 1)
    ca.put(f"{INSIDE}held", 1)
    asked = Asked(ca, f"{CAM}Acquire", 1)
    ca.wait(f"{CAM}TimeRemaining_RBV", lambda value: value == pytest.approx(7 * 0.002))
    assert ca.get(f"{INSIDE}exposed") <= 4
    ca.put(f"{INSIDE}held", 0)
    asked.wait()
    assert ca.get(f"{INSIDE}exposed") == 10
    assert ca.get(f"{INSIDE}ordered") == 1


def test_an_abort_discards_the_frame_in_flight_and_completes_the_put(ca, tmp_path: Path) -> None:
    capture(ca)
    ca.put(f"{CAM}AcquireTime", 1000.0)
    counted = ca.get(f"{CAM}ArrayCounter_RBV")
    asked = Asked(ca, f"{CAM}Acquire", 1)
    ca.wait(f"{CAM}Acquire_RBV", lambda value: value == 1)
    assert word(ca, f"{CAM}DetectorState_RBV") == "Acquire"
    ca.put(f"{CAM}Acquire", 0)
    asked.wait()
    assert ca.get(f"{CAM}Acquire_RBV") == 0
    assert word(ca, f"{CAM}DetectorState_RBV") == "Aborted"
    assert ca.get(f"{CAM}ArrayCounter_RBV") == counted
    ca.put(f"{CAM}AcquireTime", 0.001)
    ca.put(f"{CAM}Acquire", 1)
    assert word(ca, f"{CAM}DetectorState_RBV") == "Idle"
    ca.put(f"{FILE}Capture", 0)
    assert len(frames_in(only_file(tmp_path))) == 1


def test_frames_that_were_read_out_survive_an_abort(ca, tmp_path: Path) -> None:
    ca.put(f"{CAM}NumImages", 10)
    ca.put(f"{CAM}TriggerMode", 1)
    capture(ca)
    asked = Asked(ca, f"{CAM}Acquire", 1)
    for taken in range(1, 4):
        ca.wait(f"{CAM}DetectorState_RBV", lambda value: value == "Waiting", as_string=True)
        ca.put(f"{INSIDE}pulse", 1)
        ca.wait(f"{CAM}NumImagesCounter_RBV", lambda value, taken=taken: value == taken)
    assert not asked.completed
    ca.put(f"{CAM}Acquire", 0)
    asked.wait()
    ca.put(f"{FILE}Capture", 0)
    assert len(frames_in(only_file(tmp_path))) == 3


def test_the_next_exposure_waits_for_the_period(ca) -> None:
    ca.put(f"{CAM}AcquirePeriod", 1000.0)
    ca.put(f"{CAM}NumImages", 2)
    ca.put(f"{INSIDE}forget", 1)
    asked = Asked(ca, f"{CAM}Acquire", 1)
    ca.wait(f"{CAM}NumImagesCounter_RBV", lambda value: value == 1)
    assert ca.get(f"{INSIDE}exposed") == 1
    assert not asked.completed
    ca.put(f"{CAM}Acquire", 0)
    asked.wait()
    ca.put(f"{CAM}NumImages", 1)
    # none comes after the last
    ca.put(f"{CAM}Acquire", 1)


def test_continuous_until_it_is_stopped(ca) -> None:
    ca.put(f"{CAM}ImageMode", 2)
    asked = Asked(ca, f"{CAM}Acquire", 1)
    ca.wait(f"{CAM}NumImagesCounter_RBV", lambda value: value > 20)
    assert not asked.completed
    ca.put(f"{CAM}Acquire", 0)
    asked.wait()
    assert word(ca, f"{CAM}DetectorState_RBV") == "Idle"


def test_a_frame_that_cannot_be_made_ends_the_acquisition_with_a_message(ca, tmp_path: Path) -> None:
    ca.put(f"{CAM}NumImages", 5)
    capture(ca)
    ca.put(f"{INSIDE}broken", 1)
    ca.put(f"{CAM}Acquire", 1)
    assert word(ca, f"{CAM}DetectorState_RBV") == "Error"
    tells(ca, f"{CAM}StatusMessage_RBV", "ValueError: no image forms")
    assert ca.get(f"{CAM}Acquire_RBV") == 0
    ca.put(f"{INSIDE}broken", 0)
    ca.put(f"{CAM}Acquire", 1)
    assert word(ca, f"{CAM}DetectorState_RBV") == "Idle"
    ca.put(f"{FILE}Capture", 0)
    assert len(frames_in(only_file(tmp_path))) == 5


def test_dropped_frames_are_counted_by_the_camera_and_miss_in_the_file(ca, tmp_path: Path) -> None:
    dropped = ca.get(f"{FILE}DroppedArrays_RBV")
    ca.put(f"{CAM}NumImages", 5)
    capture(ca)
    ca.put(f"{INSIDE}drop", 2)
    ca.put(f"{CAM}Acquire", 1)
    assert ca.get(f"{CAM}NumImagesCounter_RBV") == 5
    assert ca.get(f"{FILE}DroppedArrays_RBV") == dropped + 2
    ca.put(f"{FILE}Capture", 0)
    last = ca.get(f"{CAM}UniqueId_RBV")
    assert frames_in(only_file(tmp_path)) == [last - 2, last - 1, last]


def test_no_array_comes_without_callbacks(ca, tmp_path: Path) -> None:
    counted, taken = ca.get(f"{FILE}ArrayCounter_RBV"), ca.get(f"{CAM}ArrayCounter_RBV")
    capture(ca)
    ca.put(f"{CAM}ArrayCallbacks", 0)
    ca.put(f"{CAM}Acquire", 1)
    ca.put(f"{CAM}ArrayCallbacks", 1)
    ca.put(f"{FILE}EnableCallbacks", 0)
    ca.put(f"{CAM}Acquire", 1)
    ca.put(f"{FILE}Capture", 0)
    assert ca.get(f"{CAM}ArrayCounter_RBV") == taken + 2
    assert ca.get(f"{FILE}ArrayCounter_RBV") == counted
    assert frames_in(only_file(tmp_path)) == []


def test_a_full_disk_ends_the_capture_and_leaves_a_readable_file(ca, tmp_path: Path) -> None:
    ca.put(f"{CAM}NumImages", 2)
    captured = capture(ca)
    ca.put(f"{CAM}Acquire", 1)
    ca.put(f"{INSIDE}full", 1)
    ca.put(f"{CAM}Acquire", 1)
    captured.wait()
    assert ca.get(f"{FILE}Capture_RBV") == 0
    assert word(ca, f"{FILE}WriteStatus") == "Write error"
    tells(ca, f"{FILE}WriteMessage", "frames_0.h5 cannot be written: No space left on device")
    assert ca.severity(f"{FILE}WriteStatus") == 2
    assert ca.severity(f"{FILE}WriteMessage") == 0
    assert ca.get(f"{CAM}NumImagesCounter_RBV") == 2
    assert len(frames_in(tmp_path / "frames_0.h5")) == 2
    ca.put(f"{INSIDE}full", 0)
    capture(ca)
    assert word(ca, f"{FILE}WriteStatus") == "Write OK"
    assert ca.severity(f"{FILE}WriteStatus") == 0
    ca.put(f"{CAM}Acquire", 1)
    ca.put(f"{FILE}Capture", 0)
    assert len(frames_in(tmp_path / "frames_1.h5")) == 2


@pytest.mark.parametrize("below_a_file", [False, True])
def test_no_capture_without_a_folder(ca, tmp_path: Path, below_a_file: bool) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "sub" if below_a_file else tmp_path / "missing"
    ca.put(f"{FILE}CreateDirectory", -3 if below_a_file else 0)
    ca.put(f"{FILE}FilePath", str(folder))
    tells(ca, f"{FILE}FilePath_RBV", f"{folder}/")
    assert ca.get(f"{FILE}FilePathExists_RBV") == 0
    ca.put(f"{FILE}Capture", 1)
    assert ca.get(f"{FILE}Capture_RBV") == 0
    assert word(ca, f"{FILE}WriteStatus") == "Write error"
    assert ca.severity(f"{FILE}WriteStatus") == 2
    why = "cannot be made: Not a directory" if below_a_file else "does not exist"
    tells(ca, f"{FILE}WriteMessage", f"the folder {folder}/ {why}")
    assert ca.get(f"{FILE}FileNumber_RBV") == 0


def test_as_many_levels_of_folders_are_made_as_are_allowed(ca, tmp_path: Path) -> None:
    folder = tmp_path / "a folder with a long name, so that it does not fit into a string of EPICS" / "sub"
    for levels, made in ((-1, False), (-2, True)):
        ca.put(f"{FILE}CreateDirectory", levels)
        ca.put(f"{FILE}FilePath", str(folder))
        assert ca.get(f"{FILE}FilePathExists_RBV") == made
        assert folder.is_dir() == made
    capture(ca)
    ca.put(f"{CAM}Acquire", 1)
    ca.put(f"{FILE}Capture", 0)
    assert len(frames_in(folder / "frames_0.h5")) == 1


def test_a_capture_ends_with_its_last_frame(ca, tmp_path: Path) -> None:
    ca.put(f"{FILE}NumCapture", 3)
    ca.put(f"{CAM}NumImages", 5)
    for number in range(2):
        captured = capture(ca)
        assert not captured.completed
        ca.put(f"{CAM}Acquire", 1)
        captured.wait()
        assert ca.get(f"{FILE}Capture_RBV") == 0
        assert ca.get(f"{FILE}NumCaptured_RBV") == 3
        assert ca.get(f"{FILE}FileNumber_RBV") == number + 1
        assert len(frames_in(tmp_path / f"frames_{number}.h5")) == 3


def test_a_capture_that_starts_while_the_camera_acquires(ca, tmp_path: Path) -> None:
    ca.put(f"{CAM}ImageMode", 2)
    asked = Asked(ca, f"{CAM}Acquire", 1)
    ca.wait(f"{CAM}NumImagesCounter_RBV", lambda value: value > 3)
    for number in range(2):
        capture(ca)
        ca.wait(f"{FILE}NumCaptured_RBV", lambda value: value > 10)
        ca.put(f"{FILE}Capture", 0)
        numbers = frames_in(tmp_path / f"frames_{number}.h5")
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    ca.put(f"{CAM}Acquire", 0)
    asked.wait()


def test_a_change_of_the_region_needs_a_new_capture(ca, tmp_path: Path) -> None:
    captured = capture(ca)
    ca.put(f"{CAM}Acquire", 1)
    ca.put(f"{CAM}SizeX", 10)
    ca.put(f"{CAM}Acquire", 1)
    captured.wait()
    assert "48 x 10" in tells(ca, f"{FILE}WriteMessage", "start a new capture after a change of the region")
    assert len(frames_in(tmp_path / "frames_0.h5")) == 1
    capture(ca)
    ca.put(f"{CAM}Acquire", 1)
    ca.put(f"{FILE}Capture", 0)
    with h5py.File(tmp_path / "frames_1.h5") as file:
        assert file["entry/data/data"].shape == (1, ROWS, 10)


def test_a_lazy_file_is_opened_by_its_first_frame(ca, tmp_path: Path) -> None:
    ca.put(f"{FILE}LazyOpen", 1)
    ca.put(f"{FILE}TempSuffix", ".part")
    try:
        capture(ca)
        assert list(tmp_path.iterdir()) == []
        ca.put(f"{CAM}Acquire", 1)
        assert [one.name for one in tmp_path.iterdir()] == ["frames_0.h5.part"]
        ca.put(f"{FILE}Capture", 0)
    finally:
        ca.put(f"{FILE}TempSuffix", "")
    assert len(frames_in(tmp_path / "frames_0.h5")) == 1


def test_single_arrays_in_files_of_their_own(ca, tmp_path: Path) -> None:
    ca.put(f"{FILE}FileWriteMode", 0)
    ca.put(f"{CAM}NumImages", 3)
    ca.put(f"{CAM}Acquire", 1)
    last = ca.get(f"{CAM}UniqueId_RBV")
    assert [frames_in(tmp_path / f"frames_{number}.h5") for number in range(3)] == [[last - 2], [last - 1], [last]]
    ca.put(f"{FILE}AutoSave", 0)
    ca.put(f"{CAM}Acquire", 1)
    assert len(list(tmp_path.iterdir())) == 3
    ca.put(f"{FILE}WriteFile", 1)
    assert frames_in(tmp_path / "frames_3.h5") == [last + 3]


def test_what_the_plugin_cannot_do_is_told(ca) -> None:
    ca.put(f"{FILE}FileWriteMode", 0)
    ca.put(f"{FILE}Capture", 1)
    assert ca.get(f"{FILE}Capture_RBV") == 0
    tells(ca, f"{FILE}WriteMessage", "set FileWriteMode to Stream")
    ca.put(f"{FILE}FileWriteMode", 2)
    capture(ca)
    ca.put(f"{FILE}WriteFile", 1)
    tells(ca, f"{FILE}WriteMessage", "its arrays are written already")
    assert ca.get(f"{FILE}Capture_RBV") == 1


def test_a_file_that_another_program_holds_is_told(ca, tmp_path: Path) -> None:
    ca.put(f"{FILE}FileTemplate", "%s%s.h5")
    with h5py.File(tmp_path / "frames.h5", "w"):
        ca.put(f"{FILE}Capture", 1)
        assert ca.get(f"{FILE}Capture_RBV") == 0
        assert word(ca, f"{FILE}WriteStatus") == "Write error"
    capture(ca)
    assert word(ca, f"{FILE}WriteStatus") == "Write OK"


def test_a_template_that_makes_no_name_is_told(ca) -> None:
    ca.put(f"{FILE}FileTemplate", "%d%d%d%d")
    ca.put(f"{FILE}Capture", 1)
    assert ca.get(f"{FILE}Capture_RBV") == 0
    tells(ca, f"{FILE}WriteMessage", "does not make the name of a file; use %s%s_%6.6d.h5")


def test_spectra_are_written_as_frames_are(ca, tmp_path: Path) -> None:
    prefix = "T:spectra:"
    settings = {"cam1:AcquireTime": 0.001, "cam1:NumImages": 4, "HDF1:FilePath": str(tmp_path), "HDF1:FileName": "s"}
    for name, value in (settings | {"HDF1:EnableCallbacks": 1}).items():
        ca.put(f"{prefix}{name}", value)
    capture(ca, f"{prefix}HDF1:")
    ca.put(f"{prefix}cam1:Acquire", 1)
    ca.put(f"{prefix}HDF1:Capture", 0)
    with h5py.File(only_file(tmp_path)) as file:
        arrays, numbers = file["entry/data/data"], file["entry/instrument/NDAttributes/NDArrayUniqueId"][:]
        assert arrays.shape == (4, 4, 256)
        assert arrays.dtype == "uint32"
        assert np.array_equal(arrays[:, :, 100], numbers[:, np.newaxis] + 1000 * np.arange(4))


def test_a_client_that_vanishes_ends_nothing(ca, tmp_path: Path) -> None:
    ca.put(f"{CAM}TriggerMode", 1)
    client = subprocess.Popen([sys.executable, "-c", CLIENT, "T:camera:"], stdout=subprocess.PIPE, env=os.environ)
    try:
        assert client.stdout is not None
        while (line := client.stdout.readline()) != b"asked\n":
            assert line, "the client has ended"
        ca.wait(f"{FILE}Capture_RBV", lambda value: value == 1)
        ca.wait(f"{CAM}DetectorState_RBV", lambda value: value == "Waiting", as_string=True)
    finally:
        client.send_signal(signal.SIGKILL)
        client.wait()
        client.stdout.close()
    ca.put(f"{INSIDE}pulse", 1)
    ca.wait(f"{CAM}AcquireBusy", lambda value: value == 0)
    ca.put(f"{FILE}Capture", 0)
    assert len(frames_in(tmp_path / "frames_0.h5")) == 1
    ca.put(f"{CAM}TriggerMode", 0)
    capture(ca)
    ca.put(f"{CAM}Acquire", 1)
    ca.put(f"{FILE}Capture", 0)
    assert len(frames_in(tmp_path / "frames_1.h5")) == 1


def test_an_ioc_that_is_ended_closes_its_file(ca, ca_ports: list[int], tmp_path: Path) -> None:
    port, prefix = ca_ports[1], "ended:camera:"
    command = [sys.executable, str(IOC), str(port), "ended:"]
    with subprocess.Popen(command, env=os.environ | server_environment(port), stderr=subprocess.PIPE) as process:
        try:
            wait_until_served(f"{prefix}cam1:Acquire", port, timeout_s=LONG_S)
            for name, value in {"HDF1:FilePath": str(tmp_path), "HDF1:EnableCallbacks": 1}.items():
                ca.put(f"{prefix}{name}", value)
            ca.put(f"{prefix}cam1:AcquireTime", 0.001)
            ca.start(f"{prefix}HDF1:Capture", 1)
            ca.wait(f"{prefix}HDF1:Capture_RBV", lambda value: value == 1)
            ca.put(f"{prefix}cam1:Acquire", 1)
            ca.put(f"{prefix}cam1:AcquireTime", 1000.0)
            ca.start(f"{prefix}cam1:Acquire", 1)
            ca.wait(f"{prefix}cam1:Acquire_RBV", lambda value: value == 1)
        finally:
            process.terminate()
        _, told = process.communicate(timeout=LONG_S)
    assert process.returncode == 0
    assert b"Traceback" not in told
    assert frames_in(only_file(tmp_path)) == [0]
