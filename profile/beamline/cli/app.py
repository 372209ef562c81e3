"""What can be typed after `whiteline`, and what it does."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def whiteline() -> None:
    """Control and acquisition for X-ray spectromicroscopes."""


@app.command()
def demo(
    beamline: Annotated[
        str | None,
        typer.Option(help="A description: a file, or one that is shipped. Else $WHITELINE_BEAMLINE, else txm."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of sample, drift and noise, instead of the description's.")
    ] = None,
    size: Annotated[int, typer.Option(help="Rows and columns of a frame.")] = 256,
    out: Annotated[Path, typer.Option(help="Folder for the picture.")] = Path("out"),
) -> None:
    """Simulate a 2D XANES stack, without hardware, and draw frames, a spectrum and the truth.

    Example: whiteline demo --seed 7 --out pictures
    """
    # Imported here, so that `whiteline --help` answers at once.
    from whiteline.analysis.energies import xanes
    from whiteline.beamline.demo_picture import draw
    from whiteline.beamline.description import load
    from whiteline.beamline.simulated_stack import simulate_stack
    from whiteline.beamline.twin import full_field

    console = Console()
    start = time.monotonic()
    description = load(beamline)
    microscope = full_field(description, seed=seed)
    edge = microscope.sample.species[0].near_edge
    energies = xanes(edge.element, edge.edge)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("energies, flats and sample", total=2 * len(energies))
        stack = simulate_stack(description, microscope, energies, size=size, progress=lambda: bar.advance(task))
    picture = out / "demo.png"
    title = (
        f"{description.title}: {len(energies)} energies over the {edge.element} {edge.edge} edge, "
        f"{stack.frames_per_energy} frames of {stack.counts:.0f} counts each, "
        f"{size} × {size} pixels of {stack.pixel_nm:.0f} nm"
    )
    draw(stack, microscope.sample.species, title, picture)
    console.print(f"true defocus at most {abs(stack.defocus_dof).max():.1%} of the depth of focus")
    console.print(
        f"true drift up to {abs(stack.drift_nm).max():.0f} nm ({abs(stack.drift_nm).max() / stack.pixel_nm:.1f} pixels)"
    )
    console.print(f"{picture} drawn, {time.monotonic() - start:.0f} s in all")
