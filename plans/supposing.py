"""What a plan is told in a preflight, where nothing is measured and no time passes; a run tells nothing.

A preflight answers these messages; the run engine does nothing for them, and returns None.
"""

import time
from typing import TypeVar

from bluesky.utils import Msg, MsgGenerator

Supposed = TypeVar("Supposed")


def suppose(value: Supposed) -> MsgGenerator[Supposed | None]:
    """Return a value to go on with in a preflight, and None in a run.

    A plan that would end where it has found nothing asks this first: so a preflight, which finds nothing ever, comes to
    the end that the plan has at most. A decision that data make asks it, too, for what takes longer.

    Parameters
    ----------
    value : object
        What is to be supposed, such as that the focus is where the series looks for it.
    """
    return (yield Msg("null", None, suppose=value))


def clock() -> MsgGenerator[float]:
    """Return a time that only grows [s]: of this machine in a run, of the plan in a preflight."""
    supposed = yield Msg("null", None, clock=True)
    return time.monotonic() if supposed is None else float(supposed)
