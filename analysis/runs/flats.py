"""Which flat belongs to which frame.

Flats are taken by policies: at each energy, at every n-th, once before and after. A flat at the same energy is best, as
the beam on the optics moves with the energy; among several the nearest in time. Where no flat has that energy, what
is nearest in time, or in energy, counts, as is asked for.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.runs.unreadable import UnreadableRun

FlatPolicy = Literal["same-energy", "nearest-energy", "nearest-time", "all"]

SAME_EV = 0.5
"""Energies that differ by less are the same: readbacks of one setpoint [eV]."""

Numbers = NDArray[np.float64]


def groups_of_flats(
    policy: FlatPolicy,
    energies: Numbers | None,
    times: Numbers,
    flat_energies: Numbers | None,
    flat_times: Numbers,
    run: str,
) -> tuple[tuple[int, ...], ...]:
    """Return for every frame the indices of its flats, whose mean is its flat.

    Parameters
    ----------
    policy : {"same-energy", "nearest-energy", "nearest-time", "all"}
        "same-energy": the nearest in time of those at the energy of the frame, within 0.5 eV; where there is none, the
        nearest in time. "nearest-energy": those of the nearest energy, all of them. "nearest-time": one flat. "all":
        the mean of all.
    energies, times : ndarray of float64, shape (E,)
        Of the frames [eV, s]; energies may be unknown.
    flat_energies, flat_times : ndarray of float64, shape (F,)
        Of the flats; energies may be unknown.
    run : str
        What the run is called, for errors.

    Returns
    -------
    tuple of tuple of int
        One for each frame.

    Raises
    ------
    UnreadableRun
        If there are no flats, or the policy asks for energies that were not recorded.
    ValueError
        If there is no such policy.
    """
    if policy not in get_args(FlatPolicy):
        raise ValueError(f"policy {policy!r} of flats must be one of {', '.join(get_args(FlatPolicy))}")
    if not flat_times.size:
        raise UnreadableRun(f"{run} has no flats in a stream 'flat'; give flats of another run, or none")
    every = tuple(range(flat_times.size))
    if policy == "all":
        return (every,) * times.size
    apart = np.abs(flat_times[None, :] - times[:, None])
    by_time = apart.argmin(axis=1)
    if policy == "nearest-time":
        return tuple((int(one),) for one in by_time)
    if energies is None or flat_energies is None:
        if policy == "same-energy":
            return tuple((int(one),) for one in by_time)
        raise UnreadableRun(f"{run} does not record the energies of its flats; take those nearest in time")
    off = np.abs(flat_energies[None, :] - energies[:, None])
    off = np.where(np.isnan(off), np.inf, off)
    groups: list[tuple[int, ...]] = []
    for distance, seconds, nearest in zip(off, apart, by_time, strict=True):
        same = np.flatnonzero(distance <= SAME_EV)
        if policy == "same-energy":
            groups.append((int(same[seconds[same].argmin()]) if same.size else int(nearest),))
        elif np.isfinite(distance.min()):
            groups.append(tuple(int(one) for one in np.flatnonzero(distance <= distance.min() + SAME_EV)))
        else:
            groups.append((int(nearest),))
    return tuple(groups)
