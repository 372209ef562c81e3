"""When flats are taken: the frames without a sample that a transmission is relative to."""

from typing import Literal

from whiteline.analysis.checks import OutOfRange

FlatPolicy = Literal["each", "before and after", "none"] | int
"""At each energy, before the first and after the last one, never; or at every n-th energy and the last."""


def require_policy(flats: FlatPolicy) -> None:
    """Refuse what is no policy.

    Raises
    ------
    OutOfRange, ValueError
        Naming those that there are.
    """
    if isinstance(flats, str):
        if flats not in ("each", "before and after", "none"):
            raise ValueError(
                f"flats = {flats!r} must be 'each', 'before and after', 'none', or a number n for every n-th"
            )
    elif isinstance(flats, bool) or int(flats) != flats or flats < 1:
        raise OutOfRange("flats", float(flats), "must be a whole number from 1 on", remedy="or 'none' for no flats")


def flat_is_due(flats: FlatPolicy, number: int, count: int) -> bool:
    """Tell whether flats belong to an energy.

    Parameters
    ----------
    flats : FlatPolicy
        See above.
    number, count : int
        Which energy of how many, from 0.
    """
    last = number == count - 1
    if isinstance(flats, str):
        return {"each": True, "before and after": number == 0 or last, "none": False}[flats]
    return number % flats == 0 or last


def flat_comes_first(flats: FlatPolicy, number: int, is_out: bool) -> bool:
    """Tell whether the flats of an energy are taken before its frames.

    They are where the sample is out already: so it goes out, or in, once for each energy, and not twice. Where flats
    are only taken before and after, the first ones come before all frames.
    """
    return is_out or (flats == "before and after" and number == 0)
