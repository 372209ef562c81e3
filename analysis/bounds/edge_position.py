"""How well the position of an edge can be known: its half height, its white line, or the maximum of the spectrum.

The edge is that of the physics of XANES: background b0 + b1 (E − E0), arctangent step, Lorentzian white line, Gaussian
pre-edge peak, as seen with the resolution of the monochromator, see `lineshapes`. Every parameter is unknown: heights,
widths and background cost the position what their correlation with it costs.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from whiteline.analysis.bounds.information import bound, total_information, transmission_weight
from whiteline.analysis.checks import require, require_energy, require_positive
from whiteline.analysis.constants import FWHM_PER_SIGMA
from whiteline.analysis.lineshapes import gaussian_peak, lorentzian_peak, voigt_step

Array = NDArray[Any]
Position = Literal["white line", "half height", "maximum"]

STEP = 1e-4
"""Step of differences, of a parameter of order one or in eV: central ones are then right to 1e-8."""

WHITE_LINE = 6
"""Which of the parameters is the position of the white line."""

FINE_EV = 0.1
"""Grid on which a crossing or a maximum is looked for, before it is refined [eV]."""


@dataclass(frozen=True, kw_only=True)
class Edge:
    """An edge in optical density.

    b0 + b1 (E − E0) + S [½ + atan((E − E0) / (Γ/2)) / π] + A / (1 + ((E − Ew) / w)²) + P exp(−½ ((E − Ep) / s)²)

    Parameters
    ----------
    position : float
        E0, the middle of the step [eV].
    jump : float
        S, height of the step.
    width : float
        Γ, full width of the step [eV].
    white_line : tuple of float
        A, Ew [eV], w [eV]: height, position, half width at half maximum.
    background : tuple of float
        b0, and b1 [1/eV].
    pre_edge : tuple of float or None
        P, Ep [eV], s [eV]: height, position, standard deviation. None if there is none, and none is fitted.
    resolution : float
        Full width at half maximum of the monochromator [eV]; known, so it is not fitted.

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV, a width not positive, or the resolution negative.
    """

    position: float
    jump: float
    width: float
    white_line: tuple[float, float, float]
    background: tuple[float, float] = (0.0, 0.0)
    pre_edge: tuple[float, float, float] | None = None
    resolution: float = 0.0

    def __post_init__(self) -> None:
        require_energy(self.position, "position of the edge")
        require_energy(self.white_line[1], "position of the white line")
        require_positive(self.jump, "jump of the edge")
        require_positive(self.width, "width of the step", "eV")
        require_positive(self.white_line[2], "width of the white line", "eV")
        require(self.resolution, self.resolution >= 0, "resolution", "must not be negative", "eV")
        if self.pre_edge is not None:
            require_positive(self.pre_edge[2], "width of the pre-edge peak", "eV")

    @property
    def parameters(self) -> NDArray[np.float64]:
        """What is fitted: b0, b1, E0, S, Γ, A, Ew, w, and P, Ep, s if there is a pre-edge peak."""
        own = [*self.background, self.position, self.jump, self.width, *self.white_line, *(self.pre_edge or ())]
        return np.array(own, float)

    def with_parameters(self, values: ArrayLike) -> "Edge":
        """Return the edge with other parameters."""
        b0, b1, e0, jump, width, a, ew, w, *peak = np.asarray(values, float).tolist()
        pre_edge = (peak[0], peak[1], peak[2]) if peak else None
        return replace(
            self,
            background=(b0, b1),
            position=e0,
            jump=jump,
            width=width,
            white_line=(a, ew, w),
            pre_edge=pre_edge,
        )

    def density(self, energies: ArrayLike) -> NDArray[np.float64]:
        """Return the optical density at energies [eV], with the resolution."""
        grid = np.asarray(energies, float)
        b0, b1 = self.background
        return b0 + b1 * (grid - self.position) + self.above_background(grid)

    def above_background(self, energies: ArrayLike) -> NDArray[np.float64]:
        """Return the optical density less that of the background, with the resolution."""
        grid, sigma = np.asarray(energies, float), self.resolution / FWHM_PER_SIGMA
        height, place, width = self.white_line
        density = self.jump * voigt_step(grid - self.position, sigma, self.width / 2)
        density = density + height * lorentzian_peak(grid - place, width, sigma, 0.0)
        if self.pre_edge is not None:
            height, place, width = self.pre_edge
            density = density + height * gaussian_peak(grid - place, width, sigma, 0.0)
        return np.asarray(density, float)

    def where(self, position: Position) -> float:
        """Return the white line Ew, the energy of half height, or that of the maximum [eV].

        Half height is where the density above the background first rises through half of the jump; the maximum is that
        of the density itself.

        Raises
        ------
        ValueError
            If the edge has no such position, or it is none of these.
        """
        if position not in get_args(Position):
            raise ValueError(f"position {position!r} of an edge must be one of {', '.join(get_args(Position))}")
        if position == "white line":
            return self.white_line[1]
        reach = 5 * (self.width + self.resolution + self.white_line[2])
        low, high = (f(self.position, self.white_line[1]) for f in (min, max))
        grid = np.arange(low - reach, high + reach, FINE_EV)
        if position == "maximum":
            top = int(np.argmax(self.density(grid)))
            if top in (0, grid.size - 1):
                raise ValueError("the edge has no maximum near its white line; take the half height")
            return float(brentq(self._slope, grid[top - 1], grid[top + 1], xtol=1e-10))
        above = self.above_background(grid) >= self.jump / 2
        first = int(np.argmax(above))
        if not above.any() or first == 0:
            raise ValueError("the edge does not rise through half of its jump")
        return float(
            brentq(lambda e: float(self.above_background(e)) - self.jump / 2, grid[first - 1], grid[first], xtol=1e-10)
        )

    def jacobian(self, energies: ArrayLike) -> NDArray[np.float64]:
        """Return the derivative of the density at energies [eV] by each parameter, shape (E, K)."""
        columns = [(up.density(energies) - down.density(energies)) / (2 * STEP) for up, down in self._beside(STEP)]
        return np.stack(columns, axis=1)

    def gradient(self, position: Position) -> NDArray[np.float64]:
        """Return the derivative of a position [eV] by each parameter, shape (K,)."""
        if position == "white line":
            return np.array([float(index == WHITE_LINE) for index in range(self.parameters.size)])
        # Larger than for the density, as a position is found to 1e-10 eV, and a maximum to the square root of that.
        step = 10 * STEP
        return np.array([(up.where(position) - down.where(position)) / (2 * step) for up, down in self._beside(step)])

    def _beside(self, step: float) -> "list[tuple[Edge, Edge]]":
        """Return, for each parameter, the edges with a little more and a little less of it."""
        own = self.parameters
        return [(self.with_parameters(own + one), self.with_parameters(own - one)) for one in np.eye(own.size) * step]

    def _slope(self, energy: float) -> float:
        ends = self.density(np.array([energy - 10 * STEP, energy + 10 * STEP]))
        return float(ends[1] - ends[0])


def edge_position_bound(
    edge: Edge,
    energies: ArrayLike,
    counts: ArrayLike,
    *,
    flats: ArrayLike = np.inf,
    position: Position = "white line",
) -> float:
    """Return the Cramér–Rao bound of the position of an edge in transmission [eV].

    Parameters
    ----------
    edge : Edge
        The edge, all of whose parameters are unknown.
    energies : array_like, shape (E,)
        Photon energies, in any order; one that is repeated counts twice [eV].
    counts : array_like, shape (E,) or a number
        Incident counts at each energy.
    flats : array_like, shape (E,) or a number
        Flats averaged at each energy, each with the same incident counts.
    position : {"white line", "half height", "maximum"}
        Which; see `Edge.where`.

    Returns
    -------
    float
        Standard error that no unbiased estimate goes below; infinite if the energies do not determine the position.

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV, or counts are negative.
    ValueError
        If the edge has no such position.
    """
    grid = np.asarray(energies, float)
    require_energy(grid)
    share = transmission_weight(edge.density(grid), flats)
    return float(bound(total_information(edge.jacobian(grid), share, counts), edge.gradient(position)))
