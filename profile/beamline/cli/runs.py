"""`whiteline runs`: the newest runs of the catalog."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from whiteline.beamline.cli.quiet import silence_libraries

COLOURS = {"success": "green", "abort": "yellow", "fail": "red"}


def runs(
    beamline: Annotated[
        str | None,
        typer.Option(help="A description: a file, or one that is shipped. Else $WHITELINE_BEAMLINE, else txm."),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(help="Folder of the catalog, instead of the one that the description names.")
    ] = None,
    newest: Annotated[int, typer.Option("-n", "--newest", min=1, help="How many.")] = 20,
) -> None:
    """List the newest runs: number, uid, when, plan, sample, energies, and how each ended.

    Example: whiteline runs -n 5
    """
    from whiteline.beamline.cli.opening import catalog_of
    from whiteline.beamline.description import load

    description = load(beamline)
    silence_libraries()
    found = catalog_of(description, catalog)
    console = Console(highlight=False, emoji=False)
    if not len(found):
        console.print("The catalog is empty; take a scan first, `whiteline shell` opens a session.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("scan", "uid", "began", "plan", "sample", "energies", "points", "ended"):
        table.add_column(title, no_wrap=title in ("uid", "began"), justify="right" if title == "scan" else "left")
    for one in found.values()[-1 : -newest - 1 : -1]:
        table.add_row(*_row(one.metadata))
    console.print(table)


def _row(metadata: Any) -> list[str]:
    start, stop = metadata["start"], metadata.get("stop") or {}
    began = datetime.fromtimestamp(start["time"]).strftime("%Y-%m-%d %H:%M")
    energies = start.get("energies") or []
    span = f"{len(energies)}: {min(energies):.6g} to {max(energies):.6g} eV" if energies else ""
    status = stop.get("exit_status", "running")
    why = f": {stop['reason']}" if stop.get("reason") else ""
    points = (stop.get("num_events") or {}).get("primary", "")
    coloured = f"[{COLOURS.get(status, 'cyan')}]{status}[/]{escape(why)}"
    shown = [start.get("scan_id", ""), start["uid"][:8], began, start.get("plan_name", ""), start.get("sample", "")]
    return [escape(str(one)) for one in (*shown, span, points)] + [coloured]
