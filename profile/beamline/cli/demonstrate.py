"""`whiteline demo`: a whole run on a simulated beamline, from calibration to a page of results, scored."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from whiteline.beamline.demo.choices import Choices


def demonstrate(
    more: Annotated[list[str] | None, typer.Argument(metavar="[NAME=FILE]...", help="Further references.")] = None,
    beamline: Annotated[
        str, typer.Option(help="Which simulated beamline: txm, a full-field microscope, or nanoprobe, a scanning one.")
    ] = "txm",
    references: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FILE",
            help="Measured spectra that the sample is made of, instead of the built-in ones: a chemical formula, and a "
            "file of columns or XDI. Two or more.",
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Rows and columns of the map; 256 (txm) or 48 (nanoprobe).")] = None,
    energies: Annotated[int | None, typer.Option(help="Number of energies; 40 (txm) or 30 (nanoprobe).")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample, its drift, the noise and the hidden errors.")] = 1,
    speed: Annotated[
        float | None,
        typer.Option(help="How much faster than a real beamline it moves and exposes; 100 (txm) or 6 (nanoprobe)."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the page, its picture and all data.")] = Path("out"),
    as_json: Annotated[bool, typer.Option("--json", help="End with a line of JSON that holds the figures.")] = False,
) -> None:
    """Calibrate a simulated beamline, map the chemistry of its sample, and score the map against the truth.

    Example: whiteline demo --references NiO=nio.txt LiNiO2=linio2.txt --out pictures
    """
    choices = Choices(
        beamline=beamline, references=(*(references or ()), *(more or ())), size=size, energies=energies, seed=seed,
        speed=speed, out=out,
    )  # fmt: skip
    console = Console(highlight=False, emoji=False, markup=False)
    # imported here, so that `whiteline --help` answers at once, and what is wrong is told before anything is loaded
    from whiteline.beamline.cli.quiet import silence_libraries
    from whiteline.beamline.demo.demonstration import DemonstrationFailed, demonstrate

    silence_libraries()
    try:
        made = demonstrate(choices, lambda line: console.print(line, soft_wrap=True))
    except KeyboardInterrupt:
        console.print("stopped; nothing is left running")
        raise typer.Exit(130) from None
    except DemonstrationFailed as error:
        raise ValueError(str(error)) from error
    card = made.scored.card
    console.print(card.table())
    console.print(f"page {made.files[0]}, picture {made.files[1]}, data in {choices.folder}", soft_wrap=True)
    if as_json:
        typer.echo(json.dumps(made.as_dict()))
    if not card.met:
        raise typer.Exit(1)
