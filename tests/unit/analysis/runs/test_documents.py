"""From documents to a run: the points that survive, their frames, and nothing else."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from whiteline.analysis.runs import RunBuilder, UnreadableRun, open_run


def test_each_stream_has_its_own_frames_although_they_share_a_file(take: Callable[..., Any]) -> None:
    taken = take()
    run = open_run(taken.documents)
    for stack, stream in ((run.frames, "primary"), (run.flats, "flat"), (run.darks, "dark")):
        assert stack.shape == (len(taken.raw[stream]), 6, 7)
        assert stack.dtype == np.float32
        np.testing.assert_allclose(np.asarray(stack), taken.mean(stream), rtol=1e-7)
        np.testing.assert_array_equal(stack.raw(1), taken.raw[stream][1])
    np.testing.assert_allclose(run.dark(), taken.mean("dark").mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(run.energies, np.array(taken.energies) + 0.01)
    np.testing.assert_array_equal(run.wanted_energies, taken.energies)
    assert run.exit_status == "success"
    assert run.completeness.whole
    assert not run.discarded


def test_a_point_taken_again_after_a_pause_replaces_the_first(take: Callable[..., Any]) -> None:
    taken = take(again=[("primary", 2), ("flat", 3)])
    assert sum(name == "event" for name, _ in taken.documents) == 2 + 4 + 4 + 2, "the pauses came to nothing"
    run = open_run(taken.documents)
    np.testing.assert_array_equal(run.points.seq_nums, [1, 2, 3, 4])
    np.testing.assert_allclose(np.asarray(run.frames), taken.mean("primary"), rtol=1e-7)
    np.testing.assert_allclose(np.asarray(run.flats), taken.mean("flat"), rtol=1e-7)
    assert sorted((one.stream, one.seq_num) for one in run.discarded) == [("flat", 3), ("primary", 2)]
    for one, raw in zip(run.discarded, taken.discarded, strict=True):
        place = one.places["camera_image"]
        with_frames = run.frames.averaged([[0]])
        found = type(with_frames)(((place,),), (6, 7), run.frames.raw_dtype, run.frames.path_map, "discarded").raw(0)
        np.testing.assert_array_equal(found, raw)


def test_frames_of_a_trigger_that_came_to_nothing_are_listed(take: Callable[..., Any]) -> None:
    taken = take(stray=[8310.0])
    run = open_run(taken.documents)
    np.testing.assert_allclose(np.asarray(run.frames), taken.mean("primary"), rtol=1e-7)
    assert [(one.stream, one.seq_num) for one in run.discarded] == [("", None)]
    # two darks, two flats and one sample before it, three frames each
    assert next(iter(run.discarded[0].places.values())).first == 15


def test_a_run_is_valid_after_every_document(take: Callable[..., Any]) -> None:
    taken = take(again=[("primary", 3)], stray=[8320.0])
    builder = RunBuilder()
    reached: dict[int, float] = {}
    names: dict[str, str] = {}
    for name, document in taken.documents:
        points = builder.feed(name, document)
        if name == "descriptor":
            names[document["uid"]] = document["name"]
        if name == "event" and names[document["descriptor"]] == "primary":
            reached[document["seq_num"]] = document["data"]["energy"]
        run = builder.run()
        assert run.going == (name != "stop")
        assert run.completeness.points == len(reached)
        assert run.completeness.missing_energies.size == 4 - len(reached)
        for point in points:
            place = point.places["camera_image"]
            assert place.count == 3
            assert (point.replaces is not None) == (
                name == "event" and document["seq_num"] in _twice(taken, point, name)
            )
        if "primary" in builder.streams and reached:
            np.testing.assert_array_equal(run.energies, [reached[number] for number in sorted(reached)])
            assert run.frames.readable().all()
    np.testing.assert_allclose(np.asarray(builder.run().frames), taken.mean("primary"), rtol=1e-7)


def _twice(taken: Any, point: Any, name: str) -> set[int]:
    """Numbers of points of which the one in question is the second."""
    descriptor = {d["uid"]: d["name"] for n, d in taken.documents if n == "descriptor"}
    events = [d for n, d in taken.documents if n == "event" and descriptor[d["descriptor"]] == point.stream]
    same = [d for d in events if d["seq_num"] == point.seq_num]
    return {point.seq_num} if len(same) == 2 and same[1]["time"] == point.time else set()


def test_a_start_in_the_middle_leaves_out_what_it_does_not_know(take: Callable[..., Any]) -> None:
    taken = take()
    builder = RunBuilder()
    middle = next(i for i, (name, _) in enumerate(taken.documents) if name == "event") + 1
    for name, document in taken.documents[middle:]:
        builder.feed(name, document)
    assert builder.missed == 1, "the second dark, whose descriptor came before"
    assert len(builder.streams["primary"].points) == 4
    with pytest.raises(UnreadableRun, match="no start document"):
        builder.run()


def test_documents_of_two_runs_are_refused(take: Callable[..., Any]) -> None:
    first, second = take(), take()
    with pytest.raises(UnreadableRun, match="of one run at a time"):
        open_run(first.documents + second.documents)


def test_pages_and_late_datums_are_the_same(take: Callable[..., Any]) -> None:
    from event_model import pack_datum_page, pack_event_page

    taken = take(again=[("primary", 2)])
    singly = open_run(taken.documents)
    pages: list[tuple[str, Any]] = []
    for name, document in taken.documents:
        if name == "event":
            pages.append(("event_page", pack_event_page(document)))
        elif name == "datum":
            pages.append(("datum_page", pack_datum_page(document)))
        else:
            pages.append((name, document))
    # what says where frames lie comes after the events that refer to it
    late = [one for one in pages if one[0] != "datum_page"]
    late[-1:-1] = [one for one in pages if one[0] == "datum_page"]
    for documents in (pages, late):
        run = open_run(documents)
        np.testing.assert_array_equal(np.asarray(run.frames), np.asarray(singly.frames))
        assert len(run.discarded) == 1


@pytest.mark.parametrize("given", ["1a2b3c", 7])
def test_a_name_is_no_run(given: str | int) -> None:
    with pytest.raises(UnreadableRun, match=r"give what a catalog has under it, cat\["):
        open_run(given)


@pytest.mark.parametrize("given", [3.5, [1, 2], object()])
def test_what_is_no_run_is_refused(given: object) -> None:
    with pytest.raises(UnreadableRun, match="is no"):
        open_run(given)


def test_a_stream_that_is_not_there_is_named(take: Callable[..., Any]) -> None:
    taken = take()
    only_darks = [(n, d) for n, d in taken.documents if n in ("start", "stop") or d.get("name") == "dark"]
    run = open_run(only_darks)
    uid = taken.documents[0][1]["uid"][:8]
    with pytest.raises(UnreadableRun, match=rf"run {uid}.* has no stream 'primary'; it has dark"):
        _ = run.frames
    with pytest.raises(UnreadableRun, match="no darks"):
        run.dark()
    assert run.completeness.points == 0


def test_importing_it_loads_nothing_heavy() -> None:
    heavy = ("bluesky", "dask", "databroker", "event_model", "h5py", "pandas", "tiled", "xarray")
    program = f"import sys, whiteline.analysis.runs; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
