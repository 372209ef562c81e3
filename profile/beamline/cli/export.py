"""`whiteline export`: a run as the file of another program."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from whiteline.beamline.cli.opening import run_of
from whiteline.beamline.cli.quiet import silence_libraries


def export(
    run: Annotated[str, typer.Argument(help="uid, its beginning, number of the scan, or -1 for the newest.")],
    form: Annotated[str, typer.Option("--as", help="xdi, nxxas, nxstxm, nxtomo, fxi, tiff or csv.")],
    out: Annotated[
        str | None,
        typer.Option(help="A file, or a folder for files named by plan, number and uid. Else here."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
    beamline: Annotated[
        str | None,
        typer.Option(help="A description: a file, or one that is shipped. Else $WHITELINE_BEAMLINE, else txm."),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(help="Folder of the catalog, instead of the one that the description names.")
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            "--reference",
            "--references",
            help="NAME=FILE.xdi, NAME=FILE:eV or NAME=FILE:keV, with which the maps of tiff and csv are fitted.",
        ),
    ] = None,
    flats: Annotated[
        str, typer.Option(help="Flat of a frame: same-energy, nearest-energy, nearest-time or all.")
    ] = "same-energy",
    signal: Annotated[str | None, typer.Option(help="Data key of what tells the absorption.")] = None,
    incident: Annotated[str | None, typer.Option(help="Data key of the beam before the sample.")] = None,
    edge: Annotated[str | None, typer.Option(help="Edge of a point scan that does not say it, such as Ni-K.")] = None,
) -> None:
    """Export a run for Mantis, larch, PyXAS, ImageJ and others, with where its data are from.

    Nothing is measured or moved. It ends with 1 if the run makes no sense in that format, or a file is there already.

    Example: whiteline export -1 --as nxstxm --out stack.nxs
    """
    # Imported here, so that `whiteline --help` answers at once.
    from whiteline.analysis.exports import FORMATS
    from whiteline.analysis.exports import export as write
    from whiteline.beamline.description import load
    from whiteline.beamline.sample_notes import named_reference

    if form not in FORMATS:
        raise ValueError(f"format {form!r} is not known; take one of {', '.join(FORMATS)}")
    pair = None if edge is None else _edge(edge)
    spectra = [named_reference(one) for one in reference or ()]
    description = load(beamline)
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    silence_libraries()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    opened = run_of(run, description, catalog)
    folder = catalog or description.store.folder
    # in a pipe there are the names of the files, and nothing else
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{opened.name} as {form}", total=None)
        written = write(
            opened,
            form,
            out,
            force=force,
            flats=flats,  # type: ignore[arg-type]
            signal=signal,
            incident=incident,
            edge=pair,
            references=spectra,
            results=folder / "results",
            instrument=description.title,
            progress=lambda done, of: bar.update(task, completed=done, total=of),
        )
    for path in written:
        console.print(str(path))


def _edge(text: str) -> tuple[str, str]:
    element, separator, edge = text.partition("-")
    if not separator or not element or not edge:
        raise ValueError(f"edge {text!r} must be ELEMENT-EDGE, such as Ni-K")
    return element, edge
