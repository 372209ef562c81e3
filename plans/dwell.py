"""How long detectors count: set before a point, and as it was afterwards."""

from collections.abc import Sequence
from typing import Any

from bluesky.utils import MsgGenerator

from whiteline.plans import stubs
from whiteline.plans.restoring import Step, putting_back

NAMES = "dwell", "exposure", "integration_time"
"""What detectors call the time that they count for a point."""


def dwell_of(detector: Any) -> Any | None:
    """Return what sets the time that a detector counts for; None if it has none, as an electrometer that is read."""
    return next((found for name in NAMES if (found := getattr(detector, name, None)) is not None), None)


def dwells_of(detectors: Sequence[Any]) -> list[Any]:
    """Return what sets the times of several detectors, each once."""
    found: list[Any] = []
    for detector in detectors:
        if (setting := dwell_of(detector)) is not None and all(setting is not one for one in found):
            found.append(setting)
    return found


def remember(settings: Sequence[Any], steps: list[Step]) -> MsgGenerator[None]:
    """Append steps that put settings back to what they are now.

    Parameters
    ----------
    settings : sequence of Movable and Readable
        Signals, such as the exposure of a camera.
    steps : list of Step
        Of the plan's `restoring`.
    """
    for setting in settings:
        before = yield from stubs.rd(setting, default_value=None)
        if before is not None:  # a simulation that moves nothing reads nothing
            steps.append(putting_back(setting, before))


def set_dwell(settings: Sequence[Any], seconds: float) -> MsgGenerator[None]:
    """Let all count for so long [s]; done when they say so."""
    if settings:
        pairs = [part for setting in settings for part in (setting, seconds)]
        yield from stubs.mv(*pairs)
