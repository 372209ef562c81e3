"""What may be opened as a run: what a catalog gives, a list of documents, or the state of a run that is going on."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from whiteline.analysis.runs.builder import RunBuilder
from whiteline.analysis.runs.from_catalog import builder_of
from whiteline.analysis.runs.group import joined, uids_of_group
from whiteline.analysis.runs.path_map import PathMapLike
from whiteline.analysis.runs.run import Run
from whiteline.analysis.runs.unreadable import UnreadableRun


def open_run(run: Any, *, path_map: PathMapLike = None) -> Run:
    """Open a run, finished or still going, as arrays with roles. No frame is read.

    Parameters
    ----------
    run : object
        What a catalog gives, as `cat[-1]`, `cat[uid]`; or a sequence of (name, document) pairs, as from a journal; or a
        `RunBuilder`. A run that is still going is opened as it is now; open it again to see more. A list of these,
        a run and those that resume it, is opened as one.
    path_map : mapping of str to str, or pairs, optional
        From folders as the documents name them to folders of this client, as `write` and `read` of each detector in
        the description of the beamline.

    Returns
    -------
    Run
        Also if it was aborted, or has failed.

    Raises
    ------
    UnreadableRun
        If it is no run, or the documents that say where its frames lie are missing.
    """
    if isinstance(run, Run):
        return run if path_map is None else replace(run, path_map=path_map)
    if isinstance(run, RunBuilder):
        return run.run()
    if isinstance(run, str | int):
        raise UnreadableRun(f"{run!r} names a run, but is none: give what a catalog has under it, cat[{run!r}]")
    if hasattr(run, "metadata"):
        return builder_of(run, path_map).run()
    if not isinstance(run, Iterable):
        raise UnreadableRun(f"{type(run).__name__} is no run: give cat[-1], cat[uid], or (name, document) pairs")
    pairs = list(run)
    if pairs and not any(isinstance(one, list | tuple) and one and isinstance(one[0], str) for one in pairs):
        return joined(open_run(one, path_map=path_map) for one in pairs)
    builder = RunBuilder(path_map)
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise UnreadableRun(f"{pair!r} is no (name, document) pair; a run is a sequence of them, start first")
        builder.feed(*pair)
    return builder.run()


def find_run(catalog: Any, which: str | int, *, path_map: PathMapLike = None) -> Run:
    """Open a run of a catalog by its uid, the begin of it, its scan number, or from the end: −1 is the newest.

    If it was interrupted and resumed, or resumes another one, all of these are opened as one.

    Raises
    ------
    UnreadableRun
        If there is none, or several begin so.
    """
    try:
        found = catalog[which]
    except (KeyError, IndexError, ValueError) as error:
        reason = str(error).strip("'\"") or "not found"
        raise UnreadableRun(
            f"the catalog has no run {which!r} ({reason}); its newest is cat[-1], and list(cat) names all"
        ) from error
    opened = open_run(found, path_map=path_map)
    uids = uids_of_group(opened.start, catalog)
    if len(uids) == 1:
        return opened
    return joined(opened if uid == opened.uid else open_run(catalog[uid], path_map=path_map) for uid in uids)
