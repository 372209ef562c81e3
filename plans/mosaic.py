"""Areas larger than a field: tiles that overlap, so that they can be joined.

A full-field microscope takes the frames of a tile at once, all tiles in one run (`mosaic`). A scanned probe takes a
raster for each tile, each in a run of its own, all linked as a group (`raster_mosaic`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from whiteline.analysis.checks import OutOfRange
from whiteline.plans import paths, stubs
from whiteline.plans.checks import require_count
from whiteline.plans.dwell import remember
from whiteline.plans.flats import FlatPolicy
from whiteline.plans.frames import DarkPolicy, Frames
from whiteline.plans.metadata import start_metadata
from whiteline.plans.part import Part
from whiteline.plans.protocols import Axis, Camera, check_together, satisfying
from whiteline.plans.raster import raster
from whiteline.plans.restoring import restoring, unstaging
from whiteline.plans.shutter import closing
from whiteline.plans.tiles import tile_ranges


def mosaic(
    camera: Readable[Any],
    *,
    sample: Readable[Any],
    area: tuple[tuple[float, float], tuple[float, float]],
    tile_um: tuple[float, float],
    overlap: float = 0.1,
    snake: bool = True,
    shutter: Movable[Any],
    exposure_s: float,
    frames: int = 1,
    flats: FlatPolicy = "before and after",
    flat_frames: int | None = None,
    darks: DarkPolicy = "before",
    dark_frames: int | None = None,
    energy: Readable[Any] | None = None,
    also: Sequence[Readable[Any]] = (),
    only: Mapping[str, Sequence[int]] | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Take frames of an area that is larger than the field of view, tile by tile, at the energy where the beamline is.

    Parameters
    ----------
    camera : Readable
        With the settings `exposure` and `frames`; a scanned probe takes `raster_mosaic`.
    sample : Readable
        The sample stage, with axes x and y [µm], and the steps that take the sample out of the beam.
    area : ((low, high), (low, high))
        What is to be covered, along x and y, as positions of the stage [µm].
    tile_um : (width, height)
        Field of view along x and y [µm]: pixels times their size at the sample.
    overlap : float
        Least part of a tile that its neighbour shows, too.
    snake : bool
        Whether every second row of tiles is taken backwards.
    shutter : Movable
        Opened only while the camera exposes.
    exposure_s : float
        Of one frame [s].
    frames : int
        Of each tile, all in one event.
    flats : {"each", "before and after", "none"} or int
        At which tiles frames without the sample are taken; a number n for every n-th.
    flat_frames, dark_frames : int, optional
        How many; a multiple of `frames`, and as many if it is not given.
    darks : {"before", "before and after", "none"}
        When frames with the shutter closed are taken.
    energy : Readable, optional
        Read with every frame.
    also : sequence of Readable
        Triggered and read with every frame, such as the counters.
    only : mapping of str to sequence of int, optional
        Numbers of the tiles that are taken, from 1, in their order, and of flats and darks:
        ``{"primary": [7, 8], "flat": [2]}``. All if it is not given.
    md : mapping, optional
        Further metadata.

    Returns
    -------
    str
        The run, one event for each tile; its shape is (rows, columns) of tiles.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        For arguments that cannot be right; nothing was moved then.

    Notes
    -----
    The tiles cover the area up to its ends, and lie evenly. At the end the sample goes back to where it was.
    """
    if not isinstance(camera, Camera):
        name = getattr(camera, "name", camera)
        raise TypeError(f"camera = {name} sees no field at once, having no exposure and frames; take raster_mosaic")
    x, y = (satisfying(getattr(sample, name, None), Axis, f"sample.{name}") for name in "xy")
    columns, rows = tile_ranges(area, tile_um, overlap)
    centres = paths.raster(columns, rows, snake=snake)
    for axis, values in ((x, centres[:, 0]), (y, centres[:, 1])):
        check_together(axis, [float(values.min()), float(values.max())])
    for name, count in (("flat_frames", flat_frames), ("dark_frames", dark_frames)):
        _require_multiple(count, frames, name)
    taken = Frames(
        camera, sample, shutter, exposure_s=exposure_s, frames=frames, flats=flats, flat_frames=flat_frames,
        darks=darks, dark_frames=dark_frames, read=[] if energy is None else [energy], also=also,
    )  # fmt: skip
    part = Part(taken.planned(len(centres), len(centres)), only)
    arguments = {
        "camera": camera, "sample": sample, "area": area, "tile_um": tile_um, "overlap": overlap, "snake": snake,
        "shutter": shutter, "exposure_s": exposure_s, "frames": frames, "flats": flats, "flat_frames": flat_frames,
        "darks": darks, "dark_frames": dark_frames, "energy": energy, "also": also,
    }  # fmt: skip
    about = start_metadata(
        "mosaic",
        arguments,
        md,
        roles={
            "frames": f"{camera.name}_image", "fast": x.name, "slow": y.name,
            "energy": "" if energy is None else energy.name,
        },
        detectors=[camera, *also],
        motors=[y, x],
        num_points=len(centres),
        shape=[rows[2], columns[2]],
        snaking=[False, snake],
        extents=[rows[:2], columns[:2]],
        scan={"type": "mosaic", "scan_input": [*columns, *rows, exposure_s * frames], "dwell": exposure_s * frames},
        frames_per_event=frames,
        tile_um=tile_um,
        tile_centres=centres,
        **part.about(),
    )  # fmt: skip
    steps = closing(shutter)

    def tile(centre: Any) -> MsgGenerator[None]:
        yield from stubs.mv(x, float(centre[0]), y, float(centre[1]))
        yield from taken.take("primary")

    @bpp.run_decorator(md=about)
    def tiles() -> MsgGenerator[None]:
        taken.begin(part)
        yield from taken.before()
        for number, centre in enumerate(centres):
            if taken.passed_over(number, len(centres), 1):
                continue
            yield from taken.beside_flats(tile(centre), number, len(centres))
        yield from taken.after()

    def scan() -> MsgGenerator[str]:
        staged = [*([] if energy is None else [energy]), camera, *also]
        steps.extend(unstaging(*staged))
        steps.append(taken.way.back())
        yield from remember([camera.exposure, camera.frames, x, y], steps)
        yield from stubs.mv(camera.exposure, exposure_s, camera.frames, frames)
        yield from bps.stage_all(*staged)
        return (yield from tiles())

    return (yield from restoring(scan(), steps))


