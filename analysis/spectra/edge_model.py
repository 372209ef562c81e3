"""The edge as a model: arctangent step, white line, pre-edge peak, on a line, as the monochromator shows it.

b0 + b1 (E − E0) + S [½ + atan((E − E0) / (Γ/2)) / π] + A / (1 + ((E − Ew) / w)²) + P exp(−½ ((E − Ep) / s)²)

The three are convolved with the Lorentzian of the core hole and the Gaussian of the resolution, which are both known.
Lorentzian widths add, so Γ and 2w are what is left beside the core hole. The convolutions are exact; see `lineshapes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from whiteline.analysis.checks import require
from whiteline.analysis.constants import FWHM_PER_SIGMA
from whiteline.analysis.lineshapes import gaussian_peak, lorentzian_peak, voigt_step
from whiteline.analysis.spectra.checks import Floats, require_range, require_spectrum
from whiteline.analysis.spectra.edge_position import edge_by_derivative, edge_fixed

STEP_NAMES = ("b0", "b1", "e0", "jump", "width")
WHITE_LINE_NAMES = ("white_line_height", "white_line_position", "white_line_width")
PRE_EDGE_NAMES = ("pre_edge_height", "pre_edge_position", "pre_edge_width")

FIT_RANGE_EV = (-80.0, 60.0)
"""What is fitted, relative to the steepest rise: further up a spectrum oscillates, which is no part of the model."""

PRE_EDGE_EV = (-20.0, -2.0)
"""Where a pre-edge peak may lie, relative to the steepest rise; else it would take over a part of the edge."""

WIDEST_PRE_EDGE_EV = 4.0

GRID_EV: Mapping[str, tuple[float, ...]] = {
    "e0": (0.0, -2.5, -5.0, -7.5, -10.0),  # from the steepest rise, which a high white line draws to its own flank
    "width": (1.0, 4.0),
    "white_line_width": (2.0, 4.0),
    "pre_edge_position": (-4.0, -6.0, -8.0, -10.0, -12.0, -14.0),  # from E0
}
"""What is tried before the fit; at each the heights are found by linear least squares."""

STARTS = 2
"""How many of the best of these the fit is started from."""

AT_BOUND = 1e-3
"""A width or height that ends so near to its bound [eV or share of the jump] is held there."""


@dataclass(frozen=True, eq=False)
class EdgeFit:
    """The model of an edge, fitted.

    Parameters
    ----------
    values, errors : mapping of str to float
        Parameters by name, and their standard errors; NaN for one that was held at its bound. `b0`, `b1` [1/eV]; `e0`
        [eV], `jump`, `width` Γ [eV]; `white_line_height` A, `white_line_position` [eV], `white_line_width` w, half at
        half maximum [eV]; `pre_edge_height` P, `pre_edge_position` [eV], `pre_edge_width` s, standard deviation [eV].
    names : tuple of str
        Which of them were fitted, in the order of the covariance.
    covariance : ndarray of float64, shape (k, k)
        Of those.
    at_bound : tuple of str
        Which were held at the end of what is possible; with the height of a peak, its position and width.
    core_hole, resolution : float
        Full widths at half maximum that the model was convolved with [eV].
    energy, fitted, residual : ndarray of float64, shape (n,)
        Energies that were fitted [eV], the model, and the spectrum less the model.
    reduced_chi_square : float
        Of the fit; NaN if no error was given, as the errors are then scaled to make it 1.
    """

    values: Mapping[str, float]
    errors: Mapping[str, float]
    names: tuple[str, ...]
    covariance: Floats
    at_bound: tuple[str, ...]
    core_hole: float
    resolution: float
    energy: Floats
    fitted: Floats
    residual: Floats
    reduced_chi_square: float

    @property
    def e0(self) -> tuple[float, float]:
        """Middle of the arctangent step, and its standard error [eV]."""
        return self.values["e0"], self.errors["e0"]

    @property
    def white_line(self) -> tuple[float, float]:
        """Position of the white line, and its standard error [eV]; NaN if none was fitted."""
        name = "white_line_position"
        return self.values.get(name, np.nan), self.errors.get(name, np.nan)

    def absorption(self, energy: ArrayLike) -> Floats:
        """Return the model at energies [eV]."""
        return edge_absorption(np.asarray(energy, float), self.values, self.core_hole, self.resolution)


def edge_absorption(energy: Floats, values: Mapping[str, float], core_hole: float, resolution: float) -> Floats:
    """Return the model of an edge.

    Parameters
    ----------
    energy : ndarray, shape (n,)
        Photon energies [eV].
    values : mapping of str to float
        Parameters by name, as in `EdgeFit`; those of white line or pre-edge peak may be absent.
    core_hole, resolution : float
        Full widths at half maximum [eV].

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    sigma, hole = resolution / FWHM_PER_SIGMA, core_hole / 2
    offset = energy - values["e0"]
    total = values["b0"] + values["b1"] * offset
    total = total + values["jump"] * voigt_step(offset, sigma, values["width"] / 2 + hole)
    if "white_line_height" in values:
        place, width = values["white_line_position"], values["white_line_width"]
        total = total + values["white_line_height"] * lorentzian_peak(energy - place, width, sigma, hole)
    if "pre_edge_height" in values:
        place, width = values["pre_edge_position"], values["pre_edge_width"]
        total = total + values["pre_edge_height"] * gaussian_peak(energy - place, width, sigma, hole)
    return np.asarray(total)


