"""Where a frame has moved to: band-passed, half-whitened correlation of the gradients with one fixed reference.

The cross-power spectrum of the gradients of frame F and reference R is |k|² F R*. Half of its amplitude is divided out,
√|F R*|, so that neither the few long waves of the particles nor the many short ones of the noise rule the result, and
a band keeps the wavelengths that carry the texture of a sample: longer ones hold the drift of the illumination, shorter
ones the noise and the flat field's static pattern. The phases that remain are those of a plane wave, and its direction
and length are the shift.
The peak of its transform is found on a coarse grid, then by a local transform with matrices on a finer one (M. Guizar-
Sicairos, S. Thurman, J. Fienup, Optics Letters 33, 156 (2008)), then by Newton's method on the transform itself.

Across an absorption edge the contrast of a frame changes, and its sign may: the largest modulus counts, and `contrast`
says which sign was found.

Register every frame against the same reference. A chain of frames, each against the last, adds up their errors, and a
static pattern drags each link a little towards zero: the sum is a drift that never was.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from whiteline.analysis.checks import OutOfRange, require
from whiteline.analysis.registration.bad_pixels import binned, filled, good_pixels
from whiteline.analysis.registration.confidence import confidence

BAND = (0.02, 0.08)
"""Band of spatial frequencies [cycles/px]: waves of about 50 to 6 pixels of the image that is registered."""

TAPER = 0.5
"""Share of each side on which the frame fades to its mean, so that its borders make no edges."""

SMALLEST_SIDE = 32
"""Below this [px] the band holds too few waves for a peak to stand out from chance."""

LARGEST_REACH = 0.25
"""Largest shift, as a share of the side: beyond it frame and reference have too little in common."""

WINDOW_SHARE = 0.01
"""A shift by more than this share of the side is measured once more, with windows that follow it."""

Complex = NDArray[np.complex64]


@dataclass(frozen=True)
class Shift:
    """Where the content of a frame has moved to.

    Parameters
    ----------
    y, x : float
        Shift [px before binning]; NaN if there is nothing to register. `resample(frame, shift=(y, x))` brings the
        frame back.
    error_y, error_x : float
        Standard errors [px], from how far the phases scatter about a plane wave: noise of both frames, and what
        changed between them. A static pattern is no scatter, and biases beyond them.
    coherence : float
        How much of the weighted cross-power is in phase with the shift: 1 for equal frames, about 1/√n for n
        independent waves that have nothing in common.
    significance : float
        Height of the peak over the standard deviation of the correlation elsewhere.
    contrast : int
        1, or −1 where the contrast of the frame is that of the reference inverted; 0 if there is nothing to register.
    inside : bool
        Whether the shift is within the reach of the reference.
    """

    y: float
    x: float
    error_y: float
    error_x: float
    coherence: float
    significance: float
    contrast: int
    inside: bool

    @property
    def confidence(self) -> float:
        """Between 0 and 1; below `confidence.THRESHOLD`, 0.5, the shift is not to be believed."""
        return confidence(self.coherence, self.significance, inside=self.inside)


NOTHING = Shift(np.nan, np.nan, np.nan, np.nan, 0.0, 0.0, 0, False)
"""What is known of a frame without any structure."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A reference frame, transformed once; `shift` compares frames with it. Build it with `Reference.of`.

    Parameters
    ----------
    shape : tuple of int
        Shape (Y, X) of the frames before binning.
    binning : int
        Side of the squares of pixels that are averaged before registration.
    reach : float
        Largest shift that is believed [px before binning].
    """

    shape: tuple[int, int]
    binning: int
    reach: float
    _image: NDArray[np.float32]
    _waves: tuple[NDArray[np.float32], NDArray[np.float32]]
    _weight: NDArray[np.float32]
    _conjugate: Complex

    @classmethod
    def of(
        cls,
        frame: ArrayLike,
        *,
        valid: NDArray[np.bool_] | None = None,
        binning: int = 1,
        band: tuple[float, float] = BAND,
        reach: float | None = None,
    ) -> Self:
        """Prepare a frame with features as the reference.

        Parameters
        ----------
        frame : array_like
            Optical density or flat-corrected transmission, shape (Y, X); all frames must be of the kind that the
            reference is. Take a frame with features, such as one on the white line.
        valid : ndarray of bool, optional
            True for good pixels; pixels that are not finite are bad in any case.
        binning : int
            Register the means of squares of so many pixels: 2 to 4 for live frames of 2048².
        band : tuple of float
            Lowest and highest spatial frequency [cycles per pixel after binning].
        reach : float, optional
            Largest shift to believe [px before binning]; a quarter of the shorter side if it is not given.

        Raises
        ------
        OutOfRange
            If a side is below 32 pixels after binning, the band is not within 0 and 0.5, the binning not a whole
            number of at least 1, or the reach not above 0 and up to a quarter of the shorter side.
        ValueError
            If the mask has another shape than the frame, or no pixel is good.
        """
        shape = np.shape(frame)
        require(len(shape), len(shape) == 2, "number of dimensions of a frame", "must be 2")
        require(binning, binning == int(binning) and binning >= 1, "binning", "must be a whole number, at least 1")
        side = min(shape) // binning
        remedy = "register larger frames" if binning == 1 else "reduce the binning"
        require(side, side >= SMALLEST_SIDE, "side of a frame", f"must be at least {SMALLEST_SIDE} px", "px", remedy)
        low, high = band
        require(low, 0 < low < high, "low end of the band", f"must lie between 0 and {high:g}", "cycles/px")
        require(high, 0 < high <= 0.5, "high end of the band", "must lie between 0 and 0.5", "cycles/px")
        largest = LARGEST_REACH * min(shape)
        reach = largest if reach is None else reach
        require(reach, 0 < reach <= largest, "reach", f"must lie above 0 and up to {largest:g} px", "px")

        rows, columns = (length // binning for length in shape)
        # Beyond three times the high end the band has fallen to 1 %, so nothing is lost by leaving that out.
        most_rows = min(rows // 2, int(np.ceil(3 * high * rows)))
        most_columns = min(columns // 2, int(np.ceil(3 * high * columns)))
        down = np.concatenate([np.arange(most_rows), np.arange(-most_rows, 0)]).astype(np.float32) / rows
        along = np.arange(most_columns, dtype=np.float32) / columns
        square = down[:, None] ** 2 + along[None] ** 2
        passed = (1 - np.exp(-square / (2 * low**2))) * np.exp(-square / (2 * high**2))
        # The gradients' |k|²; and waves along x count twice, as a real frame has each at −k too.
        weight = (square * passed * np.where(along == 0, 1, 2)[None]).astype(np.float32)
        image = binned(frame, binning, valid)
        good = good_pixels(image)
        if not good.any():
            raise ValueError("the reference has no good pixel; choose another frame, or check its mask and its flat")
        image = (image if good.all() else filled(image, good)).astype(np.float32)
        spectrum = np.conj(_spectrum(image, (0.0, 0.0), weight.shape))
        return cls((shape[0], shape[1]), binning, reach, image, (down, along), weight, spectrum)

    def shift(self, frame: ArrayLike, *, valid: NDArray[np.bool_] | None = None) -> Shift:
        """Return where the content of a frame has moved to, with its standard error and what to judge it by.

        Parameters
        ----------
        frame : array_like
            Shape (Y, X) as the reference.
        valid : ndarray of bool, optional
            True for good pixels.

        Returns
        -------
        Shift
            In pixels before binning. A frame that is blank to the last digit, or has no good pixel, gives NaN and
            a coherence of zero.

        Raises
        ------
        OutOfRange
            If the frame has another shape than the reference.
        """
        shape = np.shape(frame)
        if shape != self.shape:
            raise OutOfRange(
                "number of pixels of the frame",
                float(np.prod(shape)),
                f"is of shape {shape}, and must be of shape {self.shape} as the reference",
                remedy="crop both to one field",
            )
        image = binned(frame, self.binning, valid)
        good = good_pixels(image)
        if not good.any():
            return NOTHING
        image = (image if good.all() else filled(image, good)).astype(np.float32, copy=False)
        power = self._half_whitened(_spectrum(image, (0.0, 0.0), self._weight.shape), self._conjugate)
        if power is None:
            return NOTHING
        y, x, contrast, significance = self._coarse(power)
        found = self._refined(power, y, x, contrast, significance)
        if not found.inside or max(abs(found.y), abs(found.x)) < WINDOW_SHARE * min(self.shape):
            return found
        # A window that stands still while the content moves far drags the shift towards zero, so once more with the
        # windows on what both have in common.
        y, x = found.y / self.binning, found.x / self.binning
        again = self._half_whitened(
            _spectrum(image, (y, x), self._weight.shape), np.conj(_spectrum(self._image, (-y, -x), self._weight.shape))
        )
        if again is None:
            return found
        return self._refined(again, *self._coarse(again))

    def _half_whitened(self, spectrum: Complex, conjugate: Complex) -> Complex | None:
        power: Complex = spectrum * conjugate
        amplitude = np.abs(power)
        largest = amplitude.max()
        if not largest > 0:
            return None
        # A wave without amplitude has no phase either; the floor is far below what half-whitening lifts.
        power *= self._weight / np.sqrt(np.maximum(amplitude, 1e-12 * largest))
        return power

    def _refined(self, power: Complex, y: float, x: float, contrast: int, significance: float) -> Shift:
        """Refine a peak, and say how well it is known."""
        power = power * np.float32(contrast)
        y, x = self._local(power, y, x)
        down, along = self._waves
        for _ in range(3):
            turned = power * np.exp(2j * np.pi * y * down)[:, None] * np.exp(2j * np.pi * x * along)[None]
            in_phase, off = turned.real, turned.imag
            # Derivatives of the correlation, over 2π and over 2π once more.
            slope = -np.array([off.sum(axis=1) @ down, off.sum(axis=0) @ along], float)
            mixed = down @ in_phase @ along
            curvature = (
                -2
                * np.pi
                * np.array([[in_phase.sum(axis=1) @ down**2, mixed], [mixed, in_phase.sum(axis=0) @ along**2]], float)
            )
            if not np.linalg.eigvalsh(curvature)[1] < 0:
                break  # no maximum here: what was found is chance, and its coherence says so
            step = -np.linalg.solve(curvature, slope)
            if np.abs(step).max() > 0.5:
                break
            y, x = y + step[0], x + step[1]
        coherence = float(in_phase.sum() / np.abs(power).sum())
        b = self.binning
        error = b * self._error(off, curvature)
        inside = bool(max(abs(y), abs(x)) * b <= self.reach)
        return Shift(b * y, b * x, float(error[0]), float(error[1]), coherence, significance, contrast, inside)

    def _coarse(self, power: Complex) -> tuple[float, float, int, float]:
        """Find the highest point of the correlation on a coarse grid, and how far it stands above the rest."""
        rows, columns = self._weight.shape[0] // 2, self._weight.shape[1]
        full = self._image.shape
        # A column more, so that the transform back is of even length and has no folded wave.
        grid = (2 * rows, 2 * columns)
        correlation = fft.irfft2(power, s=grid)
        row, column = divmod(int(np.argmax(np.abs(correlation))), grid[1])
        height = float(correlation[row, column])
        down = (np.arange(grid[0]) - row + rows) % grid[0] - rows
        across = (np.arange(grid[1]) - column + columns) % grid[1] - columns
        # The peak and its nearest rings are not what it is to be compared with.
        aside = np.ones(grid, bool)
        aside[np.ix_(np.abs(down) <= 6, np.abs(across) <= 6)] = False
        rest = correlation[aside]
        spread = float(np.sqrt(np.mean(rest * rest)))
        y = (row - grid[0] * (row >= rows)) * full[0] / grid[0]
        x = (column - grid[1] * (column >= columns)) * full[1] / grid[1]
        return y, x, 1 if height > 0 else -1, abs(height) / spread if spread > 0 else 0.0

    def _local(self, power: Complex, y: float, x: float) -> tuple[float, float]:
        """Refine a peak by local transforms, each eight times as fine as the last."""
        down, along = self._waves
        step = max(self._image.shape[0] / down.size, self._image.shape[1] / (2 * along.size))
        for _ in range(2):
            near = np.arange(-4, 5) * step / 4
            left = np.exp(2j * np.pi * np.outer(y + near, down)).astype(np.complex64)
            right = np.exp(2j * np.pi * np.outer(along, x + near)).astype(np.complex64)
            height = (left @ power @ right).real
            row, column = divmod(int(np.argmax(height)), near.size)
            y, x, step = y + near[row], x + near[column], step / 8
        return y, x

    def _error(self, off: NDArray[Any], curvature: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the errors of the shift by the scatter of the phases: the sandwich of slopes between curvatures."""
        down, along = self._waves
        # Each wave of the half plane stands for two that are equal, so its square counts once per pair of them.
        square = off.astype(float) ** 2
        slopes = np.array(
            [
                [square.sum(axis=1) @ down**2, down @ square @ along],
                [down @ square @ along, square.sum(axis=0) @ along**2],
            ]
        )
        # A wave with kx = 0 is there at ky and at −ky, the same twice: its slope counts double, its square four times.
        slopes[0, 0] += square[:, 0] @ down**2
        # The window joins neighbouring waves, so that fewer of them are independent.
        windows = [_window(length, 0.0) for length in self._image.shape]
        joined = float(np.prod([np.mean(w**4) / np.mean(w**2) ** 2 for w in windows]))
        try:
            inverse = np.linalg.inv(curvature)
        except np.linalg.LinAlgError:
            return np.array([np.nan, np.nan])
        return np.asarray(np.sqrt(joined * np.diag(inverse @ slopes @ inverse)))


def _window(length: int, shift: float) -> NDArray[np.float32]:
    """Tukey window over the part of a side that is common to a frame and to another one, shifted against it."""
    first, size = max(0.0, shift), length - abs(shift)
    at = (np.arange(length) + 0.5 - first) / size
    edge = np.clip(np.minimum(at, 1 - at) / (TAPER / 2), 0, 1)
    window: NDArray[np.float32] = (0.5 - 0.5 * np.cos(np.pi * edge)).astype(np.float32)
    return window


def _spectrum(image: NDArray[np.float32], shift: tuple[float, float], size: tuple[int, ...]) -> Complex:
    """Transform the part of an image that its window shows, keeping the waves of the band only."""
    down, along = (_window(length, moved) for length, moved in zip(image.shape, shift, strict=True))
    level = down @ image @ along / (down.sum() * along.sum())
    faded = image - level
    faded *= down[:, None]
    faded *= along[None]
    # Row by row first, and down the columns only for the few that are kept.
    narrow = fft.rfft(faded, axis=1, workers=2)[:, : size[1]]
    waves = fft.fft(narrow, axis=0, workers=2)
    half = size[0] // 2
    return np.concatenate([waves[:half], waves[-half:]])
