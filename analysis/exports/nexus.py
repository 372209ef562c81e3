"""What every NeXus file of ours has: an entry with its run, source, instrument, sample and process."""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

from whiteline.analysis.exports.provenance import (
    NOT_RECORDED,
    as_json,
    iso,
    provenance_of,
    sample_name,
    title_of,
    versions,
)
from whiteline.analysis.exports.request import Request


def group(parent: Any, name: str, nx_class: str) -> Any:
    """Return a new group of a class."""
    made = parent.create_group(name)
    made.attrs["NX_class"] = nx_class
    return made


def field(parent: Any, name: str, value: Any, unit: str = "", long_name: str = "") -> Any:
    """Return a new field, with its unit if it has one."""
    made = parent.create_dataset(name, data=value)
    if unit:
        made.attrs["units"] = unit
    if long_name:
        made.attrs["long_name"] = long_name
    return made


def begin(file: h5py.File, request: Request, definition: Any, processing: Sequence[str]) -> Any:
    """Return a new entry "/entry" with what is known of the run.

    Parameters
    ----------
    file : h5py.File
        Just made.
    request : Request
        What is exported.
    definition : str or ndarray of bytes
        Name of the application definition, as its readers take it.
    processing : sequence of str
        What is done to the data, a sentence each.
    """
    run = request.run
    file.attrs["creator"], file.attrs["default"] = "whiteline", "entry"
    entry = group(file, "entry", "NXentry")
    field(entry, "title", title_of(run))
    field(entry, "definition", definition)
    field(entry, "start_time", iso(run.start["time"]))
    field(entry, "end_time", iso(_end(request)))
    field(entry, "entry_identifier", run.uid)
    field(entry, "program_name", "whiteline")
    proposal = run.start.get("proposal") or run.start.get("proposal_id")
    if proposal:
        field(entry, "experiment_identifier", str(proposal))

    instrument = group(entry, "instrument", "NXinstrument")
    field(instrument, "name", request.instrument or NOT_RECORDED)
    source = group(instrument, "source", "NXsource")
    field(source, "type", "Synchrotron X-ray Source")
    field(source, "name", str(run.start.get("facility") or NOT_RECORDED))
    field(source, "probe", "x-ray")

    field(group(entry, "sample", "NXsample"), "name", sample_name(run))

    process = group(entry, "process", "NXprocess")
    field(process, "program", "whiteline")
    field(process, "version", versions()["whiteline"])
    provenance = provenance_of(request, processing)
    field(process, "date", provenance["exported"])
    note = group(process, "provenance", "NXnote")
    field(note, "type", "application/json")
    field(note, "description", "; ".join(processing))
    field(note, "data", as_json(provenance))
    return entry


def _end(request: Request) -> float:
    """Return when the run ended, or as long as it goes on, when its newest point was recorded [s since 1970]."""
    run = request.run
    if run.stop is not None:
        return float(run.stop["time"])
    stamps = [one.times.max() for one in run.streams.values() if len(one.times)]
    return float(max(stamps, default=run.start["time"]))


def link(parent: Any, name: str, target: Any) -> None:
    """Put a field that is somewhere else already under a second name."""
    parent[name] = h5py.SoftLink(target.name)


def texts(*values: str) -> np.ndarray[Any, Any]:
    """Return texts as an array of bytes, which is what Mantis decodes."""
    return np.array([one.encode() for one in values])
