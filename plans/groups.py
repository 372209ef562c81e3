"""Runs that belong together: several edges of one sample, or one map again and again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from whiteline.plans.checks import energy_list
from whiteline.plans.protocols import check_together


@dataclass(frozen=True)
class Edge:
    """Energies of one edge, and the filters that are in the beam for them."""

    energies: tuple[float, ...]
    filters: tuple[str, ...] | None


def edge_groups(energies: Any, filter_names: Any, energy: object, filters: object | None) -> list[Edge]:
    """Return one or several edges from the arguments of a plan.

    Parameters
    ----------
    energies : sequence of float, or of such sequences
        Of one edge, or of several [eV].
    filter_names : sequence of str, or of such sequences, or None
        In the beam for all, or for each edge.
    energy, filters : object
        The devices, which refuse what they cannot do.

    Raises
    ------
    OutOfRange, ValueError
        If the lists do not go together, or a device refuses one.
    """
    lists = list(energies) if _nested(energies) else [energies]
    if not lists:
        raise ValueError("energies is empty; give the energies in eV")
    if filter_names is not None and filters is None:
        raise ValueError(f"filter_names = {filter_names!r} need the device: give filters, too")
    if isinstance(filter_names, str):
        raise TypeError(f"filter_names = {filter_names!r} must be a list of names, such as [{filter_names!r}]")
    chosen: list[Any] = list(filter_names) if _nested(filter_names) else [filter_names] * len(lists)
    if len(chosen) != len(lists):
        raise ValueError(f"filter_names has {len(chosen)} lists for {len(lists)} edges; give one for each")
    for names in chosen:
        if names is not None:
            check_together(filters, [list(names)])
    return [
        Edge(energy_list(one, energy), None if names is None else tuple(names))
        for one, names in zip(lists, chosen, strict=True)
    ]


def new_group(purpose: str) -> Mapping[str, str]:
    """Return what all runs of a new group have in common: its name, and what it is for."""
    return {"group": str(uuid4()), "group_purpose": purpose}


def _nested(given: Any) -> bool:
    """Tell whether a list holds lists."""
    if given is None or isinstance(given, str) or not isinstance(given, Iterable):
        return False
    values = list(given)
    return bool(values) and all(isinstance(one, Iterable) and not isinstance(one, str) for one in values)
