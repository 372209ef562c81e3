"""The main scan of a full-field microscope: frames, and the flats that they are relative to, at each energy."""

from collections.abc import Mapping, Sequence
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import Msg, MsgGenerator

from whiteline.plans import stubs
from whiteline.plans.checks import energy_list, require_count
from whiteline.plans.dwell import remember
from whiteline.plans.flats import FlatPolicy
from whiteline.plans.frames import DarkPolicy, Frames
from whiteline.plans.groups import edge_groups, new_group
from whiteline.plans.label import Label
from whiteline.plans.metadata import start_metadata
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
    exposure_s: float,
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
    return_to: float | None = None,
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
    exposure_s : float
        Of one frame [s].
    frames : int
        With the sample, at each energy and position.
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
    return_to : float, optional
        Energy that is gone to at the end [eV].
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
    """
    axis = satisfying(energy, Axis, "energy")
    taken = Frames(
        camera, sample, shutter, exposure_s=exposure_s, frames=frames, flats=flats, flat_frames=flat_frames,
        darks=darks, dark_frames=dark_frames, read=[axis], also=also,
    )  # fmt: skip
    places = _places(sample, positions)
    tuning = _tuning(tune_every, tune_axis, tune_span, tune_points, tune_signal, tune_feedback, also, shutter)
    edges = edge_groups(energies, filter_names, energy, filters)
    if return_to is not None:
        energy_list([return_to], energy, "return_to")
    arguments = {
        "camera": camera, "energy": energy, "sample": sample, "shutter": shutter, "exposure_s": exposure_s,
        "frames": frames, "flats": flats, "flat_frames": flat_frames, "darks": darks, "dark_frames": dark_frames,
        "positions": positions, "filters": filters, "also": also, "tune_every": tune_every, "tune_axis": tune_axis,
        "tune_span": tune_span, "tune_points": tune_points, "tune_signal": tune_signal, "tune_feedback": tune_feedback,
        "return_to": return_to,
    }  # fmt: skip
    label = Label("position_index")
    steps: list[Step] = closing(shutter)

    def at_all_places() -> MsgGenerator[None]:
        for number, (x, y) in enumerate(places):
            label.value = number
            yield from stubs.mv(sample.x, x, sample.y, y)  # type: ignore[attr-defined]
            yield from taken.take("primary", [label])

    def stack(wanted: Sequence[float]) -> MsgGenerator[None]:
        yield from taken.before()
        for number, value in enumerate(wanted):
            yield from stubs.mv(axis, value)
            if tuning is not None and number % (tune_every or 1) == 0:
                yield from tuning.maximise(axis)
            frames_there = at_all_places() if places else taken.take("primary")
            yield from taken.beside_flats(frames_there, number, len(wanted))
        yield from taken.after()

    def scan() -> MsgGenerator[tuple[str, ...]]:
        staged = [energy, camera, *also]
        steps.extend(unstaging(*staged))
        steps.extend(tuning.steps() if tuning is not None else [])
        steps.append(taken.way.back())
        yield from remember([taken.camera.exposure, taken.camera.frames], steps)
        if filters is not None and filter_names is not None:
            before = yield Msg("locate", filters)
            steps.extend([putting_back(filters, before["setpoint"])] if before else [])
        if places:
            yield from remember([sample.x, sample.y], steps)  # type: ignore[attr-defined]
        if return_to is not None:
            steps.append(putting_back(energy, return_to))
        yield from stubs.mv(taken.camera.exposure, exposure_s, taken.camera.frames, taken.per_event)
        runs = []
        group = new_group("edges") if len(edges) > 1 else {}
        for number, edge in enumerate(edges):
            if filters is not None and edge.filters is not None:
                yield from stubs.mv(filters, list(edge.filters))
            place: dict[str, Any] = {"group_index": number, "group_size": len(edges), **group} if group else {}
            about = start_metadata(
                "xanes_stack",
                {**arguments, "energies": edge.energies, "filter_names": edge.filters},
                None,
                roles={"energy": axis.name, "frames": f"{camera.name}_image"},
                detectors=[camera, *also],
                motors=[axis],
                energies=edge.energies,
                num_points=len(edge.energies) * (len(places) or 1) * taken.events("primary"),
                scan={
                    "type": "XANES stack",
                    "scan_input": [edge.energies[0], edge.energies[-1], len(edge.energies)],
                    "dwell": exposure_s * frames,
                },
                frames_per_event=taken.per_event,
                frames_per_energy=frames,
                positions=places or None,
                filters=edge.filters,
                **place,
            )
            yield from bps.stage_all(*staged)
            runs.append((yield from bpp.run_wrapper(stack(edge.energies), md=about | dict(md or {}))))
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
