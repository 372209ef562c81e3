"""Linear maps of a XANES stack: how fast beside memory, BLAS and other programs, and how far from the truth.

One stack for all: 60 energies, 512 × 512 pixels, 20 000 counts, in float32 and in memory, but for `file_to_maps_…`,
which starts from the raw uint16 frames and flats in HDF5 as the operating system has them at hand. What is timed is
what a user calls. Where the key has errors, finding the weights of the energies is included; else they are given.

References: `memory_limit_mspectra_per_s` is a compiled sum over a float32 array of four times the last cache, by all
cores, in spectra of as many energies; a machine whose last cache holds the stack can be above it.
`lcf_sgemm_mspectra_per_s` is one float32 product by BLAS, with all its threads, of the rows of the two references with
the stack: what fractions need, as the rows of the background are none of their business. With all four rows it would be
slower, and the ratio kinder. Both return arrays of their own; how a product does that finds its result allocated is
`lcf_sgemm_mspectra_per_s_preallocated`. Product and map take turns. Beside `lcf_over_peer_mantis` stands
`lcf_sgemm_over_peer_mantis`: what the product alone, without fractions and mask, reaches.

What moves the figures: a stack with energy last, so that the pixels of a block do not lie side by side
(`lcf_mspectra_per_s_energy_last`); one thread (`…_one_thread`); the variance from counts, an exponential for each
number (`lcf_sigma_mspectra_per_s_by_counts`); every pixel at a bound (`nnls2_…_all_bounded`, `nnls3_…`); errors with a
given sum (`sum_to_one_mspectra_per_s_with_errors`); chunks of a quarter of a frame, which only the HDF5 library can
read (`file_to_maps_mspectra_per_s_through_h5py`). What moves the pull is a variance that leaves out the flats
(`lcf_pull_rms_without_flats`), and what moves the error is all energies weighed alike (`lcf_rms_unweighted`).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numba import njit
from numpy.typing import NDArray

from whiteline.analysis.blocks import in_threads
from whiteline.analysis.maps.accumulator import Accumulator
from whiteline.analysis.maps.basis import Basis
from whiteline.analysis.maps.from_file import composition_of_raw
from whiteline.analysis.maps.linear import LinearFit, fractions, linear_combination, row_weights
from whiteline.analysis.maps.nonnegative import nonnegative_fractions
from whiteline.analysis.maps.principal import CountingNoise
from whiteline.analysis.maps.sum_to_one import sum_to_one, sum_to_one_fractions
from whiteline.analysis.stacks import Counting, optical_density

GOALS = {
    "lcf_over_sgemm": (">=", 0.9),
    "lcf_sigma_mspectra_per_s": (">=", 12.0),
    "lcf_rms_over_bound": ("<=", 1.03),
    "lcf_pull_rms": (">=", 0.95),
    "lcf_pull_rms_excess": ("<=", 0.05),
    "nnls2_mspectra_per_s": (">=", 15.0),
    "nnls3_mspectra_per_s": (">=", 5.0),
    "sum_to_one_mspectra_per_s": (">=", 20.0),
    "file_to_maps_mspectra_per_s": (">=", 8.0),
    "incremental_update_ms_2048": ("<=", 120.0),
    "incremental_memory_images": ("<=", 16.0),
}
FOLDER = Path(__file__).resolve()
PEERS, PEER_PYTHON = FOLDER.parent / "peers", FOLDER.parents[2] / ".venv-peers" / "bin" / "python"
MAKER = FOLDER.parents[3] / "shared" / "bench" / "xanes_stack.py"
if PEER_PYTHON.exists():
    GOALS["lcf_over_peer_mantis"] = (">=", 4.0)

ROUNDS, TURNS = 5, 25
SIZE, COUNTS, FLATS = 512, 20_000.0, 10
EDGE = 8333.0

Array = NDArray[Any]


def simulated_stack(folder: Path) -> None:
    """Write the stack of the two species of the simulated microscope, as the script beside the project would."""
    from whiteline.analysis.energies import xanes
    from whiteline.beamline import twin
    from whiteline.beamline.description import load

    species = twin.full_field(load("txm")).sample.species[:2]
    energy, source = np.array(xanes("Ni")), np.random.default_rng(1)
    attenuation = np.array([[one.absorption(float(value)) for one in species] for value in energy])
    # What each species absorbs before the edge goes on as background; what it absorbs beyond that is the reference.
    background = np.column_stack([np.ones_like(energy), energy])
    before = energy < EDGE - 15
    rest = attenuation - background @ np.linalg.lstsq(background[before], attenuation[before], rcond=None)[0]
    jumps = rest[energy > EDGE + 60].mean(axis=0)
    fraction = np.broadcast_to(np.linspace(0, 1, SIZE), (SIZE, SIZE))
    jump = np.broadcast_to(np.linspace(0.4, 1.2, SIZE)[:, None], (SIZE, SIZE))
    amounts = np.stack([jump * (1 - fraction), jump * fraction]) / jumps[:, None, None]
    density = np.tensordot(attenuation, amounts, 1)
    basis = np.column_stack([rest / jumps, np.ones_like(energy), (energy - EDGE) / 100])
    pick = np.unravel_index(source.choice(fraction.size, 4096, replace=False), fraction.shape)
    variance = np.exp(density[:, *pick]) / COUNTS + 1 / (COUNTS * FLATS)
    covariance = np.linalg.inv(np.einsum("ei,ep,ej->pij", basis, 1 / variance, basis))
    slope = np.zeros((4096, 4))
    slope[:, 0], slope[:, 1] = -fraction[pick] / jump[pick], (1 - fraction[pick]) / jump[pick]
    bound = np.sqrt(np.einsum("pi,pij,pj->p", slope, covariance, slope).mean())
    with h5py.File(folder / "stack.h5", "w") as file:
        raw = file.create_dataset("raw", density.shape, np.uint16, chunks=(1, SIZE, SIZE))
        flat = file.create_dataset("flat", density.shape, np.float32, chunks=(1, SIZE, SIZE))
        file["dark"], file["energy_eV"] = np.full((SIZE, SIZE), 100, np.float32), energy
        for index, one in enumerate(density):
            raw[index] = source.poisson(COUNTS * np.exp(-one)) + 100
            flat[index] = source.poisson(COUNTS * FLATS, one.shape) / FLATS + 100
    np.savez(folder / "truth.npz", fraction=fraction, jump=jump, references=rest / jumps, fraction_bound=bound)


def stack_in(folder: Path) -> str:
    """Make the stack in a folder, and say where it comes from."""
    if not MAKER.exists():
        simulated_stack(folder)
        return "the project's own simulated sample, as shared/bench is absent"
    command = [sys.executable, str(MAKER), "--size", str(SIZE), "--counts", str(COUNTS), "--flats", str(FLATS)]
    subprocess.run([*command, "--out", str(folder)], check=True, capture_output=True)
    return f"{MAKER.parent.name}/{MAKER.name}: NiO and LiNiO2 as measured"


A_TURN = 3
"""Calls that are counted in a turn."""

BLAS_WAITS_S = 0.3
"""So long calls are not counted at the start: threads of OpenBLAS keep the cores busy for some 25 to 130 ms after a
product, waiting for the next, and a call is not to pay for the one before it [s]."""


def until_blas_sleeps(once: Callable[[], object]) -> None:
    """Call once or more, until what was called before it no longer keeps the cores busy."""
    until = time.perf_counter() + BLAS_WAITS_S
    once()
    while time.perf_counter() < until:
        once()


def median_s(once: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median time of a call [s]; those before it, at least one, are not counted."""
    until_blas_sleeps(once)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        once()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def in_turns(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Median times of two calls that take turns [s], so that what else the machine does meets both."""
    times: list[list[float]] = [[], []]
    for _ in range(TURNS):
        for once, into in zip((first, second), times, strict=True):
            until_blas_sleeps(once)
            for _ in range(A_TURN):
                start = time.perf_counter()
                once()
                into.append(time.perf_counter() - start)
    return float(np.median(times[0])), float(np.median(times[1]))


def last_cache_bytes() -> int:
    """Size of the last level of cache, by the kernel's word; 32 MiB where it says none."""
    sizes = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text().strip()
        sizes.append(int(text[:-1]) * {"K": 2**10, "M": 2**20}[text[-1]])
    return max(sizes, default=32 * 2**20)


@njit(nogil=True, fastmath=True)
def _sum(values: Array) -> np.float32:
    total = np.float32(0)
    for value in values:
        total += value
    return total


def memory_limit_bytes_per_s() -> tuple[float, int]:
    """Bytes per second of a compiled sum by all cores over four times the last cache, and the size of that array."""
    values = np.ones(4 * last_cache_bytes() // 4, np.float32)
    sums: list[float] = []

    def once() -> None:
        sums.clear()
        in_threads(lambda start, stop: sums.append(_sum(values[start:stop])), values.size, 2**20)

    found = median_s(once)
    if round(sum(sums)) != values.size:
        raise ValueError(f"the sum of {values.size} ones came out as {sum(sums)}")
    return values.nbytes / found, values.nbytes


def incremental(basis: Basis, workers: int | None) -> tuple[float, float]:
    """Median time of an update with 2048² pixels, maps of fraction and error included [ms], and memory in images."""
    source = np.random.default_rng(1)
    density = source.random((2048, 2048), np.float32)
    variance = (1e-4 * np.exp(density)).astype(np.float32)
    growing = Accumulator(basis, density.shape, workers=workers)
    order = source.permutation(basis.energies.size)
    times = []
    for energy in basis.energies[order[:24]]:
        start = time.perf_counter()
        growing.add(float(energy), density, variance)
        growing.fraction(basis.references[1])
        if growing.reason is None:
            times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times)), growing.memory / (4 * density.size)