def fit_edge(
    energy: ArrayLike,
    absorption: ArrayLike,
    error: ArrayLike | None = None,
    *,
    core_hole: float,
    resolution: float,
    white_line: bool = True,
    pre_edge: bool = True,
    edge: float | None = None,
    fit_range: tuple[float, float] = FIT_RANGE_EV,
    start: Mapping[str, float] | None = None,
) -> EdgeFit:
    """Fit the model of an edge to a spectrum.

    Parameters
    ----------
    energy : array_like, shape (n,)
        Photon energies, ascending, each once [eV].
    absorption : array_like, shape (n,)
        Absorption, in any scale.
    error : array_like, shape (n,) or a number, optional
        Standard error of the absorption. If it is not given, each energy counts alike, and the errors come from the
        scatter about the fit.
    core_hole : float
        Full width of the core hole [eV], `tables.core_hole_width`; 0 for a reference that was measured, as its widths
        hold it already.
    resolution : float
        Full width of the monochromator at half maximum [eV], `laws.bragg.energy_resolution`; 0 if it is to be part of
        the fitted widths.
    white_line, pre_edge : bool
        Whether there is a white line, and a peak before the edge.
    edge : float, optional
        Energy that the range is relative to [eV]; the maximum of the derivative if it is not given.
    fit_range : tuple of float
        What is fitted, relative to the edge [eV].
    start : mapping of str to float, optional
        Parameters to start from, by name; for those that are not given a grid of them is tried.

    Returns
    -------
    EdgeFit

    Raises
    ------
    OutOfRange
        If an energy is no energy in eV, an absorption is not finite, or a width negative.
    ValueError
        If energies do not ascend, each once; the range holds too few of them; there is no edge; a parameter to start
        from is not known; or the fit does not end.
    """
    energies, values, errors = require_spectrum(energy, absorption, error)
    require(core_hole, 0 <= core_hole < np.inf, "width of the core hole", "must be finite and not negative", "eV")
    require(resolution, 0 <= resolution < np.inf, "resolution", "must be finite and not negative", "eV")
    names = STEP_NAMES + WHITE_LINE_NAMES * white_line + PRE_EDGE_NAMES * pre_edge
    if unknown := sorted(set(start or {}) - set(names)):
        raise ValueError(f"parameter {unknown[0]!r} to start from is none of {', '.join(names)}")
    found = edge_by_derivative(energies, values, errors) if edge is None else edge_fixed(energies, edge)
    low, high = found.energy + fit_range[0], found.energy + fit_range[1]
    inside = (energies >= low) & (energies <= high)
    require_range(energies, inside, low, high, "range of the fit", len(names) + 1)
    energies, values = energies[inside], values[inside]
    sigma = np.ones_like(values) if errors is None else errors[inside]

    results = []
    for first in _starts(energies, values, sigma, found.energy, names, core_hole, resolution, start or {}):
        parameters = _parameters(names, first, found.energy)
        results.append(_minimised(parameters, energies, values, sigma, core_hole, resolution, scaled=errors is None))
    result, held = min(results, key=lambda one: float(one[0].chisqr))
    _require_determined(result, energies)
    fitted = {name: float(result.params[name].value) for name in names}
    free = tuple(result.var_names)
    covariance = np.asarray(result.covar, float)
    own = dict(zip(free, np.sqrt(np.diag(covariance)), strict=True))
    model = edge_absorption(energies, fitted, core_hole, resolution)
    return EdgeFit(
        values=fitted,
        errors={name: float(own.get(name, np.nan)) for name in names},
        names=free,
        covariance=covariance,
        at_bound=held,
        core_hole=core_hole,
        resolution=resolution,
        energy=energies,
        fitted=model,
        residual=values - model,
        reduced_chi_square=np.nan if errors is None else float(result.redchi),
    )


