"""What a run of the simulated beamline may be told, and what of it is refused."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

from whiteline.beamline.description import Beamline, DescriptionError, load
from whiteline.beamline.description.detectors import Files

SLOWEST, FASTEST = 0.01, 1000.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a simulated beamline runs.

    Parameters
    ----------
    beamline : str or None
        A description: a file, or the name of one that is shipped; None as `load` has it.
    speed : float
        How much faster than a real one motors, exposures and slow processes are; counts stay the same.
    seed : int or None
        Instead of that of the description.
    clock : {"wall", "frames"}
        "wall" lets drift and decay run on wall time × speed; with "frames" nothing but moves and exposures advances
        time, so that the same puts give the same frames bit for bit.
    species : mapping of str to str
        Files with measured spectra instead of those of the description, by the name of the species: "FILE.xdi", or
        "FILE:eV" and "FILE:keV" for columns of numbers.
    data : Path or None
        Folder for the detectors' files and the truth, instead of that of the description.

    Raises
    ------
    ValueError
        If a value makes no sense.
    """

    beamline: str | None = None
    speed: float = 1.0
    seed: int | None = None
    clock: Literal["wall", "frames"] = "wall"
    species: Mapping[str, str] = field(default_factory=dict)
    data: Path | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.speed) and SLOWEST <= self.speed <= FASTEST):
            raise ValueError(f"speed {self.speed:g} must lie between {SLOWEST:g} and {FASTEST:g}; 1 is that of a floor")
        if self.seed is not None and self.seed < 0:
            raise ValueError(f"seed {self.seed} must not be negative")
        if self.clock not in ("wall", "frames"):
            raise ValueError(f'clock {self.clock!r} must be "wall" or "frames"')

    def to_json(self) -> str:
        """Return what `from_json` reads, in another process."""
        return json.dumps(asdict(self) | {"data": str(self.data) if self.data else None})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the options that another process has written."""
        values = json.loads(text)
        return cls(**values | {"data": Path(values["data"]) if values["data"] else None})

    def description(self) -> Beamline:
        """Return the description with these options put into it.

        Raises
        ------
        DescriptionError
            If it cannot be read, is not of a simulated beamline, or has no such species.
        """
        beamline = load(self.beamline)
        if beamline.simulation is None:
            raise DescriptionError(f"{beamline.name} is no simulated beamline: its description has no [simulation]")
        simulation = beamline.simulation
        if self.seed is not None:
            simulation = simulation.model_copy(update={"seed": self.seed})
        names = [one.name for one in simulation.species]
        for name in self.species:
            if name not in names:
                raise DescriptionError(f"{beamline.name} has no species {name!r}; it has {', '.join(names)}")
        tables = tuple(
            one.model_copy(update=_spectrum(self.species[one.name])) if one.name in self.species else one
            for one in simulation.species
        )
        simulation = simulation.model_copy(update={"species": tables})
        return beamline.model_copy(update={"simulation": simulation} | self._detectors(beamline))

    def _detectors(self, beamline: Beamline) -> dict[str, object]:
        """Return the detectors that write files, and the store, with the folder of these options."""
        if self.data is None:
            return {}
        folder = self.data.resolve()
        files = Files(write=folder, read=folder)
        detectors = {"camera": beamline.camera, "fluorescence": beamline.fluorescence, "capture": beamline.capture}
        return {
            "store": beamline.store.model_copy(update={"folder": folder / "catalog"}),
            **{name: one.model_copy(update={"files": files}) for name, one in detectors.items() if one is not None},
        }

    def folder(self, beamline: Beamline) -> Path:
        """Return the folder for files, made if need be, so that a group can write into it.

        Raises
        ------
        OSError
            If it cannot be made, or written into.
        """
        detector = beamline.camera or beamline.fluorescence
        assert detector is not None
        folder = self.data or detector.files.write
        try:
            folder.mkdir(mode=0o2775, parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"folder {folder} for the detectors' files cannot be made: {error.strerror}; name one of this machine "
                "as files in the description, or by --data of whiteline sim"
            ) from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OSError(
                f"folder {folder} for the detectors' files is not writable; name another as files in the "
                "description, or by --data of whiteline sim"
            )
        return folder.resolve()


def _spectrum(text: str) -> dict[str, object]:
    """Return what replaces the spectrum in the table of a species."""
    path, _, unit = text.rpartition(":")
    if unit in ("eV", "keV"):
        return {"model": None, "file": Path(path), "unit": unit}
    if Path(text).suffix.lower() != ".xdi":
        raise DescriptionError(f"species file {text} needs its unit, {text}:eV or {text}:keV; it is not guessed")
    return {"model": None, "file": Path(text), "unit": None}
