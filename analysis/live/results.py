"""What an analysis has found so far: maps with their errors, drift and sharpness frame by frame, the mean spectrum.

The live analysis replaces its result after every frame; a result itself never changes. Offline analysis returns the
same kind.
"""

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.live.settings import Settings

if TYPE_CHECKING:
    from whiteline.analysis.live.planes import Planes
    from whiteline.analysis.live.spectrum import FittedSpectrum
    from whiteline.analysis.maps.map import Map

Numbers = NDArray[np.float64]

PACKAGES = ("whiteline", "numpy", "scipy", "numba", "lmfit", "h5py", "bluesky", "event-model")

WELL_KNOWN = 0.05
"""Relative error of a fine detail that others are compared with: of many uncertain ones the largest is so by chance."""

Fit = Literal["clean", "lacking", "unknown"]


@dataclass(frozen=True)
class FrameFound:
    """What one frame has told.

    Parameters
    ----------
    number : int
        Its point's `seq_num`.
    energy : float
        [eV]
    shift_y, shift_x, shift_error_y, shift_error_x : float
        Where its content has moved to since the first frame [px].
    confidence : float
        Of the shift, between 0 and 1.
    trusted : bool
        Whether the shift is to be believed; if not, the frame went by the last one that was.
    used_y, used_x : float
        By what it was brought back [px].
    scale : float
        By how much it was enlarged against the first frame.
    sharpness, sharpness_error : float
        Of its transmission [1/px²]; NaN if it could not be found. It follows the contrast, which changes over an edge.
    detail, detail_error : float
        Share of fine detail in its optical density, which follows the focus and not the contrast; NaN if not found.
    stage_y, stage_x : float
        Where the sample stood, less where it stood at the first frame [µm]; NaN if not recorded.
    time : float
        When it was recorded [s since 1970].
    """

    number: int
    energy: float
    shift_y: float
    shift_x: float
    shift_error_y: float
    shift_error_x: float
    confidence: float
    trusted: bool
    used_y: float
    used_x: float
    scale: float
    sharpness: float
    sharpness_error: float
    detail: float
    detail_error: float
    stage_y: float = np.nan
    stage_x: float = np.nan
    time: float = np.nan


@dataclass(frozen=True)
class ErrorFound:
    """How well the map of fractions is known.

    Parameters
    ----------
    median : float
        Median standard error of the fraction over the valid pixels, that of the worst reference; NaN as long as there
        is no map.
    valid : float
        Share of the pixels that are valid.
    lacking : float
        Share of the good pixels whose spectra the references do not explain; NaN if it is not known.
    fit : {"clean", "lacking", "unknown"}
        Whether that is more than chance.
    energies : int
        Frames in the fit.
    """

    median: float = np.nan
    valid: float = 0.0
    lacking: float = np.nan
    fit: Fit = "unknown"
    energies: int = 0


