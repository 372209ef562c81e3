"""Cramér–Rao bounds: the smallest standard error that any unbiased estimate can have.

`information` what one photon at each energy tells, and the bound of a list of energies put together from it; `fraction`
the share of a reference, by transmission or fluorescence; `edge_position` half height and white line of an edge.
"""

from whiteline.analysis.bounds.edge_position import Edge, Position, edge_position_bound
from whiteline.analysis.bounds.fraction import fluorescence_fraction_bound, fraction_bound, fraction_gradient
from whiteline.analysis.bounds.information import (
    bound,
    fluorescence_weight,
    information,
    total_information,
    transmission_weight,
)

__all__ = [
    "Edge",
    "Position",
    "bound",
    "edge_position_bound",
    "fluorescence_fraction_bound",
    "fluorescence_weight",
    "fraction_bound",
    "fraction_gradient",
    "information",
    "total_information",
    "transmission_weight",
]
