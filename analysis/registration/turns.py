"""What is measured there and back again: the mean, from which a steady drift falls out, and an honest error."""

from collections.abc import Sequence

import numpy as np

from whiteline.analysis.checks import require


def mean_of_turns(values: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """Return the mean of what was measured by turns in two directions, and its standard error.

    Parameters
    ----------
    values, errors : sequence of float
        Each by two images, of which the next shares one: there, back, there and so on; in any unit. What drifts
        steadily meanwhile is added to one and taken from the next.

    Returns
    -------
    tuple of float
        The error is the larger of what the single ones say and of what the values scatter, which holds what drifted.

    Raises
    ------
    OutOfRange
        If there is none.
    """
    require(len(values), len(values) > 0, "number of values", "must be at least 1")
    found, told = np.asarray(values, float), np.asarray(errors, float)
    # neighbours are averaged first, as they are off to different sides
    means = (found[:-1] + found[1:]) / 2 if found.size > 1 else found
    said = float(np.sqrt((told**2).sum()) / found.size)
    scatter = float(found.std(ddof=1) / np.sqrt(found.size)) if found.size > 1 else 0.0
    return float(means.mean()), max(said, scatter)
