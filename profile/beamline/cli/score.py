"""`whiteline score`: how right a run on a simulated beamline is."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def score(
    run: Annotated[str, typer.Argument(help="uid, its beginning, number of the scan, or -1 for the newest.")],
    beamline: Annotated[
        str | None,
        typer.Option(help="A description: a file, or one that is shipped. Else $WHITELINE_BEAMLINE, else txm."),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(help="Folder of the catalog, instead of the one that the description names.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with a line of JSON that holds the figures.")] = False,
) -> None:
    """Hold the maps of a run against the truth of its simulated beamline, and against what is possible.

    The truth is kept with a run of `whiteline demo`; of other runs it is asked for while their beamline still runs, and
    kept then. A score is of stacks of frames, each place of the sample by itself, and of rasters at several energies,
    flown or stepped. It ends with 1 if a limit is not met.

    Example: whiteline score -1 --catalog out/demo-txm/data/catalog
    """
    # imported here, so that `whiteline --help` answers at once
    import json

    from whiteline.beamline.cli.opening import run_of
    from whiteline.beamline.cli.quiet import silence_libraries
    from whiteline.beamline.description import load
    from whiteline.beamline.description.store import Store
    from whiteline.beamline.score.asking import keep_truth, kept_truth
    from whiteline.beamline.score.scoring import places_of, score_run

    silence_libraries()
    description = load(beamline)
    opened = run_of(run, description, catalog)
    if catalog is not None:
        description = description.model_copy(update={"store": Store(folder=catalog.absolute())})
    console, cards, places = Console(highlight=False, emoji=False, markup=False), [], places_of(opened)
    for place in places:
        file = kept_truth(description, place)
        if not file.exists():
            file = keep_truth(description, place)
        cards.append(score_run(place, file).card)
        if len(places) > 1:
            console.print(f"place {len(cards)} of {len(places)}")
        console.print(cards[-1].table())
    if as_json:
        found = [card.as_dict() for card in cards]
        typer.echo(json.dumps({"uid": opened.uid, **(found[0] if len(found) == 1 else {"places": found})}))
    if not all(card.met for card in cards):
        raise typer.Exit(1)
