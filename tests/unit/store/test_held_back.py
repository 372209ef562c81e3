"""Points that are taken again: each is stored once, with its own frames, and what it replaced is listed."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bluesky_tiled_plugins import TiledWriter

from whiteline.beamline.store.held_back import HeldBack
from whiteline.beamline.store.writing import Store

POSITIONS = [-1.0, 0.0, 1.0, 2.0]


def _scan(detectors: list[Any], at: int, interrupt: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """A small scan that is interrupted before message number `at`."""
    import bluesky.plans as bp
    from ophyd.sim import motor

    for number, message in enumerate(bp.list_scan(detectors, motor, POSITIONS)):
        if number == at:
            yield from interrupt()
        yield message


def _messages(detectors: list[Any]) -> int:
    """Count the messages up to the end of the run; bluesky itself cannot go back over that."""
    commands = [message.command for message in _scan(detectors, -1, lambda: iter(()))]
    return commands.index("close_run") + 1


def _check(run: Any, camera: Any) -> list[dict[str, Any]]:
    """Check that a run holds each point once, with the frames taken with it last; return what is discarded."""
    read = run["primary"].read()
    assert list(read["motor"].values) == POSITIONS
    assert run.stop["exit_status"] == "success"
    frames = read[camera.key].values
    assert frames.shape == (len(POSITIONS), camera.frames, *camera.shape)
    places = frames[:, :, 0, 0].astype(int)
    assert (np.diff(places, axis=1) == 1).all()  # the frames of a point lie together
    assert (places[:, 0] % camera.frames == 0).all()
    discarded: list[dict[str, Any]] = run.stop["discarded"]
    counted = set(places[:, 0] // camera.frames)
    assert counted.isdisjoint(one["index"] for one in discarded)
    return discarded


def test_a_pause_at_any_message_leaves_each_point_once(store: Store, engine: Any, detector: Any) -> None:
    import bluesky.plan_stubs as bps
    from bluesky.utils import RunEngineInterrupted

    engine.subscribe(store)
    taken = []
    for at in range(1, _messages([detector()])):
        camera, documents = detector(), list[Any]()
        token = engine.subscribe(lambda name, document, to=documents: to.append((name, document)))
        with pytest.raises(RunEngineInterrupted):
            engine(_scan([camera], at, bps.pause))
        engine.resume()
        engine.unsubscribe(token)
        taken.append((camera, documents))
    assert store.wait(120)
    again = 0
    for camera, documents in taken:
        run = store.catalog[documents[0][1]["uid"]]
        discarded = _check(run, camera)
        with h5py.File(camera.files[0]) as file:
            assert file["entry/data/data"].shape[0] == camera.frames * (len(POSITIONS) + len(discarded))
        twice = sum(name == "event" for name, _ in documents) - len(POSITIONS)
        assert sum(one["reason"] == "taken again" for one in discarded) == twice
        again += twice
        if discarded:  # its frames are readable as all others
            assert run["discarded"].read()[camera.key].shape[0] == camera.frames * len(discarded)
    assert again > 0, "no point was taken again, so nothing was tested"
    assert not store.troubles


def test_a_suspender_at_any_message_leaves_each_point_once(store: Store, engine: Any, detector: Any) -> None:
    import bluesky.plan_stubs as bps
    from bluesky.suspenders import SuspendBoolHigh
    from ophyd import Signal

    beam_lost = Signal(name="beam_lost", value=0)
    engine.install_suspender(SuspendBoolHigh(beam_lost))
    engine.subscribe(store)

    def lose_beam() -> Iterator[Any]:
        beam_lost.put(1)
        threading.Timer(0.02, beam_lost.put, [0]).start()
        yield from bps.null()
        yield from bps.sleep(0.005)

    again, taken = 0, []
    for at in range(1, _messages([detector()])):
        camera, seen = detector(), list[int]()
        token = engine.subscribe(lambda _, document, to=seen: to.append(document["seq_num"]), "event")
        (uid,) = engine(_scan([camera], at, lose_beam))
        engine.unsubscribe(token)
        again += len(seen) - len(POSITIONS)
        taken.append((uid, camera))
    assert store.wait(120)
    for uid, camera in taken:
        _check(store.catalog[uid], camera)
    assert again > 0, "no point was taken again, so nothing was tested"
    assert not store.troubles


def test_the_stock_chain_stores_five_rows_for_four_points(
    store: Store, engine: Any, beamline: Any, tmp_path: Path
) -> None:
    import bluesky.plan_stubs as bps
    from bluesky.utils import RunEngineInterrupted
    from ophyd.sim import det

    from whiteline.beamline.store.catalog import open_catalog

    table = beamline.store.model_copy(update={"folder": tmp_path / "stock"})
    stock = open_catalog(beamline.model_copy(update={"name": "stock", "store": table}))
    engine.subscribe(TiledWriter(stock, batch_size=1))
    engine.subscribe(store)
    messages = list(_scan([det], -1, lambda: iter(())))
    after_second_event = [number for number, one in enumerate(messages) if one.command == "save"][1] + 1
    with pytest.raises(RunEngineInterrupted):
        engine(_scan([det], after_second_event, bps.pause))
    (uid,) = engine.resume()
    assert store.wait()
    assert list(stock[uid]["primary"].read()["motor"].values) == [-1.0, 0.0, 0.0, 1.0, 2.0]
    assert list(store.catalog[uid]["primary"].read()["motor"].values) == POSITIONS
    (one,) = store.catalog[uid].stop["discarded"]
    assert (one["stream"], one["seq_num"], one["reason"]) == ("primary", 2, "taken again")


def test_several_events_between_two_checkpoints_are_stored_once_each(store: Store, engine: Any, detector: Any) -> None:
    import bluesky.plan_stubs as bps
    import bluesky.preprocessors as bpp
    from bluesky.utils import RunEngineInterrupted

    camera = detector()

    @bpp.stage_decorator([camera])
    @bpp.run_decorator()
    def plan() -> Iterator[Any]:
        yield from bps.checkpoint()
        for _ in range(9):
            yield from bps.trigger_and_read([camera])
        yield from bps.pause()
        yield from bps.checkpoint()

    engine.subscribe(store)
    with pytest.raises(RunEngineInterrupted):
        engine(plan())
    (uid,) = engine.resume()
    assert store.wait()
    read = store.catalog[uid]["primary"].read()
    assert [int(one) for one in read[camera.key][:, 0, 0, 0]] == [2 * point for point in range(9, 18)]
    assert len(store.catalog[uid].stop["discarded"]) == 9
    assert not store.troubles


def test_frames_of_three_streams_in_one_file_are_told_apart(store: Store, engine: Any, detector: Any) -> None:
    import bluesky.plan_stubs as bps
    import bluesky.preprocessors as bpp

    camera = detector()

    @bpp.stage_decorator([camera])
    @bpp.run_decorator()
    def plan() -> Iterator[Any]:
        for name in ("dark", "flat", "primary", "flat", "primary", "primary"):
            yield from bps.checkpoint()
            yield from bps.trigger_and_read([camera], name=name)

    engine.subscribe(store)
    (uid,) = engine(plan())
    assert store.wait()
    run = store.catalog[uid]
    found = {name: list(run[name].read()[camera.key].values[:, 0, 0, 0] // 2) for name in ("dark", "flat", "primary")}
    assert found == {"dark": [0], "flat": [1, 3], "primary": [2, 4, 5]}
    assert run.stop["discarded"] == []


def test_two_stagings_in_one_run_are_read_as_one_array(store: Store, engine: Any, detector: Any) -> None:
    import bluesky.plan_stubs as bps
    import bluesky.preprocessors as bpp

    camera = detector()

    @bpp.run_decorator()
    def plan() -> Iterator[Any]:
        for points in (2, 3):
            yield from bps.stage(camera)
            for _ in range(points):
                yield from bps.checkpoint()
                yield from bps.trigger_and_read([camera])
            yield from bps.unstage(camera)

    engine.subscribe(store)
    (uid,) = engine(plan())
    assert store.wait()
    assert list(store.catalog[uid]["primary"].read()[camera.key].values[:, 1, 0, 0]) == [1, 3, 1, 3, 5]


def test_documents_whose_descriptor_is_missing_are_counted_and_left_out() -> None:
    held = HeldBack()
    assert list(held("event", {"descriptor": "gone", "seq_num": 1, "data": {}})) == []
    assert held.orphans == 1


def test_rows_that_are_flown_anew_replace_the_first_ones_whatever_their_batches() -> None:
    """A line of many rows is told of in batches while it goes on; after a pause it is flown anew, at another pace."""

    def batch(number: int, first: int, count: int) -> dict[str, Any]:
        rows = {"start": first, "stop": first + count}
        told = {"start": number, "stop": number + count}
        return {"uid": f"r/{first}", "stream_resource": "r", "descriptor": "d", "indices": rows, "seq_nums": told}

    told = [batch(1, 0, 15), batch(16, 15, 14), batch(30, 29, 10), batch(1, 40, 17), batch(18, 57, 40)]
    documents: list[tuple[str, dict[str, Any]]] = [
        ("descriptor", {"uid": "d", "name": "fly", "data_keys": {"x": {"external": "STREAM:"}}}),
        *(("stream_datum", one) for one in told),
        ("stop", {}),
    ]
    at_once = HeldBack()
    for document in documents:
        list(at_once(*document))
    assert at_once.too_late  # so the store writes the run again, held to its end
    held = HeldBack(to_the_end=True)
    through = [one for document in documents for name, one in held(*document) if name == "stream_datum"]
    assert [(one["indices"]["start"], one["seq_nums"]["start"]) for one in through] == [(40, 1), (57, 18)]
    assert sorted(one.index for one in held.discarded if one.index is not None) == list(range(39))