def _minimised(
    parameters: Any,
    energies: Floats,
    values: Floats,
    sigma: Floats,
    core_hole: float,
    resolution: float,
    *,
    scaled: bool,
) -> tuple[Any, tuple[str, ...]]:
    """Return the result of lmfit, and which parameters had to be held at their bound for it."""

    import lmfit  # here: it takes a second to load, and maps need spectra without it

    def difference(current: Any) -> Floats:
        return (values - edge_absorption(energies, current.valuesdict(), core_hole, resolution)) / sigma

    # First the rest, with the pre-edge peak where it is: a small one that moves too early ends as a spike.
    peak = [name for name in ("pre_edge_position", "pre_edge_width") if name in parameters]
    if peak:
        for name in peak:
            parameters[name].set(vary=False)
        parameters = lmfit.minimize(difference, parameters, method="leastsq", max_nfev=20_000).params
        for name in peak:
            parameters[name].set(vary=True)

    held: list[str] = []
    while True:
        result = lmfit.minimize(difference, parameters, method="leastsq", scale_covar=scaled, max_nfev=20_000)
        bound = [name for name in result.var_names if _nearest_bound(name, result.params) is not None]
        if not bound:
            break
        parameters = result.params
        for name in bound:
            parameters[name].set(value=_nearest_bound(name, parameters), vary=False)
            if name.endswith("height"):  # a peak that is not there is nowhere
                bound += [part for part in parameters if part.startswith(name[: -len("height")]) and part not in bound]
        held += bound
    return result, tuple(held)


def _require_determined(result: Any, energies: Floats) -> None:
    if not result.success or result.covar is None or not np.isfinite(result.covar).all():
        raise ValueError(
            f"the model of an edge cannot be fitted to {energies.size} energies, {energies[0]:.8g} to "
            f"{energies[-1]:.8g} eV: {' '.join(str(result.message).split())}; fit without pre-edge peak or white line, "
            f"or start nearer"
        )


def _nearest_bound(name: str, parameters: Any) -> float | None:
    """Return the bound that a parameter has run into, if it has."""
    one = parameters[name]
    room = AT_BOUND * (abs(float(parameters["jump"].value)) if name.endswith("height") else 1.0)
    return next((float(end) for end in (one.min, one.max) if np.isfinite(end) and abs(one.value - end) < room), None)


def _parameters(names: tuple[str, ...], start: Mapping[str, float], steepest: float) -> Any:
    import lmfit

    parameters = lmfit.Parameters()
    for name in names:
        positive = name == "jump" or name.endswith(("width", "height"))
        value = max(start[name], 10 * AT_BOUND) if positive else start[name]
        parameters.add(name, value=value, min=_least(name))
    if "pre_edge_height" in names:
        parameters["pre_edge_position"].set(min=steepest + PRE_EDGE_EV[0], max=steepest + PRE_EDGE_EV[1])
        parameters["pre_edge_width"].set(max=WIDEST_PRE_EDGE_EV)
    return parameters


def _least(name: str) -> float:
    """Return the bound of a parameter: no peak is narrower than no monochromator would tell from a line."""
    if name in ("white_line_width", "pre_edge_width"):
        return 0.2
    return 0.0 if name in ("jump", "width") or name.endswith("height") else -np.inf


def _starts(
    energies: Floats,
    values: Floats,
    sigma: Floats,
    steepest: float,
    names: tuple[str, ...],
    core_hole: float,
    resolution: float,
    given: Mapping[str, float],
) -> list[dict[str, float]]:
    """Return the best of a grid of parameters to start from, best first, each with another E0."""
    rising = (energies > steepest) & (energies < steepest + 25)
    top = float(energies[int(np.argmax(np.where(rising, values, -np.inf)))])
    heights = [name for name in names if name in ("jump", "white_line_height", "pre_edge_height")]
    least = 0.02 * float(np.ptp(values))
    grid = {name: (0.0,) if name in given else places for name, places in GRID_EV.items() if name in names}
    best: dict[float, tuple[float, dict[str, float]]] = {}
    for chosen in product(*grid.values()):
        trial = {"b0": 0.0, "b1": 0.0, "white_line_position": top, "pre_edge_width": 1.2}
        trial |= dict(zip(grid, chosen, strict=True))
        trial["e0"] += steepest
        if "pre_edge_position" in trial:
            trial["pre_edge_position"] += trial["e0"]
        trial |= given
        columns = [np.ones_like(energies), energies - trial["e0"]]
        for name in heights:
            alone = trial | {"b0": 0.0, "b1": 0.0} | dict.fromkeys(heights, 0.0) | {name: 1.0}
            columns.append(edge_absorption(energies, alone, core_hole, resolution))
        basis = np.stack(columns, axis=1) / sigma[:, None]
        linear = np.linalg.lstsq(basis, values / sigma, rcond=None)[0]
        linear[2:] = np.maximum(linear[2:], least)
        misfit = float(np.sum((basis @ linear - values / sigma) ** 2))
        trial |= dict(zip(("b0", "b1", *heights), (float(one) for one in linear), strict=True))
        if trial["e0"] not in best or misfit < best[trial["e0"]][0]:
            best[trial["e0"]] = misfit, {name: trial[name] for name in names} | dict(given)
    return [trial for _, trial in sorted(best.values(), key=lambda one: one[0])[:STARTS]]
