"""The calibration of the energy: foils are scanned, and d-spacing and offset of the monochromator fitted to them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator
from scipy.special import chdtrc

from whiteline.analysis.calibration import Calibration, EnergyCalibration, fit_energy
from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.spectra.foil import FoilCalibration
from whiteline.analysis.spectra.repeated_scans import noise_of
from whiteline.analysis.tables import edge_energy
from whiteline.plans.calibration.conclude import Origin, conclude, in_run, origin, present, record
from whiteline.plans.calibration.emitted import Calibrated
from whiteline.plans.calibration.foil_scan import REACH_EV, FoilScan, FoilScanned
from whiteline.plans.checks import require_count, require_dwell
from whiteline.plans.dwell import dwells_of, remember, set_dwell
from whiteline.plans.metadata import start_metadata
from whiteline.plans.protocols import Axis, check_together, satisfying
from whiteline.plans.restoring import Step, putting_back, restoring, unstaging
from whiteline.plans.shutter import closing

LARGEST_SPACING_CHANGE = 5e-4
"""No lattice changes by more, relatively: a foil was mistaken for another, or the angle is not linear."""

LEAST_PROBABILITY = 1e-3
"""Residuals less probable than this say that the errors were too small: the covariance is scaled up to them."""


def calibrate_energy(
    counters: Readable[Any],
    energy: Movable[Any],
    monochromator: Readable[Any],
    foil_wheel: Movable[Any],
    foils: Sequence[str],
    *,
    shutter: Movable[Any] | None,
    dwell_s: float = 0.2,
    passes: int = 2,
    edge: str = "K",
    incident: str = "counters_incident",
    reference: str = "counters_reference",
    apply: bool = True,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[Calibrated]:
    """Calibrate the energy on foils: the offset of the Bragg angle on one, the d-spacing, too, on several.

    Each foil is scanned coarsely, and finely about its edge there and back. How far the scans differ says how large the
    errors are. While foils are scanned the optics stay where they are, if the energy axis lets them.

    Parameters
    ----------
    counters : Readable
        The ion chambers.
    energy, monochromator : Movable, Readable
        The energy axis, and the device that holds its `calibration`.
    foil_wheel : Movable
        Turns a foil into the beam, by its name.
    foils : sequence of str
        Their names, which are those of their elements.
    shutter : Movable or None
        Open only while something counts.
    dwell_s : float
        Of each point [s].
    passes : int
        Fine scans of each foil; at least 2.
    edge : str
        Which edge of the foils.
    incident, reference : str
        Data keys of the counts before the foil, and behind it.
    apply : bool
        Whether a good calibration is given to the monochromator.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    Calibrated
        With d and Δ, their covariance, and the edge of each foil as it was read with the calibration before. A bad fit
        is not applied, and `reason` says why.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then.
    """
    axis = satisfying(energy, Axis, "energy")
    held = getattr(monochromator, "calibration", None)
    if held is None:
        raise TypeError(f"monochromator = {getattr(monochromator, 'name', monochromator)} has no calibration")
    require_dwell(dwell_s)
    require_count(passes, "passes", 2)
    edges = foil_edges(foils, edge, energy, foil_wheel)
    scanning = FoilScan(
        counters, axis, foil_wheel, shutter=shutter, incident=incident, reference=reference, passes=passes
    )
    arguments = {
        "counters": counters, "energy": energy, "monochromator": monochromator, "foil_wheel": foil_wheel,
        "foils": list(foils), "shutter": shutter, "dwell_s": dwell_s, "passes": passes, "edge": edge,
        "incident": incident, "reference": reference, "apply": apply,
    }  # fmt: skip
    about = start_metadata(
        "calibrate_energy",
        arguments,
        md,
        roles={"energy": axis.name, "incident": incident, "reference": reference},
        detectors=[counters],
        motors=[axis],
        num_points=len(edges) * scanning.points,
        may_stop_early=True,
    )
    steps: list[Step] = closing(shutter)

    def body(run: str) -> MsgGenerator[Calibrated]:
        before = yield from present(held)
        scanned: list[FoilScanned] = []
        for name in edges:
            try:
                scanned.append((yield from scanning.scan(name, name, edge)))
            except ValueError as error:
                found = Calibrated("monochromator", reason=str(error), run=run)
                yield from record(found)
                return found
        fitted: list[FoilCalibration] = []

        def make() -> EnergyCalibration:
            old = spacing_before(before)
            noise = noise_of([one.repeated(old.spacing) for one in scanned])
            fitted.extend(one.calibrated(noise, old.spacing) for one in scanned)
            return fitted_energy(fitted, old, origin(before, run))

        return (
            yield from conclude(
                "monochromator", run, make, signal=held, apply=apply,
                more=lambda: {f"{one.element} {one.edge}": (one.measured, one.error, "eV") for one in fitted},
            )
        )  # fmt: skip

    def scan() -> MsgGenerator[Calibrated]:
        steps.extend(unstaging(energy, counters))
        yield from remember([foil_wheel], steps)
        yield from remember([*dwells_of([counters]), *_setting(counters, "gains")], steps)
        yield from remember(_setting(energy, "optics_follow"), steps)
        home = yield from bps.rd(axis, default_value=None)
        steps.extend([putting_back(energy, home)] if home is not None else [])
        yield from set_dwell(dwells_of([counters]), dwell_s)
        for one in _setting(energy, "optics_follow"):
            yield from bps.mv(one, False)
        yield from bps.stage_all(energy, counters)
        return (yield from in_run(about, body))

    return (yield from restoring(scan(), steps))


def foil_edges(foils: Sequence[str], edge: str, energy: object, wheel: object) -> tuple[str, ...]:
    """Return the names of foils by ascending edge, if all can be scanned.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        If there is none, one is twice, is no element, is not on the wheel, or cannot be reached.
    """
    if isinstance(foils, str):
        raise TypeError(f"foils = {foils!r} must be a list of names, such as [{foils!r}]")
    if not foils or len(set(foils)) < len(foils):
        raise ValueError(f"foils = {list(foils)} must name at least one, each once")
    places = {name: edge_energy(name, edge) for name in foils}
    check_together(wheel, list(foils))
    for place in places.values():
        check_together(energy, [place - REACH_EV, place + REACH_EV])
    return tuple(sorted(places, key=lambda name: places[name]))


def spacing_before(before: Calibration | None) -> EnergyCalibration:
    """Return the calibration that the energies of the scans were computed with.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not isinstance(before, EnergyCalibration):
        raise ValueError("the monochromator holds no calibration that the energies of the scans could be traced to")
    return before


