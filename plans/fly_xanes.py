"""The spectrum of one spot in a few seconds: the energy goes on without a halt, and each point has its own energy."""

from collections.abc import Mapping, Sequence
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
from bluesky.protocols import Flyable, Movable
from bluesky.utils import MsgGenerator

from whiteline.plans import stubs
from whiteline.plans.checks import energy_list, require_count, require_dwell
from whiteline.plans.dwell import remember
from whiteline.plans.fly_lines import FlyLines
from whiteline.plans.metadata import start_metadata
from whiteline.plans.part import Part
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis, SweepsEnergy, satisfying
from whiteline.plans.restoring import putting_back, restoring, unstaging
from whiteline.plans.shutter import closing


def fly_xanes(
    detectors: Sequence[Flyable],
    energy: Movable[Any],
    energy_range: tuple[float, float, int],
    *,
    capture: Flyable,
    sweep: Flyable,
    dwell_s: float,
    repeats: int = 1,
    both_ways: bool = False,
    shutter: Movable[Any] | None = None,
    strict: bool = False,
    retries: int = 2,
    signal: str | None = None,
    incident: str = "capture_incident_rate",
    reference: str = "capture_reference_rate",
    return_to: float | None = None,
    only: Mapping[str, Sequence[int]] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take a XANES spectrum where the sample is, while the energy goes on at constant speed of the Bragg angle.

    Parameters
    ----------
    detectors : sequence of Flyable
        That the capture box triggers at each point; there may be none: counters are counted by the box itself.
    energy : Movable
        The energy axis, that everything follows.
    energy_range : (start, stop, points)
        Of the spectrum [eV]; points are evenly spaced in angle. The energy of each comes from the encoder.
    capture : Flyable
        The capture box, which moves the Bragg angle.
    sweep : Flyable
        What moves in step with it: gaps, and optics that follow the energy.
    dwell_s : float
        Gate of each point [s].
    repeats : int
        How often the range is gone through.
    both_ways : bool
        Whether every second time it is gone through backwards.
    shutter : Movable, optional
        Opened only while the energy goes on.
    strict : bool
        Whether a sweep is taken again if a detector has missed triggers; if it misses some each time, that is an error.
    retries : int
        How often a sweep that has failed is taken again.
    signal, incident, reference : str, optional
        Data keys of what tells the absorption, of the beam before the sample, and of that behind the reference foil.
    return_to : float, optional
        Energy that is gone to at the end [eV]; where it was at first if it is not given.
    only : mapping of str to sequence of int, optional
        Numbers of the repeats that are taken, from 1: ``{"fly": [2, 3]}``. All if it is not given.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    str
        The run.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right, or that an axis or a detector cannot do; nothing was moved then.
    """
    axis = satisfying(energy, Axis, "energy")
    follows = satisfying(sweep, SweepsEnergy, "sweep")
    fly = FlyLines(capture, detectors, [follows], shutter=shutter, strict=strict, retries=retries)
    start, stop, points = _range(energy_range)
    energy_list([start, stop], energy, "energy_range")
    require_dwell(dwell_s)
    require_count(repeats, "repeats")
    part = Part({"fly": repeats}, only)
    if return_to is not None:
        energy_list([return_to], energy, "return_to")
    forth = follows.line(start, stop, points, dwell_s)
    ways = [(start, forth), (stop, follows.line(stop, start, points, dwell_s)) if both_ways else (start, forth)]
    fly.check(*(line for _, line in ways))
    fly.check_lines(max(start, stop))
    arguments = {
        "detectors": detectors, "energy": energy, "energy_range": energy_range, "capture": capture, "sweep": sweep,
        "dwell_s": dwell_s, "repeats": repeats, "both_ways": both_ways, "shutter": shutter, "strict": strict,
        "retries": retries, "signal": signal, "incident": incident, "reference": reference, "return_to": return_to,
    }  # fmt: skip
    planned = np.linspace(start, stop, points)
    about = start_metadata(
        "fly_xanes",
        arguments,
        md,
        roles={"energy": axis.name, "signal": signal or "", "incident": incident, "reference": reference},
        detectors=[fly.capture, *fly.detectors],
        motors=[axis],
        energies=planned.tolist(),
        num_points=repeats * points,
        shape=[points] if repeats == 1 else None,
        scan={"type": "XAS fly", "scan_input": [start, stop, points], "dwell": dwell_s},
        hints={},
        **part.about(),
    )
    steps = closing(shutter)

    @bpp.run_decorator(md=about)
    def spectrum() -> MsgGenerator[None]:
        yield from fly.telling(sweeps())

    def sweeps() -> MsgGenerator[None]:
        begun = False
        for number in range(repeats):
            if not part.wants("fly", number + 1):
                continue
            first, line = ways[number % 2]
            yield from stubs.checkpoint()
            yield from stubs.mv(axis, first)
            if not begun:
                # not in "primary": the energy of a point is that of its own angle, by the calibration that is read here
                yield from take_point([], [axis], shutter=None, stream="before")
            yield from fly.fly(line)
            begun = True

    def scan() -> MsgGenerator[str]:
        steps.extend(fly.steps())
        steps.extend(unstaging(energy))
        if return_to is None:
            yield from remember([axis], steps)
        else:
            steps.append(putting_back(energy, return_to))
        fly.begin(repeats)
        yield from bps.stage_all(energy, *fly.staged)
        return (yield from spectrum())

    return (yield from restoring(scan(), steps))


def _range(given: Any) -> tuple[float, float, int]:
    try:
        start, stop, points = given
        first, last = float(start), float(stop)
    except (TypeError, ValueError) as error:
        raise ValueError(f"energy_range = {given!r} must be (start, stop, points): (8300, 8500, 401)") from error
    if first == last:
        raise ValueError(f"energy_range = {given!r} must go from one energy to another; a spot at one needs no sweep")
    return first, last, require_count(points, "number of points of energy_range", 2)
