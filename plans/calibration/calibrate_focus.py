"""The calibration of the focus: a series through focus at several energies, and the law that goes through them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.analysis.calibration import Calibration, FocusCalibration
from whiteline.analysis.calibration.base import LARGEST_FOCUS_ERROR, Uncertain
from whiteline.analysis.checks import require
from whiteline.analysis.focus import RunOut, fit_focus, fit_run_out
from whiteline.analysis.laws.full_field import magnification
from whiteline.plans.calibration.conclude import Origin, conclude, in_run, origin, present, record
from whiteline.plans.calibration.displacement import Displacement
from whiteline.plans.calibration.emitted import Calibrated
from whiteline.plans.calibration.focus_series import prepared, series_metadata
from whiteline.plans.calibration.looks import ByEdge, ByImage, Looks
from whiteline.plans.calibration.optic import Optic
from whiteline.plans.calibration.through_focus import Focus, ThroughFocus
from whiteline.plans.calibration.ways import way_to_look
from whiteline.plans.checks import energy_list, require_count, require_dwell
from whiteline.plans.dwell import remember
from whiteline.plans.groups import new_group
from whiteline.plans.protocols import Axis, satisfying
from whiteline.plans.restoring import Step, putting_back, restoring
from whiteline.plans.shutter import closing
from whiteline.plans.supposing import suppose

MOST_ENERGIES = 9
"""More than these tell nothing that two or three do not, and take long."""

MOVES = 6
"""Of the sample, for the magnification."""

RUN_OUT_ERRORS = 3.0
"""A run-out is taken over only where it differs from the one before by so many of its standard errors."""


def calibrate_focus(
    detectors: Sequence[Readable[Any]],
    energy: Movable[Any],
    zone_plate: Readable[Any],
    energies: Sequence[float],
    *,
    shutter: Movable[Any] | None,
    dwell_s: float,
    frames: int = 10,
    points: int = 15,
    span: float | None = None,
    search: float | None = 1.0,
    sharpness: Readable[Any] | None = None,
    shift: Readable[Any] | None = None,
    sample: Readable[Any] | None = None,
    edge_axis: Movable[Any] | None = None,
    edge_range: Sequence[float] | None = None,
    signal: str | None = None,
    incident: str | None = None,
    run_out: bool = True,
    displaced: Movable[Any] | None = None,
    displacement: float = 4.0,
    apply: bool = True,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[Calibrated]:
    """Calibrate the focus of the zone plate: A0 and A1, the run-out of its axis, and the magnification in focus.

    Calibrate the energy first: an energy that is off by 1 eV moves the focus by a quarter of its depth.

    Parameters
    ----------
    detectors : sequence of Readable
        The camera; or what is counted at each place of an edge.
    energy : Movable
        The energy axis, which places the optics.
    zone_plate : Readable
        With its axis `z` [mm] and its `calibration`.
    energies : sequence of float
        At which a series is taken, ascending or descending [eV]; two to five over the range of the scans.
    shutter : Movable or None
        Open only while something counts.
    dwell_s : float
        Of a frame, or of a point [s].
    frames : int
        Of a camera, that make an image; flats are of as many. Below an edge the contrast is small, and needs many.
    points, span, search : optional
        As in `focus_series`; the search is made at the first energy only.
    sharpness, shift, sample : Readable, optional
        As in `focus_series`, of a full-field microscope.
    edge_axis, edge_range, signal, incident : optional
        As in `focus_series`, of a scanning microscope.
    run_out : bool
        Whether the run-out is fitted to the shifts of the images, and taken over where it has changed.
    displaced : Movable, optional
        Axis of the sample across the beam [µm]. If it is given, the magnification is measured at the last energy when
        the focus was found, as `calibrate_magnification` does, in a run of its own.
    displacement : float
        Of each of its moves [µm].
    apply : bool
        Whether a good calibration is given to the zone plate, and to the energy axis.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    Calibrated
        With A0, A1, their covariance, and run-out and magnification where they were found; and `edge` [µm], where an
        edge that was scanned is now. A bad fit is not applied, and `reason` says why; that of the magnification stands
        in its own event, and leaves the focus as it was found.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then.
    """
    axis, optic = satisfying(energy, Axis, "energy"), Optic(zone_plate)
    z = optic.z
    looks = way_to_look(
        detectors, axis, z, sharpness=sharpness, shift=shift, sample=sample, edge_axis=edge_axis,
        edge_range=edge_range, signal=signal, incident=incident, shutter=shutter,
    )  # fmt: skip
    require_dwell(dwell_s)
    require_count(frames, "frames")
    wanted = energy_list(energies, energy)
    require(len(wanted), len(wanted) <= MOST_ENERGIES, "number of energies", f"must be at most {MOST_ENERGIES}")
    series = ThroughFocus(looks, optic, points=points, span=span, search=search)
    arguments = {
        "detectors": detectors, "energy": energy, "zone_plate": zone_plate, "energies": wanted, "shutter": shutter,
        "dwell_s": dwell_s, "frames": frames, "points": points, "span": span, "search": search,
        "sharpness": sharpness, "shift": shift, "sample": sample, "edge_axis": edge_axis, "edge_range": edge_range,
        "signal": signal, "incident": incident, "run_out": run_out, "displaced": displaced,
        "displacement": displacement, "apply": apply,
    }  # fmt: skip
    way = way_to_displace(looks, shift, displaced, displacement)
    about = series_metadata("calibrate_focus", arguments, md, axis, z, detectors, points * len(wanted))
    steps: list[Step] = closing(shutter)

    def body(run: str) -> MsgGenerator[Calibrated]:
        before = yield from present(optic.calibration)
        here = origin(before, run)
        foci: list[Focus] = []
        off = 0.0
        for number, value in enumerate(wanted):
            yield from bps.mv(energy, value)
            stands = float((yield from bps.rd(z, default_value=0.0)))
            try:
                focus = yield from series.find(stands + off, value, search=number == 0)
            except ValueError as error:
                found = Calibrated("zone_plate", reason=f"no focus was found at {value:g} eV: {error}", run=run)
                yield from record(found)
                return found
            foci.append(focus)
            off = focus.best.z - stands
        wander = fitted_run_out(foci, known_run_out(before) if optic.straight else (0.0, 0.0)) if run_out else None
        return (
            yield from conclude(
                "zone_plate", run, lambda: fitted_focus(foci, optic.law, before, here, wander),
                signal=optic.calibration, apply=apply,
                more=lambda: {**run_out_quantities(wander), **edge_quantities(looks)},
            )
        )  # fmt: skip

    def magnified(found: Calibrated, way: Displacement) -> MsgGenerator[Calibrated]:
        # a camera says once while it is staged where its frames lie, and each run has to know
        yield from bps.unstage(way.camera)
        yield from bps.stage(way.camera)
        yield from bps.mv(energy, wanted[-1])  # which takes the zone plate to the focus that was found
        enlarged = yield from in_run(about | {"num_points": way.points}, lambda run: way.calibrated(run, apply))
        if not enlarged.applied:
            return found
        return replace(found, quantities={**found.quantities, "magnification": enlarged.quantities["factor"]})

    def scan() -> MsgGenerator[Calibrated]:
        home = yield from bps.rd(axis, default_value=None)
        # the zone plate first: if the energy cannot go home, it is where it was at least
        yield from optic.remember(steps)
        steps.extend([putting_back(energy, home)] if home is not None else [])
        yield from prepared(looks.steps, steps, [energy, *looks.staged], detectors, dwell_s, frames, edge_axis)
        if way is None:
            return (yield from in_run(about, body))
        yield from remember([way.axis], steps)
        group = new_group("focus and magnification")
        about.update({**group, "group_index": 0, "group_size": 2})
        found = yield from in_run(about, body)
        about.update({"group_index": 1})
        if found.applied or (yield from suppose(True)):
            found = yield from magnified(found, way)
        return found

    return (yield from restoring(scan(), steps))


def way_to_displace(looks: Looks, shift: Any, axis: Any, um: float) -> Displacement | None:
    """Return how the magnification is measured; None if no axis is given for it.

    Raises
    ------
    OutOfRange, TypeError, ValueError
        If it cannot be: that takes images, and their shifts.
    """
    if axis is None:
        return None
    if not isinstance(looks, ByImage) or shift is None:
        raise ValueError("displaced needs images of a full-field microscope and shift, a part of the live analysis")
    return Displacement(
        looks.camera, looks.energy, axis, shift=shift, out=looks.out, shutter=looks.shutter, um=um, moves=MOVES
    )


def fitted_focus(
    foci: Sequence[Focus], law: Any, before: Calibration | None, here: Origin, run_out: RunOut | None
) -> FocusCalibration:
    """Return the calibration that foci at several energies give.

    Raises
    ------
    ValueError
        If the fit fails, or knows the focus to no better than 5 % of its depth at one of the energies.
    """
    energies = np.array([one.energy for one in foci])
    detectors = np.array([one.detector for one in foci])
    full_field = bool(np.isfinite(detectors).all())
    calibration = fit_focus(
        energies,
        [one.best.z for one in foci],
        [one.error for one in foci],
        law,
        date=here.date,
        source=here.source,
        version=here.version,
        detector=detectors if full_field else None,
        run_out=changed_run_out(known_run_out(before), run_out),
    ).calibration
    errors = calibration.full_field_error(energies, detectors) if full_field else calibration.scanning_error(energies)
    allowed = LARGEST_FOCUS_ERROR * 1e-3 * np.asarray(law.depth_of_focus(energies))
    if (errors > allowed).any():
        worst = int(np.argmax(errors / allowed))
        raise Uncertain(
            f"the focus at {energies[worst]:g} eV is known to no better than {1e3 * errors[worst]:.3g} µm, above "
            f"{1e3 * allowed[worst]:.3g} µm: count longer, or take more points"
        )
    return calibration


def changed_run_out(old: tuple[float, float], found: RunOut | None) -> tuple[float, float]:
    """Return the run-out to go on with: what was found, where it is surely not what it was."""
    if found is None:
        return old
    new, errors = (found.x, found.y), (found.error_x, found.error_y)
    pairs = zip(new, old, errors, strict=True)
    return new if any(abs(a - b) > RUN_OUT_ERRORS * error for a, b, error in pairs) else old


def run_out_quantities(found: RunOut | None) -> dict[str, tuple[float, float, str]]:
    """Return the run-out by name, with its errors."""
    if found is None:
        return {}
    return {"run_out_x": (found.x, found.error_x, "µm/mm"), "run_out_y": (found.y, found.error_y, "µm/mm")}


def edge_quantities(looks: Looks) -> dict[str, tuple[float, float, str]]:
    """Return where the edge is by the last scan that showed it: the sample has drifted meanwhile."""
    last = looks.edge.last if isinstance(looks, ByEdge) else None
    return {} if last is None else {"edge": (last.position, last.position_error, "µm")}


def known_run_out(before: Calibration | None) -> tuple[float, float]:
    """Return the run-out of the calibration before [µm/mm]."""
    return before.run_out if isinstance(before, FocusCalibration) else (0.0, 0.0)


def fitted_run_out(foci: Sequence[Focus], taken_back: tuple[float, float]) -> RunOut | None:
    """Return the run-out by the shifts of the images in all series, None where too few are to be believed.

    What was taken back by x and y of the zone plate as z moved [µm/mm] is added to what was left. The sample drifts
    from series to series, so each gives a slope of its own, and their weighted mean is taken.
    """
    found: list[RunOut] = []
    for focus in foci:
        looks = [one for one in focus.looks if all(map(math.isfinite, one.shift_um))]
        if len(looks) < 3 or not math.isfinite(focus.detector):
            continue
        z = [one.z for one in looks]
        enlarged = float(magnification(focus.best.z, focus.detector))
        found.append(fit_run_out(z, [one.shift_um for one in looks], pixel_um=1.0, magnification=enlarged))
    if not found:
        return None
    values = np.array([[one.x, one.y] for one in found])
    weights = 1 / np.maximum(np.array([[one.error_x, one.error_y] for one in found]), 1e-6) ** 2
    values = values + np.array(taken_back)
    mean = (weights * values).sum(axis=0) / weights.sum(axis=0)
    errors = 1 / np.sqrt(weights.sum(axis=0))
    if len(found) > 1:  # drift is no part of the scatter within a series
        scatter = (weights * (values - mean) ** 2).sum(axis=0) / (len(found) - 1)
        errors = errors * np.sqrt(np.maximum(scatter, 1.0))
    return RunOut(float(mean[0]), float(mean[1]), float(errors[0]), float(errors[1]))
