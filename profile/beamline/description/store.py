"""Where documents are kept: the journal, and the catalog that is made of it."""

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from whiteline.beamline.description.base import Count, Positive, Table
from whiteline.beamline.description.detectors import Folder

DATABASES = ("sqlite", "postgresql")
SERVERS = ("http", "https")


def _folder() -> Path:
    return Path.home() / "whiteline-data" / "catalog"


class Store(Table):
    """Where the documents of a beamline are kept.

    The folder holds the journal, and unless `catalog` says otherwise all of the catalog: SQLite, without a server. A
    catalog in PostgreSQL is `catalog = "postgresql://…"`, and one that a Tiled server holds is `catalog = "http://…"`,
    whose API key is taken from the environment variable TILED_API_KEY. `tables` is the database of the events, if that
    is not to be the one of the catalog.
    """

    folder: Folder = Field(default_factory=_folder)
    catalog: str | None = None
    tables: str | None = None
    events_per_write: Count = 50
    keep_journals_days: Positive = 30.0

    @model_validator(mode="after")
    def _uris(self) -> Self:
        for key, allowed in (("catalog", DATABASES + SERVERS), ("tables", DATABASES)):
            uri = getattr(self, key)
            if uri is not None and urlsplit(uri).scheme not in allowed:
                known = ", ".join(f"{scheme}://" for scheme in allowed)
                raise ValueError(f"{key} = {uri!r} is no address of a catalog: it must begin with one of {known}")
        if self.served and self.tables is not None:
            raise ValueError("tables belong to the server of the catalog; leave tables out where catalog is http://")
        return self

    @property
    def served(self) -> bool:
        """Whether a Tiled server holds the catalog."""
        return self.catalog is not None and urlsplit(self.catalog).scheme in SERVERS

    @property
    def journals(self) -> Path:
        """Folder of the journals."""
        return self.folder / "journal"

    @property
    def arrays(self) -> Path:
        """Folder of the arrays that events hold themselves, such as spectra of a counter."""
        return self.folder / "arrays"

    @property
    def catalog_uri(self) -> str:
        """The database or the server of the catalog."""
        return self.catalog or f"sqlite:///{self.folder / 'catalog.db'}"

    @property
    def tables_uri(self) -> str:
        """The database of the events; of no meaning where a server holds the catalog."""
        if self.tables or (self.catalog and not self.served and urlsplit(self.catalog).scheme == "postgresql"):
            return self.tables or self.catalog_uri
        return f"sqlite:///{self.folder / 'tables.db'}"
