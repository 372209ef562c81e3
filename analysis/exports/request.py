"""What an export is asked for, and the refusal of a format that the run does not fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from whiteline.analysis.live.kinds import kind_of
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.runs.flats import FlatPolicy
from whiteline.analysis.runs.roles import given_role
from whiteline.analysis.runs.run import Run
from whiteline.analysis.spectrum_files import Spectrum

Kind = Literal["stack", "raster", "points", "tomography"]

Writer = Callable[[Path], None]
"""Writes one whole file."""

Files = dict[str, Writer]
"""The files of an export, by the ending of their names."""

FITTING = {
    "stack": "nxstxm, fxi, tiff or csv",
    "raster": "nxstxm, tiff or csv",
    "points": "xdi, nxxas or csv",
    "tomography": "nxtomo, tiff or csv",
}

CALLED = {
    "stack": "a stack of frames over the energy",
    "raster": "a raster",
    "points": "a point scan",
    "tomography": "a tomography",
}

DEGREES = ("deg", "degree", "degrees")


class UnsuitableRun(ValueError):
    """A run that makes no sense in a format: one sentence with a remedy."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Request:
    """A run, and how it is to be exported; see `export` for what the options mean.

    Parameters
    ----------
    run : Run
        At one place of the sample.
    form : str
        Name of the format.
    position : int or None
        Place of the sample, where the run takes several.
    """

    run: Run
    form: str
    position: int | None = None
    flats: FlatPolicy = "same-energy"
    camera: str | None = None
    signal: str | None = None
    incident: str | None = None
    edge: tuple[str, str] | None = None
    references: Sequence[Spectrum] = ()
    results: Path | None = None
    instrument: str = ""
    progress: Callable[[int, int], None] = lambda done, of: None

    @property
    def kind(self) -> Kind:
        """What kind of run it is: a turn of the sample is a tomography, be it flown or in steps.

        Raises
        ------
        UnreadableRun
            If it has no points.
        """
        kind = kind_of(self.run)
        return "tomography" if kind == "stack" and rotation_key(self.run) else kind

    @property
    def as_usual(self) -> bool:
        """Whether flats, signal and incident beam are those that the live analysis takes."""
        return self.flats == "same-energy" and self.signal is None and self.incident is None

    def require(self, *kinds: Kind) -> None:
        """Refuse a run of another kind.

        Raises
        ------
        UnsuitableRun
            Naming what it is, and the formats that would do.
        """
        if self.kind not in kinds:
            wanted = " or ".join(CALLED[one] for one in kinds)
            raise UnsuitableRun(
                f"{self.run.name} is {CALLED[self.kind]}, and {self.form} holds {wanted}; export it as "
                f"{FITTING[self.kind]}"
            )

    @property
    def settings(self) -> Settings:
        """Settings by which frames are given their flats, and spectra are fitted."""
        return Settings(
            references=self.references, flats=self.flats, camera=self.camera, signal=self.signal, incident=self.incident
        )

    def at(self, position: int) -> "Request":
        """Return the request for one place of the sample."""
        return replace(self, run=self.run.at_position(position), position=position)


def rotation_key(run: Run) -> str | None:
    """Return the data key of the angle of a run that turns its sample; None if it does not."""
    given = given_role(run.start, "rotation")
    if given is not None and given in run.points:
        return given
    moved = [str(one) for one in run.start.get("motors", ()) if str(one) in run.points]
    return next((one for one in moved if run.points.unit(one) in DEGREES), None)
