"""Maps of a scanned probe that is flown line by line: thousands of pixels a second, each where it truly was."""

from collections.abc import Mapping, Sequence
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.protocols import Flyable, Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.plans import stubs
from whiteline.plans.checks import require_dwell
from whiteline.plans.flown_map import FlownMap
from whiteline.plans.fly_lines import FlyLines
from whiteline.plans.groups import new_group
from whiteline.plans.metadata import start_metadata
from whiteline.plans.part import Part, require_one
from whiteline.plans.paths import as_rectangles
from whiteline.plans.restoring import restoring
from whiteline.plans.shutter import closing


def fly_raster(
    detectors: Sequence[Flyable],
    fast: Movable[Any],
    slow: Movable[Any],
    *,
    capture: Flyable,
    fast_range: tuple[float, float, int] | None = None,
    slow_range: tuple[float, float, int] | None = None,
    regions: Sequence[tuple[tuple[float, float, int], tuple[float, float, int]]] | None = None,
    dwell_s: float,
    snake: bool = False,
    energy: Readable[Any] | None = None,
    shutter: Movable[Any] | None = None,
    strict: bool = False,
    retries: int = 2,
    signal: str | None = None,
    incident: str = "capture_incident_rate",
    only: Mapping[str, Sequence[int]] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[tuple[str, ...]]:
    """Take a map in lines of constant velocity: positions and counts of each pixel come from the capture box.

    Parameters
    ----------
    detectors : sequence of Flyable
        That the capture box triggers at each pixel, such as the fluorescence detector. There may be none: counters are
        counted by the box itself.
    fast, slow : Movable
        The axes along a line, and from line to line, such as x and y of the sample, both read by the box.
    capture : Flyable
        The capture box.
    fast_range, slow_range : (start, stop, points)
        Of the map, both ends included, as positions of the middles of its pixels [µm].
    regions : sequence of (fast_range, slow_range), optional
        Several such rectangles instead; each is a run of its own, and all are linked as a group.
    dwell_s : float
        Gate of each pixel [s]; the velocity is a step in this time.
    snake : bool
        Whether every second line is run backwards.
    energy : Readable, optional
        Read once before the lines.
    shutter : Movable, optional
        Opened only while a line is flown.
    strict : bool
        Whether a line is taken again if a detector has missed triggers; if it misses some each time, that is an error.
        Else such pixels are masked.
    retries : int
        How often a line that has failed is taken again.
    signal, incident : str, optional
        Data keys of what the map is about, and of the beam before the sample.
    only : mapping of str to sequence of int, optional
        Numbers of the lines that are flown, from 1: ``{"fly": [4, 5]}``, and ``"primary": [1]`` to read the energy; of
        one rectangle only. All if it is not given.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    tuple of str
        The runs, one for each rectangle.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For what cannot be: an axis that would leave its limits in its run-up, a velocity or a rate of triggers that is
        too high; nothing was moved then.

    Notes
    -----
    At the end the axes go back to where they were, with their velocities. A line that is taken again stays in the file
    of the box, no document refers to it, and the stream "again" says why.
    """
    fly = FlyLines(capture, detectors, shutter=shutter, strict=strict, retries=retries)
    flown = FlownMap(fly, fast, slow)
    require_dwell(dwell_s)
    rectangles = as_rectangles(fast_range, slow_range, regions, least=2)
    lines = [flown.lines(wide, high, dwell_s, snake) for wide, high in rectangles]
    parts = [
        Part({"primary": int(energy is not None), "fly": len(those)}, require_one(only, len(lines))) for those in lines
    ]
    arguments = {
        "detectors": detectors, "fast": fast, "slow": slow, "capture": capture, "fast_range": fast_range,
        "slow_range": slow_range, "regions": regions, "dwell_s": dwell_s, "snake": snake, "energy": energy,
        "shutter": shutter, "strict": strict, "retries": retries, "signal": signal, "incident": incident,
    }  # fmt: skip
    group = new_group("regions") if len(rectangles) > 1 else {}
    steps = closing(shutter)
    also: list[Any] = [] if energy is None else [energy]

    def about(number: int) -> dict[str, Any]:
        wide, high = rectangles[number]
        found = start_metadata(
            "fly_raster",
            arguments,
            None,
            roles=flown.roles(signal, incident) | {"energy": "" if energy is None else energy.name},
            detectors=[fly.capture, *fly.detectors],
            motors=[flown.slow, flown.fast],
            num_points=wide[2] * high[2],
            shape=[high[2], wide[2]],
            scan=flown.pyxrf("XRF_FLY", wide, high, dwell_s, snake),
            snaking=[False, snake],
            extents=[high[:2], wide[:2]],
            channels=flown.channels,
            hints={},
            **parts[number].about(),
        )
        place = {"group_index": number, "group_size": len(rectangles), **group} if group else {}
        return found | place | dict(md or {})

    def take(number: int) -> MsgGenerator[str]:
        fly.begin(len(lines[number]))

        @bpp.run_decorator(md=about(number))
        def rectangle() -> MsgGenerator[None]:
            yield from fly.telling(flown.take(lines[number], also, part=parts[number]))

        return (yield from rectangle())

    def scan() -> MsgGenerator[tuple[str, ...]]:
        if energy is not None:
            here = yield from stubs.rd(energy, default_value=None)
            if here is not None:  # a simulation that moves nothing reads nothing
                fly.check_lines(here)
        yield from flown.remember(steps, *also)
        runs = []
        for number in range(len(rectangles)):
            yield from bps.stage_all(*also, *fly.staged)
            runs.append((yield from take(number)))
            yield from bps.unstage_all(*reversed([*also, *fly.staged]))
        return tuple(runs)

    return (yield from restoring(scan(), steps))
