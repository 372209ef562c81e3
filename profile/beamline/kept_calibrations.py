"""Calibrations that are kept: what plans have found and applied, with its history, for the next start.

    kept = KeptCalibrations(folder)
    RE.subscribe(kept)
    devices = build(beamline, calibrations=kept.newest())

There is one JSON file for each thing that is calibrated. It is written whole beside the old one and put in its place,
so that it is never half there.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whiteline.analysis.calibration import Calibration, calibration_from_json
from whiteline.analysis.whole_files import write_whole
from whiteline.beamline.build.calibrations import KINDS, require_known

STREAM = "calibration"
"""Of the events that plans record what they have found in."""

FORM = 1
"""Of the files."""


@dataclass(frozen=True)
class Kept:
    """A calibration as it is kept.

    Parameters
    ----------
    calibration : Calibration
        With its version, date and source.
    run : str
        That it was recorded in.
    event : int
        Its `seq_num` there: an event that is recorded anew replaces the first.
    time : float
        When it was recorded [s since 1970].
    """

    calibration: Calibration
    run: str
    event: int
    time: float


class KeptCalibrations:
    """The calibrations of a beamline in a folder; subscribed to a RunEngine, it keeps what plans apply.

    Parameters
    ----------
    folder : str or Path
        Where the files are; it is made when the first is kept.
    tell : callable
        Given a sentence where one could not be kept.

    Attributes
    ----------
    troubles : list of str
        What could not be kept, in a sentence each: a full disk must not end a scan.
    """

    def __init__(self, folder: str | Path, tell: Callable[[str], Any] = lambda sentence: None) -> None:
        self.folder, self._tell = Path(folder), tell
        self.troubles: list[str] = []
        self._run = ""
        self._descriptors: set[str] = set()

    def __call__(self, name: str, document: Mapping[str, Any]) -> None:
        """Take a document of a run."""
        if name == "start":
            self._run, self._descriptors = str(document["uid"]), set()
        elif name == "descriptor" and document.get("name") == STREAM:
            self._descriptors.add(str(document["uid"]))
        elif name == "event" and document.get("descriptor") in self._descriptors:
            self._take(document)

    def _take(self, document: Mapping[str, Any]) -> None:
        data = document["data"]
        of = str(data.get("calibration_of", ""))
        if data.get("calibration_applied") != 1 or of not in KINDS:
            return
        try:
            calibration = calibration_from_json(str(data["calibration_result"]))
            self.keep(of, Kept(calibration, self._run, int(document["seq_num"]), float(document["time"])))
        except (OSError, ValueError) as error:
            self.troubles.append(
                f"the calibration of {of} is in force, but was not kept in {self.folder}: {error}; keep it by hand"
            )
            self._tell(self.troubles[-1])

    def keep(self, of: str, kept: Kept) -> None:
        """Add a calibration to the history of a thing.

        Raises
        ------
        ValueError
            If there is no such thing, it is of another kind, or the file holds something else.
        OSError
            If it cannot be written.
        """
        require_known({of: kept.calibration})
        history = [one for one in self.history(of) if (one.run, one.event) != (kept.run, kept.event)]
        entries = [
            {"run": one.run, "event": one.event, "time": one.time, "calibration": json.loads(one.calibration.to_json())}
            for one in (*history, kept)
        ]
        write_whole(self._file(of), json.dumps({"form": FORM, "of": of, "history": entries}, indent=1))

    def history(self, of: str) -> tuple[Kept, ...]:
        """Return all calibrations of a thing that were kept, the oldest first.

        Raises
        ------
        ValueError
            If the file does not hold what it should.
        """
        try:
            text = self._file(of).read_text()
        except FileNotFoundError:
            return ()
        try:
            found = json.loads(text)
            if found["form"] != FORM or found["of"] != of:
                raise ValueError(f"it is of form {found['form']!r}, of {found['of']!r}")
            history = tuple(
                Kept(
                    calibration_from_json(json.dumps(one["calibration"])),
                    str(one["run"]),
                    int(one["event"]),
                    float(one["time"]),
                )
                for one in found["history"]
            )
            for one in history:
                require_known({of: one.calibration})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self._file(of)} does not hold calibrations of {of}: {error}; mend it, or move it away to go back to "
                "the design"
            ) from error
        return history

    def newest(self) -> dict[str, Calibration]:
        """Return the newest calibration of each thing that has one, as `build` takes them.

        Raises
        ------
        ValueError
            If a file does not hold what it should.
        """
        histories = {of: self.history(of) for of in KINDS}
        return {of: history[-1].calibration for of, history in histories.items() if history}

    def _file(self, of: str) -> Path:
        return self.folder / f"{of}.json"
