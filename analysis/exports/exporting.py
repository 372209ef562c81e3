"""A run into the files of other programs: which formats there are, and how files are named and put into place."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whiteline.analysis.exports.csv_tables import csv_tables
from whiteline.analysis.exports.fxi import fxi
from whiteline.analysis.exports.nxstxm import nxstxm
from whiteline.analysis.exports.nxtomo import nxtomo
from whiteline.analysis.exports.nxxas import nxxas
from whiteline.analysis.exports.request import Files, Request, UnsuitableRun
from whiteline.analysis.exports.tiff import tiff
from whiteline.analysis.exports.xdi import xdi
from whiteline.analysis.runs.flats import FlatPolicy
from whiteline.analysis.runs.opening import open_run
from whiteline.analysis.runs.path_map import PathMapLike
from whiteline.analysis.runs.run import Run
from whiteline.analysis.spectrum_files import Spectrum
from whiteline.analysis.whole_files import refuse_existing, written_whole


@dataclass(frozen=True)
class Format:
    """A format.

    Parameters
    ----------
    suffix : str
        Of its files.
    about : str
        What it is and who reads it.
    files : callable
        From a request to the files, by the ending of their names.
    """

    suffix: str
    about: str
    files: Callable[[Request], Files]


FORMATS: Mapping[str, Format] = {
    "xdi": Format(".xdi", "a point scan as text, for larch and Athena", xdi),
    "nxxas": Format(".nxs", "a point scan by NXxas, for larch", nxxas),
    "nxstxm": Format(".nxs", "a stack of frames or a raster by NXstxm, for Mantis", nxstxm),
    "nxtomo": Format(".nxs", "raw frames of a tomography by NXtomo", nxtomo),
    "fxi": Format(".h5", "a stack with its flats and darks, for PyXAS and TXM_Sandbox", fxi),
    "tiff": Format(".tif", "a stack and the maps, for ImageJ", tiff),
    "csv": Format(".csv", "points, spectrum, maps of a raster as tables", csv_tables),
}


def export(
    run: Any,
    form: str,
    out: str | Path | None = None,
    *,
    force: bool = False,
    path_map: PathMapLike = None,
    flats: FlatPolicy = "same-energy",
    camera: str | None = None,
    signal: str | None = None,
    incident: str | None = None,
    edge: tuple[str, str] | None = None,
    references: Sequence[Spectrum] = (),
    results: str | Path | None = None,
    instrument: str = "",
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[Path, ...]:
    """Export a run, finished or still going, as far as it goes.

    Parameters
    ----------
    run : object
        What `open_run` takes: what a catalog gives, documents, a Run.
    form : {"xdi", "nxxas", "nxstxm", "nxtomo", "fxi", "tiff", "csv"}
        Format; `FORMATS` says what each is.
    out : str or Path, optional
        A file, or a folder in which files are named by plan, number and uid of the run; here if it is not given. Where
        a format writes several files, the others are named after this one.
    force : bool
        Whether files that are there already are replaced.
    path_map : mapping, optional
        From folders as documents name them to folders of this client.
    flats : {"same-energy", "nearest-energy", "nearest-time", "all"}
        Which flats belong to a frame.
    camera : str, optional
        Data key of the frames, if there are several cameras.
    signal, incident : str, optional
        Data keys of what tells the absorption of a point scan or raster, and of the beam before the sample.
    edge : (str, str), optional
        Element and edge of a point scan, such as ("Ni", "K"), where the run does not say it.
    references : sequence of Spectrum
        With which maps are fitted for tiff and csv; what the live analysis has saved is taken if there are none.
    results : str or Path, optional
        Folder into which the live analysis saves.
    instrument : str
        Name of the microscope.
    progress : callable
        Called with the number of frames that are written, and of all.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    UnsuitableRun
        If the run makes no sense in this format; it names those in which it does.
    UnreadableRun
        If it is no run, or its frames cannot be read.
    FileExistsError
        If a file is there already.
    ValueError
        If there is no such format.
    """
    if form not in FORMATS:
        raise ValueError(f"format {form!r} is not known; take one of {', '.join(FORMATS)}")
    chosen, opened = FORMATS[form], open_run(run, path_map=path_map)
    request = Request(
        run=opened, form=form, flats=flats, camera=camera, signal=signal, incident=incident, edge=edge,
        references=tuple(references), results=None if results is None else Path(results), instrument=instrument,
        progress=progress,
    )  # fmt: skip
    if not opened.has_points:
        raise UnsuitableRun(f"{opened.name} has no points: it ended before its first one; export another run")
    places = opened.position_indices
    if len(places) > 1:
        files = {
            f"_position_{place}{ending}": write
            for place in places
            for ending, write in chosen.files(request.at(place)).items()
        }
    else:
        files = dict(chosen.files(request))
    paths = [_path(opened, out, ending, chosen.suffix) for ending in files]
    if not force:
        for path in paths:
            refuse_existing(path)
    for path, write in zip(paths, files.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as part:
            write(part)
    return tuple(paths)


def _path(run: Run, out: str | Path | None, ending: str, suffix: str) -> Path:
    """Return where a file goes."""
    place = Path("." if out is None else out)
    if place.is_dir() or str(out).endswith("/"):
        number = run.start.get("scan_id")
        parts = (str(run.start.get("plan_name", "run")), "" if number is None else str(number), run.uid[:8])
        return place / ("_".join(part for part in parts if part) + ending)
    if ending == suffix:
        return place
    return place.with_name(place.name.removesuffix(place.suffix) + ending)
