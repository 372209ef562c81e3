"""What an analysis of a run is told: references, counting, flats, registration. Live and offline take the same."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from whiteline.analysis.checks import require, require_energy, require_positive
from whiteline.analysis.runs.flats import FlatPolicy
from whiteline.analysis.spectrum_files import Spectrum

LEAST_JUMP_OVER_NOISE = 10.0
"""A fraction is not valid where the edge jump is less than so many of its standard errors."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Settings:
    """Parameters of an analysis.

    Parameters
    ----------
    references : sequence of Spectrum
        Normalised references; without any there are no fractions, and the rest is as it is with them.
    background : sequence of str
        Columns of the background in the fit: "constant", "linear", "victoreen".
    edge : float, optional
        Energy of the edge [eV]; where the first reference rises steepest, if it is not given.
    white_line : tuple of float, optional
        Where the white line is looked for [eV]; from 2 eV below the edge to 30 eV above, if it is not given.
    gain : float
        Counts that one detected photon makes.
    read_noise : float
        Noise of a frame without light [detected photons].
    saturation : float, optional
        Counts from which a pixel is saturated.
    dark_level : float
        Counts without light, where the run has no darks.
    flats : {"same-energy", "nearest-energy", "nearest-time", "all"}
        Which flats belong to a frame, see `runs.flats`. Errors hold for flats of each energy. Where energies share a
        flat they also share its noise, and errors are up to a fifth too large, or up to a half too small: then take the
        flats of many frames.
    camera : str, optional
        Data key of the frames, if there are several cameras.
    blank : tuple of int, optional
        Rows and columns (first row, row behind, first column, column behind) of the frames where there is no sample, by
        which the beam of each frame is known; as the metadata of the run say it under "blank", if it is not given.
    register : bool
        Whether frames are brought onto the first one. A frame whose shift is not to be believed goes by the last one
        that was.
    registration_side : int
        Frames are binned for registration until their shorter side is no longer than this [px].
    every : int
        After so many energies the edge energy and the white line are mapped anew.
    least_jump_over_noise : float
        A fraction is not valid where the edge jump is less than so many of its standard errors; of a raster, or than
        the metadata of the run say under the same name.
    false_alarms : float
        Share of sound pixels that may be taken for a lack of fit.
    stage : tuple of str, optional
        Data keys of the sample's position (vertical, horizontal) [µm], to tell what a correction has moved.
    signal, incident : str, optional
        Data keys of the counts of a point scan or raster, where several could be meant.
    incident_current : bool
        Whether the beam before the sample of a raster is told by the current of an ion chamber or a diode, which grows
        with the energy of the photons as well as with their number; 1 % of energy is as much of slope behind an edge.
    core_hole, resolution : float
        Full widths with which the model of the edge is convolved [eV]; 0 leaves them in the fitted widths.
    wait_for_file_s : float
        How long a frame that its event has announced may take to appear in its file [s].

    Raises
    ------
    OutOfRange, ValueError
        If one of them is not possible.
    """

    references: Sequence[Spectrum] = ()
    background: Sequence[str] = ("constant", "linear")
    edge: float | None = None
    white_line: tuple[float, float] | None = None
    gain: float = 1.0
    read_noise: float = 0.0
    saturation: float | None = None
    dark_level: float = 0.0
    flats: FlatPolicy = "same-energy"
    camera: str | None = None
    blank: tuple[int, int, int, int] | None = None
    register: bool = True
    registration_side: int = 512
    every: int = 10
    least_jump_over_noise: float = LEAST_JUMP_OVER_NOISE
    false_alarms: float = 1e-3
    stage: tuple[str, str] | None = None
    signal: str | None = None
    incident: str | None = None
    incident_current: bool = False
    core_hole: float = 0.0
    resolution: float = 0.0
    wait_for_file_s: float = 5.0

    def __post_init__(self) -> None:
        names = [one.name for one in self.references]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"reference {twice[0]!r} is there twice; give each a name of its own")
        if self.edge is not None:
            require_energy(self.edge, "edge")
        if self.white_line is not None:
            require_energy(self.white_line, "range of the white line")
        require_positive(self.gain, "gain", "counts per photon")
        require(self.every, self.every >= 1, "number of energies between maps of the edge", "must be at least 1")
        require_positive(self.registration_side, "side of frames in registration", "px")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the references."""
        return tuple(one.name for one in self.references)

    @property
    def covered(self) -> tuple[float, float]:
        """Energies that all references cover [eV]; empty if there is no such range."""
        lows, highs = ([float(one.energy[at]) for one in self.references] for at in (0, -1))
        return max(lows, default=0.0), min(highs, default=np.inf)

    def edge_energy(self) -> float | None:
        """Return the energy of the edge [eV]; None if neither it nor a reference was given."""
        if self.edge is not None or not self.references:
            return self.edge
        from whiteline.analysis.spectra.edge_position import edge_by_derivative

        first = self.references[0]
        return edge_by_derivative(first.energy, first.absorption).energy

    def parameters(self) -> dict[str, Any]:
        """Return what was chosen, as it is kept with a result: plain values, references by name."""
        chosen = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "references"}
        listed = {key: list(value) if isinstance(value, tuple) else value for key, value in chosen.items()}
        return {"references": list(self.names), **listed}

    def reference_hashes(self) -> Mapping[str, str]:
        """Return the SHA-256 of energies and absorption of each reference, as little-endian float64."""
        return {one.name: _hash(one) for one in self.references}

    def digest(self) -> str:
        """Return a hash of all of it: the same for two results that were asked for alike."""
        text = json.dumps([self.parameters(), dict(self.reference_hashes())], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def _hash(spectrum: Spectrum) -> str:
    both = np.stack([spectrum.energy, spectrum.absorption]).astype("<f8")
    return hashlib.sha256(both.tobytes()).hexdigest()
