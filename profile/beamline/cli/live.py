"""`whiteline live`: a page with the running scan, for browsers."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

NEEDED = "panel", "bokeh", "zmq"
"""Modules of the extra `live`."""


def live(
    beamline: Annotated[
        str | None,
        typer.Option(help="A description: a file, or one that is shipped. Else $WHITELINE_BEAMLINE, else txm."),
    ] = None,
    zmq: Annotated[
        str | None,
        typer.Option(
            help="Where a session publishes, such as tcp://127.0.0.1:5577; that unless only --catalog is given."
        ),
    ] = None,
    catalog: Annotated[
        str | None, typer.Option(help="A catalog that databroker knows, instead of that of the beamline.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of a simulated beamline, as it was given to `whiteline sim --data`.")
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE.xdi, NAME=FILE:eV or NAME=FILE:keV, instead of those that runs name."),
    ] = None,
    material: Annotated[
        str | None, typer.Option(help="Formula of the sample, instead of that which runs name.")
    ] = None,
    address: Annotated[str, typer.Option(help="Where the page listens; elsewhere than on loopback with a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the page.")] = 5006,
    token_file: Annotated[Path | None, typer.Option(help="File with the token that viewers must have.")] = None,
) -> None:
    """Serve a page with the running scan and the runs before it: map, error, spectrum of a region, progress, dose.

    Example: whiteline live --beamline site.toml --port 5006
    """
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        raise OSError(f"the page needs {', '.join(absent)}, not installed: pip install -e '.[live]'")
    from whiteline.beamline.description import load
    from whiteline.beamline.page.addresses import DEFAULT_ZMQ, require_zmq
    from whiteline.beamline.page.serving import Pages, require_free, serve
    from whiteline.beamline.page.token import token_of
    from whiteline.beamline.sample_notes import named_reference
    from whiteline.beamline.simulation.options import Options
    from whiteline.beamline.store.catalog import CatalogError, open_catalog, quiet

    description = load(beamline) if data is None else Options(beamline=beamline, data=data).description()
    listened = zmq or (None if catalog is not None else DEFAULT_ZMQ)
    if listened is not None:
        require_zmq(listened)
    token = token_of(token_file, address)
    require_free(address, port)
    references = [named_reference(one) for one in reference or ()]
    if catalog is not None:
        with quiet():
            import databroker

            try:
                runs = databroker.catalog[catalog]
            except Exception as error:  # of whatever kind the catalog is
                raise CatalogError(
                    f"catalog {catalog!r} cannot be opened: {error}; `databroker.list_catalogs()`"
                ) from error
    else:
        runs = open_catalog(description)
    pages = Pages(
        description,
        zmq=listened,
        catalog=runs,
        references=references,
        material=material,
    )
    console = Console(highlight=False)
    serve(
        pages,
        address=address,
        port=port,
        token=token,
        ready=lambda url: console.print(f"page at {url}; Ctrl-C ends it"),
    )
