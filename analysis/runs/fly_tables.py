"""Capture tables of several runs as one, where one run goes on with the lines of another.

Each run has a file of the box of its own, with its own zeros, and files of detectors of its own: so each column is read
as its own run says, and then put together by the numbers of the lines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.runs.fly_table import FlyTable, Numbers
from whiteline.analysis.runs.frames import FrameStack
from whiteline.analysis.runs.streams import Stream

if TYPE_CHECKING:
    from whiteline.analysis.fly.triggers import Triggers


@dataclass(frozen=True, eq=False)
class JoinedFlyTable(FlyTable):
    """The lines of several runs; where two have the same line, that of the later one counts.

    Parameters
    ----------
    tables : tuple of FlyTable
        Of each run, the first that was taken first.
    where : ndarray of int64, shape (lines, 2)
        For each line which table it is of, and which of the lines there.
    """

    tables: tuple[FlyTable, ...] = ()
    where: NDArray[np.int64] = None  # type: ignore[assignment]

    @classmethod
    def of(cls, tables: Sequence[FlyTable], stream: Stream) -> Self:
        """Join tables.

        Parameters
        ----------
        tables : sequence of FlyTable
            The first that was taken first.
        stream : Stream
            Their lines, each number once; those that no table has are left out.
        """
        known = {int(line): (table, row) for table, one in enumerate(tables) for row, line in enumerate(one.lines)}
        # of a run that goes on, the newest line may be told of in part: its own table leaves it out
        stream = replace(stream, points=tuple(point for point in stream.points if point.seq_num in known))
        where = np.array([known[int(line)] for line in stream.seq_nums], np.int64).reshape(-1, 2)
        detectors = {name: one for table in tables for name, one in table.frames_of_detectors.items()}
        return cls(stream, detectors, all(one.over for one in tables), tuple(tables), where)

    @property
    def run_of_lines(self) -> NDArray[np.int64]:
        """Which of the tables each line is of, shape (lines,)."""
        return self.where[:, 0]

    def read(self, column: str, lines: slice = slice(None)) -> Numbers:
        """Return a column, shape (lines, pulses); as `FlyTable.read`."""
        self._key(column)
        chosen = self.where[lines]
        found = np.full((len(chosen), self.pulses), np.nan)
        for number, table in enumerate(self.tables):
            own = np.flatnonzero(chosen[:, 0] == number)
            if own.size:
                rows = chosen[own, 1]
                first = int(rows.min())
                found[own] = table.read(column, slice(first, int(rows.max()) + 1))[rows - first]
        return found

    def triggers(self, detector: str) -> "Triggers":
        """Return which pulses a detector took, and which frame of all its files is of which pulse."""
        from whiteline.analysis.fly.triggers import NONE, Triggers

        parts = {n: one.triggers(detector) for n, one in enumerate(self.tables) if len(one)}
        before, frames = 0, dict[int, NDArray[np.int64]]()
        for number, part in parts.items():
            frames[number] = np.where(part.frame == NONE, NONE, part.frame + before)
            before += len(self.tables[number].frames(detector)) if self.tables[number].wrote(detector) else 0

        def of_lines(arrays: Mapping[int, NDArray[Any]], kind: type) -> NDArray[Any]:
            return np.array([arrays[table][row] for table, row in self.where], kind).reshape(-1, self.pulses)

        def lost(what: str) -> NDArray[np.bool_]:
            return of_lines({number: getattr(part, what) for number, part in parts.items()}, bool)

        return Triggers(
            detector,
            of_lines(frames, np.int64),
            missed=lost("missed"),
            doubled=lost("doubled"),
            absent=lost("absent"),
            unwritten=lost("unwritten"),
            troubles=tuple(sentence for part in parts.values() for sentence in part.troubles),
        )

    def wrote(self, detector: str) -> bool:
        """Tell whether documents tell of frames of a detector."""
        return any(one.wrote(detector) for one in self.tables)

    def frames(self, detector: str) -> FrameStack:
        """Return all frames of all files of a detector, run after run; raises as `FlyTable.frames`."""
        stacks = [one.frames(detector) for one in self.tables if len(one) and one.wrote(detector)]
        if not stacks:
            return super().frames(detector)
        places = tuple(place for one in stacks for place in one.places)
        last = stacks[-1]
        return FrameStack(places, last.frame_shape, last.raw_dtype, last.path_map, last.label)
