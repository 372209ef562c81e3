"""Stacks that are read when sliced: equal to the array that they stand for, and honest about what is missing."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from whiteline.analysis.blocks import over_pixels
from whiteline.analysis.runs import FrameFile, FrameStack, PathMap, Place, UnreadableRun, read_point

SHAPE = (5, 7)


def write(path: Path, frames: NDArray[Any]) -> FrameFile:
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("entry/data/data", data=frames, chunks=(1, *frames.shape[1:]))
    return FrameFile(str(path))


def stack_of(places: list[list[Place]], dtype: str = "<u2") -> FrameStack:
    return FrameStack(tuple(tuple(one) for one in places), SHAPE, np.dtype(dtype), PathMap(), "frames of a test")


@pytest.fixture(scope="module")
def two_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[FrameFile], list[NDArray[np.uint16]]]:
    source = np.random.default_rng()
    arrays = [source.integers(0, 2**16, (12, *SHAPE), np.uint16) for _ in range(2)]
    folder = tmp_path_factory.mktemp("frames")
    return [write(folder / f"{number}.h5", one) for number, one in enumerate(arrays)], arrays


points = st.lists(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9), st.integers(1, 3)), min_size=1, max_size=3),
    min_size=1,
    max_size=9,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=points, data=st.data())
def test_it_slices_as_the_array_of_means_does(two_files: Any, chosen: Any, data: st.DataObject) -> None:
    files, arrays = two_files
    stack = stack_of([[Place(files[file], first, count) for file, first, count in one] for one in chosen])
    whole = np.array(
        [
            np.concatenate([arrays[file][first : first + count] for file, first, count in one]).mean(
                axis=0, dtype=float
            )
            for one in chosen
        ]
    )
    if all(len(one) == 1 and one[0][2] == 1 for one in chosen):
        assert stack.dtype == np.uint16
    index = data.draw(hnp.basic_indices(whole.shape, allow_newaxis=False))
    np.testing.assert_allclose(stack[index], whole[index], rtol=2e-7)
    some = data.draw(st.lists(st.integers(0, len(chosen) - 1), max_size=5))
    np.testing.assert_allclose(stack[np.array(some, int)], whole[np.array(some, int)], rtol=2e-7)
    np.testing.assert_allclose(np.asarray(stack.select(some)), whole[np.array(some, int)], rtol=2e-7)
    mask = whole[:, 0, 0] > 2**15
    np.testing.assert_allclose(stack[mask], whole[mask], rtol=2e-7)


def test_single_frames_keep_the_type_of_the_file_to_the_bit(two_files: Any) -> None:
    files, arrays = two_files
    stack = stack_of([[Place(files[0], number, 1)] for number in (3, 4, 5, 9, 0)])
    assert stack.dtype == np.uint16
    np.testing.assert_array_equal(np.asarray(stack), arrays[0][[3, 4, 5, 9, 0]])
    assert np.asarray(stack, np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="without being read"):
        np.array(stack, copy=False)


def test_a_slice_reads_no_more_than_it_names(two_files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    files, _ = two_files
    read = 0
    plain, direct = h5py.Dataset.__getitem__, h5py.Dataset.read_direct

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal read
        got = plain(self, *args, **kwargs)
        read += got.size
        return got

    def counted_direct(self: Any, out: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal read
        direct(self, out, *args, **kwargs)
        read += out.size

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    monkeypatch.setattr(h5py.Dataset, "read_direct", counted_direct)
    single = stack_of([[Place(files[0], number, 1)] for number in range(12)])
    tripled = stack_of([[Place(files[0], 3 * number, 3)] for number in range(4)])
    for stack, frames in ((single, 1), (tripled, 3)):
        _ = stack.shape, stack.dtype, repr(stack), stack.select([1, 2]), stack.frames_per_point
        assert read == 0
        _ = stack[:, 1:3, 2]
        assert read == len(stack) * frames * 2
        read = 0
        _ = stack[2]
        assert read == frames * 35
        read = 0


def test_kernels_dask_and_xarray_take_it_as_an_array(two_files: Any) -> None:
    files, arrays = two_files
    stack = stack_of([[Place(files[1], 2 * number, 2)] for number in range(6)])
    whole = arrays[1].reshape(6, 2, *SHAPE).mean(axis=1, dtype=np.float32)

    def kernel(block: NDArray[Any]) -> list[NDArray[Any]]:
        return [block.sum(axis=0), block[:2]]

    total, first = over_pixels(kernel, stack, block=14, workers=2)
    np.testing.assert_allclose(total, whole.sum(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(first, whole[:2])
    lazy = stack.to_dask()
    assert lazy.chunks == ((1,) * 6, (5,), (7,))
    total, _ = over_pixels(kernel, lazy)
    np.testing.assert_allclose(total.compute(scheduler="synchronous"), whole.sum(axis=0), rtol=1e-6)
    variable = stack.to_xarray()
    assert variable.dims == ("energy", "y", "x")
    np.testing.assert_array_equal(variable[1:4, 2].values, whole[1:4, 2])
    np.testing.assert_array_equal(variable.isel(energy=[4, 0], x=-1).values, whole[[4, 0], :, -1])
    np.testing.assert_array_equal(variable.chunk({"energy": 2}).sum("energy").compute().values, whole.sum(axis=0))


def test_many_frames_of_full_counts_keep_their_mean(tmp_path: Path) -> None:
    file = write(tmp_path / "full.h5", np.full((600, *SHAPE), 65535, np.uint16))
    np.testing.assert_array_equal(np.asarray(stack_of([[Place(file, 0, 600)]])), 65535.0)
    np.testing.assert_array_equal(np.asarray(stack_of([[Place(file, 0, 300), Place(file, 300, 300)]])), 65535.0)


def test_a_growing_file_is_read_beside_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "growing.h5"
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset("entry/data/data", (0, *SHAPE), "<u2", maxshape=(None, *SHAPE), chunks=(1, *SHAPE))
        file.swmr_mode = True
        stack = stack_of([[Place(FrameFile(str(path)), number, 1)] for number in range(3)])
        for number in range(3):
            assert stack.readable().tolist() == [one < number for one in range(3)]
            data.resize(number + 1, axis=0)
            data[number] = number
            data.flush()
            assert (stack[number] == number).all()
            assert (read_point(stack.places[number][0]) == number).all()


def test_no_file_is_left_for_the_garbage_collector(tmp_path: Path) -> None:
    """It runs in any thread, and h5py crashes where one closes files beside another that reads."""
    path = tmp_path / "growing.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("entry/data/data", data=np.ones((2, *SHAPE), "<u2"), maxshape=(None, *SHAPE))
        file.swmr_mode = True
        script = """
