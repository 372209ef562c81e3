"""Write runs into the catalog from their journal: those of a process that was killed, or whose catalog did not answer.

A run without a stop document gets one that says that it failed, and why. A run of which the catalog holds a part is
removed there, and written anew from the journal, so that nothing is in it twice. Journals of processes that live are
locked, and left alone. All of it may be interrupted, and done again.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from whiteline.analysis.runs.hdf5 import open_bounded
from whiteline.beamline.store.held_back import Document
from whiteline.beamline.store.journal import SUFFIX, InUse, Journal, one_at_a_time, read
from whiteline.beamline.store.tiled_writer import RunInCatalog

DATASET = "entry/data/data"
"""Where areaDetector puts frames in a file."""

CLOCKS_S = 2.0
"""How far the clock of a file server may be from ours [s]."""

STORED = "stored"
"""Folder, beside the journals, of those whose runs are in the catalog."""


@dataclass
class Recovered:
    """What a recovery did.

    Parameters
    ----------
    failed : list of str
        Uids of runs that had no end, and are marked as failed now.
    written : list of str
        Uids of all runs that were written into the catalog.
    troubles : list of str
        A sentence for each thing that could not be mended.
    """

    failed: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def recover(catalog: Any, journals: Path, batch: int = 50, folders: Sequence[Path] = ()) -> Recovered:
    """Write all runs of dead journals into the catalog.

    Parameters
    ----------
    catalog : CatalogOfBlueskyRuns
        The catalog.
    journals : Path
        Folder of the journals.
    batch : int
        Events that are written together.
    folders : sequence of Path
        Of the detectors' files: those that a run had begun, and said nothing of yet, are looked for there.

    Returns
    -------
    Recovered
        What was done; nothing is raised, as a run that cannot be recovered must not keep the others from it.
    """
    found = Recovered()
    for path in sorted(journals.glob(f"*{SUFFIX}")):
        try:
            with Journal(path) as journal, one_at_a_time(journals):
                _recover(catalog, journal, batch, folders, found)
        except (InUse, FileNotFoundError):
            continue
        except Exception as error:
            found.troubles.append(f"journal {path} could not be written into the catalog, and stays: {error}")
    return found


def _recover(catalog: Any, journal: Journal, batch: int, folders: Sequence[Path], found: Recovered) -> None:
    contents = journal.contents
    runs = by_run(contents.documents)
    lost = [*contents.damage]
    if not runs and contents.documents:
        lost.append("no run begins in it")
    for uid, documents in runs.items():
        for document in mend(documents, journal.path.parent, folders, lost):
            journal.append(*document)
            documents.append(document)
            if document[0] == "stop":
                found.failed.append(uid)
        if not _is_stored(catalog, uid):
            write(catalog, documents, batch)
            found.written.append(uid)
    if lost:
        found.troubles.append(f"journal {journal.path} is damaged, and kept: {'; '.join(lost)}")
        journal.path.rename(journal.path.with_suffix(".damaged"))
    else:
        put_away(journal.path)


def by_run(documents: Sequence[Document]) -> dict[str, list[Document]]:
    """Return the documents of each run, in order; those whose run is not known are left out."""
    runs: dict[str, list[Document]] = {}
    run_of: dict[str, str] = {}
    newest = ""
    for name, document in documents:
        if name == "start":
            newest = uid = document["uid"]
            runs[newest] = []
        elif "run_start" in document:
            uid = document["run_start"]
        elif name in ("datum", "datum_page"):
            uid = run_of.get(document["resource"], newest)  # its resource may have been dropped
        else:
            uid = run_of.get(document.get("descriptor", ""), "")
        if "uid" in document and isinstance(document["uid"], str):
            run_of[document["uid"]] = uid
        if uid in runs:
            runs[uid].append((name, document))
    return runs


def mend(documents: Sequence[Document], journals: Path, folders: Sequence[Path], lost: list[str]) -> list[Document]:
    """Return the documents that a run lacks: those of files that it did not speak of, and its end.

    Parameters
    ----------
    documents : sequence of (str, dict)
        Of one run.
    journals : Path
        Folder of the journals.
    folders : sequence of Path
        Of the detectors' files.
    lost : list of str
        What is wrong with its journal, a sentence each; what cannot be mended is added.
    """
    run, ended = documents[0][1], any(name == "stop" for name, _ in documents)
    spoken_of = {document["uid"] for name, document in documents if name == "resource"}
    datums = [document for name, document in documents if name in ("datum", "datum_page")]
    asked = list(dict.fromkeys(one["resource"] for one in datums if one["resource"] not in spoken_of))
    added: list[Document] = []
    if asked or not ended:
        silent = unspoken_files(folders, journals, run["time"])
        if len(silent) < len(asked):
            lost.append(f"{len(asked)} file(s) of frames are not named by documents, and {len(silent)} were found")
        for number, path in enumerate(silent if not ended else silent[: len(asked)]):
            uid = asked[number] if number < len(asked) else None
            added.append(("resource", resource_of(run["uid"], path, uid, _frames_per_point(documents, uid))))
    if not ended:
        added.append(("stop", end_of(documents, lost)))
    return added


def _frames_per_point(documents: Sequence[Document], resource: str | None) -> int:
    """Return how many frames a point has in a file, by the first event that speaks of it; 1 if there is none."""
    descriptors = {document["uid"]: document["data_keys"] for name, document in documents if name == "descriptor"}
    for name, event in documents:
        if name == "event" and resource is not None and event["descriptor"] in descriptors:
            for key, value in event["data"].items():
                if str(value).startswith(f"{resource}/"):
                    return int(descriptors[event["descriptor"]][key]["shape"][0])
    return 1


def end_of(documents: Sequence[Document], lost: list[str]) -> dict[str, Any]:
    """Return the stop document of a run that has none; the same one each time."""
    start = documents[0][1]
    streams = {one["uid"]: one["name"] for name, one in documents if name == "descriptor"}
    points: dict[str, set[int]] = {name: set() for name in streams.values()}
    for name, one in documents:
        if name == "event" and one["descriptor"] in streams:
            points[streams[one["descriptor"]]].add(one["seq_num"])
        elif name == "event_page" and one["descriptor"] in streams:
            points[streams[one["descriptor"]]].update(one["seq_num"])
    reason = "the process that took this run ended before the run did; it was completed from the journal"
    if lost:
        reason += f", which is damaged: {'; '.join(lost)}"
    return {
        "uid": str(uuid5(NAMESPACE_OID, f"{start['uid']}/stop")),
        "run_start": start["uid"],
        "time": max(_times(documents)),
        "exit_status": "fail",
        "reason": reason,
        "num_events": {name: len(numbers) for name, numbers in points.items()},
        "ended_by": "recovery",
    }


def _times(documents: Sequence[Document]) -> Iterator[float]:
    for _, document in documents:
        at = document.get("time")
        yield from at if isinstance(at, list) else [at] if at is not None else []


def unspoken_files(folders: Sequence[Path], journals: Path, since: float) -> list[Path]:
    """Return files of frames that no journal speaks of.

    A detector begins its file with its first frame, and the run speaks of it with its first reading. If the process
    ended in between, there is a frame on the disk and no word about it.

    Parameters
    ----------
    folders : sequence of Path
        Of the detectors' files.
    journals : Path
        Folder of the journals.
    since : float
        When the run began [s since the epoch].
    """
    new = [
        path
        for folder in folders
        for path in sorted(folder.rglob("*.h5"))
        if path.stat().st_mtime >= since - CLOCKS_S and _holds_frames(path)
    ]
    if not new:
        return []
    spoken_of = {
        Path(document["resource_path"]).name
        for journal in (*journals.rglob(f"*{SUFFIX}"), *journals.glob("*.damaged"))
        for name, document in read(journal).documents
        if name == "resource"
    }
    return sorted((path for path in new if path.name not in spoken_of), key=lambda path: path.stat().st_mtime)


def _holds_frames(path: Path) -> bool:
    try:
        with open_bounded(path) as file:
            return DATASET in file
    except (OSError, KeyError, RuntimeError):
        return False


def resource_of(run: str, path: Path, uid: str | None = None, per_point: int = 1) -> dict[str, Any]:
    """Return the document that a run would have emitted of a file of frames."""
    return {
        "uid": uid or str(uuid5(NAMESPACE_OID, str(path))),
        "run_start": run,
        "spec": "AD_HDF5_SWMR_STREAM",
        "root": str(path.parent),
        "resource_path": path.name,
        "resource_kwargs": {"frame_per_point": per_point, "dataset": DATASET, "swmr": True},
        "path_semantics": "posix",
    }


def _is_stored(catalog: Any, uid: str) -> bool:
    return uid in catalog and "stop" in catalog[uid].metadata


def write(catalog: Any, documents: Sequence[Document], batch: int = 50) -> None:
    """Write a run into the catalog, instead of what there is of it.

    Parameters
    ----------
    catalog : CatalogOfBlueskyRuns
        The catalog.
    documents : sequence of (str, dict)
        Of one run, its start first; a file may be named after its frames, and after the end.
    batch : int
        Events that are written together.
    """
    uid = documents[0][1]["uid"]
    if uid in catalog:
        catalog.delete_contents(uid, recursive=True, external_only=False)
    run = RunInCatalog(catalog.include_data_sources(), batch, to_the_end=True)
    order = {"start": 0, "resource": 1, "stop": 3}
    for name, document in sorted(documents, key=lambda one: order.get(one[0], 2)):
        run(name, json.loads(json.dumps(document)))


def put_away(path: Path) -> None:
    """Put a journal whose runs are in the catalog aside."""
    folder = path.parent / STORED
    folder.mkdir(exist_ok=True)
    os.utime(path)
    path.rename(folder / path.name)


def forget(journals: Path, days: float) -> None:
    """Delete journals that were put aside so many days ago."""
    for path in (journals / STORED).glob(f"*{SUFFIX}"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - 86400 * days:
                path.unlink()
