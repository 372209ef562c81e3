"""Chemical species: what each absorbs at an energy, near its edge by its own spectrum.

A species is a material of known formula and density. Its attenuation is that of its free atoms, but near the edge of
one of its elements the sharp step of the table is replaced by a spectrum: a built-in model, or a measured one. Measured
spectra carry the resolution of the instrument that took them and are not broadened again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from whiteline.analysis import tables
from whiteline.analysis.constants import FWHM_PER_SIGMA

TAIL_EV = 20.0
"""Beyond its ends a spectrum goes over to 0 and 1, as any normalised spectrum does, within this energy."""

BESIDE_EV = 1.0
"""The step of a table is looked at from this far on both sides: where exactly it lies is the table's own affair."""

FLUORESCING_EDGES = ("K", "L3")
LOWEST_LINE_EV = 2000.0
"""Lines of edges below are absorbed in air and window before they reach a detector."""

NEEDED_EV = (-25.0, 50.0)
"""A spectrum must hold at least this part, relative to the edge: else there is no edge or no white line in it."""

NORMALISED = 0.15
"""How far the mean of a normalised spectrum may lie from 0 before the edge, and from 1 after it."""


@dataclass(frozen=True)
class EdgeModel:
    """An absorption edge: arctangent step, Lorentzian white line, Gaussian pre-edge peak.

    μ(E) = ½ + atan((E − E₀)/(Γ/2))/π + A/(1 + ((E − E_w)/w)²) + P exp(−½((E − E_p)/p)²), in units of the edge jump.

    Parameters
    ----------
    position : float
        E₀, the middle of the step [eV].
    white_line : tuple of float
        Height A, position E_w [eV], half width w at half maximum [eV].
    pre_edge : tuple of float
        Height P, position E_p [eV], standard deviation p [eV].
    """

    position: float
    white_line: tuple[float, float, float]
    pre_edge: tuple[float, float, float] = (0.0, 0.0, 1.0)

    def absorption(self, energy: NDArray[np.float64], core_hole_width: float) -> NDArray[np.float64]:
        """Return the normalised absorption at energies [eV], before the resolution broadens it."""
        step = 0.5 + np.arctan((energy - self.position) / (core_hole_width / 2)) / np.pi
        height, place, width = self.white_line
        line = height / (1 + ((energy - place) / width) ** 2)
        height, place, width = self.pre_edge
        return np.asarray(step + line + height * np.exp(-0.5 * ((energy - place) / width) ** 2))


@dataclass(frozen=True, eq=False)
class NearEdge:
    """The normalised spectrum of an element in a species: 0 well below the edge, 1 well above.

    Parameters
    ----------
    element, edge : str
        Such as "Ni", "K".
    energy : ndarray of float64, shape (n,)
        Ascending [eV].
    absorption : ndarray of float64, shape (n,)
        In units of the edge jump.

    Raises
    ------
    ValueError
        If the energies do not ascend, are not finite, or do not reach from 25 eV below the edge to 50 eV above; or if
        the spectrum is not near 0 before the edge and near 1 after it.
    """

    element: str
    edge: str
    energy: NDArray[np.float64]
    absorption: NDArray[np.float64]

    def __post_init__(self) -> None:
        name = f"spectrum at the {self.element} {self.edge} edge"
        if self.energy.ndim != 1 or self.energy.shape != self.absorption.shape or self.energy.size < 4:
            raise ValueError(f"{name} needs as many energies as absorptions, at least 4")
        if not (np.isfinite(self.energy).all() and np.isfinite(self.absorption).all()):
            raise ValueError(f"{name} holds numbers that are not finite")
        if not (np.diff(self.energy) > 0).all():
            raise ValueError(f"{name}: energies must ascend, each once")
        position = tables.edge_energy(self.element, self.edge)
        low, high = position + NEEDED_EV[0], position + NEEDED_EV[1]
        if self.energy[0] > low or self.energy[-1] < high:
            raise ValueError(
                f"{name} reaches from {self.energy[0]:g} to {self.energy[-1]:g} eV; "
                f"it must cover at least {low:g} to {high:g} eV"
            )
        before, after = self.absorption[self.energy <= low], self.absorption[self.energy >= high]
        if abs(before.mean()) > NORMALISED or abs(after.mean() - 1) > NORMALISED:
            raise ValueError(
                f"{name} is not normalised: it is {before.mean():.3g} before the edge and {after.mean():.3g} after it, "
                "not 0 and 1; subtract the line before the edge and divide by the edge jump"
            )

    @cached_property
    def _spline(self) -> CubicSpline:
        return CubicSpline(self.energy, self.absorption)

    def require_inside(self, energies: Iterable[float]) -> None:
        """Refuse energies [eV] that the spectrum does not hold.

        Raises
        ------
        ValueError
            With the first of them.
        """
        for energy in energies:
            if not self.energy[0] <= energy <= self.energy[-1]:
                raise ValueError(
                    f"energy {energy:g} eV is outside the spectrum at the {self.element} {self.edge} edge, "
                    f"{self.energy[0]:g} to {self.energy[-1]:g} eV; leave it out or give a longer spectrum"
                )

    def __call__(self, energy: ArrayLike) -> NDArray[np.float64]:
        """Return the normalised absorption at energies [eV]; beyond the ends it goes over to 0 and 1."""
        values = np.asarray(energy, float)
        first, last = self.energy[[0, -1]]
        inside = self._spline(np.clip(values, first, last))
        below = inside * np.exp(-np.maximum(first - values, 0) / TAIL_EV)
        return np.asarray(np.where(values > last, 1 + (inside - 1) * np.exp(-(values - last) / TAIL_EV), below))


