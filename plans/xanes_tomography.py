"""A tomogram at each energy over an absorption edge: chemistry in three dimensions."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from bluesky.protocols import Flyable, Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.plans import stubs
from whiteline.plans.calibration.conclude import in_run
from whiteline.plans.checks import energy_list
from whiteline.plans.frames import DarkPolicy
from whiteline.plans.groups import new_group
from whiteline.plans.metadata import edge_of, start_metadata
from whiteline.plans.part import Part, require_one
from whiteline.plans.protocols import Axis, satisfying
from whiteline.plans.restoring import putting_back, restoring
from whiteline.plans.shutter import closing
from whiteline.plans.tomogram import Flats, Tomogram, Turn, backwards

SAME_EV = 1e-3
"""Energies that differ by less are the same [eV]."""


def xanes_tomography(
    camera: Flyable,
    energy: Movable[Any],
    energies: Sequence[float],
    rotation: Movable[Any],
    *,
    capture: Flyable,
    sample: Readable[Any],
    shutter: Movable[Any],
    exposure_s: float,
    start: float = 0.0,
    stop: float = 180.0,
    velocity: float | None = None,
    projections: int | None = None,
    both_ways: bool = True,
    flats: Flats = "before",
    flat_frames: int = 10,
    darks: DarkPolicy = "before",
    dark_frames: int = 10,
    strict: bool = False,
    retries: int = 2,
    taken: Sequence[float] = (),
    group: str | None = None,
    return_to: float | None = None,
    only: Mapping[str, Sequence[int]] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[tuple[str, ...]]:
    """Take a tomogram at each energy, each a run of its own, all linked as a group.

    Parameters
    ----------
    camera : Flyable
        The camera as the capture box triggers it.
    energy : Movable
        The energy axis, that zone plate and detector follow: each tomogram is in focus.
    energies : sequence of float
        Ascending or descending, each once [eV].
    rotation : Movable
        The axis that turns the sample, read by the box.
    capture : Flyable
        The capture box.
    sample : Readable
        The sample stage, with the steps that take the sample out of the beam.
    shutter : Movable
        Opened only while frames are taken that are no darks.
    exposure_s : float
        Of each frame [s].
    start, stop : float
        Angles from which and to which it turns [deg].
    velocity : float, optional
        Of the rotation [deg/s].
    projections : int, optional
        How many instead: the velocity follows from it.
    both_ways : bool
        Whether at every second energy of the list it turns backwards, which saves the way back.
    flats : {"before", "before and after", "none"}
        When frames without the sample are taken, at each energy.
    flat_frames, dark_frames : int
        How many each time.
    darks : {"before", "before and after", "none"}
        When frames with the shutter closed are taken, at each energy.
    strict : bool
        Whether a turn is taken again if the camera has missed triggers; if it misses some each time, that is an error.
    retries : int
        How often a turn that has failed is taken again, from the first projection on that was not told of.
    taken : sequence of float, optional
        Energies that an earlier call has taken, before it was interrupted [eV]: they are left out.
    group : str, optional
        The group of that call, which this one goes on with.
    return_to : float, optional
        Energy that is gone to at the end [eV]; where the scan ends if it is not given.
    only : mapping of str to sequence of int, optional
        What is taken, from 1: projections, in the order in which this energy turns, the reading before them, flats and
        darks: ``{"fly": [41, 42, 43], "primary": [1], "flat": [2]}``. Of one energy only; all if it is not given.
    md : mapping, optional
        Further metadata of all runs.

    Returns
    -------
    tuple of str
        The runs, one for each energy that was not taken before.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right, or that rotation or camera cannot do; nothing was moved then.

    Notes
    -----
    `group_index` of a run is the place of its energy in the list, also where the list is gone on with.
    """
    axis = satisfying(energy, Axis, "energy")
    wanted = energy_list(energies, energy)
    left = _left(wanted, taken)
    if return_to is not None:
        energy_list([return_to], energy, "return_to")
    tomogram = Tomogram(
        camera, rotation, capture, sample=sample, shutter=shutter, turn=Turn(start, stop, velocity, projections),
        exposure_s=exposure_s, flats=flats, flat_frames=flat_frames, darks=darks, dark_frames=dark_frames,
        energy=axis, strict=strict, retries=retries,
    )  # fmt: skip
    ways = [tomogram.line, backwards(tomogram.line) if both_ways else tomogram.line]
    tomogram.fly.check(*ways)
    part = Part(tomogram.planned(), require_one(only, len(left)))
    arguments = {
        "camera": camera, "energy": energy, "energies": wanted, "rotation": rotation, "capture": capture,
        "sample": sample, "shutter": shutter, "exposure_s": exposure_s, "start": start, "stop": stop,
        "velocity": velocity, "projections": projections, "both_ways": both_ways, "flats": flats,
        "flat_frames": flat_frames, "darks": darks, "dark_frames": dark_frames, "strict": strict, "retries": retries,
        "return_to": return_to,
    }  # fmt: skip
    linked = {**new_group("tomograms over an edge"), "group_size": len(wanted)} | ({"group": group} if group else {})
    edge = edge_of(wanted)
    common: dict[str, Any] = {} if edge is None else {"element": edge[0], "edge": edge[1]}
    steps = closing(shutter)

    def at(number: int) -> dict[str, Any]:
        found = start_metadata(
            "xanes_tomography", arguments, None, energies=[wanted[number]], **common, **tomogram.about(), **part.about()
        )
        return found | linked | {"group_index": number} | dict(md or {})

    def turn(way: int, _: str) -> MsgGenerator[None]:
        yield from tomogram.take(ways[way], part)

    def scan() -> MsgGenerator[tuple[str, ...]]:
        yield from tomogram.remember(steps)
        if return_to is not None:
            steps.append(putting_back(energy, return_to))
        runs = []
        for number in left:
            yield from stubs.checkpoint()
            yield from stubs.mv(axis, wanted[number])
            runs.append((yield from in_run(at(number), partial(turn, number % 2))))
        return tuple(runs)

    return (yield from restoring(scan(), steps))


def _left(wanted: Sequence[float], taken: Sequence[float]) -> list[int]:
    """Return the places in the list of those energies that are left."""
    done = [float(one) for one in taken]
    for one in done:
        if all(abs(one - value) > SAME_EV for value in wanted):
            raise ValueError(f"taken holds {one:.10g} eV, which is none of the energies; give the first list")
    left = [number for number, value in enumerate(wanted) if all(abs(value - one) > SAME_EV for one in done)]
    if not left:
        raise ValueError("all energies are taken: nothing is left to do")
    return left
