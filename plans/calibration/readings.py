"""Values of what a message has read."""

import math
from typing import Any


def value_of(reading: Any, key: str, *, optional: bool = False) -> float:
    """Return a value of a reading; NaN in a simulation, which reads nothing.

    Raises
    ------
    ValueError
        If nothing is called so, and it is not optional.
    """
    if not reading or (optional and key not in reading):
        return math.nan
    if key not in reading:
        raise ValueError(f"nothing that is read is called {key!r}; there are {', '.join(sorted(reading))}: name one")
    return float(reading[key]["value"])
