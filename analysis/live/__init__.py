"""The live analysis of a scan, and the same of a finished run.

    live = LiveXanes(references=[nio, linio2])      # subscribe it to the RunEngine
    live.progress, live.results.map("fraction of LiNiO2"), live.results.frames
    figure = LiveFigure(live); figure.draw()        # from the main thread
    yield from bps.trigger_and_read([live.shift, live.error], name="live")     # in a plan

    results = analyse(cat[-1], references=[nio, linio2])    # offline, the same to rounding
    save(results, folder)

`callback` documents to threads; `threads` those; `run_analysis` one run; `kinds` stack, raster or point scan; `recipes`
which frames make a point; `density`, `alignment`, `frame_work` one frame from its files to the pixels of the first;
`sample` a few pixels of all frames; `stack` a stack that grows, `stack_analysis` at one place of the sample;
`fraction_fit`, `edge_maps`, `mean_spectrum` and `spectrum` what is fitted; `raster`, `points` the other kinds; `batch`
a finished run; `doors` what plans learn, `rotation` of the axis of rotation, `status` what they wait for, `fake` the
same without an analysis; `results` what was found; `saving`, `figures` where it goes; `warm_up` what is made ready
before the first frame.
"""

from typing import TYPE_CHECKING, Any

from whiteline.analysis.live.callback import LiveXanes
from whiteline.analysis.live.fake import FakeLive
from whiteline.analysis.live.results import Results
from whiteline.analysis.live.settings import Settings

if TYPE_CHECKING:
    from whiteline.analysis.live.batch import analyse
    from whiteline.analysis.live.figures import LiveFigure
    from whiteline.analysis.live.saving import save

__all__ = ["FakeLive", "LiveFigure", "LiveXanes", "Results", "Settings", "analyse", "save"]

HEAVY = {"analyse": "batch", "LiveFigure": "figures", "save": "saving"}
"""What is imported when it is asked for: compiled fits, matplotlib, HDF5."""


def __getattr__(name: str) -> Any:
    if name in HEAVY:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{HEAVY[name]}"), name)
    raise AttributeError(f"module {__name__} has no attribute {name!r}")
