"""The store as a RunEngine has it: what it holds in trouble, and what others see of it meanwhile."""

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whiteline.beamline.description import Beamline
from whiteline.beamline.store.catalog import CatalogError, open_catalog, readable_folders
from whiteline.beamline.store.journal import JournalError
from whiteline.beamline.store.recovery import recover
from whiteline.beamline.store.writing import Store, open_store


def _scan(points: int = 5, detectors: Any = None, **md: Any) -> Iterator[Any]:
    import bluesky.plans as bp
    from ophyd.sim import det, motor

    return iter(bp.list_scan(detectors or [det], motor, list(range(points)), md=md))


class Dead:
    """A catalog that answers nothing."""

    def include_data_sources(self) -> "Dead":
        return self

    def __contains__(self, _: object) -> bool:
        raise OSError("no route to host")

    def create_container(self, **_: object) -> None:
        raise OSError("no route to host")


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody in particular, as root may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_catalog_that_does_not_answer_stops_nothing_and_gets_the_run_later(
    catalog: Any, engine: Any, tmp_path: Path
) -> None:
    told: list[str] = []
    with Store(Dead(), tmp_path, tell=told.append) as store:
        engine.subscribe(store)
        (uid,) = engine(_scan())
        assert store.wait()
    assert "the catalog did not take a document (start): no route to host; the run is in the journal" in told
    assert uid not in catalog
    assert recover(catalog, tmp_path).written == [uid]
    assert catalog[uid].stop["exit_status"] == "success"
    assert len(catalog[uid]["primary"].read()["det"]) == 5
    assert not list(tmp_path.glob("*.jsonl"))
    assert recover(catalog, tmp_path).written == []


def test_a_full_disk_ends_the_run_in_order_and_with_a_sentence(
    store: Store, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bluesky.preprocessors as bpp
    from bluesky import plan_stubs as bps

    real, left, cleaned = os.pwrite, iter(range(6)), list[bool]()

    def full(file: int, data: bytes, at: int) -> int:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, data, at)

    def clean() -> Iterator[Any]:
        cleaned.append(True)
        yield from bps.null()

    engine.subscribe(store)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(JournalError, match=r"did not take a document \(event\): no space left on device; make room"):
        engine(bpp.finalize_wrapper(_scan(), clean))
    monkeypatch.undo()
    assert cleaned == [True]
    assert engine.state == "idle"
    assert store.wait()
    run = store.catalog[-1]
    assert run.stop["exit_status"] == "fail"
    assert "no space left" in run.stop["reason"]
    # what the journal did not take went into the catalog, which had room
    assert len(run["primary"].read()["det"]) == run.stop["num_events"]["primary"]
    (uid,) = engine(_scan())
    assert store.wait()
    assert store.catalog[uid].stop["exit_status"] == "success"


def test_a_folder_that_may_not_be_written_into_refuses_the_run_at_its_start(
    catalog: Any, engine: Any, tmp_path: Path
) -> None:
    journals = tmp_path / "journal"
    journals.mkdir(mode=0o555)
    tmp_path.chmod(0o755)
    messages: list[str] = []
    engine.msg_hook = lambda message: messages.append(message.command)
    with Store(catalog, journals) as store:
        engine.subscribe(store)
        # pytest keeps its folders from others, so that here even looking for it is denied
        with unprivileged(), pytest.raises(JournalError, match="cannot be begun: permission denied; no run is taken"):
            engine(_scan())
    assert "set" not in messages
    assert engine.state == "idle"


def test_what_cannot_be_kept_refuses_the_run_and_says_what_it_is(store: Store, engine: Any) -> None:
    engine.subscribe(store)
    with pytest.raises(TypeError, match="documents hold numbers, text, lists and mappings"):
        engine(_scan(thing=object()))
    (uid,) = engine(_scan())
    assert store.wait()
    assert store.catalog[uid].stop["exit_status"] == "success"


def test_a_run_without_an_end_is_marked_as_failed_and_keeps_its_last_event(
    catalog: Any, engine: Any, tmp_path: Path, detector: Any
) -> None:
    camera = detector()
    with Store(catalog, tmp_path) as store:
        documents: list[tuple[str, Any]] = []
        engine(_scan(4, [camera]), lambda name, document: documents.append((name, document)))
        for name, document in documents:
            if name != "stop" and document.get("seq_num") != 4:
                store(name, document)
        assert store.wait()
        uid = documents[0][1]["uid"]
        assert "stop" not in catalog[uid].metadata
        assert len(catalog[uid]["primary"].read()["motor"]) == 2  # the third is held back
        assert recover(catalog, tmp_path).written == []  # it belongs to a store that lives
    found = recover(catalog, tmp_path, folders=[tmp_path])
    assert (found.failed, found.written, found.troubles) == ([uid], [uid], [])
    run = catalog[uid]
    assert run.stop["exit_status"] == "fail"
    assert "process that took this run ended" in run.stop["reason"]
    assert list(run["primary"].read()[camera.key].values[:, 0, 0, 0]) == [0, 2, 4]
    # the frames of the fourth point are on the disk, and no event speaks of them
    assert list(run["discarded"].read()[camera.key].values[:, 0, 0]) == [6, 7]
    assert [one["reason"] for one in run.stop["discarded"]] == ["no event"]