def peers(folder: Path) -> dict[str, float | str]:
    """The same stack through other programs, in their own environment."""
    if not PEER_PYTHON.exists():
        return {"peers": "not measured: `make peers` builds their environment"}
    found: dict[str, float | str] = {}
    for name, script in (("mantis", "mantis_fit.py"), ("larch", "larch_lcf.py")):
        command = [str(PEER_PYTHON), script, str(folder / "stack.h5"), str(folder / "truth.npz"), str(folder / name)]
        done = subprocess.run(command, cwd=PEERS, check=True, capture_output=True, text=True, timeout=1200)
        figures = json.loads(done.stdout.splitlines()[-1])
        found[f"peer_{name}"] = figures["peer"]
        found[f"peer_{name}_mspectra_per_s"] = figures["mspectra_per_s"]
        found[f"peer_{name}_rms"] = figures["rms"]
    return found


def measure(*, long: bool) -> dict[str, float | str]:
    """Measure; there is no longer series of this."""
    with tempfile.TemporaryDirectory() as name:
        return _measure(Path(name))


def _measure(folder: Path) -> dict[str, float | str]:
    values: dict[str, float | str] = {"maps_stack": stack_in(folder), "maps_load": os.getloadavg()[0]}
    truth = np.load(folder / "truth.npz")
    fraction, bound = truth["fraction"], float(truth["fraction_bound"])
    counting = Counting(flats=FLATS)
    with h5py.File(folder / "stack.h5") as file:
        energy, dark = file["energy_eV"][:], file["dark"][:]
        found = optical_density(file["raw"][:], file["flat"][:], dark, counting=counting)
    density, variance, pixels = found.density, found.variance, found.density[0].size
    references = dict(zip(("first", "second"), truth["references"].T, strict=True))
    basis = Basis.from_arrays(references, energy)
    # The mean of the two, earlier by half the width of a white line, is a third that is none of them.
    third = np.interp(energy + 2, energy, truth["references"].mean(axis=1))
    basis3 = Basis.from_arrays({**references, "third": third}, energy)
    weights = row_weights(density, variance)

    def rate(once: Callable[[], object]) -> float:
        return pixels / median_s(once) / 1e6

    per_s, size = memory_limit_bytes_per_s()
    values["memory_limit_mspectra_per_s"] = per_s / (4 * energy.size) / 1e6
    values["memory_limit_array_mb"] = size / 1e6

    rows = np.ascontiguousarray(LinearFit(basis, weights).rows, np.float32)
    flat, product = density.reshape(energy.size, -1), np.empty((2, pixels), np.float32)
    sgemm_s, lcf_s = in_turns(lambda: rows @ flat, lambda: fractions(basis, density, weights=weights))
    preallocated_s, _ = in_turns(lambda: np.matmul(rows, flat, out=product), lambda: None)
    values["lcf_sgemm_mspectra_per_s"] = pixels / sgemm_s / 1e6
    values["lcf_sgemm_mspectra_per_s_preallocated"] = pixels / preallocated_s / 1e6
    values["lcf_mspectra_per_s"] = pixels / lcf_s / 1e6
    values["lcf_over_sgemm"] = sgemm_s / lcf_s
    values["lcf_over_memory_limit"] = float(values["lcf_mspectra_per_s"]) / float(values["memory_limit_mspectra_per_s"])
    last = np.ascontiguousarray(np.moveaxis(density, 0, -1))
    values["lcf_mspectra_per_s_energy_last"] = rate(lambda: fractions(basis, np.moveaxis(last, -1, 0), weights=weights))
    values["lcf_sigma_mspectra_per_s"] = rate(lambda: linear_combination(basis, density, variance))
    by_counts = CountingNoise(COUNTS, FLATS)
    values["lcf_sigma_mspectra_per_s_by_counts"] = rate(lambda: linear_combination(basis, density, by_counts))

    fitted = linear_combination(basis, density, variance).fraction("second")
    without = linear_combination(basis, density, CountingNoise(COUNTS)).fraction("second")
    plain = fractions(basis, density)[0][1]
    values["fraction_bound"] = bound
    values["lcf_rms"] = float(np.sqrt(np.nanmean((fitted.value - fraction) ** 2)))
    values["lcf_rms_over_bound"] = float(values["lcf_rms"]) / bound
    values["lcf_rms_unweighted"] = float(np.sqrt(np.nanmean((plain - fraction) ** 2)))
    values["lcf_pull_rms"] = float(np.sqrt(np.nanmean(((fitted.value - fraction) / fitted.error) ** 2)))
    values["lcf_pull_rms_excess"] = float(values["lcf_pull_rms"]) - 1
    values["lcf_pull_rms_without_flats"] = float(np.sqrt(np.nanmean(((without.value - fraction) / without.error) ** 2)))
    values["lcf_valid"] = float(fitted.valid.mean())

    bounded = density + (2 * truth["jump"] * (truth["references"] @ [1, -1])[:, None, None]).astype(np.float32)
    for key, one in (("nnls2", basis), ("nnls3", basis3)):
        values[f"{key}_mspectra_per_s"] = rate(lambda one=one: nonnegative_fractions(one, density, weights=weights))
        values[f"{key}_mspectra_per_s_all_bounded"] = rate(
            lambda one=one: nonnegative_fractions(one, bounded, weights=weights)
        )
    jump = truth["jump"].astype(np.float32)
    values["sum_to_one_mspectra_per_s"] = rate(lambda: sum_to_one_fractions(basis, density, jump, weights=weights))
    values["sum_to_one_mspectra_per_s_with_errors"] = rate(lambda: sum_to_one(basis, density, variance))

    with h5py.File(folder / "stack.h5") as file:
        raw, beam = file["raw"], file["flat"]
        values["file_to_maps_mspectra_per_s"] = rate(
            lambda: composition_of_raw(basis, raw, beam, dark, counting=counting)
        )
        values["file_to_maps_mspectra_per_s_one_thread"] = rate(
            lambda: composition_of_raw(basis, raw, beam, dark, counting=counting, workers=1)
        )
        with h5py.File(folder / "quarters.h5", "w") as other:
            chunks = (1, SIZE // 4, SIZE)
            copies = [
                other.create_dataset(str(index), data=one[:], chunks=chunks) for index, one in enumerate((raw, beam))
            ]
            values["file_to_maps_mspectra_per_s_through_h5py"] = rate(
                lambda: composition_of_raw(basis, *copies, dark, counting=counting)
            )

    values["incremental_update_ms_2048"], values["incremental_memory_images"] = incremental(basis, None)
    values["incremental_update_ms_2048_one_thread"], _ = incremental(basis, 1)
    values |= peers(folder)
    if "peer_mantis_mspectra_per_s" in values:
        values["lcf_over_peer_mantis"] = float(values["lcf_mspectra_per_s"]) / float(
            values["peer_mantis_mspectra_per_s"]
        )
        values["lcf_sgemm_over_peer_mantis"] = float(values["lcf_sgemm_mspectra_per_s"]) / float(
            values["peer_mantis_mspectra_per_s"]
        )
    return values
