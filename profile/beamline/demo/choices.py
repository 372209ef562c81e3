"""What a demonstration is told, and what of it is refused."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from whiteline.analysis.checks import require_between
from whiteline.analysis.energies import xanes


@dataclass(frozen=True)
class Usual:
    """What is usual for a beamline, and possible.

    Parameters
    ----------
    size, energies : int
        Rows and columns of the map, and number of energies.
    sizes : (int, int)
        Between which rows and columns lie.
    speed : float
        How much faster than a real beamline motors and exposures are; what computes and talks takes its own time.
    """

    size: int
    energies: int
    sizes: tuple[int, int]
    speed: float


USUAL = {
    "txm": Usual(256, 40, (128, 1024), 100.0),
    # a sample drifts by the time of the beamline, which goes on while lines are talked about: faster is no gain
    "nanoprobe": Usual(48, 30, (32, 128), 6.0),
}

ENERGIES = (16, 200)

INSIDE_EV = 1.0
"""How far energies keep inside of the spectra that are fitted [eV]."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a demonstration is told.

    Parameters
    ----------
    beamline : {"txm", "nanoprobe"}
        Which simulated beamline: a full-field microscope, or a scanning one.
    references : tuple of str
        Measured spectra that the sample is made of, NAME=FILE each; the built-in ones if there are none.
    size : int or None
        Rows and columns of the map [px]; as is usual for the beamline if it is not given.
    energies : int or None
        How many; likewise.
    seed : int
        Of the sample, its drift, the noise, and the errors that are hidden from the devices.
    speed : float or None
        How much faster than a real beamline; likewise.
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
    size: int | None = None
    energies: int | None = None
    seed: int = 1
    speed: float | None = None
    out: Path = Path("out")

    def __post_init__(self) -> None:
        if self.beamline not in USUAL:
            raise ValueError(
                f"beamline {self.beamline!r} cannot be demonstrated; it must be {' or '.join(USUAL)}, a simulated "
                "full-field microscope or scanning nanoprobe"
            )
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} must not be negative")
        require_between(self.side, *self.usual.sizes, "size of the map", "px")
        require_between(self.number, *ENERGIES, "number of energies", "")

    @property
    def usual(self) -> Usual:
        """What is usual for this beamline."""
        return USUAL[self.beamline]

    @property
    def side(self) -> int:
        """Rows and columns of the map [px]."""
        return self.usual.size if self.size is None else self.size

    @property
    def number(self) -> int:
        """How many energies."""
        return self.usual.energies if self.energies is None else self.energies

    @property
    def times_faster(self) -> float:
        """How much faster than a real beamline."""
        return self.usual.speed if self.speed is None else self.speed

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
        places = np.linspace(0, usual.size - 1, self.number)
        return [float(one) for one in np.round(np.interp(places, np.arange(usual.size), usual), 2)]
