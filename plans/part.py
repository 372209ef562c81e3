"""Which points of a scan are taken: all of them, or some, such as those that an interrupted one is lacking.

A part is numbered as the whole scan is: its start document says how many points each stream of the whole has, and which
of them it takes. So readers put each point at its place, and several parts make up a whole.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from whiteline.analysis.checks import OutOfRange

Only = Mapping[str, Sequence[int]]
"""Numbers of points by stream, from 1: ``{"primary": [41, 42], "flat": [42]}``; of other streams none are taken."""


class Part:
    """What is taken of a scan.

    Parameters
    ----------
    planned : mapping of str to int
        Points of each stream of the whole scan; of a fly scan its lines, in the stream "fly".
    only : mapping of str to sequence of int, optional
        Those that are taken; all if it is not given.

    Raises
    ------
    OutOfRange, ValueError
        If there is no such stream or point, or nothing would be taken.
    """

    def __init__(self, planned: Mapping[str, int], only: Only | None = None) -> None:
        self._planned = {stream: int(count) for stream, count in planned.items() if count}
        self._only: dict[str, frozenset[int]] | None = None
        if only is None:
            return
        self._only = {}
        for stream, given in only.items():
            if stream not in self._planned:
                raise ValueError(
                    f"only names points of the stream {stream!r}, of which this scan takes none; it takes "
                    f"{_counted(self._planned)}"
                )
            numbers = frozenset(int(one) for one in given)
            for one in sorted(numbers):
                if not 1 <= one <= self._planned[stream]:
                    limit = f"must lie between 1 and {self._planned[stream]}"
                    raise OutOfRange(f"number of a point in only[{stream!r}]", one, limit)
            self._only[stream] = numbers
        if not any(self._only.values()):
            raise ValueError("only names no point: leave it away to take all, or name those that are to be taken")

    def wants(self, stream: str, first: int, count: int = 1) -> bool:
        """Tell whether any of some points that follow each other is taken.

        Parameters
        ----------
        stream : str
            Of them.
        first, count : int
            Number of the first one, and how many.
        """
        if self._only is None:
            return True
        wanted = self._only.get(stream, frozenset())
        return any(number in wanted for number in range(first, first + count))

    def ranges(self, stream: str) -> list[tuple[int, int]]:
        """Return which points of a stream are taken, as ranges of numbers with both ends included."""
        numbers: Iterable[int] = range(1, self._planned.get(stream, 0) + 1)
        if self._only is not None:
            numbers = self._only.get(stream, frozenset())
        return [(first, last) for first, last in _ranges(numbers)]

    def about(self) -> dict[str, Any]:
        """Return what the start document says of it: `planned`, and ranges (first, last) of what is taken as `only`."""
        found: dict[str, Any] = {"planned": self._planned}
        if self._only is not None:
            found["only"] = {stream: _ranges(numbers) for stream, numbers in self._only.items() if numbers}
        return found


def require_one(only: Only | None, runs: int) -> Only | None:
    """Return what was given as `only`; refuse it where a plan takes several runs, as it could be of any of them.

    Raises
    ------
    ValueError
        Then.
    """
    if only is not None and runs > 1:
        raise ValueError(f"only goes with one run, and this plan would take {runs}: give one region or edge")
    return only


def _ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Return numbers as ranges, both ends included: a map of ten thousand points is a line of metadata."""
    found: list[list[int]] = []
    for one in sorted(numbers):
        if found and one == found[-1][1] + 1:
            found[-1][1] = one
        else:
            found.append([one, one])
    return found


def _counted(planned: Mapping[str, int]) -> str:
    return ", ".join(f"{count} of {stream!r}" for stream, count in planned.items()) or "no points"
