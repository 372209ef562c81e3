"""Runs as arrays with roles: energies reached, frames, flats, darks, positions, calibrations, and what is missing.

    run = open_run(cat[-1])                     # or cat[uid], finished or still going; or (name, document) pairs
    run.energies, run.frames, run.flats, run.dark()
    run.completeness, run.discarded, run.exit_status
    run.to_xarray()

Frames are read from their files when they are sliced, and no others.

The same code serves a run that is going on. A `RunBuilder` is fed documents one at a time, takes microseconds for each
and holds no pixels:

    builder = RunBuilder(path_map)
    RE.subscribe(builder)                       # or: for point in builder.feed(name, document): …
    builder.streams["primary"].points           # by seq_num, the newest of each
    builder.points("flat"), builder.discarded, builder.going
    run = builder.run()                         # at any moment, what `open_run` returns

`feed` returns the points that came with a document. A `Point` has `stream`, `seq_num`, `time`, `data` (readings) and
`places`: for each data key with frames the file, the first frame and their number. If it was measured anew, `replaces`
is the one before it. `read_point(point.places[key], path_map)` reads the mean of its frames.

`opening` what may be opened; `builder` documents to points; `places`, `path_map` where frames lie; `frames` stacks that
are read when sliced; `run` the run itself; `roles` which reading plays which part; `flats` which flat belongs to which
frame; `positions`, `calibrations`, `completeness`, `rasters`, `spectra` what their names say; `datasets` xarray;
`fly_table` the capture table of a fly scan, `pulses` its pulses as points, `fly_maps` its maps, `projections` those of
a tomography;
`parts` and `group` a run that was interrupted and those that resume it, as one; `fly_tables` their capture tables;
`from_catalog` documents of a catalog, `registered` which frames it registers for which event.
"""

from whiteline.analysis.runs.builder import Discarded, Point, RunBuilder
from whiteline.analysis.runs.completeness import Completeness
from whiteline.analysis.runs.frames import FrameStack, read_point
from whiteline.analysis.runs.group import joined
from whiteline.analysis.runs.opening import find_run, open_run
from whiteline.analysis.runs.path_map import PathMap
from whiteline.analysis.runs.places import FrameFile, Place
from whiteline.analysis.runs.positions import AxisPositions
from whiteline.analysis.runs.run import Run
from whiteline.analysis.runs.spectra import PointSpectrum
from whiteline.analysis.runs.streams import Stream
from whiteline.analysis.runs.unreadable import UnreadableRun

__all__ = [
    "AxisPositions",
    "Completeness",
    "Discarded",
    "FrameFile",
    "FrameStack",
    "PathMap",
    "Place",
    "Point",
    "PointSpectrum",
    "Run",
    "RunBuilder",
    "Stream",
    "UnreadableRun",
    "find_run",
    "joined",
    "open_run",
    "read_point",
]
