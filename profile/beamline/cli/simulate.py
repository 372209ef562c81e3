"""`whiteline sim`: run the simulated beamline until Ctrl-C."""

import signal
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer
from rich.console import Console

from whiteline.beamline.named_file import name_and_file

SPECIES_HELP = "NAME=FILE.xdi, NAME=FILE:eV or NAME=FILE:keV: a measured spectrum instead of the description's."


def simulate(
    beamline: Annotated[
        str | None,
        typer.Option(help="A description: a file, or one that is shipped. Else $WHITELINE_BEAMLINE, else txm."),
    ] = None,
    speed: Annotated[float, typer.Option(help="How much faster than a real beamline it moves and exposes.")] = 1.0,
    seed: Annotated[int | None, typer.Option(help="Of sample, drift and noise, instead of the description's.")] = None,
    clock: Annotated[
        Literal["wall", "frames"],
        typer.Option(help="frames: nothing but moves and exposures advances time, so that a scan can be repeated."),
    ] = "wall",
    species: Annotated[list[str] | None, typer.Option(help=SPECIES_HELP)] = None,
    data: Annotated[Path | None, typer.Option(help="Folder for files, instead of the description's.")] = None,
    port: Annotated[int | None, typer.Option(help="First of three ports of loopback; any if left out.")] = None,
    list_pvs: Annotated[bool, typer.Option("--list-pvs", help="Print every process variable, and end.")] = False,
) -> None:
    """Run the simulated beamline: two IOCs on loopback that know the truth, until Ctrl-C.

    Example: whiteline sim --beamline nanoprobe --speed 20
    """
    # Imported here, so that `whiteline --help` answers at once.
    from whiteline.beamline.simulation import simulated
    from whiteline.beamline.simulation.options import Options

    options = Options(
        beamline=beamline,
        speed=speed,
        seed=seed,
        clock=clock,
        species=dict(name_and_file(one, "species") for one in species or ()),
        data=data,
    )
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    if list_pvs:
        from whiteline.beamline.simulation.listing import process_variables

        with tempfile.TemporaryDirectory() as folder:
            for one in process_variables(options.description(), Path(folder)):
                console.print(f"{one.name:<44} {one.kind:<8} {one.record:<8} {one.unit}".rstrip())
        return
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    with simulated(options, port=port) as twin:
        console.print(f"[bold]{twin.beamline.title}[/bold] answers after {twin.ready_s:.1f} s, at speed {speed:g}.")
        console.print(f"Detectors write into {twin.folder}. Clients find it with")
        for name, value in twin.environment.items():
            console.print(f'  export {name}="{value}"', style="cyan")
        console.print("Ctrl-C ends it.")
        while not stopped.wait(0.2):
            for name, process in twin.processes.items():
                if (code := process.poll()) is not None:
                    raise OSError(f"the {name} IOC has ended with code {code}; the simulated beamline is stopped")
    console.print("Stopped.")
