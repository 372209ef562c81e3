"""The main scan of a scanning microscope: the same map at each energy, in focus."""

from collections.abc import Mapping, Sequence
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.plans import paths, stubs
from whiteline.plans.checks import dwell_list, energy_list, require_step_points
from whiteline.plans.followed_region import FollowedRegion
from whiteline.plans.metadata import start_metadata
from whiteline.plans.part import Part
from whiteline.plans.paths import as_range
from whiteline.plans.protocols import Axis, satisfying
from whiteline.plans.restoring import putting_back, restoring
from whiteline.plans.scanned_probe import ScannedProbe
from whiteline.plans.shutter import closing


def raster_stack(
    detectors: Sequence[Readable[Any]],
    energy: Movable[Any],
    energies: Sequence[float],
    fast: Movable[Any],
    slow: Movable[Any],
    *,
    fast_range: tuple[float, float, int],
    slow_range: tuple[float, float, int],
    dwell_s: float | Sequence[float] | None = None,
    snake: bool = False,
    shutter: Movable[Any] | None = None,
    signal: str | None = None,
    incident: str = "counters_incident_rate",
    shift: Readable[Any] | None = None,
    least_confidence: float = 0.0,
    drifted: tuple[float, float] | None = None,
    return_to: float | None = None,
    only: Mapping[str, Sequence[int]] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take the same map at each energy over an absorption edge: the stack that a map of chemistry is made from.

    Parameters
    ----------
    detectors : sequence of Readable
        That are counted at each place, such as the fluorescence detector and the counters.
    energy : Movable
        The energy axis, that the optics follow: so each map is in focus, and shows the same field, as the axis keeps
        the spot where it was. Positions are the same at all energies.
    energies : sequence of float
        Ascending or descending, each once [eV].
    fast, slow : Movable
        The axes along a line, and from line to line, such as x and y of the sample.
    fast_range, slow_range : (start, stop, points)
        Of the map, both ends included, as positions of the axes [µm].
    dwell_s : float or sequence of float, optional
        How long to count at a place, at all or at each energy [s]; if it is not given, what the list of energies says
        of its regions, else 1.
    snake : bool
        Whether every second line is run backwards; where a map has an odd number of lines, the next one begins
        backwards.
    shutter : Movable, optional
        Opened only while something counts.
    signal, incident : str, optional
        Data keys of the line whose absorption is mapped, and of the beam before the sample.
    shift : Readable, optional
        Part of the live analysis, as `live.shift`: each map is taken where the sample has drifted to. Maps of less than
        32 points along a side are too small to tell.
    least_confidence : float
        Of a shift that is followed, between 0 and 1; else the scan goes on where it was, and says so in the stream
        "drift".
    drifted : (y, x), optional
        By how much the sample has drifted since the ranges were chosen, along the slow and the fast axis [µm], as an
        earlier run has found: the first map is taken there.
    return_to : float, optional
        Energy that is gone to at the end [eV]; where the scan ends if it is not given.
    only : mapping of str to sequence of int, optional
        Numbers of the points that are taken, from 1, in their order, map after map: ``{"primary": [401, 402]}``. All if
        it is not given.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    str
        The run; its maps have the shape (energies, slow points, fast points).

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right, and for a camera, which needs no probe; nothing was moved then.
    """
    probe = ScannedProbe(detectors, fast, slow, shutter)
    axis = satisfying(energy, Axis, "energy")
    wanted = energy_list(energies, energy)
    dwells = dwell_list(dwell_s, energies, len(wanted))
    if return_to is not None:
        energy_list([return_to], energy, "return_to")
    wide, high = as_range(fast_range, "fast_range"), as_range(slow_range, "slow_range")
    require_step_points(len(wanted) * wide[2] * high[2])
    places = paths.raster(wide, high, snake=snake, maps=len(wanted)).reshape(len(wanted), -1, 2)
    each = places.shape[1]
    part = Part({"primary": len(wanted) * each}, only)
    probe.check(places[0], dwells)
    probe.check_lines(max(wanted))  # below the edge a line may well be missing, but not everywhere
    arguments = {
        "detectors": detectors, "energy": energy, "energies": wanted, "fast": fast, "slow": slow,
        "fast_range": fast_range, "slow_range": slow_range, "dwell_s": dwells, "snake": snake, "shutter": shutter,
        "signal": signal, "incident": incident, "shift": shift, "least_confidence": least_confidence,
        "drifted": drifted, "return_to": return_to,
    }  # fmt: skip
    about = start_metadata(
        "raster_stack",
        arguments,
        md,
        roles=probe.roles(signal, incident) | {"energy": axis.name},
        detectors=probe.detectors,
        motors=[axis, probe.slow, probe.fast],
        energies=wanted,
        num_points=len(wanted) * wide[2] * high[2],
        shape=[len(wanted), high[2], wide[2]],
        scan=probe.pyxrf("XANES raster", wide, high, dwells[0], snake),
        snaking=[False, False, snake],
        extents=[[wanted[0], wanted[-1]], high[:2], wide[:2]],
        **part.about(),
    )
    steps = closing(shutter)
    region = None
    if shift is not None:
        region = FollowedRegion(shift, [probe.fast, probe.slow], [wide, high], least_confidence, drifted or (0.0, 0.0))

    @bpp.run_decorator(md=about)
    def stack() -> MsgGenerator[None]:
        counted_for, begun = None, False
        for number, (value, dwell, those) in enumerate(zip(wanted, dwells, places, strict=True)):
            if not part.wants("primary", number * each + 1, each):
                continue
            if region is not None and begun:
                yield from region.follow(those, [axis])
            if dwell != counted_for:
                yield from probe.set_dwell(dwell)
                counted_for = dwell
            yield from stubs.mv(axis, value)
            probe.forget_place()
            for index, place in enumerate(those if region is None else region.places(those)):
                if part.wants("primary", number * each + index + 1):
                    yield from probe.take(place, [axis])
            begun = True

    def scan() -> MsgGenerator[str]:
        yield from probe.remember(steps, axis)
        if return_to is not None:
            steps.append(putting_back(energy, return_to))
        yield from bps.stage_all(axis, *probe.staged)
        return (yield from stack())

    return (yield from restoring(scan(), steps))
