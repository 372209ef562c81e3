"""Which pulse of a fly scan a detector took, and which of its frames is of which pulse.

A detector that is driven too fast misses triggers, and its file then holds fewer frames than there were pulses. The
number of exposures that it had begun is counted beside the positions, by the end of each gate. Where that number grows
by one, the pulse was taken, and the number itself says which exposure it was. So a pulse that was missed leaves a hole,
and no pixel slips into its neighbour.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

NONE = -1
"""Frame of a pulse that has none."""

SHOWN = 4
"""Pulses that are named before the rest is only counted."""


@dataclass(frozen=True, eq=False)
class Triggers:
    """What became of the pulses at one detector; arrays have the shape (lines, pulses).

    Parameters
    ----------
    detector : str
        Its name.
    frame : ndarray of int64
        Index of the frame of each pulse in the detector's file; −1 where there is none that could be believed.
    missed : ndarray of bool
        Pulses that came, and did not begin an exposure.
    doubled : ndarray of bool
        Pulses in whose gate more than one exposure began, so that none of them is known to be this one's.
    absent : ndarray of bool
        Pulses that did not come.
    unwritten : ndarray of bool
        Pulses whose exposure began, and whose frame is not in the file.
    troubles : tuple of str
        A sentence for each kind of loss, with where it happened.
    """

    detector: str
    frame: NDArray[np.int64]
    missed: NDArray[np.bool_]
    doubled: NDArray[np.bool_]
    absent: NDArray[np.bool_]
    unwritten: NDArray[np.bool_]
    troubles: tuple[str, ...]

    @property
    def taken(self) -> NDArray[np.bool_]:
        """Pulses whose frame is known."""
        taken: NDArray[np.bool_] = self.frame != NONE
        return taken

    @property
    def lines_to_repeat(self) -> NDArray[np.int64]:
        """Lines in which a pulse came that has no frame, by their place among the lines given."""
        lost = self.missed | self.doubled | self.unwritten
        return np.flatnonzero(lost.any(axis=1)).astype(np.int64)

    def align(self, frames: ArrayLike) -> NDArray[np.float64]:
        """Return values of frames as values of pulses, shape (lines, pulses, …); NaN where a pulse has none.

        Parameters
        ----------
        frames : array_like, shape (frames, …)
            One for each frame of the file, in its order.

        Raises
        ------
        ValueError
            If there are fewer than the pulses need.
        """
        values = np.asarray(frames)
        taken = self.taken
        needed = int(self.frame.max()) + 1 if taken.any() else 0
        if needed > len(values):
            raise ValueError(
                f"{self.detector}: pulses have frames up to number {needed}, and {len(values)} were given; give all "
                "frames of the file, in their order"
            )
        found = np.full((*self.frame.shape, *values.shape[1:]), np.nan)
        found[taken] = values[self.frame[taken]]
        return found


def read_triggers(
    begun: ArrayLike,
    before: ArrayLike,
    *,
    detector: str,
    written: int | None = None,
    exposures: ArrayLike | None = None,
    lines: Sequence[int] | None = None,
    over: bool = True,
) -> Triggers:
    """Find out which pulses a detector took, and where their frames are.

    Parameters
    ----------
    begun : array_like, shape (lines, pulses)
        Exposures that the detector had begun by the end of each gate, counted since its file was opened; NaN where a
        pulse did not come.
    before : array_like, shape (lines,)
        The same before the first gate of each line: what the row before it in the capture file ends with, be that line
        discarded or not, and 0 before the first row.
    detector : str
        Its name, for sentences.
    written : int, optional
        Frames in its file; all that were begun, if it is not given.
    exposures : array_like of int, optional, shape (written,)
        Which exposure each frame of the file is, from 1, where the file records it (areaDetector's NDArrayUniqueId).
        Without it frames follow exposures one by one, and this is believed only if their numbers agree.
    lines : sequence of int, optional
        What the lines are called; 1, 2, 3 … if it is not given.
    over : bool
        Whether the detector has ended, so that what is not in its file will not come.

    Raises
    ------
    ValueError
        If the shapes do not go together.
    """
    count, start = np.asarray(begun, float), np.asarray(before, float)
    if count.ndim != 2 or start.shape != count.shape[:1]:
        raise ValueError(
            f"exposures of {detector}: counts of shape {count.shape} and {start.shape} before the lines must be "
            "(lines, pulses) and (lines,)"
        )
    names = range(1, len(count) + 1) if lines is None else lines
    absent = np.isnan(count)
    grown = _grown(count, start)
    missed, doubled = (grown == 0) & ~absent, (grown > 1) & ~absent
    one = (grown == 1) & ~absent
    number = np.where(one, count, 0).astype(np.int64)
    troubles = [
        _sentence(detector, "missed", "trigger", missed, names),
        _sentence(detector, "began more than one exposure in", "gate", doubled, names),
    ]
    most = int(np.nanmax(count)) if not absent.all() else 0
    frame = np.where(one, number - 1, NONE)
    if exposures is not None:
        frame = _by_exposure(number, np.asarray(exposures, np.int64))
    elif written is not None and (written > most or (written < most and over)):
        frame[:] = NONE
        troubles.append(
            f"{detector} began {most} exposures, and its file holds {written} frames: which is which cannot be known, "
            "so none is used; have the file record the number of each exposure (NDArrayUniqueId)"
        )
    elif written is not None:
        frame[frame >= written] = NONE
    unwritten = one & (frame == NONE)
    if exposures is not None and over:
        troubles.append(_sentence(detector, "lost", "frame", unwritten, names))
    return Triggers(detector, frame, missed, doubled, absent, unwritten, tuple(one for one in troubles if one))


def before_lines(begun: ArrayLike, rows: ArrayLike) -> NDArray[np.float64]:
    """Return how many exposures had begun before each of some lines of a capture file.

    Parameters
    ----------
    begun : array_like, shape (rows of the file, pulses)
        Exposures that had begun by the end of each gate, of all rows of the file; NaN where a pulse did not come.
    rows : array_like of int, shape (lines,)
        Rows that the lines are in.

    Returns
    -------
    ndarray of float64, shape (lines,)
        The last count that is known from the rows above; 0 where there is none.
    """
    count = np.asarray(begun, float)
    known = ~np.isnan(count)
    ends = np.zeros(len(count) + 1)
    for row, (values, there) in enumerate(zip(count, known, strict=True)):
        ends[row + 1] = values[there][-1] if there.any() else ends[row]
    return np.asarray(ends[np.asarray(rows, np.int64)])


def _grown(count: NDArray[np.float64], start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how much the count grew over each gate; gates between that did not come are bridged.

    A count that has fallen was set back to 0, as when a detector is armed anew.
    """
    last = np.concatenate([start[:, None], count[:, :-1]], axis=1)
    for pulse in np.flatnonzero(np.isnan(last).any(axis=0)):
        hole = np.isnan(last[:, pulse])
        last[hole, pulse] = last[hole, pulse - 1]
    return np.where(count < last, count, count - last)


def _by_exposure(number: NDArray[np.int64], exposures: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the frame of each exposure number, −1 where the file has none."""
    frame_of = np.full(max(int(number.max(initial=0)), int(exposures.max(initial=0))) + 1, NONE, np.int64)
    frame_of[exposures[exposures > 0]] = np.flatnonzero(exposures > 0)
    return np.where(number > 0, frame_of[number], NONE)


def _sentence(detector: str, did: str, what: str, where: NDArray[np.bool_], lines: Sequence[int] | range) -> str:
    total = int(where.sum())
    if not total:
        return ""
    places = np.argwhere(where)[:SHOWN]
    named = ", ".join(f"line {lines[int(line)]} pulse {int(pulse) + 1}" for line, pulse in places)
    more = " …" if total > SHOWN else ""
    return f"{detector} {did} {total} of {where.size} {what}s: {named}{more}"
