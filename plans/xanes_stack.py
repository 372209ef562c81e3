"""The main scan of a full-field microscope: frames, and the flats that they are relative to, at each energy."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import Msg, MsgGenerator

from whiteline.plans import stubs
from whiteline.plans.checks import energy_list, require_count, require_dwell
from whiteline.plans.dwell import remember
from whiteline.plans.flats import FlatPolicy, flat_comes_first, flat_is_due, require_policy
from whiteline.plans.groups import edge_groups, new_group
from whiteline.plans.label import Label
from whiteline.plans.metadata import start_metadata
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis, Camera, SampleInAndOut, check_together, satisfying
from whiteline.plans.restoring import Step, putting_back, restoring, unstaging
from whiteline.plans.sample_out import SampleOut
from whiteline.plans.shutter import closing
from whiteline.plans.tuning import Tuning

DarkPolicy = Literal["before", "before and after", "none"]

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
    taking = _Taking(
        camera=satisfying(camera, Camera, "camera"),
        axis=satisfying(energy, Axis, "energy"),
        sample=_with_way_out(sample, flats),
        shutter=shutter,
        counts={"primary": frames, "flat": flat_frames or frames, "dark": dark_frames or frames},
        flats=flats,
        darks=darks,
        places=_places(sample, positions),
        also=tuple(also),
        tuning=_tuning(tune_every, tune_axis, tune_span, tune_points, tune_signal, tune_feedback, also, shutter),
        tune_every=tune_every,
    )
    require_dwell(exposure_s, "exposure")
    require_policy(flats)
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
    steps: list[Step] = closing(shutter)

    def scan() -> MsgGenerator[tuple[str, ...]]:
        staged = [energy, camera, *also]
        steps.extend(unstaging(*staged))
        steps.extend(taking.tuning.steps() if taking.tuning is not None else [])
        steps.append(taking.out.back())
        yield from remember([taking.camera.exposure, taking.camera.frames], steps)
        if filters is not None and filter_names is not None:
            before = yield Msg("locate", filters)
            steps.extend([putting_back(filters, before["setpoint"])] if before else [])
        if positions is not None:
            yield from remember([taking.sample.x, taking.sample.y], steps)
        if return_to is not None:
            steps.append(putting_back(energy, return_to))
        yield from stubs.mv(taking.camera.exposure, exposure_s, taking.camera.frames, taking.frames_per_event)
        runs = []
        group = new_group("edges") if len(edges) > 1 else {}
        for number, edge in enumerate(edges):
            if filters is not None and edge.filters is not None:
                yield from stubs.mv(filters, list(edge.filters))
            about = taking.metadata(edge.energies, arguments, exposure_s, filters=edge.filters)
            yield from bps.stage_all(*staged)
            place = {"group_index": number, "group_size": len(edges), **group} if group else {}
            runs.append((yield from taking.run(edge.energies, about | place | dict(md or {}))))
            yield from bps.unstage_all(*reversed(staged))
        return tuple(runs)

    return (yield from restoring(scan(), steps))


class _Taking:
    """What a stack is taken with, and how one energy after the other is taken."""

    def __init__(
        self,
        *,
        camera: Camera,
        axis: Axis,
        sample: Any,
        shutter: Movable[Any],
        counts: Mapping[str, int],
        flats: FlatPolicy,
        darks: DarkPolicy,
        places: Sequence[tuple[float, float]] | None,
        also: Sequence[Readable[Any]],
        tuning: Tuning | None,
        tune_every: int | None,
    ) -> None:
        for stream, count in counts.items():
            require_count(count, f"frames of stream {stream!r}")
        if darks not in ("before", "before and after", "none"):
            raise ValueError(f"darks = {darks!r} must be 'before', 'before and after' or 'none'")
        self.camera, self.axis, self.sample, self.shutter = camera, axis, sample, shutter
        self.counts, self.flats, self.darks, self.places, self.also = counts, flats, darks, places, also
        self.tuning, self._tune_every = tuning, tune_every or 1
        # the camera takes the same number of frames at every trigger of a run, as its file has one shape
        self.frames_per_event = math.gcd(*counts.values())
        self.out = SampleOut(sample) if isinstance(sample, SampleInAndOut) else _Never()
        self.label = Label("position_index")

    def metadata(
        self, energies: Sequence[float], arguments: Mapping[str, Any], exposure_s: float, **more: Any
    ) -> dict[str, Any]:
        """Return what the start document says."""
        places = 1 if self.places is None else len(self.places)
        return start_metadata(
            "xanes_stack",
            {**arguments, "energies": energies, "filter_names": more["filters"]},
            None,
            roles={"energy": self.axis.name, "frames": f"{self.camera.name}_image"},
            detectors=[self.camera, *self.also],
            motors=[self.axis],
            energies=energies,
            num_points=len(energies) * places * self._events("primary"),
            scan={
                "type": "XANES stack",
                "scan_input": [energies[0], energies[-1], len(energies)],
                "dwell": exposure_s * self.counts["primary"],
            },
            frames_per_event=self.frames_per_event,
            frames_per_energy=self.counts["primary"],
            positions=self.places,
            **more,
        )

    def run(self, energies: Sequence[float], about: Mapping[str, Any]) -> MsgGenerator[str]:
        """Take one run over one edge."""

        @bpp.run_decorator(md=about)
        def stack() -> MsgGenerator[None]:
            if self.darks != "none":
                yield from self._take("dark")
            for number, value in enumerate(energies):
                yield from stubs.mv(self.axis, value)
                if self.tuning is not None and number % self._tune_every == 0:
                    yield from self.tuning.maximise(self.axis)
                due = flat_is_due(self.flats, number, len(energies))
                first = due and flat_comes_first(self.flats, number, self.out.is_out)
                if first:
                    yield from self._take_flats()
                yield from self.out.go_in()
                yield from self._take_frames()
                if due and not first:
                    yield from self._take_flats()
            yield from self.out.go_in()
            if self.darks == "before and after":
                yield from self._take("dark")

        return (yield from stack())

    def _take_frames(self) -> MsgGenerator[None]:
        for number, place in enumerate(self.places or [None]):
            self.label.value = number
            if place is not None:
                yield from stubs.mv(self.sample.x, place[0], self.sample.y, place[1])
            yield from self._take("primary")

    def _take_flats(self) -> MsgGenerator[None]:
        yield from self.out.go_out()
        yield from self._take("flat")

    def _take(self, stream: str) -> MsgGenerator[None]:
        detectors: list[Readable[Any]] = [self.camera, *self.also]
        read: list[Readable[Any]] = [self.axis]
        if stream == "primary":
            detectors += [axis for axis in (getattr(self.sample, "x", None), getattr(self.sample, "y", None)) if axis]
            read += [self.label] if self.places is not None else []
        for _ in range(self._events(stream)):
            yield from take_point(detectors, read, shutter=None if stream == "dark" else self.shutter, stream=stream)

    def _events(self, stream: str) -> int:
        return self.counts[stream] // self.frames_per_event


class _Never:
    """A sample that is never taken out."""

    is_out = False

    def go_out(self) -> MsgGenerator[None]:
        """Do nothing."""
        yield from bps.null()

    def go_in(self) -> MsgGenerator[None]:
        """Do nothing."""
        yield from bps.null()

    def back(self) -> Step:
        """Return a step that does nothing."""
        return Step("leave the sample where it is", bps.null)


def _with_way_out(sample: Any, flats: FlatPolicy) -> Any:
    """Refuse flats of a sample that cannot be taken out."""
    if flats != "none" and not isinstance(sample, SampleInAndOut):
        raise ValueError(
            f"flats = {flats!r} need a sample that can be taken out, and {getattr(sample, 'name', sample)!r} has no "
            "out_steps; give the sample stage, or flats = 'none'"
        )
    return sample


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


def _places(sample: Any, positions: Sequence[tuple[float, float]] | None) -> list[tuple[float, float]] | None:
    if positions is None:
        return None
    if not len(positions):
        raise ValueError(
            "positions is empty; give (x, y) in µm, or leave it away for the place where the sample stands"
        )
    for axis, values in ((sample.x, [one[0] for one in positions]), (sample.y, [one[1] for one in positions])):
        check_together(axis, values)
    return [(float(x), float(y)) for x, y in positions]
