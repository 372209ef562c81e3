"""A small beam on a sample that is moved through it: what is counted at each place, and how the sample gets there."""

from collections.abc import Sequence
from typing import Any

from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.plans import stubs
from whiteline.plans.checks import require_detectors
from whiteline.plans.dwell import dwell_of, dwells_of, remember, set_dwell
from whiteline.plans.paths import Places, Range
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis, Camera, check_together, satisfying
from whiteline.plans.restoring import Step, unstaging


class ScannedProbe:
    """What a map is taken with, one place after the other.

    The axes are triggered with the detectors, as those of a stage with an interferometer average it meanwhile; where
    they have one, it averages for as long as the detectors count.

    Parameters
    ----------
    detectors : sequence of Readable
        That are counted at each place.
    fast, slow : object
        The two axes.
    shutter : Movable or None
        Opened only while something counts.

    Raises
    ------
    TypeError, ValueError
        If there are no detectors, one is a camera that sees the whole field at once, or an axis is none.
    """

    def __init__(self, detectors: Sequence[Any], fast: object, slow: object, shutter: Movable[Any] | None) -> None:
        require_detectors(detectors)
        for one in detectors:
            if isinstance(one, Camera):
                raise TypeError(
                    f"{one.name} is a camera, which sees the whole field at once, and a raster needs a probe that is "
                    "scanned: take xanes_stack or mosaic with it, or give detectors that count at a point"
                )
        self.fast, self.slow = satisfying(fast, Axis, "fast"), satisfying(slow, Axis, "slow")
        if self.fast is self.slow:
            raise ValueError(f"fast and slow are both {self.fast.name}; give two axes")
        axes = [self.fast, self.slow]
        self.detectors = [one for one in detectors if all(one is not axis for axis in axes)]
        self.shutter = shutter
        meters = [meter for axis in axes if (meter := getattr(axis, "interferometer", None)) is not None]
        self.settings = dwells_of([*self.detectors, *(one for one in meters if dwell_of(one) is not None)])
        self.staged: list[Any] = [*axes, *self.detectors]
        self._at: tuple[float | None, float | None] = (None, None)

    def check(self, places: Places, dwells_s: Sequence[float]) -> None:
        """Refuse places and times that a device would refuse."""
        for axis, values in zip((self.fast, self.slow), places.T, strict=True):
            # limits are ends: what lies between two places that are possible is possible, too
            check_together(axis, [float(values.min()), float(values.max())])
        for setting in self.settings:
            check_together(setting, sorted(set(dwells_s)))

    def check_lines(self, energy_eV: float) -> None:
        """Refuse an energy that excites none of the lines that a detector is to count."""
        for one in self.detectors:
            if (check := getattr(one, "check_energy", None)) is not None:
                check(energy_eV)

    def remember(self, steps: list[Step], *also: Any) -> MsgGenerator[None]:
        """Append what ends the staging, and puts dwells and places back to what they are now.

        Parameters
        ----------
        steps : list of Step
            Of the plan's `restoring`.
        *also
            Devices that are staged with the others.
        """
        steps.extend(unstaging(*also, *self.staged))
        yield from remember(self.settings, steps)
        yield from remember([self.fast, self.slow], steps)

    def set_dwell(self, seconds: float) -> MsgGenerator[None]:
        """Let all count for so long at each place from now on [s]."""
        yield from set_dwell(self.settings, seconds)

    def forget_place(self) -> None:
        """Let both axes be sent anew to the next place, as something else has moved."""
        self._at = None, None

    def take(self, place: Sequence[float], also: Sequence[Readable[Any]] = ()) -> MsgGenerator[None]:
        """Bring the sample to a place, and take one event there; an axis that is there already is not sent.

        Parameters
        ----------
        place : sequence of float
            Fast and slow [µm].
        also : sequence of Readable
            Read with it.
        """
        wanted = float(place[0]), float(place[1])
        moves: list[Any] = []
        for axis, value, before in zip((self.fast, self.slow), wanted, self._at, strict=True):
            moves += [axis, value] if value != before else []
        if moves:
            yield from stubs.mv(*moves)
        self._at = wanted
        # the axes first: those that share an interferometer are triggered together then
        yield from take_point([self.fast, self.slow, *self.detectors], also, shutter=self.shutter)

    def roles(self, signal: str | None, incident: str) -> dict[str, str]:
        """Return which data key plays which part."""
        return {"fast": self.fast.name, "slow": self.slow.name, "signal": signal or "", "incident": incident}

    def pyxrf(self, kind: str, fast: Range, slow: Range, dwell_s: float, snake: bool) -> dict[str, Any]:
        """Return what PyXRF looks for under `scan`; of step scans it takes the slow axis of the shape first."""
        return {
            "type": kind,
            "scan_input": [*fast, *slow, dwell_s],
            "fast_axis": {"motor_name": self.fast.name, "units": "um"},
            "slow_axis": {"motor_name": self.slow.name, "units": "um"},
            "shape": [slow[2], fast[2]],
            "snake": int(snake),
            "dwell": dwell_s,
            "detectors": [one.name for one in self.detectors],
        }
