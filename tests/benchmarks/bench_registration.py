"""How well, and how fast, drifting frames are registered across an absorption edge, 1024², with and without a pattern.

A frame is timed from its array to its shift; beside it one real Fourier transform of it by NumPy. What moves the
figures: frames chained each to the last instead of to one reference (`_chained`), no whitening (`_unwhitened`), whole
whitening as in phase correlation (`_whole_whitened`), and windows of the frame binned by two (`_binned_2`). The second
algorithm, on the intensities, is `intensity_…`. Where the made stack of the field is absent, frames are made here.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from whiteline.analysis.registration import THRESHOLD, Reference, align

GOALS = {
    "registration_rms_px": ("<=", 0.01),
    "registration_pattern_rms_px": ("<=", 0.035),
    "registration_ms_per_frame": ("<=", 60.0),
}

ROOT = Path(__file__).resolve().parent.parent.parent
MAKER = ROOT.parent / "shared" / "bench" / "registration_stack.py"
PEER = Path(__file__).parent / "peers" / "skimage_registration.py"
PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"

SEED = 3
PATTERN = 0.01
SIDE, PADDED, FRAMES, COUNTS = 1024, 1100, 60, 20_000


class Whitened(Reference):
    """The method with another power of the amplitude divided out, instead of half of it."""

    power: float

    def _half_whitened(self, spectrum: Any, conjugate: Any) -> Any:
        product = spectrum * conjugate
        amplitude = np.abs(product)
        product *= self._weight / np.maximum(amplitude, 1e-12 * amplitude.max()) ** np.float32(self.power)
        return product


class Unwhitened(Whitened):
    """Plain cross-correlation of the gradients."""

    power = 0.0


class WholeWhitened(Whitened):
    """Phase correlation of the gradients."""

    power = 1.0


def frames_made_here(folder: Path, seed: int, pattern: float) -> None:
    """Textured spheres of two species across an edge, with drift to 5 px, counts, and a static pattern."""
    source = np.random.default_rng(seed)
    rows, columns = np.mgrid[:PADDED, :PADDED].astype(np.float32)
    spheres = np.zeros((PADDED, PADDED), np.float32)
    for _ in range(140):
        (y, x), radius = source.uniform(0, PADDED, 2), source.uniform(12, 60)
        spheres += np.sqrt(np.clip(radius**2 - (rows - y) ** 2 - (columns - x) ** 2, 0, None)) / 120
    texture = ndimage.gaussian_filter(source.standard_normal(spheres.shape), 2)
    spheres *= 1 + 0.15 * texture / texture.std()
    spheres = ndimage.gaussian_filter(np.clip(spheres, 0, 1.6), 1.2)
    share = ndimage.gaussian_filter(source.standard_normal(spheres.shape), 30)
    share = 0.5 + 0.2 * share / share.std()
    binder = ndimage.gaussian_filter(source.standard_normal(spheres.shape), 5) * 18 > 0.4
    inert = 0.25 * spheres + 0.15 * ndimage.gaussian_filter(binder.astype(np.float32), 1.2) + 0.05
    waves = [np.fft.fft2(one) for one in (spheres * (1 - share), spheres * share, inert)]

    shift = np.cumsum(source.normal(0, 0.7, (FRAMES, 2)), axis=0)
    shift -= shift[FRAMES // 2]
    shift *= 5 / np.abs(shift).max()
    grain = source.standard_normal((SIDE, SIDE)) + 18 * ndimage.gaussian_filter(source.standard_normal((SIDE, SIDE)), 3)
    flat = 1 + pattern * grain / grain.std()
    k = np.fft.fftfreq(PADDED)
    inside = slice((PADDED - SIDE) // 2, (PADDED + SIDE) // 2)
    frames = np.empty((FRAMES, SIDE, SIDE), np.float32)
    for index, (dy, dx) in enumerate(shift):
        energy = index - FRAMES / 3
        edge = [0.5 + np.arctan(energy - off) / np.pi + 0.8 / (1 + (energy - off - 4) ** 2 / 9) for off in (0, 2)]
        density = edge[0] * waves[0] + edge[1] * waves[1] + waves[2]
        turned = density * np.exp(-2j * np.pi * (k[:, None] * dy + k[None] * dx))
        seen = COUNTS * np.exp(-np.fft.ifft2(turned).real[inside, inside]) * flat
        frames[index] = source.poisson(seen) / (source.poisson(COUNTS * 10, seen.shape) / 10)
    np.save(folder / "frames.npy", frames)
    np.savez(folder / "truth.npz", shift_px=shift)


def make(folder: Path, seed: int, pattern: float) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Make frames, and read them and where they have moved to."""
    folder.mkdir()
    if MAKER.is_file():
        options = ["--seed", str(seed), "--pattern", str(pattern), "--out", str(folder)]
        subprocess.run([sys.executable, str(MAKER), *options], check=True, capture_output=True)
    else:
        frames_made_here(folder, seed, pattern)
    return np.load(folder / "frames.npy"), np.load(folder / "truth.npz")["shift_px"]


