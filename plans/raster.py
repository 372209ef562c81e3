"""Maps of a scanned probe, point by point: rectangles, spirals, and what lies inside polygons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator
from numpy.typing import NDArray

from whiteline.plans import paths, spirals
from whiteline.plans.checks import require_dwell, require_step_points
from whiteline.plans.groups import new_group
from whiteline.plans.label import Label
from whiteline.plans.metadata import start_metadata
from whiteline.plans.part import Part, require_one
from whiteline.plans.paths import Places, Range, as_rectangles
from whiteline.plans.regions import as_polygon, clipped
from whiteline.plans.restoring import restoring
from whiteline.plans.scanned_probe import ScannedProbe
from whiteline.plans.shutter import closing

PathKind = Literal["raster", "hexagonal", "spiral", "square spiral", "fermat"]
"""How the places of a rectangle are visited."""


def raster(
    detectors: Sequence[Readable[Any]],
    fast: Movable[Any],
    slow: Movable[Any],
    *,
    fast_range: tuple[float, float, int] | None = None,
    slow_range: tuple[float, float, int] | None = None,
    regions: Sequence[tuple[tuple[float, float, int], tuple[float, float, int]]] | None = None,
    dwell_s: float,
    path: PathKind = "raster",
    snake: bool = False,
    polygons: Sequence[Sequence[tuple[float, float]]] | None = None,
    energy: Readable[Any] | None = None,
    shutter: Movable[Any] | None = None,
    signal: str | None = None,
    incident: str = "counters_incident_rate",
    only: Mapping[str, Sequence[int]] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[tuple[str, ...]]:
    """Take a map point by point, with whatever counts at a point.

    Parameters
    ----------
    detectors : sequence of Readable
        That are counted at each place: fluorescence, counters, spectrometer, interferometer.
    fast, slow : Movable
        The axes along a line, and from line to line, such as x and y of the sample.
    fast_range, slow_range : (start, stop, points)
        Of the map, both ends included, as positions of the axes [µm]. Paths that are no lines fill the same rectangle
        with the same steps.
    regions : sequence of (fast_range, slow_range), optional
        Several such rectangles instead; each is a run of its own, and all are linked as a group.
    dwell_s : float
        How long to count at each place [s].
    path : {"raster", "hexagonal", "spiral", "square spiral", "fermat"}
        In lines; in lines of which every second one is shifted by half a step; in rings around the middle; the points
        of a raster, along squares around the middle; along the spiral of Fermat. Only a whole raster in lines is opened
        as a map: of the others the positions are recorded with the points.
    snake : bool
        Whether every second line is run backwards.
    polygons : sequence of sequence of (fast, slow), optional
        Only places inside one of these are visited, one polygon after the other; corners as positions of the axes [µm].
    energy : Readable, optional
        Read with every point.
    shutter : Movable, optional
        Opened only while something counts.
    signal, incident : str, optional
        Data keys of what the map is about, and of the beam before the sample.
    only : mapping of str to sequence of int, optional
        Numbers of the points that are taken, from 1, in the order of their path: ``{"primary": [4, 5]}``; of one
        rectangle only. All if it is not given.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    tuple of str
        The runs, one for each rectangle.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right, and for a camera, which needs no probe; nothing was moved then.

    Notes
    -----
    At the end the axes go back to where they were, and dwells are as before. Every point is an event of its own, so
    there are at most 10⁴ of them; `fly_raster` writes an event for each line.
    """
    probe = ScannedProbe(detectors, fast, slow, shutter)
    require_dwell(dwell_s)
    rectangles = as_rectangles(fast_range, slow_range, regions)
    require_step_points(sum(wide[2] * high[2] for wide, high in rectangles))
    maps = _maps(rectangles, path, snake, polygons)
    parts = [Part({"primary": len(one.places)}, require_one(only, len(maps))) for one in maps]
    for one in maps:
        probe.check(one.places, [dwell_s])
    arguments = {
        "detectors": detectors, "fast": fast, "slow": slow, "fast_range": fast_range, "slow_range": slow_range,
        "regions": regions, "dwell_s": dwell_s, "path": path, "snake": snake, "polygons": polygons, "energy": energy,
        "shutter": shutter, "signal": signal, "incident": incident,
    }  # fmt: skip
    group = new_group("regions") if len(maps) > 1 else {}
    steps = closing(shutter)
    label = Label("region_index")

    def about(number: int, one: _Map) -> dict[str, Any]:
        found = start_metadata(
            "raster",
            arguments,
            None,
            roles=probe.roles(signal, incident) | {"energy": "" if energy is None else energy.name},
            detectors=probe.detectors,
            motors=[probe.slow, probe.fast],
            num_points=len(one.places),
            shape=one.shape,
            scan=probe.pyxrf("XRF_STEP", one.fast, one.slow, dwell_s, snake),
            path=path,
            **one.about_lines(snake),
            **parts[number].about(),
        )
        if one.shape is not None and min(one.shape) > 1:
            found["hints"] = {**found["hints"], "gridding": "rectilinear"}
        place = {"group_index": number, "group_size": len(maps), **group} if group else {}
        return found | place | dict(md or {})

    def take(number: int, one: _Map) -> MsgGenerator[str]:
        also: list[Any] = [] if energy is None else [energy]
        if one.polygons is not None:
            also.append(label)

        @bpp.run_decorator(md=about(number, one))
        def points() -> MsgGenerator[None]:
            for index, place in enumerate(one.places):
                if not parts[number].wants("primary", index + 1):
                    continue
                label.value = 0 if one.polygons is None else int(one.polygons[index])
                yield from probe.take(place, also)

        return (yield from points())

    def scan() -> MsgGenerator[tuple[str, ...]]:
        if energy is not None:
            here = yield from bps.rd(energy, default_value=None)
            if here is not None:  # a simulation that moves nothing reads nothing
                probe.check_lines(here)
        also = [] if energy is None else [energy]
        yield from probe.remember(steps, *also)
        yield from probe.set_dwell(dwell_s)
        runs = []
        for number, one in enumerate(maps):
            yield from bps.stage_all(*also, *probe.staged)
            runs.append((yield from take(number, one)))
            yield from bps.unstage_all(*reversed([*also, *probe.staged]))
        return tuple(runs)

    return (yield from restoring(scan(), steps))


@dataclass(frozen=True, eq=False)
class _Map:
    """Places of one run, of a rectangle; `polygons` tells in which polygon each lies."""

    fast: Range
    slow: Range
    places: Places
    polygons: NDArray[Any] | None
    shape: tuple[int, int] | None

    def about_lines(self, snake: bool) -> dict[str, Any]:
        """Return what those need who put the points onto a map, slow axis first."""
        found: dict[str, Any] = {"extents": [self.slow[:2], self.fast[:2]]}
        if self.shape is not None:
            found["snaking"] = [False, snake]
        return found


def _maps(
    rectangles: Sequence[tuple[Range, Range]],
    path: str,
    snake: bool,
    polygons: Sequence[Sequence[tuple[float, float]]] | None,
) -> list[_Map]:
    if path not in get_args(PathKind):
        raise ValueError(f"path = {path!r} must be one of {', '.join(map(repr, get_args(PathKind)))}")
    if snake and path not in ("raster", "hexagonal"):
        raise ValueError(f"snake goes with lines, and path = {path!r} has none; leave it away")
    if polygons is not None and not len(polygons):
        raise ValueError("polygons is empty; give the corners of each, or leave it away for the whole rectangle")
    corners = None if polygons is None else [as_polygon(one, f"polygon {n}") for n, one in enumerate(polygons)]
    found = []
    for fast, slow in rectangles:
        places = {
            "raster": lambda fast=fast, slow=slow: paths.raster(fast, slow, snake=snake),
            "hexagonal": lambda fast=fast, slow=slow: paths.hexagonal(fast, slow, snake=snake),
            "spiral": lambda fast=fast, slow=slow: spirals.spiral(fast, slow),
            "square spiral": lambda fast=fast, slow=slow: spirals.square_spiral(fast, slow),
            "fermat": lambda fast=fast, slow=slow: spirals.fermat(fast, slow),
        }[path]()
        numbers = None
        if corners is not None:
            places, numbers = clipped(places, corners)
        shape = (slow[2], fast[2]) if path == "raster" and corners is None else None
        found.append(_Map(fast, slow, places, numbers, shape))
    return found
