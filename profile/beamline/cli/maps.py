"""`whiteline maps`: maps of stacks that are larger than memory."""

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from whiteline.beamline.cli.quiet import silence_libraries

if TYPE_CHECKING:
    from whiteline.analysis.live.settings import Settings
    from whiteline.analysis.runs import Run
    from whiteline.analysis.scale import Slice, What
    from whiteline.beamline.description import Beamline

WHAT = "fractions", "edge", "both"


def maps(
    run: Annotated[
        list[str],
        typer.Argument(help="uid, its beginning, number of the scan, or -1 for the newest; several are slices."),
    ],
    reference: Annotated[
        list[str] | None,
        typer.Option("--reference", "--references", help="NAME=FILE.xdi, NAME=FILE:eV or NAME=FILE:keV."),
    ] = None,
    what: Annotated[str, typer.Option(help="fractions, edge or both.")] = "both",
    edge: Annotated[str | None, typer.Option(help="Edge of a run that does not say it, such as Ni-K.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the result; that of the live results, if not given.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of the copies in spectral order; beside the catalog, if not given.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="A Dask scheduler, such as tcp://node7:8786; else workers on this machine.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes on this machine; as many as cores.")] = None,
    memory: Annotated[str | None, typer.Option(help="Of each of them, such as 2GB; an equal share.")] = None,
    dashboard: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port on loopback where Dask shows what it does.")
    ] = None,
    flats: Annotated[
        str, typer.Option(help="Flat of a frame: same-energy, nearest-energy, nearest-time or all.")
    ] = "same-energy",
    register: Annotated[bool, typer.Option(help="Whether frames are brought onto the first one.")] = True,
    beamline: Annotated[
        str | None,
        typer.Option(help="A description: a file, or one that is shipped. Else $WHITELINE_BEAMLINE, else txm."),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(help="Folder of the catalog, instead of the one that the description names.")
    ] = None,
) -> None:
    """Map the chemistry of stacks that are larger than memory: fractions, edge energy and white line, with errors.

    Frames are brought into spectral order once; another fit of the same frames uses that copy. A stack at several
    places, several runs, or tomograms over an edge give a map for each slice.

    Example: whiteline maps -1 --reference Ni2+=nio.xdi --reference Ni3+=linio2.xdi
    """
    # Imported here, so that `whiteline --help` answers at once.
    from whiteline.beamline.dask_cluster import Cluster, client_of, require_dask

    if what not in WHAT:
        raise ValueError(f"what {what!r} is not known; take one of {', '.join(WHAT)}")
    require_dask()
    from whiteline.analysis.live.settings import Settings
    from whiteline.analysis.scale import map_slices, require_sense
    from whiteline.beamline.description import load
    from whiteline.beamline.sample_notes import named_reference

    wanted = cast("What", what)
    chosen = Cluster(scheduler, workers, memory, dashboard)
    spectra = tuple(named_reference(one) for one in reference or ())
    energy = None if edge is None else _edge_energy(edge)
    description = load(beamline)
    silence_libraries()
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    # of a tomogram each run stands for its whole group
    runs = list({one.uid: one for which in run for one in _opened(which, description, catalog)}.values())
    start = runs[0].start
    if energy is None and not spectra and start.get("edge"):
        energy = _edge_energy(f"{start.get('element')}-{start['edge']}")
    settings = Settings(references=spectra, edge=energy, flats=flats, register=register)  # type: ignore[arg-type]
    slices = _slices(runs, settings)
    require_sense(slices, settings, wanted)
    folder = catalog or description.store.folder
    others = "" if len(run) == 1 or len(runs) == 1 else f"_and_{len(runs) - 1}_{_told(runs[1:])}"
    name = f"{slices[0].uid}{others}_maps.h5"
    path = (out or folder / "results") / name
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    with (
        client_of(chosen) as client,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
    ):
        task = bar.add_task(f"{runs[0].name}", total=None)
        mapped = map_slices(
            slices,
            settings,
            client,
            path.absolute(),
            (cache or folder / "spectral").absolute(),
            what=wanted,
            progress=lambda done, of, last: bar.update(task, completed=done, total=of, description=last),
        )
    for trouble in mapped.troubles:
        console.print(trouble)
    known = [one.median for one in mapped.errors if one.valid]
    error = f", median error {sorted(known)[len(known) // 2]:.3g}" if known else ""
    slow = time.monotonic() - began
    count = f"{len(slices)} slices, " if len(slices) > 1 else ""
    console.print(f"{path}: {count}{mapped.spectra / 1e6:.3g} million spectra in {slow:.3g} s{error}")


def _opened(which: str, beamline: "Beamline", catalog: Path | None) -> list["Run"]:
    """Open a run, and of a tomogram all that are of its group."""
    from whiteline.analysis.runs import find_run
    from whiteline.analysis.runs.group import starts_where
    from whiteline.analysis.runs.parts import RESUMES
    from whiteline.beamline.cli.opening import catalog_of, path_map_of, run_of

    run = run_of(which, beamline, catalog)
    group = run.start.get("group")
    if not group or run.start.get("plan_name") != "xanes_tomography":
        return [run]
    there: Any = catalog_of(beamline, catalog)
    path_map = path_map_of(beamline)
    firsts = [uid for uid, start in starts_where(there, "group", str(group)) if start.get(RESUMES) in (None, uid)]
    return [find_run(there, uid, path_map=path_map) for uid in firsts]


def _told(runs: list["Run"]) -> str:
    """Return a few digits by which runs are told from others."""
    return hashlib.sha256(" ".join(one.uid for one in runs).encode()).hexdigest()[:8]


def _edge_energy(text: str) -> float:
    from whiteline.analysis.tables import edge_energy

    element, sign, shell = text.partition("-")
    if not sign or not element or not shell:
        raise ValueError(f"edge {text!r} must be ELEMENT-EDGE, such as Ni-K")
    return edge_energy(element, shell)


def _slices(runs: list["Run"], settings: "Settings") -> list["Slice"]:
    from whiteline.analysis.scale import slices_of, slices_of_tomograms

    if all(one.start.get("plan_name") == "xanes_tomography" for one in runs):
        return slices_of_tomograms(runs, settings)
    return slices_of(runs, settings)
