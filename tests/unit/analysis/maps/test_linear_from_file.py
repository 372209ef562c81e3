"""Fractions from raw frames in a file, however the frames lie there."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import dask
import dask.array
import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.analysis.maps.composition import Composition
from whiteline.analysis.maps.direct_rows import direct, frame_offsets
from whiteline.analysis.maps.from_file import composition_of_raw
from whiteline.analysis.maps.linear import linear_combination
from whiteline.analysis.stacks import Counting, optical_density

MakeStack = Callable[..., Any]
DARK = 100.0
COUNTING = Counting(flats=10, gain=2.0, read_noise=1.6, darks=20, saturation=60_000)


def files(made: Any) -> tuple[NDArray[np.uint16], NDArray[np.float32], NDArray[np.float32]]:
    """Raw frames, flats and dark, in counts of a camera of gain 2."""
    dark = np.full(made.raw.shape[1:], DARK, np.float32)
    raw = (2 * made.raw + DARK).astype(np.uint16)
    return raw, (2 * made.flat + DARK).astype(np.float32), dark


def assert_same(found: Composition, expected: Composition) -> None:
    """Equal to the rounding of float32."""
    for one, other in zip((*found.fractions, found.jump), (*expected.fractions, expected.jump), strict=True):
        assert np.array_equal(one.valid, other.valid)
        assert np.allclose(one.value, other.value, rtol=0, atol=2e-5, equal_nan=True)
        assert np.allclose(one.error, other.error, rtol=1e-4, equal_nan=True)


@pytest.mark.parametrize(
    "layout",
    [
        {"chunks": (1, 48, 40)},
        {},
        {"chunks": (1, 48, 40), "compression": "gzip"},
        {"chunks": (5, 16, 8)},
        {"chunks": (1, 24, 40)},
    ],
)
@pytest.mark.parametrize("dtype", [np.uint16, np.float32, ">u2", np.int32])
def test_a_file_gives_what_its_stack_gives(
    make_stack: MakeStack, seed: int, tmp_path: Path, layout: dict[str, Any], dtype: Any
) -> None:
    made = make_stack(seed, shape=(48, 40), counts=10_000)
    raw, flat, dark = files(made)
    good = np.ones((48, 40), bool)
    good[5, 5] = False
    raw[3, 6, 6] = 65_000
    weights = np.linspace(1, 2, len(raw))
    stack = optical_density(raw, flat, dark, counting=COUNTING, good=good)
    expected = linear_combination(made.basis, stack.density, stack.variance, weights=weights)
    assert not expected.jump.valid[[5, 6], [5, 6]].any()
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("raw", data=raw.astype(dtype), **layout)
        file.create_dataset("flat", data=flat, **layout)
    with h5py.File(tmp_path / "scan.h5") as file:
        found = composition_of_raw(
            made.basis, file["raw"], file["flat"], dark, counting=COUNTING, good=good, weights=weights
        )
    assert_same(found, expected)


def test_errors_are_right(make_stack: MakeStack, seed: int, tmp_path: Path) -> None:
    made = make_stack(seed, counts=10_000)
    raw, flat, dark = files(made)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        frames = file.create_dataset("raw", data=raw, chunks=(1, 48, 48))
        beams = file.create_dataset("flat", data=flat, chunks=(1, 48, 48))
        found = composition_of_raw(made.basis, frames, beams, dark, counting=Counting(gain=2, flats=10)).fractions[1]
    assert 0.9 < np.sqrt(np.mean(((found.value - made.fraction[1]) / found.error) ** 2)) < 1.1


def test_arrays_lazy_arrays_and_one_flat_for_all(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed)
    raw, flat, dark = files(made)
    expected = composition_of_raw(made.basis, raw, flat, dark, counting=COUNTING)
    lazy = [dask.array.from_array(one, (1, 48, 48)) for one in (raw, flat)]
    assert_same(dask.compute(composition_of_raw(made.basis, *lazy, dark, counting=COUNTING))[0], expected)
    repeated = np.repeat(flat[:1], len(raw), axis=0)
    one_flat = composition_of_raw(made.basis, raw, flat[0], DARK, counting=COUNTING)
    assert_same(one_flat, composition_of_raw(made.basis, raw, repeated, dark, counting=COUNTING))


def test_frames_in_one_piece_are_read_at_their_place(seed: int, tmp_path: Path) -> None:
    source = np.random.default_rng(seed)
    frames = source.integers(0, 65_535, (7, 30, 20), dtype=np.uint16)
    with h5py.File(tmp_path / "scan.h5", "w", userblock_size=0) as file:
        growing = file.create_dataset("raw", (0, 30, 20), np.uint16, chunks=(1, 30, 20), maxshape=(None, 30, 20))
        for index, frame in enumerate(frames):
            growing.resize(index + 1, axis=0)
            growing[index] = frame
        assert frame_offsets(growing) is not None
        with direct(growing, Lock()) as rows:
            assert np.array_equal(rows[:, 3:17], frames[:, 3:17])
            assert np.array_equal(rows[2], frames[2])
            assert np.array_equal(rows[2, 5], frames[2, 5])
            assert np.array_equal(rows[1:5, 29:40], frames[1:5, 29:40])
            assert rows[:, 30:].size == 0
        missing = file.create_dataset("missing", (4, 30, 20), np.uint16, chunks=(1, 30, 20))
        missing[1] = frames[1]
        assert frame_offsets(missing) is None
        for name, layout in (("a", {"chunks": (2, 30, 20)}), ("b", {"chunks": (1, 30, 20), "shuffle": True})):
            assert frame_offsets(file.create_dataset(name, data=frames, **layout)) is None
        assert frame_offsets(frames) is None


def test_a_file_that_was_cut_short_is_refused(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "scan.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("raw", data=np.ones((3, 64, 64), np.uint16))
    with h5py.File(path) as file, direct(file["raw"], Lock()) as rows:
        with path.open("r+b") as raw:
            raw.truncate(path.stat().st_size - 5000)
        with pytest.raises(ValueError, match="ends within frame 2"):
            rows[:, :64]


def test_what_does_not_fit_is_refused(make_stack: MakeStack, seed: int) -> None:
    made = make_stack(seed, shape=(8, 8))
    raw, flat, dark = files(made)
    with pytest.raises(ValueError, match="energies and a stack"):
        composition_of_raw(made.basis, raw[:-1], flat[:-1], dark)
    with pytest.raises(ValueError, match=r"flat of shape .* does not fit"):
        composition_of_raw(made.basis, raw, flat[:, :4], dark)
    with pytest.raises(ValueError, match=r"flat of shape .* does not fit"):
        composition_of_raw(made.basis, raw, flat[:4], dark)
    with pytest.raises(ValueError, match=r"dark of shape \(4, 8\) does not fit"):
        composition_of_raw(made.basis, raw, flat, dark[:4])
    unlit = flat.copy()
    unlit[5] = DARK
    with pytest.raises(ValueError, match=f"flat at {made.basis.energies[5]:.10g} eV is nowhere above the dark"):
        composition_of_raw(made.basis, raw, unlit, dark)
    black = raw.copy()
    black[6] = 0
    with pytest.raises(ValueError, match=f"frame at {made.basis.energies[6]:.10g} eV has no good pixel"):
        composition_of_raw(made.basis, black, flat, dark)
