"""Edge energy and white line of a stack, after projection on principal components: how fast, how far from the truth.

What is timed is what a user calls: from the optical density and its variance, in memory, to a map with its standard
errors, the learning of the components included (`half_height_mspectra_per_s`, `white_line_mspectra_per_s`); the errors
are never left out, as the mask needs them. `…_given_projection` leaves out the learning, `…_by_counts` takes the
variance from the counts instead of a second stack. The reference beside them is one float32 product of the three
components with the stack.

The truth of `…_rms_eV` is that of the stack: the half height and the maximum of the noise-free mixture of references on
a grid of their own. It holds what the choice of energies and of the normalisation costs as well. The truth of
`…_pull_rms` is the same estimator on the noise-free stack at the same energies: what a standard error speaks of.

What moves the figures: no projection (`…_rms_eV_unprojected`), and another range for the post-edge, within which the
mean of the measured oscillations is not the same (`half_height_rms_eV_post_edge_from_40`, `…_from_100`).
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.maps.edge_jump import EdgeNormalisation
from whiteline.analysis.maps.half_height import half_height
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.principal import CountingNoise, Projection
from whiteline.analysis.maps.white_line import white_line, white_line_window

GOALS = {
    "half_height_mspectra_per_s": (">=", 4.0),
    "half_height_rms_eV": ("<=", 0.035),
    "white_line_mspectra_per_s": (">=", 4.0),
    "white_line_rms_eV": ("<=", 0.13),
}

Array = NDArray[Any]

ROUNDS = 5

BLAS_WAITS_S = 0.3
"""So long calls are not counted at the start: threads of OpenBLAS keep the cores busy for some 25 to 130 ms after a
product, waiting for the next, and a call is not to pay for the one before it [s]."""

SIZE, COUNTS, FLATS = 512, 20_000.0, 10
EDGE = 8333.0
WINDOW = white_line_window("Ni")
MAKER = Path(__file__).resolve().parents[3] / "shared" / "bench" / "xanes_stack.py"


@dataclass(frozen=True, eq=False)
class Stack:
    """A stack with its truth; `degree` is that of the post-edge, which is flat or falls."""

    source: str
    energy: Array
    density: Array
    variance: Array
    clean: Array
    half_height: Array
    white_line: Array
    degree: int


def measured_mixture() -> Stack:
    """NiO and LiNiO2 as they were measured, made by the script beside the project."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(MAKER), "--size", str(SIZE), "--counts", str(COUNTS), "--flats", str(FLATS)]
        subprocess.run([*command, "--out", folder], check=True, capture_output=True)
        with h5py.File(Path(folder) / "stack.h5") as file:
            energy, dark = file["energy_eV"][:], file["dark"][:]
            seen, flat = file["raw"][:] - dark, file["flat"][:] - dark
        truth = dict(np.load(Path(folder) / "truth.npz"))
    clean = np.tensordot(truth["references"], truth["jump"] * np.stack([1 - truth["fraction"], truth["fraction"]]), 1)
    clean += ((EDGE / energy) ** 2.8)[:, None, None] * truth["background"]
    return Stack(
        f"{MAKER.parent.name}/{MAKER.name}: NiO and LiNiO2 as measured",
        energy, *optical_density(seen, flat), clean, truth["half_height_eV"], truth["peak_eV"], 0,
    )  # fmt: skip


def simulated_mixture() -> Stack:
    """The two species of the simulated full-field microscope, where the script is absent."""
    from whiteline.analysis.energies import xanes
    from whiteline.beamline import twin
    from whiteline.beamline.description import load
    from whiteline.sim.truth import truth_of_thickness

    species = twin.full_field(load("txm")).sample.species
    energy, source = np.array(xanes("Ni")), np.random.default_rng(1)
    across = np.linspace(3.0, 8.0, SIZE)[:, None]  # µm: edge jumps as in the other stack
    fraction = np.broadcast_to(np.linspace(0, 1, SIZE), (SIZE, SIZE))
    thick = np.zeros((len(species), SIZE, SIZE), np.float32)
    thick[0], thick[1] = across * (1 - fraction), across * fraction
    attenuation = np.array([[one.absorption(float(value)) for one in species] for value in energy])
    clean = np.tensordot(attenuation, thick, 1)
    truth = truth_of_thickness(species, thick)
    seen = source.poisson(COUNTS * np.exp(-clean))
    flat = source.poisson(COUNTS * FLATS, clean.shape) / FLATS
    return Stack(
        "the project's own simulated sample, as shared/bench is absent",
        energy, *optical_density(seen, flat), clean, truth.half_height, truth.white_line, 1,
    )  # fmt: skip