def modelled(element: str, edge: str, model: EdgeModel, resolution: float) -> NearEdge:
    """Return the spectrum of a model, broadened by the resolution of the instrument.

    Parameters
    ----------
    element, edge : str
        Such as "Ni", "K"; they give the core-hole width.
    model : EdgeModel
        The edge.
    resolution : float
        Energy width of the beam, full width at half maximum [eV].
    """
    step = 0.05
    position = tables.edge_energy(element, edge)
    grid = position + np.arange(-400.0, 1200.0, step)
    sharp = model.absorption(grid, tables.core_hole_width(element, edge))
    broad = gaussian_filter1d(sharp, resolution / FWHM_PER_SIGMA / step, mode="nearest")
    every = slice(None, None, 2)  # the broadened spectrum is smooth on a tenth of an eV
    return NearEdge(element, edge, grid[every], broad[every])


@dataclass(frozen=True, eq=False)
class Species:
    """A material that the sample is made of.

    Parameters
    ----------
    name : str
        What it is called.
    formula : str
        Chemical formula.
    density : float
        [g/cm³].
    near_edge : NearEdge
        Its spectrum at the edge that is studied.
    luminescence : tuple of tuple of float
        Bands of light that it gives under X-rays: wavelength [nm], width (σ) [nm], photons per absorbed X-ray.
    """

    name: str
    formula: str
    density: float
    near_edge: NearEdge
    luminescence: tuple[tuple[float, float, float], ...] = ()

    def __post_init__(self) -> None:
        tables.atoms_per_um3(self.formula, self.density, self.near_edge.element)  # refuses a formula without it

    def absorption(self, energy: float) -> float:
        """Return the linear attenuation at an energy [eV] [1/µm]."""
        low, high = self._edge[2] - BESIDE_EV, self._edge[2] + BESIDE_EV
        if low < energy < high:
            rest = float(np.interp(energy, (low, high), (self._without_edge(low), self._without_edge(high))))
        else:
            rest = self._without_edge(energy)
        return rest + self.vacancies(energy)

    def _without_edge(self, energy: float) -> float:
        """Return the attenuation by free atoms [1/µm] less the edge that is studied."""
        total = float(tables.absorption(self.formula, self.density, energy))
        return total - self._jump(energy) if energy > self._edge[2] else total

    def vacancies(self, energy: float) -> float:
        """Return the attenuation by the edge that is studied alone [1/µm]: its fluorescence is in proportion to it."""
        return self._jump(energy) * float(self.near_edge(energy))

    def fluorescence(self, energy: float) -> list[tuple[float, float]]:
        """Return the lines that photons of an energy [eV] excite: energy of the line [eV], photons per photon and µm.

        Of the element that is studied by its spectrum, of the others by the vacancies of free atoms. Self-absorption is
        left out: see `fluorescence.escape`.
        """
        emitted = []
        for element, position, share, lines in self._other_edges:
            if energy > position:
                photons = share * tables.partial_absorption(self.formula, self.density, element, energy)
                emitted += [(line.energy, photons * line.branching) for line in lines]
        element, edge = self.near_edge.element, self.near_edge.edge
        photons = max(self.vacancies(energy), 0.0) * tables.fluorescence_yield(element, edge)
        return emitted + [(line.energy, photons * line.branching) for line in tables.lines(element, edge)]

    def absorptions(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the linear attenuation at many energies [eV] [1/µm], as `absorption` does at one."""
        edge = self._edge[2]
        low, high = edge - BESIDE_EV, edge + BESIDE_EV
        rest = np.asarray(tables.absorption(self.formula, self.density, energies))
        rest = np.where(energies > edge, rest - self._jumps(energies), rest)
        beside = np.interp(energies, (low, high), (self._without_edge(low), self._without_edge(high)))
        rest = np.where((energies > low) & (energies < high), beside, rest)
        return np.asarray(rest + self.vacancies_at(energies))

    def emissions(self, energies: NDArray[np.float64]) -> list[tuple[float, NDArray[np.float64]]]:
        """Return the lines that photons of many energies [eV] excite, as `fluorescence` does for one energy.

        Returns
        -------
        list of (float, ndarray of float64, shape of `energies`)
            Energy of the line [eV], photons per photon and µm.
        """
        emitted = []
        for element, position, share, lines in self._other_edges:
            if (excited := energies > position).any():
                # smooth where the edge is excited
                low = max(float(energies.min()), position + BESIDE_EV)
                places = np.linspace(low, max(float(energies.max()), low + BESIDE_EV), 9)
                partial = [tables.partial_absorption(self.formula, self.density, element, one) for one in places]
                photons = share * np.interp(energies, places, partial) * excited
                emitted += [(line.energy, photons * line.branching) for line in lines]
        element, edge = self.near_edge.element, self.near_edge.edge
        vacancies = np.maximum(self.vacancies_at(energies), 0.0)
        photons = vacancies * tables.fluorescence_yield(element, edge)
        return emitted + [(line.energy, photons * line.branching) for line in tables.lines(element, edge)]

    def vacancies_at(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what `vacancies` does, at many energies [eV] [1/µm]."""
        return np.asarray(self._jumps(energies) * self.near_edge(energies))

    def _jumps(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `_jump` at many energies [eV] [1/µm]."""
        height, exponent, position = self._edge
        return np.asarray(height * (energies / position) ** -exponent)

    @cached_property
    def _other_edges(self) -> tuple[tuple[str, float, float, tuple[tables.Line, ...]], ...]:
        """Edges that fluoresce beside the one that is studied: element, energy, photons per absorption, lines."""
        return tuple(
            (
                element,
                tables.edge_energy(element, edge),
                (1 - 1 / tables.jump_ratio(element, edge)) * tables.fluorescence_yield(element, edge),
                tables.lines(element, edge),
            )
            for element in tables.composition(self.formula)
            for edge in FLUORESCING_EDGES
            if tables.has_edge(element, edge)
            and tables.edge_energy(element, edge) > LOWEST_LINE_EV
            and (element, edge) != (self.near_edge.element, self.near_edge.edge)
        )

    def _jump(self, energy: float) -> float:
        """Return the height of the edge of free atoms at an energy [1/µm]; below the edge, as if it were open."""
        height, exponent, position = self._edge
        return float(height * (energy / position) ** -exponent)

    @cached_property
    def _edge(self) -> tuple[float, float, float]:
        element, edge = self.near_edge.element, self.near_edge.edge
        position = tables.edge_energy(element, edge)
        beside = position + np.array([-BESIDE_EV, BESIDE_EV])
        below, above = tables.absorption(self.formula, self.density, beside)
        # the step falls with energy as the photoabsorption of its element does
        first, second = tables.mass_absorption(element, position * np.array([1.001, 1.4]))
        return float(above - below), float(np.log(first / second) / np.log(1.4 / 1.001)), position

    @cached_property
    def atoms_per_um3(self) -> float:
        """Atoms of the element that is studied in a cubic micrometre."""
        return tables.atoms_per_um3(self.formula, self.density, self.near_edge.element)
