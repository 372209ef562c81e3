"""How long things truly take: the computed time of each device, corrected by what earlier runs have shown.

Devices compute the time of a move from distance, velocity and acceleration, and that of a count from its dwell. What
they cannot know is added by experience: settling, the network, the travel of a shutter. For each device and action
measured = offset + factor × computed, fitted robustly where there are enough different moves, else an offset alone.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple, Self

import numpy as np

from whiteline.analysis.whole_files import write_whole

FEWEST = 5
"""Different computed times that a factor is fitted to."""

FACTORS = 0.2, 5.0
"""A factor beyond says that something else was measured."""

DEFAULT_OFFSETS_S: Mapping[str, float] = {
    "set": 0.02, "trigger": 0.05, "stage": 0.2, "unstage": 0.2, "prepare": 0.03, "kickoff": 0.01, "complete": 0.04,
}  # fmt: skip
"""What an action takes besides its computed time where nothing was measured [s]. All around a line that is flown takes
0.11 s on the simulated beamlines, shutter and verification included."""

DEFAULT_MESSAGES_S: Mapping[str, float] = {
    "read": 0.001, "create": 0.0003, "save": 0.002, "checkpoint": 0.0004, "set": 0.002, "trigger": 0.002,
    "open_run": 0.01, "close_run": 0.01,
}  # fmt: skip
"""What the run engine takes for a message itself where nothing was measured [s]."""


class Timing(NamedTuple):
    """One action as it went: "set" or "trigger", of which device, computed and measured [s]."""

    action: str
    device: str
    computed: float
    measured: float


@dataclass(frozen=True)
class Experience:
    """measured = offset + factor × computed [s]; from how many, and the scatter about it [s]."""

    offset: float
    factor: float = 1.0
    count: int = 0
    scatter: float = 0.0

    def seconds(self, computed: float) -> float:
        """Return what an action of a computed time takes [s]."""
        return max(0.0, self.offset + self.factor * computed)

    @classmethod
    def of(cls, pairs: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Self:
        """Return what pairs of computed and measured times, shape (n, 2), teach."""
        computed, measured = pairs[:, 0], pairs[:, 1]
        factor = 1.0
        if np.unique(np.round(computed, 3)).size >= FEWEST:
            # Theil and Sen: a median of slopes does not mind the move that was interrupted
            first, second = np.triu_indices(len(computed), 1)
            apart = np.abs(computed[first] - computed[second]) > 1e-3
            slopes = (measured[first] - measured[second])[apart] / (computed[first] - computed[second])[apart]
            factor = float(np.clip(np.median(slopes), *FACTORS))
        rest = measured - factor * computed
        offset = float(median(rest))
        return cls(offset, factor, len(computed), float(1.4826 * median(np.abs(rest - offset))))


@dataclass(frozen=True)
class TimeModel:
    """What is known of the times of a beamline.

    Parameters
    ----------
    actions : mapping of (str, str) to Experience
        By action and name of the device.
    messages : mapping of str to float
        Of the run engine itself, by command [s].
    pace : float
        Time over computed time of what no run has shown: 1, or less on a simulated beamline that is faster.
    """

    actions: Mapping[tuple[str, str], Experience] = field(default_factory=dict)
    messages: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_MESSAGES_S))
    pace: float = 1.0

    def seconds(self, action: str, device: str, computed: float) -> float:
        """Return what an action takes whose device computes a time for it [s]."""
        return self.experience(action, device).seconds(computed)

    def experience(self, action: str, device: str) -> Experience:
        """Return what is known of an action of a device."""
        return self.actions.get((action, device)) or Experience(DEFAULT_OFFSETS_S.get(action, 0.0), self.pace)

    def knows(self, action: str, device: str) -> bool:
        """Tell whether earlier runs have shown it."""
        return (action, device) in self.actions

    @classmethod
    def learned(cls, timings: Iterable[Timing], messages: Mapping[str, Iterable[float]] | None = None) -> Self:
        """Return what actions of earlier runs teach.

        Parameters
        ----------
        timings : iterable of Timing
            Of any number of runs.
        messages : mapping of str to iterable of float, optional
            Times of the run engine's own messages, by command [s].
        """
        grouped: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for action, device, computed, measured in timings:
            if np.isfinite(computed) and np.isfinite(measured) and measured >= 0:
                grouped.setdefault((action, device), []).append((computed, measured))
        own = {command: float(median(times)) for command, found in (messages or {}).items() if (times := list(found))}
        return cls(
            {key: Experience.of(np.array(pairs, float)) for key, pairs in grouped.items()},
            {**DEFAULT_MESSAGES_S, **own},
        )

    def to_file(self, path: Path) -> None:
        """Write it as JSON."""
        actions = [
            {"action": action, "device": device, **vars(known)} for (action, device), known in self.actions.items()
        ]
        write_whole(path, json.dumps({"actions": actions, "messages": dict(self.messages)}, indent=1) + "\n")

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read what `to_file` wrote.

        Raises
        ------
        ValueError
            If the file holds something else.
        """
        try:
            found = json.loads(path.read_text())
            actions = {
                (str(one.pop("action")), str(one.pop("device"))): Experience(**one) for one in list(found["actions"])
            }
            return cls(actions, {str(key): float(value) for key, value in found["messages"].items()})
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                f"{path} holds no times of a beamline: {error!r}; delete it, they are learned anew"
            ) from error