def test_frames_that_no_document_speaks_of_are_found(catalog: Any, engine: Any, tmp_path: Path, detector: Any) -> None:
    camera = detector()
    documents: list[tuple[str, Any]] = []
    engine(_scan(1, [camera]), lambda name, document: documents.append((name, document)))
    with Store(catalog, tmp_path) as store:
        store(*documents[0])
    uid = documents[0][1]["uid"]
    assert recover(catalog, tmp_path, folders=[tmp_path]).failed == [uid]
    assert list(catalog[uid]["discarded"].read()["frames"].values[:, 0, 0]) == [0, 1]


def test_a_damaged_journal_is_told_kept_and_recovered_as_far_as_it_goes(
    catalog: Any, engine: Any, tmp_path: Path
) -> None:
    with Store(Dead(), tmp_path, tell=lambda _: None) as store:
        engine.subscribe(store)
        (uid,) = engine(_scan(6))
    (journal,) = tmp_path.glob("*.jsonl")
    lines = journal.read_bytes().split(b"\n")
    event = next(number for number, line in enumerate(lines) if b'"event"' in line)
    lines[event] = lines[event].replace(b'"time"', b'"tyme"')
    journal.write_bytes(b"\n".join(lines))
    (trouble,) = recover(catalog, tmp_path).troubles
    assert "is damaged, and kept: documents 2 to 2: 1 damaged line(s) in their place" in trouble
    assert list(tmp_path.glob("*.damaged"))
    assert list(catalog[uid]["primary"].read()["motor"].values) == [1, 2, 3, 4, 5]


def test_another_process_reads_a_run_that_is_going_on(
    store: Store, engine: Any, beamline: Beamline, tmp_path: Path
) -> None:
    script = tmp_path / "reader.py"
    script.write_text(
        "import json, sys\n"
        "from pathlib import Path\n"
        "from tiled import profiles\n"
        "profiles.paths.append(Path(sys.argv[1]))\n"
        "from databroker import catalog\n"
        "cat = catalog['txm']\n"
        "for line in sys.stdin:\n"
        "    run = cat[line.strip()]\n"
        "    rows = len(run['primary'].read()['det']) if 'primary' in run else 0\n"
        "    print(json.dumps([rows, run.metadata.get('stop', {}).get('exit_status')]), flush=True)\n"
    )
    command = [sys.executable, str(script), str(beamline.store.folder / "profiles")]
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert reader.stdin is not None
    assert reader.stdout is not None
    stdin, stdout = reader.stdin, reader.stdout

    def asked(uid: str) -> list[Any]:
        stdin.write(f"{uid}\n")
        stdin.flush()
        answer: list[Any] = json.loads(stdout.readline())
        return answer

    seen: list[list[Any]] = []

    def look(name: str, document: Any) -> None:
        if name == "event" and document["seq_num"] == 4:
            assert store.wait()
            seen.append(asked(uids[0]))

    uids: list[str] = []
    engine.subscribe(lambda _, start: uids.append(start["uid"]), "start")
    engine.subscribe(store)
    engine.subscribe(look)
    engine(_scan(6))
    assert store.wait()
    seen.append(asked(uids[0]))
    reader.stdin.close()
    reader.wait(30)
    stdout.close()
    assert seen == [[3, None], [6, "success"]]


def test_two_sessions_write_side_by_side(catalog: Any, tmp_path: Path) -> None:
    from bluesky import RunEngine

    engines = [RunEngine(context_managers=[]) for _ in range(2)]
    with Store(catalog, tmp_path) as one, Store(catalog, tmp_path) as other:
        uids: list[str] = []
        documents: list[tuple[str, Any]] = []
        engines[0](_scan(8), lambda name, document: documents.append((name, document)))
        engines[1].subscribe(other)
        for name, document in documents[:6]:
            one(name, document)
        uids += engines[1](_scan(3))
        for name, document in documents[6:]:
            one(name, document)
        uids.append(documents[0][1]["uid"])
        assert one.wait()
        assert other.wait()
        assert (one.troubles, other.troubles) == ([], [])
    assert [len(catalog[uid]["primary"].read()["det"]) for uid in uids] == [3, 8]