def fitted_energy(foils: Sequence[FoilCalibration], before: EnergyCalibration, here: Origin) -> EnergyCalibration:
    """Return the calibration that the edges of foils give.

    Raises
    ------
    OutOfRange
        If the d-spacing comes out as no lattice could have it.
    Uncertain
        If an edge is known to no better than 0.2 eV.
    """
    readings = [one.bragg_reading(before) for one in foils]
    found = fit_energy(
        [one.tabulated for one in foils],
        [reading for reading, _ in readings],
        [error for _, error in readings],
        spacing=before.spacing,
        version=here.version,
        date=here.date,
        source=here.source,
    )
    free = len(foils) - 2
    if free > 0:
        angles = np.array([float(found.angle(one.tabulated)) for one in foils])
        misfit = (np.array([reading for reading, _ in readings]) - angles) / np.array([error for _, error in readings])
        chi_square = float(misfit @ misfit)
        if chdtrc(free, chi_square) < LEAST_PROBABILITY:
            scaled = np.asarray(found.covariance) * chi_square / free
            found = replace(found, covariance=tuple(tuple(float(one) for one in row) for row in scaled))
    change = found.spacing / before.spacing - 1
    if abs(change) > LARGEST_SPACING_CHANGE:
        raise OutOfRange(
            "change of the d-spacing", change, f"must be at most {LARGEST_SPACING_CHANGE:g} of it", "",
            "look whether each foil is what its name says, or calibrate on one",
        )  # fmt: skip
    found.refuse_uncertain(np.array([one.tabulated for one in foils]))
    return found


def _setting(device: Any, name: str) -> list[Any]:
    found = getattr(device, name, None)
    return [] if found is None else [found]
