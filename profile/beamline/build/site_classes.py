"""Classes of the site's own, which a table of the description names as "package.module:Class"."""

import importlib
from typing import Any

from whiteline.beamline.description import DescriptionError
from whiteline.beamline.description.base import Device


def class_of(table: Device, ours: type, path: str) -> type[Any]:
    """Return the class that a table names, or ours if it names none.

    Parameters
    ----------
    table : Device
        Of the description.
    ours : type
        The class that is used otherwise; the site's own is built with the same arguments.
    path : str
        Of the table in the file, for the error.

    Raises
    ------
    DescriptionError
        If there is no such module or class.
    """
    if table.site_class is None:
        return ours
    module, _, name = table.site_class.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise DescriptionError(f"[{path}] class = {table.site_class!r} cannot be imported: {error}") from error
    if not isinstance(found, type):
        raise DescriptionError(f"[{path}] class = {table.site_class!r} is no class but {type(found).__name__}")
    return found
