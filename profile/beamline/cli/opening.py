"""Open the catalog, and a run of it, that a command was told of."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from whiteline.analysis.runs import Run
    from whiteline.beamline.description import Beamline

SCAN_NUMBER = re.compile(r"[+-]?\d{1,7}")
"""A text of so few digits is the number of a scan, or counts from the newest; a longer one begins a uid."""


def catalog_of(beamline: "Beamline", folder: Path | None = None) -> Any:
    """Open the catalog of a beamline, or the one in a folder; none is made.

    Raises
    ------
    CatalogError
        If there is none.
    """
    from whiteline.beamline.description.store import Store
    from whiteline.beamline.store.catalog import CatalogError, open_catalog

    if folder is not None:
        beamline = beamline.model_copy(update={"store": Store(folder=folder.absolute())})
    store = beamline.store
    if not store.catalog and not (store.folder / "catalog.db").exists():
        raise CatalogError(f"{store.folder} holds no catalog; name the folder of one by --catalog, or --beamline")
    return open_catalog(beamline)


def path_map_of(beamline: "Beamline") -> list[tuple[str, str]]:
    """Return from where detectors write to where their files are for this client."""
    writers = [one for one in (beamline.camera, beamline.fluorescence, beamline.capture) if one is not None]
    return [(str(one.files.write), str(one.files.read)) for one in writers]


def run_of(which: str, beamline: "Beamline", folder: Path | None = None) -> "Run":
    """Open a run by its uid, the beginning of it, its scan number, or from the end: -1 is the newest.

    Raises
    ------
    CatalogError
        If there is no catalog.
    UnreadableRun
        If it has no such run, or several that begin so, or its tables are not where they were.
    """
    from tiled.client.utils import ClientError

    from whiteline.analysis.runs import UnreadableRun

    catalog = catalog_of(beamline, folder)
    try:
        return _found(catalog, which, path_map_of(beamline))
    except ClientError as error:
        if beamline.store.served and folder is None:
            raise UnreadableRun(f"the server of the catalog does not give run {which}: {error}") from error
        raise UnreadableRun(
            f"the tables of run {which} are not where {folder or beamline.store.folder} has them; if the folder was "
            "moved or copied, put it back to where it was made, with its files"
        ) from error


def _found(catalog: Any, which: str, path_map: list[tuple[str, str]]) -> "Run":
    from whiteline.analysis.runs import UnreadableRun, find_run

    if not SCAN_NUMBER.fullmatch(which):
        return find_run(catalog, which, path_map=path_map)
    try:
        return find_run(catalog, int(which), path_map=path_map)
    except UnreadableRun:
        if which.startswith(("-", "+")):
            raise
        # so few digits may also begin a uid
        return find_run(catalog, which, path_map=path_map)