import gc, sys
from pathlib import Path
from whiteline.analysis.runs import FrameFile
from whiteline.analysis.runs.hdf5 import opened
def read(path):
    with opened(path, FrameFile(str(path)), "frames") as frames:
        return frames[:].sum()
def fail(path):
    try:
        read(path)
    except ValueError:
        pass
path = Path(sys.argv[1])
read(path)
gc.collect()
gc.disable()
gc.set_debug(gc.DEBUG_SAVEALL)
print(read(path), fail(Path(sys.argv[0])))
gc.collect()
print([type(one).__name__ for one in gc.garbage if type(one).__module__.startswith("h5py")])
"""
        (tmp_path / "reading.py").write_text(script)
        done = subprocess.run(
            [sys.executable, tmp_path / "reading.py", path], capture_output=True, text=True, check=True, timeout=120
        )
    assert done.stdout.split("\n")[:2] == ["70 None", "[]"]


def test_what_is_missing_is_named(tmp_path: Path, two_files: Any) -> None:
    files, arrays = two_files
    beyond = stack_of([[Place(files[0], 9, 3)], [Place(files[0], 12, 3)]])
    np.testing.assert_array_equal(beyond.readable(), [True, False])
    np.testing.assert_allclose(beyond[0], arrays[0][9:12].mean(axis=0), rtol=1e-6)
    with pytest.raises(UnreadableRun, match=r"frames of a test: frame 12 of point 2 is not in .*0.h5"):
        _ = beyond[:]
    gone = stack_of([[Place(FrameFile("/nowhere/a.h5"), 0, 1)]])
    assert not gone.readable().any()
    with pytest.raises(UnreadableRun, match=r"no file /nowhere/a.h5; mount its disk, or give a path map"):
        _ = gone[0]
    with pytest.raises(UnreadableRun, match=r"no dataset entry/else"):
        _ = stack_of([[Place(FrameFile(files[0].path, "entry/else"), 0, 1)]])[0]
    with pytest.raises(UnreadableRun, match="have the shape"):
        _ = FrameStack(((Place(files[0], 0, 1),),), (9, 9), np.dtype("<u2"), PathMap(), "x")[0]
    with pytest.raises(UnreadableRun, match="is image/tiff"):
        _ = stack_of([[Place(FrameFile(files[0].path, kind="image/tiff"), 0, 1)]])[0]
    for index in (2, (0, 5), (0, 0, 7), (0, 0, -8)):
        with pytest.raises(IndexError):
            _ = beyond[index]
    with pytest.raises(IndexError, match="3 axes"):
        _ = beyond[0, 0, 0, 0]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_file_that_was_cut_says_so_in_a_sentence(tmp_path: Path, share: float, seed: int) -> None:
    file = write(tmp_path / "cut.h5", np.random.default_rng(seed).integers(0, 99, (50, *SHAPE), np.uint16))
    whole = Path(file.path).read_bytes()
    Path(file.path).write_bytes(whole[: int(share * len(whole))])
    stack = stack_of([[Place(file, number, 1)] for number in range(50)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not stack.readable().all()
        with pytest.raises(UnreadableRun, match=r"cut.h5 cannot be read"):
            _ = stack[:]


def test_what_a_killed_writer_left_is_read_as_far_as_it_goes(tmp_path: Path, seed: int) -> None:
    """A writer beside whom others read is killed, and the end of its file is lost at any place, as by a full disk."""
    program = (
        "import h5py, os, sys\n"
        "file = h5py.File(sys.argv[1], 'w', libver='latest')\n"
        "data = file.create_dataset('entry/data/data', (0, 5, 7), '<u2', maxshape=(None, 5, 7), chunks=(1, 5, 7))\n"
        "file.swmr_mode = True\n"
        "for number in range(60):\n"
        "    data.resize(number + 1, axis=0)\n"
        "    data[number] = number + 1\n"
        "    data.flush()\n"
        "os._exit(9)\n"
    )
    path = tmp_path / "killed.h5"
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    whole = path.read_bytes()
    stack = stack_of([[Place(FrameFile(str(path)), number, 1)] for number in range(60)])
    np.testing.assert_array_equal(stack[:, 0, 0], np.arange(60) + 1)
    most = 0
    for length in sorted(np.random.default_rng(seed).integers(0, len(whole), 40)):
        path.write_bytes(whole[:length])
        readable = stack.readable()
        most = max(most, int(readable.sum()))
        assert not readable.all()
        np.testing.assert_array_equal(stack.select(readable)[:, 4, 6], np.flatnonzero(readable) + 1)
        with pytest.raises(UnreadableRun, match=r"killed.h5(, which was not written to its end| cannot be read)"):
            _ = stack[:]
    assert most > 10, "what is there is read"


def test_a_path_map_leads_to_the_files(tmp_path: Path) -> None:
    frames = np.arange(2 * 35, dtype=np.uint16).reshape(2, *SHAPE)
    (tmp_path / "2026" / "run").mkdir(parents=True)
    write(tmp_path / "2026" / "run" / "a.h5", frames)
    pairs = {
        "/ioc/data/2026/run/a.h5": {"/ioc": "/wrong", "/ioc/data": str(tmp_path), "/ioc/dat": "/wrong"},
        r"Z:\data\2026\run\a.h5": {"z:\\data\\": str(tmp_path)},
        "Z:/data/2026/run/a.h5": {"Z:\\data": str(tmp_path)},
        str(tmp_path / "2026/run/a.h5"): {str(tmp_path): "/not/mounted/here"},
    }
    for path, folders in pairs.items():
        stack = FrameStack(
            ((Place(FrameFile(path), 1, 1),),), SHAPE, np.dtype("<u2"), PathMap.of(folders), "frames of a test"
        )
        np.testing.assert_array_equal(stack[0], frames[1])
    place = Place(FrameFile("/ioc/data/missing.h5"), 0, 1)
    lost = FrameStack(((place,),), SHAPE, np.dtype("<u2"), PathMap.of({"/ioc/data": "/x"}), "x")
    with pytest.raises(UnreadableRun, match=r"no file .*missing.h5, which the documents call /ioc/data/missing.h5"):
        _ = lost[0]
