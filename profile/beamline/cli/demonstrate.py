"""`whiteline demo`: a XANES stack of the simulated TXM over Channel Access, and a picture of it."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def demonstrate(
    beamline: Annotated[
        str | None,
        typer.Option(help="A description: a file, or one that is shipped. Else $WHITELINE_BEAMLINE, else txm."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of sample, drift and noise, instead of the description's.")
    ] = None,
    size: Annotated[int, typer.Option(help="Rows and columns of a frame.")] = 256,
    speed: Annotated[float, typer.Option(help="How much faster than a real beamline it moves and exposes.")] = 20.0,
    out: Annotated[Path, typer.Option(help="Folder for picture and frames.")] = Path("out"),
) -> None:
    """Run the simulated beamline, scan a 2D XANES stack on it, and draw frames, a spectrum and the truth.

    Example: whiteline demo --seed 7 --out pictures
    """
    # Imported here, so that `whiteline --help` answers at once.
    from whiteline.analysis.energies import xanes
    from whiteline.beamline.demo_picture import draw
    from whiteline.beamline.description import DescriptionError
    from whiteline.beamline.simulation import simulated
    from whiteline.beamline.simulation.demonstration import take_stack
    from whiteline.beamline.simulation.options import Options
    from whiteline.beamline.twin import species_of

    console = Console()
    start = time.monotonic()
    data = out / "demo-data"
    options = Options(beamline=beamline, seed=seed, speed=speed, data=data)
    description = options.description()
    if description.kind != "full-field" or description.simulation is None:
        raise DescriptionError(f"{description.name} is a {description.kind} microscope; this needs a full-field one")
    edge = description.simulation.species[0]
    energies = xanes(edge.element, edge.edge)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    for earlier in data.glob("*.h5"):
        earlier.unlink()
    with simulated(options) as twin:
        console.print(f"simulated beamline answers after {twin.ready_s:.1f} s; scanning it over Channel Access")
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("energies, flats and sample", total=2 * len(energies))
            stack = take_stack(twin, energies, size=size, progress=lambda: bar.advance(task))
        from epics import ca

        ca.disable_ca_messages()  # the IOCs end now, which is no news
    picture = out / "demo.png"
    title = (
        f"{description.title}: {len(energies)} energies over the {edge.element} {edge.edge} edge, "
        f"{stack.frames_per_energy} frames of {stack.counts:.0f} counts each, "
        f"{size} × {size} pixels of {stack.pixel_nm:.0f} nm"
    )
    draw(stack, species_of(description.simulation, description.monochromator.spacing), title, picture)
    console.print(f"true defocus at most {abs(stack.defocus_dof).max():.1%} of the depth of focus")
    console.print(
        f"true drift up to {abs(stack.drift_nm).max():.0f} nm ({abs(stack.drift_nm).max() / stack.pixel_nm:.1f} pixels)"
    )
    console.print(f"frames and truth in {data}")
    console.print(f"{picture} drawn, {time.monotonic() - start:.0f} s in all")
