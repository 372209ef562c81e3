"""How much a run is to take, as its start document says: what is counted while it goes on, and in which unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from whiteline.analysis.runs.parts import numbers_of, planned_of

PRIMARY, FLY = "primary", "fly"

FLOWN = {"fly_xanes": "spectra", "fly_tomography": "projections", "xanes_tomography": "projections"}
"""What a line of the stream "fly" is, by plan; a line of a map in all others."""


@dataclass(frozen=True)
class Expected:
    """What a run is to take.

    Parameters
    ----------
    stream : str
        Whose points are counted: lines of "fly" where it flies, else "primary".
    total : int
        How many there will be; of a run that goes on with another one, those that it takes. 0 if that is not said.
    per_energy : int
        How many there are at each energy; 0 where they are not counted by energy.
    unit : str
        What is counted: "energies" where it is by energy.
    """

    stream: str
    total: int
    per_energy: int
    unit: str

    @property
    def energies(self) -> int:
        """How many energies there will be; 0 where it is not counted by energy."""
        return self.total // self.per_energy if self.per_energy else 0

    def energies_of(self, done: int) -> int:
        """Return how many energies are whole when so many points are done."""
        return done // self.per_energy if self.per_energy else 0


def expected_of(start: Mapping[str, Any]) -> Expected:
    """Return what the run of a start document is to take."""
    planned, energies = planned_of(start), len(start.get("energies") or ())
    stream = FLY if planned.get(FLY) else PRIMARY
    whole = planned[FLY] if stream == FLY else int(start.get("num_points") or 0) or energies
    numbers = numbers_of(start, stream)
    total = whole if numbers is None else len(numbers)
    # several points of one energy, as of several places or passes, count when they are all there
    per_energy = whole // energies if energies > 1 and whole % energies == 0 else 0
    if per_energy and total % per_energy:
        per_energy = 0
    points = FLOWN.get(str(start.get("plan_name")), "lines") if stream == FLY else "points"
    return Expected(stream, total, per_energy, "energies" if per_energy else points)


def lines_of(document: Mapping[str, Any]) -> int:
    """Return the number of the last line that a document "stream_datum" tells of."""
    return int(document["seq_nums"]["stop"]) - 1