def test_files_of_the_capture_box_may_be_read_wherever_they_are(beamline: Beamline, tmp_path: Path) -> None:
    assert beamline.capture is not None
    files = beamline.capture.files.model_copy(update={"read": tmp_path / "elsewhere"})
    capture = beamline.capture.model_copy(update={"files": files})
    assert tmp_path / "elsewhere" in readable_folders(beamline.model_copy(update={"capture": capture}))


def locks_of(path: Path) -> int:
    """Return how many locks this process has on a file."""
    file = path.stat()
    name = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return sum(row[4] == str(os.getpid()) and row[5] == name for row in rows if len(row) > 5)


def test_a_catalog_that_is_opened_once_more_leaves_the_first_one_its_locks(
    beamline: Beamline, store: Store, engine: Any
) -> None:
    """Without them it would read a damaged database while another process writes."""
    engine.subscribe(store)
    (uid,) = engine(_scan())
    assert store.wait()
    assert len(store.catalog[uid]["primary"].read()["det"]) == 5
    database = Path(beamline.store.tables_uri.removeprefix("sqlite:///"))
    held = locks_of(database)
    assert held > 0
    open_catalog(beamline)
    assert locks_of(database) >= held


def test_arrays_and_missing_values_come_back_as_they_were(store: Store, engine: Any) -> None:
    from ophyd.sim import SynSignal

    spectrum = SynSignal(name="spectrum", func=lambda: np.array([1.0, np.nan, 3.0]))
    missing = SynSignal(name="missing", func=lambda: float("nan"))
    engine.subscribe(store)
    (uid,) = engine(_scan(2, [spectrum, missing]))
    assert store.wait()
    read = store.catalog[uid]["primary"].read()
    assert np.array_equal(np.stack([np.asarray(one) for one in read["spectrum"].values]), [[1, np.nan, 3]] * 2, True)
    assert np.isnan(read["missing"].values).all()


def test_frames_are_read_chunk_by_chunk(store: Store, engine: Any, detector: Any) -> None:
    camera = detector(frames=1, shape=(300, 300))
    engine.subscribe(store)
    (uid,) = engine(_scan(3, [camera]))
    assert store.wait()
    array = store.catalog[uid]["primary"][camera.key]
    assert array.chunks == ((1, 1, 1), (1,), (300,), (300,))
    assert array.dtype == np.uint16
    assert (array[1] == 1).all()


def test_old_journals_are_forgotten(store: Store, engine: Any, tmp_path: Path) -> None:
    from whiteline.beamline.store.recovery import forget

    engine.subscribe(store)
    engine(_scan(1))
    assert store.wait()
    (journal,) = (tmp_path / "stored").glob("*.jsonl")
    forget(tmp_path, 30)
    assert journal.exists()
    os.utime(journal, (0, time.time() - 31 * 86400))
    forget(tmp_path, 30)
    assert not journal.exists()


HOLDS = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("PRAGMA locking_mode=EXCLUSIVE")
held.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
time.sleep(1.0)
held.execute("ROLLBACK")
held.close()
"""


def test_a_database_that_another_process_holds_just_now_is_waited_for(beamline: Beamline, tmp_path: Path) -> None:
    elsewhere = beamline.store.model_copy(update={"folder": tmp_path / "elsewhere"})
    other = beamline.model_copy(update={"name": "other", "store": elsewhere})
    (tmp_path / "elsewhere").mkdir()
    database = elsewhere.tables_uri.removeprefix("sqlite:///")
    command = [sys.executable, "-c", HOLDS, database]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        open_catalog(other)
    assert holder.returncode == 0


def test_a_catalog_that_cannot_be_opened_is_told_in_one_sentence(beamline: Beamline, tmp_path: Path) -> None:
    def of(**table: Any) -> Beamline:
        update = {"folder": tmp_path / "elsewhere"} | table
        return beamline.model_copy(update={"name": "other", "store": beamline.store.model_copy(update=update)})

    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match=r"folder .*/file/x of the catalog cannot be written into: not a directory"):
        open_store(of(folder=tmp_path / "file" / "x"))
    with pytest.raises(CatalogError, match=r"catalog http://127.0.0.1:9 cannot be opened: .*see that its server runs"):
        open_catalog(of(catalog="http://127.0.0.1:9"))
    with pytest.raises(CatalogError, match=r"postgresql://me:\*\*\*@127.0.0.1:9/x cannot be opened") as told:
        open_catalog(of(catalog="postgresql://me:secret@127.0.0.1:9/x"))
    assert "secret" not in str(told.value)