@dataclass(frozen=True, eq=False)
class Results:
    """A result.

    Parameters
    ----------
    kind : {"stack", "raster", "points", "tomography"}
        Of the run.
    uid, run : str
        Unique identifier of the run, and what it is called.
    energies : ndarray of float64, shape (E,)
        That were analysed [eV], in the order of their points.
    planned : int or None
        How many there should be.
    maps : mapping of str to Map
        By name, such as "fraction of LiNiO2", "edge energy", "white line", "optical density".
    frames : tuple of FrameFound
        Frame by frame; empty but for stacks.
    look : FrameFound or None
        A frame that was only looked at, if none of the others is newer; of rasters, the newest whole map.
    error : ErrorFound
        Of the fractions.
    spectrum : FittedSpectrum or None
        Mean spectrum of the map, or the spectrum of a point scan, with its fits.
    energy_shift : tuple of float or None
        By how much the energies of the run read higher than those of the references, and its error [eV]: found with the
        maps of the edge. Fractions are fitted without it; 0.3 eV bias them by 0.04 to 0.12.
    planes : Planes or None
        Of a raster at several energies, the maps of the line whose absorption is fitted, at each complete energy; they
        are not saved.
    channels : ndarray of float64 or None, shape (channels,)
        Counts of a raster's fluorescence spectra, summed over all points and elements.
    pixel_um : float or None
        Size of a pixel [µm].
    position : int or None
        Which place of the sample this is of, where the run takes several.
    positions : mapping of int to Results
        Of a run at several places, the result of each; empty else. This one is that of the newest frame.
    over : bool
        Whether the run has ended, and this is all.
    exit_status : str
        Of the run.
    troubles : tuple of str
        What was left out and why, a sentence each.
    provenance : mapping
        Versions, parameters, references with their hash.
    """

    kind: Literal["stack", "raster", "points", "tomography"]
    uid: str
    run: str
    energies: Numbers
    planned: int | None = None
    maps: "Mapping[str, Map]" = field(default_factory=dict)
    frames: tuple[FrameFound, ...] = ()
    look: FrameFound | None = None
    error: ErrorFound = field(default_factory=ErrorFound)
    spectrum: "FittedSpectrum | None" = None
    energy_shift: tuple[float, float] | None = None
    planes: "Planes | None" = None
    channels: Numbers | None = None
    pixel_um: float | None = None
    position: int | None = None
    positions: "Mapping[int, Results]" = field(default_factory=dict)
    over: bool = False
    exit_status: str = "running"
    troubles: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def map(self, name: str) -> "Map":
        """Return a map by its name.

        Raises
        ------
        KeyError
            If there is none yet, naming those that there are.
        """
        if name not in self.maps:
            raise KeyError(f"there is no map {name!r} yet; there are {', '.join(self.maps) or 'none'}")
        return self.maps[name]

    def at(self, position: int) -> "Results":
        """Return what was found at one place of the sample.

        Raises
        ------
        KeyError
            If there is nothing yet, naming the places where there is.
        """
        if position == self.position:
            return self
        if position not in self.positions:
            known = ", ".join(map(str, self.positions)) or str(self.position)
            raise KeyError(f"there is nothing of position {position} yet; there is of {known}")
        return self.positions[position]

    @property
    def newest(self) -> FrameFound | None:
        """What the newest frame has told, be it part of the stack or only looked at; None if there is none."""
        return self.look or (self.frames[-1] if self.frames else None)

    @property
    def line(self) -> str:
        """Where the run is, in one line."""
        planned = f" of {self.planned}" if self.planned else ""
        parts = [f"{self.energies.size}{planned} {'points' if self.kind == 'points' else 'energies'}"]
        if self.positions:
            parts.insert(0, f"position {self.position} of {', '.join(map(str, self.positions))}")
        if np.isfinite(self.error.median):
            parts.append(f"median error {self.error.median:.3g} on {self.error.valid:.0%} of the pixels")
            parts.append(f"fit {self.error.fit}")
        if self.frames:
            last = self.frames[-1]
            unsure = "" if last.trusted else " (not to be believed)"
            parts.append(f"shift ({last.shift_y:+.2f}, {last.shift_x:+.2f}) px{unsure}")
            if np.isfinite(of_best := detail_of_best(self.frames, last)):
                parts.append(f"fine detail {of_best:.0%} of the best")
        if self.spectrum is not None and self.spectrum.e0 is not None:
            value, error = self.spectrum.e0
            parts.append(f"E0 {value:.2f} eV" + (f" ± {error:.2f}" if np.isfinite(error) else ""))
        if self.energy_shift is not None:
            parts.append(f"references off by {self.energy_shift[0]:+.2f} ± {self.energy_shift[1]:.2f} eV")
        if self.troubles:
            parts.append(f"{len(self.troubles)} left out or failed: {self.troubles[-1]}")
        return " · ".join(parts)


def detail_of_best(frames: tuple[FrameFound, ...], newest: FrameFound) -> float:
    """Return the fine detail of a frame over that of the best one that is well known; NaN if none is."""
    sure = [one.detail for one in (*frames, newest) if one.detail > 0 and one.detail_error < WELL_KNOWN * one.detail]
    return newest.detail / max(sure) if sure else np.nan


def provenance_of(settings: Settings, uid: str) -> dict[str, Any]:
    """Return what is needed to find the same again: run, parameters, references with their hash, versions."""
    return {
        "run": uid,
        "parameters": settings.parameters(),
        "references": dict(settings.reference_hashes()),
        "settings_sha256": settings.digest(),
        "versions": {"python": platform.python_version(), **_versions()},
        "byteorder": sys.byteorder,
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
