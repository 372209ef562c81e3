"""The main scan of a full-field microscope: frames, and the flats that they are relative to, at each energy."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import bluesky.plan_stubs as bps
from bluesky.protocols import Movable, Readable
from bluesky.utils import Msg, MsgGenerator

from whiteline.plans import stubs
from whiteline.plans.calibration.conclude import in_run
from whiteline.plans.checks import dwell_list, energy_list, require_count
from whiteline.plans.drift import DriftCorrection, HeldSample, stands
from whiteline.plans.dwell import remember
from whiteline.plans.flats import FlatPolicy
from whiteline.plans.frames import DarkPolicy, Frames
from whiteline.plans.groups import Edge, edge_groups, new_group
from whiteline.plans.kept_focus import KeptFocus
from whiteline.plans.label import Label
from whiteline.plans.metadata import start_metadata
from whiteline.plans.part import Part, require_one
from whiteline.plans.passes import Passes
from whiteline.plans.protocols import Axis, check_together, satisfying
from whiteline.plans.restoring import Step, putting_back, restoring, unstaging
from whiteline.plans.shutter import closing
from whiteline.plans.tuning import Tuning

EARLY_STOP = 3
"""Points below half of a maximum, behind it, that end the tuning of an axis."""


def xanes_stack(
    camera: Readable[Any],
    energy: Movable[Any],
    energies: Sequence[float] | Sequence[Sequence[float]],
    *,
    sample: Readable[Any],
    shutter: Movable[Any],
    exposure_s: float | Sequence[float],
    frames: int = 1,
    flats: FlatPolicy = "each",
    flat_frames: int | None = None,
    darks: DarkPolicy = "before",
    dark_frames: int | None = None,
    positions: Sequence[tuple[float, float]] | None = None,
    filters: Movable[Any] | None = None,
    filter_names: Sequence[str] | Sequence[Sequence[str]] | None = None,
    also: Sequence[Readable[Any]] = (),
    tune_every: int | None = None,
    tune_axis: Movable[Any] | None = None,
    tune_span: float | None = None,
    tune_points: int = 21,
    tune_signal: str = "counters_incident_counts",
    tune_feedback: Movable[Any] | None = None,
    passes: int = 1,
    stop_at_error: float | None = None,
    error: Readable[Any] | None = None,
    dose_budget_Gy: float | None = None,
    dose: Readable[Any] | None = None,
    shift: Readable[Any] | None = None,
    image_directions: Sequence[int] = (1, 1),
    least_confidence: float = 0.0,
    drifted: Sequence[tuple[float, float]] | None = None,
    look_s: float | None = None,
    sharpness: Readable[Any] | None = None,
    zone_plate: Readable[Any] | None = None,
    refocus_points: int = 11,
    refocus_at_most: int = 3,
    return_to: float | None = None,
    only: Mapping[str, Sequence[int]] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[tuple[str, ...]]:
    """Take frames over an absorption edge: the stack that a map of chemistry is made from.

    Parameters
    ----------
    camera : Readable
        With the settings `exposure` and `frames`.
    energy : Movable
        The energy axis, that zone plate and detector follow.
    energies : sequence of float, or of such sequences
        Ascending or descending [eV]; several lists for several edges, each of which is a run of its own.
    sample : Readable
        The sample stage, with axes x and y [µm], and the steps that take the sample out of the beam.
    shutter : Movable
        Opened only while the camera exposes.
    exposure_s : float or sequence of float
        Of one frame [s]; one for all energies, or one for each. Where they differ, flats of each energy are best.
    frames : int
        With the sample, at each energy and position, in each pass.
    flats : {"each", "before and after", "none"} or int
        At which energies frames without the sample are taken; a number n for every n-th.
    flat_frames, dark_frames : int, optional
        How many; as many as `frames` if it is not given.
    darks : {"before", "before and after", "none"}
        When frames with the shutter closed are taken.
    positions : sequence of (x, y), optional
        Places of the sample, all taken at each energy [µm]; where it stands if it is not given.
    filters : Movable, optional
        The filters of the beamline.
    filter_names : sequence of str, or of such sequences, optional
        Which of them are in the beam; one such list for each edge where there are several.
    also : sequence of Readable
        Triggered and read with every frame, such as the counters.
    tune_every : int, optional
        At every n-th energy, from the first on, `tune_axis` is brought to the maximum of a signal, before the frames.
    tune_axis : Movable, optional
        Such as the fine pitch of the second crystal. A gap that follows the energy stays tuned until the next energy.
    tune_span : float, optional
        Of the scan, about where the axis stands, in its unit.
    tune_points : int
        Over the span; the scan ends when the maximum was passed.
    tune_signal : str
        Data key of what is to be largest, of what is read with the frames.
    tune_feedback : Movable, optional
        Off while the axis is tuned, and on again afterwards if it was on.
    passes : int
        How often the whole list is taken, with the same exposures.
    stop_at_error : float, optional
        No further pass is begun when the median standard error of the fraction is below this, and the references
        explain the spectra.
    error : Readable, optional
        Part of the live analysis that tells it, as `live.error`.
    dose_budget_Gy : float, optional
        A pass that would exceed it is not begun, nor one after a pass whose dose is not known [Gy]; of several edges,
        each has it.
    dose : Readable, optional
        Tells the dose so far, at the most exposed place.
    shift : Readable, optional
        Part of the live analysis, as `live.shift`: the sample is moved against its drift at each energy.
    image_directions : sequence of int
        1 where the image moves towards higher rows (columns) as y (x) of the sample goes up, −1 where lower.
    least_confidence : float
        Of a shift that is corrected, between 0 and 1; else the scan goes on uncorrected, and says so.
    drifted : sequence of (y, x), optional
        By how much the sample is known to have drifted at each of its positions [µm], as an earlier run has found: it
        is held there from the start.
    look_s : float, optional
        Exposure of frames that only tell where the sample has come back to [s]; as that of the others.
    sharpness : Readable, optional
        Part of the live analysis, as `live.sharpness`: the focus is followed, and looked for anew when it is likely to
        be off by half a depth of focus.
    zone_plate : Readable, optional
        Which then is moved through focus.
    refocus_points : int
        Of such a series.
    refocus_at_most : int
        How many of them there may be.
    return_to : float, optional
        Energy that is gone to at the end [eV].
    only : mapping of str to sequence of int, optional
        Numbers of the events that are taken of each role, from 1, in the order in which a whole stack takes them:
        ``{"primary": [41, 42], "flat": [42]}``; of one edge only. All if it is not given.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    tuple of str
        The runs, one for each edge.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then.

    Notes
    -----
    Where flats belong to each energy, every second one begins with its flats, as the sample is still out from the one
    before: it goes out and in half as often.

    A sample that is held comes back to where it has drifted to, and a short frame in the stream "look" tells how far it
    is off. What was corrected stands in the stream "drift", what was expected of the focus in "focus", what each pass
    has come to in "passes"; and what the live analysis has answered in streams that are called as its parts.
    """
    axis = satisfying(energy, Axis, "energy")
    edges = edge_groups(energies, filter_names, energy, filters)
    exposures = [dwell_list(exposure_s, None, len(edge.energies), "exposure_s") for edge in edges]
    label = Label("position_index")
    places = _places(sample, positions)
    labels = [label] if places else []
    taken = Frames(
        camera, sample, shutter, exposure_s=[one for each in exposures for one in each], look_s=look_s, frames=frames,
        flats=flats, flat_frames=flat_frames, darks=darks, dark_frames=dark_frames, read=[axis], also=also,
        look_with=[*labels, *([] if zone_plate is None else [zone_plate.z])],  # type: ignore[attr-defined]
    )  # fmt: skip
    require_one(only, len(edges))
    parts = []
    for edge in edges:
        primary = passes * len(edge.energies) * (len(places) or 1) * taken.events("primary")
        parts.append(Part(taken.planned(primary, len(edge.energies), passes), only))
    tuning = _tuning(tune_every, tune_axis, tune_span, tune_points, tune_signal, tune_feedback, also, shutter)
    repeats = Passes(passes, stop_at_error=stop_at_error, error=error, dose_budget_Gy=dose_budget_Gy, dose=dose)
    held = None
    if shift is not None:
        held = HeldSample(
            DriftCorrection(
                shift, sample, image_directions=image_directions, least_confidence=least_confidence,
                so_far=drifted or (),
            ),
            taken, sample, [axis, *labels],
        )  # fmt: skip
    focus = _focus(sharpness, zone_plate, axis, taken, flats, refocus_points, refocus_at_most)
    if return_to is not None:
        energy_list([return_to], energy, "return_to")
    arguments = {
        "camera": camera, "energy": energy, "sample": sample, "shutter": shutter, "exposure_s": exposure_s,
        "frames": frames, "flats": flats, "flat_frames": flat_frames, "darks": darks, "dark_frames": dark_frames,
        "positions": positions, "filters": filters, "also": also, "tune_every": tune_every, "tune_axis": tune_axis,
        "tune_span": tune_span, "tune_points": tune_points, "tune_signal": tune_signal, "tune_feedback": tune_feedback,
        "passes": passes, "stop_at_error": stop_at_error, "error": error, "dose_budget_Gy": dose_budget_Gy,
        "dose": dose, "shift": shift, "image_directions": image_directions, "least_confidence": least_confidence,
        "drifted": drifted,
        "look_s": look_s, "sharpness": sharpness, "zone_plate": zone_plate, "refocus_points": refocus_points,
        "refocus_at_most": refocus_at_most, "return_to": return_to,
    }  # fmt: skip
    steps: list[Step] = closing(shutter)

    def at_places(stand: Sequence[tuple[float, float]]) -> MsgGenerator[None]:
        for number, (x, y) in enumerate(stand):
            if not taken.wants("primary"):
                taken.leave_out("primary")
                continue
            label.value = number
            if held is not None:
                yield from held.go(number, x, y)
            elif places:
                yield from stubs.mv(sample.x, x, sample.y, y)  # type: ignore[attr-defined]
            yield from taken.take("primary", labels)

    def one_pass(edge: Edge, seconds: Sequence[float], stand: Any, run: str) -> MsgGenerator[float]:
        """Return what part of the energies was taken."""
        count, events, reached = len(edge.energies), len(stand) * taken.events("primary"), 0
        for at, (value, exposure) in enumerate(zip(edge.energies, seconds, strict=True)):
            if taken.passed_over(at, count, events):
                continue
            yield from stubs.mv(axis, value)
            yield from taken.expose(exposure)
            if tuning is not None and (at % (tune_every or 1) == 0 or not taken.begun):
                yield from tuning.maximise(axis)
            if focus is not None and taken.begun:
                yield from focus.keep(value, run)
            yield from taken.beside_flats(at_places(stand), at, count, events)
            reached += 1
        return reached / count

    def stack(edge: Edge, seconds: Sequence[float], part: Part, run: str) -> MsgGenerator[str]:
        taken.begin(part)
        repeats.begin()
        yield from taken.before()
        stand = places or [(yield from stands(sample)) if held is not None else (0.0, 0.0)]
        if held is not None:
            held.begin()
        for number in range(passes):
            share = yield from one_pass(edge, seconds, stand, run)
            if share and (yield from repeats.enough(number + 1, share)):
                break
        yield from taken.after()
        return run

    def scan() -> MsgGenerator[tuple[str, ...]]:
        staged = [energy, camera, *also]
        steps.extend(unstaging(*staged))
        steps.extend(tuning.steps() if tuning is not None else [])
        steps.append(taken.way.back())
        yield from remember([taken.camera.exposure, taken.camera.frames], steps)
        if filters is not None and filter_names is not None:
            before = yield Msg("locate", filters)
            steps.extend([putting_back(filters, before["setpoint"])] if before else [])
        if places or held is not None:
            yield from remember([sample.x, sample.y], steps)  # type: ignore[attr-defined]
        if return_to is not None:
            steps.append(putting_back(energy, return_to))
        yield from stubs.mv(taken.camera.exposure, exposures[0][0], taken.camera.frames, taken.per_event)
        runs = []
        group = new_group("edges") if len(edges) > 1 else {}
        for number, (edge, seconds, part) in enumerate(zip(edges, exposures, parts, strict=True)):
            if filters is not None and edge.filters is not None:
                yield from stubs.mv(filters, list(edge.filters))
            place: dict[str, Any] = {"group_index": number, "group_size": len(edges), **group} if group else {}
            if group:  # of those that an end before them leaves away nothing else would tell
                place["edges"] = [{"energies": one.energies, "filter_names": one.filters} for one in edges]
            about = start_metadata(
                "xanes_stack",
                {**arguments, "energies": edge.energies, "filter_names": edge.filters},
                None,
                roles={"energy": axis.name, "frames": f"{camera.name}_image"},
                detectors=[camera, *also],
                motors=[axis],
                energies=edge.energies,
                num_points=passes * len(edge.energies) * (len(places) or 1) * taken.events("primary"),
                scan={
                    "type": "XANES stack",
                    "scan_input": [edge.energies[0], edge.energies[-1], len(edge.energies)],
                    "dwell": [one * frames for one in seconds] if len(set(seconds)) > 1 else seconds[0] * frames,
                },
                passes=passes,
                may_stop_early=repeats.may_end_early or focus is not None or None,
                frames_per_event=taken.per_event,
                frames_per_energy=frames,
                positions=places or None,
                filters=edge.filters,
                **part.about(),
                **place,
            )
            yield from bps.stage_all(*staged)
            runs.append((yield from in_run(about | dict(md or {}), partial(stack, edge, seconds, part))))
            yield from bps.unstage_all(*reversed(staged))
        return tuple(runs)

    return (yield from restoring(scan(), steps))


def _tuning(
    every: int | None,
    axis: Movable[Any] | None,
    span: float | None,
    points: int,
    signal: str,
    feedback: Movable[Any] | None,
    detectors: Sequence[Readable[Any]],
    shutter: Movable[Any],
) -> Tuning | None:
    if every is None:
        return None
    require_count(every, "tune_every")
    if axis is None or span is None or not detectors:
        raise ValueError(f"tune_every = {every} needs tune_axis, tune_span, and also = [what counts {signal!r}]")
    return Tuning(
        detectors, axis, span=span, points=points, signal=signal, shutter=shutter, early_stop=EARLY_STOP,
        feedback=feedback,
    )  # fmt: skip


def _focus(
    sharpness: Readable[Any] | None,
    zone_plate: Readable[Any] | None,
    energy: Axis,
    taken: Frames,
    flats: FlatPolicy,
    points: int,
    most: int,
) -> KeptFocus | None:
    if sharpness is None and zone_plate is None:
        return None
    if sharpness is None or zone_plate is None or flats == "none":
        raise ValueError("to keep the focus, sharpness, zone_plate and flats are needed: give all of them, or neither")
    return KeptFocus(sharpness, zone_plate, energy, taken, points=points, most=most)


def _places(sample: Any, positions: Sequence[tuple[float, float]] | None) -> list[tuple[float, float]]:
    """Return the places of a sample; none at all stand for where it is."""
    if positions is None:
        return []
    if not len(positions):
        raise ValueError(
            "positions is empty; give (x, y) in µm, or leave it away for the place where the sample stands"
        )
    for axis, values in ((sample.x, [one[0] for one in positions]), (sample.y, [one[1] for one in positions])):
        check_together(axis, values)
    return [(float(x), float(y)) for x, y in positions]
