"""`whiteline plans`: what can be run, and with which arguments."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

SORTS = {
    "Scans": "whiteline.plans.",
    "Fly scans": "whiteline.plans.fly_",
    "Calibrations": "whiteline.plans.calibration.",
}
"""Titles, and how the names of their plans' modules begin."""

WIDEST = 24
"""Columns of the longest name."""


def plans(
    name: Annotated[str | None, typer.Argument(help="Of a plan, to read all about it.")] = None,
) -> None:
    """List the plans; with a name, tell its arguments.

    Example: whiteline plans xanes_stack
    """
    # Imported here, so that `whiteline --help` answers at once.
    import whiteline.plans as found

    console = Console(highlight=False, emoji=False)
    if name is not None:
        if name not in found.__all__:
            raise ValueError(f"there is no plan {name!r}; there are {', '.join(found.__all__)}")
        plan = getattr(found, name)
        console.print(f"[bold]{name}[/bold]{escape(_arguments(plan))}\n")
        console.print(escape(inspect.getdoc(plan) or ""))
        return
    for title, begin in SORTS.items():
        names = [one for one in found.__all__ if _sort(getattr(found, one).__module__) == begin]
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, title=title, title_justify="left")
        table.add_column(style="bold", no_wrap=True, min_width=WIDEST)
        table.add_column(overflow="fold")
        for one in names:
            summary = (inspect.getdoc(getattr(found, one)) or "").split("\n\n")[0]
            table.add_row(one, escape(" ".join(summary.split())))
        console.print(table)
    console.print("whiteline plans NAME tells all about one.", style="dim")


def _arguments(plan: Callable[..., Any]) -> str:
    """Return how a plan is called: names and defaults, without types."""
    signature = inspect.signature(plan)
    plain = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
    return str(inspect.Signature(plain))


def _sort(module: str) -> str:
    """Return the longest beginning of a module's name that has a title of its own."""
    return max((one for one in SORTS.values() if module.startswith(one)), key=len)