def raster_mosaic(
    detectors: Sequence[Readable[Any]],
    fast: Movable[Any],
    slow: Movable[Any],
    *,
    area: tuple[tuple[float, float], tuple[float, float]],
    tile_um: tuple[float, float],
    points: tuple[int, int],
    overlap: float = 0.1,
    dwell_s: float,
    snake: bool = False,
    energy: Readable[Any] | None = None,
    shutter: Movable[Any] | None = None,
    signal: str | None = None,
    incident: str = "counters_incident_rate",
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[tuple[str, ...]]:
    """Take an area in rasters that overlap, as where it is larger than the range of a piezo stage.

    Parameters
    ----------
    area : ((low, high), (low, high))
        What is to be covered, along the fast and the slow axis [µm].
    tile_um : (width, height)
        Of one raster, from its first point to its last one [µm].
    points : (fast, slow)
        Of one raster.
    overlap : float
        Least part of a tile that its neighbour shows, too.
    detectors, fast, slow, dwell_s, snake, energy, shutter, signal, incident, md
        As for `raster`.

    Returns
    -------
    tuple of str
        The runs, one for each tile, line by line; they are linked as a group.

    Raises
    ------
    OutOfRange, ValueError, TypeError
        As `raster`; nothing was moved then.
    """
    columns, rows = tile_ranges(area, tile_um, overlap)
    try:
        wide, high = points
    except (TypeError, ValueError) as error:
        raise ValueError(f"points = {points!r} must be (fast, slow), such as (41, 41)") from error
    regions = [
        ((x - tile_um[0] / 2, x + tile_um[0] / 2, wide), (y - tile_um[1] / 2, y + tile_um[1] / 2, high))
        for x, y in paths.raster(columns, rows).tolist()
    ]
    linked = {"group_purpose": "mosaic", "tile_um": list(tile_um), "overlap": overlap}
    return (
        yield from raster(
            detectors,
            fast,
            slow,
            regions=regions,
            dwell_s=dwell_s,
            snake=snake,
            energy=energy,
            shutter=shutter,
            signal=signal,
            incident=incident,
            md=linked | dict(md or {}),
        )
    )


def _require_multiple(count: int | None, frames: int, name: str) -> None:
    """Refuse a number that would divide the frames of a tile into several events."""
    if count is not None and require_count(count, name) % require_count(frames, "frames"):
        limit = f"must be a multiple of frames = {frames}"
        raise OutOfRange(name, count, limit, remedy="the camera takes so many at each trigger of a run")
