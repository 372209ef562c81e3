"""`whiteline check`: whether every process variable of a beamline is there, and right."""

import os
from collections.abc import Mapping, Sequence
from itertools import takewhile
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from whiteline.beamline.cli.quiet import silence_libraries

if TYPE_CHECKING:
    from whiteline.beamline.checking import Found

WIDE = 200
"""Columns of the table where it is written into a file or a pipe: no name is broken there."""

NARROW = 100
"""Columns of a terminal under which values are cut sooner."""

SEARCH = ("EPICS_CA_ADDR_LIST", "EPICS_CA_AUTO_ADDR_LIST", "EPICS_CA_SERVER_PORT")
"""Environment variables that say where IOCs are searched for."""


KEPT: list[object] = []
"""Devices, to the end of the process: their channels are closed with them, while monitors may still come."""


def check(
    beamline: Annotated[
        str | None,
        typer.Option(help="A description: a file, or one that is shipped. Else $WHITELINE_BEAMLINE, else txm."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="How long IOCs may take to answer, in seconds.")] = 10.0,
    missing_only: Annotated[
        bool, typer.Option("--missing-only", help="Leave out the table; tell only what is missing or wrong.")
    ] = False,
) -> None:
    """Ask for every process variable that the devices of a beamline use; it ends with 1 if one is missing or wrong.

    Nothing is moved and nothing is written.

    Example: whiteline check --beamline site.toml --missing-only
    """
    from whiteline.beamline.description import load

    description = load(beamline)
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(highlight=False, emoji=False, width=WIDE)
    # Imported here, so that `whiteline --help` answers at once, and a wrong description is told before anything else.
    silence_libraries()
    from whiteline.beamline.build import build
    from whiteline.beamline.checking import check as ask

    devices = build(description, make_folders=False)
    KEPT.append(devices)
    with console.status(f"asking for the process variables of {len(devices)} devices"):
        found = ask(devices, description, timeout)
    if not missing_only:
        console.print(_table(found, console.width))
    _conclude(console, found, description.pvs(), len(devices))
    if any(one.problem for one in found):
        raise typer.Exit(1)


def _table(found: Sequence["Found"], width: int) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("device", no_wrap=True)
    table.add_column("process variable", overflow="fold", ratio=1)
    table.add_column("there")
    table.add_column("type", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    # in a narrow terminal values give way to names
    table.add_column("value", no_wrap=True, max_width=18 if width >= NARROW else 9)
    table.add_column("ms", justify="right", no_wrap=True)
    device = ""
    for one in found:
        latency = "" if one.latency_ms is None else f"{one.latency_ms:.1f}"
        there = ("wrong" if one.problem else "yes") if one.connected else "no"
        table.add_row(
            Text("" if one.needed.device == device else one.needed.device, style="bold"),
            Text(one.needed.pv),
            Text(there),
            Text(one.kind),
            Text(one.unit),
            Text(one.value.replace("\n", " ")),
            Text(latency),
            style="red" if one.problem else None,
        )
        device = one.needed.device
    return table


def _conclude(console: Console, found: Sequence["Found"], names: Mapping[str, str], devices: int) -> None:
    """Print what is missing or wrong, each with what to do, and how many are right."""

    def tell(*parts: tuple[str, str]) -> None:
        # in a file a sentence is a line, however long
        console.print(Text.assemble(*parts), soft_wrap=not console.is_terminal)

    for where, pv, problem in _problems(found, names):
        tell((f"{where} ", "bold red"), (f"{pv}: {problem}", "red"))
    right = sum(not one.problem for one in found)
    counted = f"{right} of {len(found)} process variables of {devices} devices are there and right"
    latencies = [one.latency_ms for one in found if one.latency_ms is not None]
    if latencies:
        counted += f"; a value takes {median(latencies):.1f} ms, the slowest {max(latencies):.1f} ms"
    tell((counted, "green" if right == len(found) else "bold red"))
    if found and not any(one.connected for one in found):
        searched = ", ".join(f"{name}={os.environ[name]!r}" for name in SEARCH if name in os.environ)
        text = (
            f"Nothing answers at all. It was searched for {f'with {searched}' if searched else 'on the local network'}."
        )
        tell((f"{text} Set EPICS_CA_ADDR_LIST to where the IOCs are.", "red"))


def _problems(found: Sequence["Found"], names: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return where, which process variable, and what is wrong.

    It is one line where all that a table of the description names is missing, and one for each IOC that hangs.
    """
    groups: dict[str, list[Found]] = {}
    for one in found:
        groups.setdefault(one.needed.path or one.needed.pv, []).append(one)
    hanging: dict[str, list[Found]] = {}
    lines = []
    for path, several in groups.items():
        if len(several) > 1 and not any(one.connected for one in several):
            which = f"{names[path]}, all {len(several)} process variables that begin so"
            lines.append((_in_common([_where(one) for one in several]), which, several[0].problem))
            continue
        for one in several:
            if one.problem and one.silent:
                hanging.setdefault(one.problem, []).append(one)
            elif one.problem:
                lines.append((_where(one), one.needed.pv, one.problem))
    for problem, several in hanging.items():
        more = f" and {len(several) - 1} more" if len(several) > 1 else ""
        lines.append((_where(several[0]), f"{several[0].needed.pv}{more}", problem))
    return lines


def _where(one: "Found") -> str:
    """Return the dotted name of a signal, its device first."""
    return ".".join(part for part in (one.needed.device, one.needed.attribute) if part)


def _in_common(names: Sequence[str]) -> str:
    """Return the parts with which all dotted names begin."""
    parts = zip(*(name.split(".") for name in names), strict=False)
    return ".".join(first for first, *others in takewhile(lambda same: len(set(same)) == 1, parts))
