"""A run out of a catalog is the run that its documents are: through the store, and through TiledWriter as it comes."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fly_runs import FRAME, FlyRun

from whiteline.analysis.runs import Run, UnreadableRun, find_run, open_run


def stored(catalog: Any, documents: Any) -> Any:
    """Put documents through the store into a catalog, and return what it gives."""
    from whiteline.beamline.store.tiled_writer import RunsInCatalog

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runs = RunsInCatalog(catalog, 50)
        for name, document in documents:
            runs(name, document)
        if documents[-1][0] != "stop":
            runs.flush()
        return catalog[documents[0][1]["uid"]]


def through_the_stock_chain(catalog: Any, documents: Any) -> Any:
    from bluesky_tiled_plugins import TiledWriter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        writer = TiledWriter(catalog, batch_size=50)
        for name, document in documents:
            writer(name, document)
        return catalog[documents[0][1]["uid"]]


def opened(given: Any, **options: Any) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return open_run(given, **options)


def assert_same(one: Run, other: Run) -> None:
    assert one.uid == other.uid
    assert one.exit_status == other.exit_status
    for stream in ("primary", "flat", "dark"):
        np.testing.assert_array_equal(one.stream(stream).seq_nums, other.stream(stream).seq_nums)
        np.testing.assert_allclose(one.stream(stream).times, other.stream(stream).times)
        np.testing.assert_array_equal(np.asarray(one.stack(stream=stream)), np.asarray(other.stack(stream=stream)))
    np.testing.assert_array_equal(one.energies, other.energies)
    np.testing.assert_array_equal(one.wanted_energies, other.wanted_energies)
    assert one.flat_groups() == other.flat_groups()


def test_the_store_gives_what_the_documents_say(catalog: Any, take: Callable[..., Any]) -> None:
    taken = take(again=[("primary", 2), ("dark", 1), ("flat", 4)], stray=[8320.0])
    by_documents, by_catalog = open_run(taken.documents), opened(stored(catalog, taken.documents))
    assert_same(by_catalog, by_documents)
    np.testing.assert_allclose(np.asarray(by_catalog.frames), taken.mean("primary"), rtol=1e-7)

    def listed(run: Run) -> list[tuple[str, int | None, int]]:
        return sorted((one.stream, one.seq_num, next(iter(one.places.values())).first) for one in run.discarded)

    assert len(listed(by_documents)) == 4
    assert listed(by_catalog) == listed(by_documents)
    assert by_catalog.completeness.whole


def test_a_run_that_goes_on_is_opened_as_it_is_now(catalog: Any, take: Callable[..., Any], seed: int) -> None:
    taken = take(again=[("primary", 2)])
    events = [index for index, (name, _) in enumerate(taken.documents) if name == "event"]
    cut = int(np.random.default_rng(seed).choice(events[4:]))
    so_far = taken.documents[: cut + 1]
    run = opened(stored(catalog, so_far))
    assert run.going
    assert run.exit_status == "running"
    # the newest event of a stream is held back until it is known that it stands
    whole = open_run(so_far)
    held = len(run.points)
    assert held >= len(whole.points) - 1
    np.testing.assert_array_equal(np.asarray(run.frames), np.asarray(whole.frames)[:held])
    assert run.completeness.missing_energies.size == 4 - held


def test_the_stock_chain_gives_it_where_no_frames_are_left_over(catalog: Any, take: Callable[..., Any]) -> None:
    taken = take(again=[("primary", 3)])
    run = opened(through_the_stock_chain(catalog, taken.documents))
    assert_same(run, open_run(taken.documents))
    assert len(run.points) == 4, "the stock chain stores five rows for four points"


def test_the_stock_chain_is_not_believed_where_frames_are_left_over(catalog: Any, take: Callable[..., Any]) -> None:
    taken = take(stray=[8320.0])
    run = opened(through_the_stock_chain(catalog, taken.documents))
    np.testing.assert_array_equal(run.wanted_energies, taken.energies)
    with pytest.raises(UnreadableRun, match="nothing says where they lie; open the run from its journal"):
        _ = run.frames


def test_a_missing_file_leaves_the_readings(catalog: Any, take: Callable[..., Any], tmp_path: Path) -> None:
    taken = take()
    run = opened(stored(catalog, taken.documents))
    path = taken.camera.paths[0]
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    path.rename(moved / path.name)
    np.testing.assert_array_equal(run.wanted_energies, taken.energies)
    assert not run.frames.readable().any()
    with pytest.raises(UnreadableRun, match=rf"run {run.uid[:8]}.*no file {path}"):
        _ = run.frames[0]
    with_map = {str(tmp_path): str(moved)}
    again = opened(catalog[run.uid], path_map=with_map)
    np.testing.assert_allclose(np.asarray(again.frames), taken.mean("primary"), rtol=1e-7)
    np.testing.assert_array_equal(np.asarray(open_run(run, path_map=with_map).frames), np.asarray(again.frames))


def test_a_run_that_is_not_there_is_named(catalog: Any, take: Callable[..., Any]) -> None:
    taken = take()
    stored(catalog, taken.documents)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert find_run(catalog, taken.documents[0][1]["uid"]).uid == taken.documents[0][1]["uid"]
        for which in ("no-such-run", 123456):
            with pytest.raises(UnreadableRun, match=rf"the catalog has no run {which!r}"):
                find_run(catalog, which)
    with pytest.raises(UnreadableRun, match="no run: it has no start document"):
        opened(catalog)


def test_a_fly_scan_from_the_catalog_is_that_of_its_documents(catalog: Any, tmp_path: Path, seed: int) -> None:
    source = np.random.default_rng(seed)
    units = {"time_end": "s", "x_mean": "um", "Ni_Ka_counts": "counts", "fluorescence_frames": ""}
    start = {"motors": ["y", "x"], "shape": [5, 8], "snaking": [False, True]}
    fly = FlyRun(tmp_path, start, units, 8, detector="fluorescence")
    documents, begun = [*fly.begin(), *fly.energy(8400.0)], 0
    for line in range(5):
        for attempt in range(2 if line == 3 else 1):  # the fourth line was taken again
            took = source.random(8) > 0.1
            columns = {one: source.uniform(0, 1, 8) for one in units} | {"fluorescence_frames": begun + np.cumsum(took)}
            documents += fly.fly(columns, told=attempt == 1 or line != 3)
            begun += int(took.sum())
    labels = source.integers(0, 2**31, begun).astype(np.uint32)
    documents += [*fly.take(np.broadcast_to(labels[:, None, None], (begun, *FRAME))), *fly.end()]
    in_catalog = stored(catalog, documents)
    by_catalog, by_documents = opened(in_catalog), open_run(documents)
    for key in ("capture_Ni_Ka", "x", "energy"):
        np.testing.assert_array_equal(by_catalog.map_of(key), by_documents.map_of(key))
    assert by_documents.energies[0] == 8400.0
    one, other = (each.fly.taken_frames("fluorescence") for each in (by_catalog, by_documents))
    np.testing.assert_array_equal(one[1], other[1])
    np.testing.assert_array_equal(np.asarray(one[0]), np.asarray(other[0]))
    assert by_catalog.completeness.whole
    assert in_catalog["fly"]["capture_Ni_Ka_counts"].shape == (5, 8)
