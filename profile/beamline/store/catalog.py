"""The catalog: a Tiled profile that `databroker` opens, without a server or with one.

Embedded, it is a folder with two SQLite databases, and no socket. The same description with `catalog = "postgresql://…"`
keeps it in PostgreSQL; with `catalog = "http://…"` a Tiled server holds it, which is started with what
`service_configuration` returns.
"""

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from whiteline.beamline.description import Beamline
from whiteline.beamline.description.store import Store

ROOT = {"name": "CatalogOfBlueskyRuns", "version": "3.0"}

BUSY_MS = 5000
"""How long a database is waited for that another process holds just now [ms]."""

ADAPTERS = {"application/x-hdf5": "whiteline.beamline.store.external:FramesAdapter"}
"""As `whiteline.beamline.store.external.ADAPTERS`, by name: a profile is written without importing Tiled."""


class CatalogError(OSError):
    """A catalog that cannot be opened."""


def readable_folders(beamline: Beamline) -> list[Path]:
    """Return the folders of the files of detectors and of the capture box, as clients see them."""
    writers = (beamline.camera, beamline.fluorescence, beamline.capture)
    return list(dict.fromkeys(one.files.read for one in writers if one is not None))


def service_configuration(store: Store, readable: Sequence[Path]) -> dict[str, Any]:
    """Return what a Tiled server is told, one within this process as well as `tiled serve config`.

    Parameters
    ----------
    store : Store
        Its table in the description; `catalog` must name a database.
    readable : sequence of Path
        Folders of the detectors' files.
    """
    # files of frames are never written to by Tiled, nor is any other file that it did not make itself
    catalog = {
        "uri": store.catalog_uri,
        "writable_storage": [store.arrays.as_uri().replace("file://", "file://localhost"), store.tables_uri],
        "readable_storage": [str(folder) for folder in readable],
        # Tiled starts a process for that, which takes seconds
        "init_if_not_exists": bool(store.catalog) or not (store.folder / "catalog.db").exists(),
        "specs": [ROOT],
        "adapters_by_mimetype": ADAPTERS,
    }
    return {"catalog": catalog}


def write_profile(name: str, store: Store, readable: Sequence[Path]) -> Path:
    """Write the profile by which `databroker.catalog[name]` opens the catalog, and return its folder.

    Raises
    ------
    CatalogError
        If the folder of the store cannot be made or written into.
    """
    profile = {"uri": store.catalog_uri} if store.served else {"direct": service_configuration(store, readable)}
    folder = store.folder / "profiles"
    try:
        for one in (store.folder, folder, store.journals, store.arrays):
            one.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{name}.new"
        temporary.write_text(json.dumps({name: profile}, indent=2))  # JSON is YAML
        temporary.replace(folder / f"{name}.yml")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CatalogError(
            f"folder {store.folder} of the catalog cannot be written into: {reason}; make it, or name another as "
            "folder in [store]"
        ) from error
    return folder


def open_catalog(beamline: Beamline) -> Any:
    """Open the catalog of a beamline through databroker, and make it if there is none.

    Parameters
    ----------
    beamline : Beamline
        Its description.

    Returns
    -------
    CatalogOfBlueskyRuns
        `cat[-1]` is the newest run.

    Raises
    ------
    CatalogError
        If its folder cannot be written into, or its database or server does not answer.
    """
    store = beamline.store
    folder = write_profile(beamline.name, store, readable_folders(beamline))
    if store.tables_uri.startswith("sqlite:///") and not store.served:
        _let_read_while_written(Path(store.tables_uri.removeprefix("sqlite:///")))
    with quiet():
        # databroker looks for profiles where Tiled does, and Tiled reads them once
        import databroker
        from tiled import profiles

        if folder in profiles.paths:
            profiles.paths.remove(folder)
        profiles.paths.append(folder)  # the last one wins
        profiles.load_profiles.cache_clear()
        try:
            return databroker.catalog[beamline.name]
        except Exception as error:  # from SQLAlchemy, asyncpg, httpx, alembic: each has its own
            where = _without_password(store.catalog_uri)
            raise CatalogError(
                f"catalog {where} cannot be opened: {_reason(error)}; "
                f"{'see that its server runs, and that TILED_API_KEY is right' if store.served else 'look at [store]'}"
            ) from error


def _let_read_while_written(database: Path) -> None:
    """Put a database into a mode in which readers and the writer do not wait for each other, as Tiled does its own.

    By the library with which Tiled opens it, which has an SQLite of its own: where one process has two SQLites, the one
    that closes a file takes away the locks that the other one has on it (https://sqlite.org/howtocorrupt.html, 2.2.1).
    A catalog that was opened twice then read as "database disk image is malformed" while another process wrote.
    """
    import adbc_driver_sqlite.dbapi as sqlite

    try:
        with sqlite.connect(str(database), autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")  # another process may open or close it just now
            cursor.execute("PRAGMA journal_mode=WAL")
    except sqlite.Error as error:
        raise CatalogError(f"database {database} of the events cannot be opened: {error}; look at [store]") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Do not warn of what is Tiled's own affair.

    tiled 0.2.20 imports the test client of starlette 1.10, which warns of httpx; and its settings put classes where
    they say text. A test tells when neither is so any more. Its server, here within this process, announces itself.
    """
    announcing = logging.getLogger("tiled.server.app")
    announcing.addFilter(_is_warning)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*httpx.*starlette.testclient.*")
            warnings.filterwarnings("ignore", message="Pydantic serializer warnings", category=UserWarning)
            yield
    finally:
        announcing.removeFilter(_is_warning)


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _reason(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


def _without_password(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    return uri.replace(f":{parts.password}@", ":***@")
