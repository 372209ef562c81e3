"""The same fly raster at each energy, in focus: the main scan of a nanoprobe."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.protocols import Flyable, Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.plans import stubs
from whiteline.plans.checks import dwell_list, energy_list
from whiteline.plans.flown_map import FlownMap
from whiteline.plans.fly_lines import FlyLines
from whiteline.plans.fly_paths import PlacedLine
from whiteline.plans.followed_region import FollowedRegion
from whiteline.plans.metadata import start_metadata
from whiteline.plans.part import Part
from whiteline.plans.paths import as_range, moved_by
from whiteline.plans.protocols import Axis, satisfying
from whiteline.plans.restoring import putting_back, restoring
from whiteline.plans.shutter import closing


def fly_raster_stack(
    detectors: Sequence[Flyable],
    energy: Movable[Any],
    energies: Sequence[float],
    fast: Movable[Any],
    slow: Movable[Any],
    *,
    capture: Flyable,
    fast_range: tuple[float, float, int],
    slow_range: tuple[float, float, int],
    dwell_s: float | Sequence[float] | None = None,
    snake: bool = False,
    shutter: Movable[Any] | None = None,
    strict: bool = False,
    retries: int = 2,
    signal: str | None = None,
    incident: str = "capture_incident_rate",
    shift: Readable[Any] | None = None,
    least_confidence: float = 0.0,
    drifted: tuple[float, float] | None = None,
    return_to: float | None = None,
    only: Mapping[str, Sequence[int]] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take the same fly raster at each energy over an absorption edge.

    Parameters
    ----------
    detectors : sequence of Flyable
        That the capture box triggers at each pixel; there may be none.
    energy : Movable
        The energy axis, that the optics follow. It is read once before each map.
    energies : sequence of float
        Ascending or descending, each once [eV].
    fast, slow : Movable
        The axes along a line, and from line to line, both read by the capture box.
    capture : Flyable
        The capture box.
    fast_range, slow_range : (start, stop, points)
        Of the map, both ends included, as positions of the middles of its pixels [µm].
    dwell_s : float or sequence of float, optional
        Gate of a pixel, at all or at each energy [s]; if it is not given, what the list of energies says of its
        regions, else 1.
    snake : bool
        Whether every second line is run backwards; where a map has an odd number of lines, the next one begins
        backwards.
    shutter : Movable, optional
        Opened only while a line is flown.
    strict : bool
        Whether a line is taken again if a detector has missed triggers; if it misses some each time, that is an error.
    retries : int
        How often a line that has failed is taken again.
    signal, incident : str, optional
        Data keys of the line whose absorption is mapped, and of the beam before the sample.
    shift : Readable, optional
        Part of the live analysis, as `live.shift`: each map is taken where the sample has drifted to, and says by how
        much that is. Maps of less than 32 points along a side are too small to tell.
    least_confidence : float
        Of a shift that is followed, between 0 and 1; else the scan goes on where it was, and says so in the stream
        "drift".
    drifted : (y, x), optional
        By how much the sample has drifted since the ranges were chosen, along the slow and the fast axis [µm], as an
        earlier run has found: the first map is taken there.
    return_to : float, optional
        Energy that is gone to at the end [eV]; where the scan ends if it is not given.
    only : mapping of str to sequence of int, optional
        Numbers of the lines that are flown, from 1, map after map, and of the maps before which the energy is read:
        ``{"fly": [41, 42], "primary": [3]}``. All if it is not given.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    str
        The run; its maps have the shape (energies, slow points, fast points).

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right, or that the hardware cannot do; nothing was moved then.
    """
    fly = FlyLines(capture, detectors, shutter=shutter, strict=strict, retries=retries)
    flown = FlownMap(fly, fast, slow)
    axis = satisfying(energy, Axis, "energy")
    wanted = energy_list(energies, energy)
    dwells = dwell_list(dwell_s, energies, len(wanted))
    if return_to is not None:
        energy_list([return_to], energy, "return_to")
    wide, high = as_range(fast_range, "fast_range", least=2), as_range(slow_range, "slow_range")
    steps = closing(shutter)
    region = None
    if shift is not None:
        # maps are put onto a grid that ascends along both axes, whichever way they were flown
        region = FollowedRegion(
            shift, [flown.fast, flown.slow], [(0.0, 1.0, 2)] * 2, least_confidence, drifted or (0.0, 0.0)
        )

    def lines_of(number: int) -> list[PlacedLine]:
        """Return the lines of a map, where the sample is now."""
        y, x = (0.0, 0.0) if region is None else region.moved
        return flown.lines(moved_by(wide, x), moved_by(high, y), dwells[number], snake, before=number * high[2])

    for number in range(len(wanted)):
        lines_of(number)  # refuses what cannot be
    part = Part({"primary": len(wanted), "fly": len(wanted) * high[2]}, only)
    fly.check_lines(max(wanted))  # below the edge a line may well be missing, but not everywhere
    arguments = {
        "detectors": detectors, "energy": energy, "energies": wanted, "fast": fast, "slow": slow, "capture": capture,
        "fast_range": fast_range, "slow_range": slow_range, "dwell_s": dwells, "snake": snake, "shutter": shutter,
        "strict": strict, "retries": retries, "signal": signal, "incident": incident, "shift": shift,
        "least_confidence": least_confidence, "drifted": drifted, "return_to": return_to,
    }  # fmt: skip
    about = start_metadata(
        "fly_raster_stack",
        arguments,
        md,
        roles=flown.roles(signal, incident) | {"energy": axis.name},
        detectors=[fly.capture, *fly.detectors],
        motors=[axis, flown.slow, flown.fast],
        energies=wanted,
        num_points=len(wanted) * wide[2] * high[2],
        shape=[len(wanted), high[2], wide[2]],
        scan=flown.pyxrf("XANES fly raster", wide, high, dwells[0], snake),
        snaking=[False, False, snake],
        extents=[[wanted[0], wanted[-1]], high[:2], wide[:2]],
        channels=flown.channels,
        hints={},
        **part.about(),
    )

    @bpp.run_decorator(md=about)
    def stack() -> MsgGenerator[None]:
        yield from fly.telling(maps())

    def maps() -> MsgGenerator[None]:
        begun = False
        for number, value in enumerate(wanted):
            if not (part.wants("fly", number * high[2] + 1, high[2]) or part.wants("primary", number + 1)):
                continue
            if region is not None and begun:
                yield from region.follow(partial(lines_of, number), [axis])
            yield from stubs.checkpoint()
            yield from stubs.mv(axis, value)
            also: list[Any] = [axis] if region is None else [axis, region.region]
            yield from flown.take(lines_of(number), also, part=part, map_number=number)
            begun = True

    def scan() -> MsgGenerator[str]:
        yield from flown.remember(steps, axis)
        if return_to is not None:
            steps.append(putting_back(energy, return_to))
        fly.begin(high[2])
        yield from bps.stage_all(axis, *fly.staged)
        return (yield from stack())

    return (yield from restoring(scan(), steps))
