"""What a demonstration is told, and what of it is refused."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from whiteline.analysis.checks import require_between
from whiteline.analysis.energies import xanes

SHIPPED = ("txm",)

SIZES = (128, 1024)
"""Rows and columns of the map, which the camera's pixels make two by two."""

ENERGIES = (16, 200)

SPEED = 100.0
"""How much faster than a real beamline motors and exposures are; what computes and talks takes its own time."""


INSIDE_EV = 1.0
"""How far energies keep inside of the spectra that are fitted [eV]."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a demonstration is told.

    Parameters
    ----------
    beamline : {"txm"}
        Which simulated beamline: a full-field microscope.
    references : tuple of str
        Measured spectra that the sample is made of, NAME=FILE each; the built-in ones if there are none.
    size : int
        Rows and columns of the map [px].
    energies : int
        How many.
    seed : int
        Of the sample, its drift, the noise, and the errors that are hidden from the devices.
    speed : float
        How much faster than a real beamline.
    out : Path
        Folder of what is made.

    Raises
    ------
    ValueError
        If there is no such beamline, or the seed is negative.
    OutOfRange
        If size or number of energies are not possible.
    """

    beamline: str = "txm"
    references: tuple[str, ...] = ()
    size: int = 256
    energies: int = 40
    seed: int = 1
    speed: float = SPEED
    out: Path = Path("out")

    def __post_init__(self) -> None:
        if self.beamline not in SHIPPED:
            raise ValueError(
                f"beamline {self.beamline!r} cannot be demonstrated; it must be {' or '.join(SHIPPED)}, a simulated "
                "full-field microscope"
            )
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} must not be negative")
        require_between(self.size, *SIZES, "size of the map", "px")
        require_between(self.energies, *ENERGIES, "number of energies", "")

    @property
    def folder(self) -> Path:
        """Where the data and the description of the beamline go."""
        return self.out / f"demo-{self.beamline}"

    def list_of(self, element: str, edge: str, known: tuple[float, float] = (0.0, np.inf)) -> list[float]:
        """Return the energies over an edge: as dense as the usual list is everywhere, whatever their number [eV].

        They keep inside of what the references cover, `known`, as an energy that is reached is off by a little.
        """
        usual = np.array(xanes(element, edge).energies)
        usual = usual[(usual >= known[0] + INSIDE_EV) & (usual <= known[1] - INSIDE_EV)]
        places = np.linspace(0, usual.size - 1, self.energies)
        return [float(one) for one in np.round(np.interp(places, np.arange(usual.size), usual), 2)]