def optical_density(seen: Array, flat: Array) -> tuple[Array, Array]:
    """Return optical density and variance in float32."""
    seen = np.maximum(seen, 1)
    return (-np.log(seen / flat)).astype(np.float32), (1 / seen + 1 / (FLATS * flat)).astype(np.float32)


def mspectra_per_s(once: Callable[[], object], pixels: int) -> float:
    """Spectra per second [millions], median of five; calls before it are not counted, see `BLAS_WAITS_S`."""
    until, times = time.perf_counter() + BLAS_WAITS_S, []
    once()
    while time.perf_counter() < until:
        once()
    for _ in range(ROUNDS):
        start = time.perf_counter()
        once()
        times.append(time.perf_counter() - start)
    return float(pixels / np.median(times) / 1e6)


def rms(found: Map, truth: Array) -> float:
    """Root mean square of a map against the truth, over its valid pixels."""
    return float(np.sqrt(np.nanmean((found.value - truth) ** 2)))


def pull_rms(found: Map, truth: Map) -> float:
    """Root mean square of what parts two maps, in standard errors of the first."""
    return float(np.sqrt(np.nanmean(((found.value - truth.value) / found.error) ** 2)))


def measure(*, long: bool) -> dict[str, float | str]:
    """Measure; there is no longer series of this."""
    stack = measured_mixture() if MAKER.exists() else simulated_mixture()
    energy, density, variance, pixels = stack.energy, stack.density, stack.variance, stack.density[0].size
    usual = EdgeNormalisation(EDGE, degree=stack.degree)
    projection = Projection.learn(energy, density, variance)
    # The noise-free stack has no noise to tell components from; it has as many as were found.
    exact = Projection.learn(energy, stack.clean, variance, components=projection.number)
    counts = CountingNoise(COUNTS, FLATS)

    def half(noise: Any = variance, normalisation: EdgeNormalisation = usual, **options: Any) -> Map:
        return half_height(energy, density, noise, normalisation, **options)

    def line(noise: Any = variance, **options: Any) -> Map:
        return white_line(energy, density, noise, WINDOW, usual, **options)

    def half_from(post_edge: float) -> float:
        normalisation = EdgeNormalisation(EDGE, post_edge=(post_edge, np.inf), degree=stack.degree)
        return rms(half(normalisation=normalisation, projection=projection), stack.half_height)

    halves, lines = half(), line()
    exact_halves = half_height(energy, stack.clean, variance, usual, projection=exact)
    exact_lines = white_line(energy, stack.clean, variance, WINDOW, usual, projection=exact)
    rows = projection.matrix.astype(np.float32)
    flat = density.reshape(energy.size, -1)
    unprojected = energy.size - 1
    return {
        "edge_maps_stack": stack.source,
        "edge_maps_truth": "rms: the mixture of references on their own grid; pull: the estimator without noise",
        "edge_maps_timed": "from optical density and variance to the map with its errors, learning included",
        "edge_maps_sgemm_mspectra_per_s": mspectra_per_s(lambda: rows @ flat, pixels),
        "half_height_mspectra_per_s": mspectra_per_s(half, pixels),
        "half_height_mspectra_per_s_given_projection": mspectra_per_s(lambda: half(projection=projection), pixels),
        "half_height_mspectra_per_s_by_counts": mspectra_per_s(lambda: half(counts), pixels),
        "half_height_rms_eV": rms(halves, stack.half_height),
        "half_height_rms_eV_unprojected": rms(half(components=unprojected), stack.half_height),
        "half_height_rms_eV_post_edge_from_40": half_from(40.0),
        "half_height_rms_eV_post_edge_from_100": half_from(100.0),
        "half_height_bias_eV": float(np.nanmean(exact_halves.value - stack.half_height)),
        "half_height_noise_eV": rms(halves, exact_halves.value),
        "half_height_pull_rms": pull_rms(halves, exact_halves),
        "half_height_valid": float(halves.valid.mean()),
        "white_line_mspectra_per_s": mspectra_per_s(line, pixels),
        "white_line_mspectra_per_s_given_projection": mspectra_per_s(lambda: line(projection=projection), pixels),
        "white_line_mspectra_per_s_by_counts": mspectra_per_s(lambda: line(counts), pixels),
        "white_line_rms_eV": rms(lines, stack.white_line),
        "white_line_rms_eV_unprojected": rms(line(components=unprojected), stack.white_line),
        "white_line_noise_eV": rms(lines, exact_lines.value),
        "white_line_pull_rms": pull_rms(lines, exact_lines),
        "white_line_valid": float(lines.valid.mean()),
    }