def rms(found: NDArray[np.float64], truth: NDArray[np.float64], middle: int) -> float:
    """Root of the mean square of the error over both axes, the reference itself left out."""
    others = np.arange(len(truth)) != middle
    return float(np.sqrt(np.mean((found - truth + truth[middle])[others] ** 2)))


def registered(frames: NDArray[np.float32], kind: type[Reference] = Reference, **options: Any) -> NDArray[np.float64]:
    """Shifts of all frames against the middle one."""
    reference = kind.of(frames[len(frames) // 2], **options)
    found = (reference.shift(frame) for frame in frames)
    return np.array([(one.y, one.x) for one in found])


def chained(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Shifts of all frames, each against the one before, summed."""
    steps = [np.zeros(2)]
    for before, frame in itertools.pairwise(frames):
        found = Reference.of(before).shift(frame)
        steps.append(np.array([found.y, found.x]))
    total = np.cumsum(steps, axis=0)
    return np.asarray(total - total[len(frames) // 2])


def peer(folder: Path) -> dict[str, float]:
    """What scikit-image makes of the same frames, where its environment is."""
    if not (PEER_PYTHON.is_file() and PEER.is_file()):
        return {}
    command = [str(PEER_PYTHON), str(PEER), str(folder / "frames.npy"), str(folder / "truth.npz")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    return {name: value for name, value in figures.items() if name.startswith(("rms", "ms"))}


def timed(frames: NDArray[np.float32]) -> tuple[float, float, float]:
    """Median time of a registration, of one transform by NumPy beside it, and the least confidence [ms, ms, 1]."""
    reference = Reference.of(frames[len(frames) // 2])
    times, transforms, confidences = [], [], []
    for frame in frames:
        start = time.perf_counter()
        found = reference.shift(frame)
        times.append(time.perf_counter() - start)
        start = time.perf_counter()
        np.fft.rfft2(frame)
        transforms.append(time.perf_counter() - start)
        confidences.append(found.confidence)
    return 1e3 * float(np.median(times)), 1e3 * float(np.median(transforms)), min(confidences)


def measure(*, long: bool) -> dict[str, float | str]:
    """Measure on one seed, and on one that nobody has seen before; with `long` on four of those."""
    origin = f"registration_stack.py, seed {SEED}" if MAKER.is_file() else f"made by this benchmark, seed {SEED}"
    fresh = [int(one) for one in np.random.default_rng().integers(100, 2**31, 4 if long else 1)]
    values: dict[str, float | str] = {
        "registration_frames": f"{origin}; fresh seeds {', '.join(map(str, fresh))}",
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for word, pattern in (("", 0.0), ("_pattern", PATTERN)):
            frames, truth = make(folder / f"main{word}", SEED, pattern)
            middle = len(frames) // 2
            values[f"registration{word}_rms_px"] = rms(registered(frames), truth, middle)
            values[f"registration{word}_rms_px_chained"] = rms(chained(frames), truth, middle)
            values[f"registration{word}_rms_px_unwhitened"] = rms(registered(frames, Unwhitened), truth, middle)
            values[f"registration{word}_rms_px_whole_whitened"] = rms(registered(frames, WholeWhitened), truth, middle)
            values[f"registration{word}_rms_px_binned_2"] = rms(registered(frames, binning=2), truth, middle)
            some = np.arange(0, len(frames), 6)
            second = np.array([(one.y, one.x) for one in (align(frames[i], frames[middle]) for i in some)])
            values[f"intensity{word}_rms_px"] = float(np.sqrt(np.mean((second - truth[some] + truth[middle]) ** 2)))
            if not pattern:
                milliseconds, transform, least = timed(frames)
                values["registration_ms_per_frame"] = milliseconds
                values["registration_numpy_rfft2_ms"] = transform
                values["registration_least_confidence"] = least
                values["registration_confidence_threshold"] = THRESHOLD
            values |= {f"peer_skimage{word}_{key}": value for key, value in peer(folder / f"main{word}").items()}
            worst = []
            for seed in fresh:
                frames, truth = make(folder / f"fresh{word}_{seed}", seed, pattern)
                worst.append(rms(registered(frames), truth, middle))
                (folder / f"fresh{word}_{seed}" / "frames.npy").unlink()
            values[f"registration{word}_rms_px_fresh_seeds"] = max(worst)
    return values
