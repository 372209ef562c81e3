"""The journal: what it acknowledged is there whatever happens, and no damage goes unnoticed."""

import os
from pathlib import Path

import journal_faults
import numpy as np
import pytest

from whiteline.beamline.store.journal import InUse, Journal, JournalError, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a journal may lie; in memory if there is such a disk, as thousands are written."""
    memory = Path("/dev/shm")
    return (memory if os.access(memory, os.W_OK) else tmp_path) / f"whiteline-{os.getpid()}.jsonl"


def test_a_cut_at_any_byte_loses_nothing_before_it(path: Path) -> None:
    tried, wrong = journal_faults.cut_at_every_byte(path)
    assert tried > 1000
    assert not wrong, wrong[:3]
    path.unlink()


def test_a_flipped_bit_never_goes_unnoticed(path: Path, seed: int) -> None:
    _, wrong = journal_faults.flipped_bits(path, seed, flips=500)
    assert not wrong, wrong[:3]
    path.unlink()


def test_a_full_disk_at_any_byte_loses_nothing_that_was_acknowledged(path: Path) -> None:
    tried, wrong = journal_faults.full_at_every_write(path, count=6)
    assert tried > 500
    assert not wrong, wrong[:3]
    path.unlink()


def test_a_killed_process_has_written_all_that_it_acknowledged(path: Path, seed: int) -> None:
    _, wrong = journal_faults.killed(path, seed, times=60)
    assert not wrong, wrong[:3]
    path.unlink()


def test_short_writes_are_completed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    with Journal(path, new=True) as journal:
        monkeypatch.setattr(os, "pwrite", lambda file, data, at: real(file, data[:7], at))
        for one in journal_faults.documents(5):
            journal.append(*one)
    assert journal_faults.same(read(path).documents, journal_faults.documents(5))
    path.unlink()


def test_a_disk_that_fails_to_sync_acknowledges_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    with Journal(path, new=True) as journal:
        journal.append("start", {"uid": "a"})
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", fails)
            with pytest.raises(JournalError, match=r"did not take a document \(event\): input/output error"):
                journal.append("event", {"seq_num": 1})
        journal.append("stop", {"uid": "b"})
    assert [name for name, _ in read(path).documents] == ["start", "stop"]
    assert not read(path).damage
    path.unlink()


def test_a_journal_that_is_written_is_locked(path: Path) -> None:
    with Journal(path, new=True):
        with pytest.raises(InUse, match="still runs"):
            Journal(path)
        assert read(path).documents == ()
    Journal(path).close()
    path.unlink()


def test_numbers_of_numpy_and_missing_values_come_back_as_they_are(path: Path) -> None:
    data = {"a": np.float32(0.1), "b": np.arange(3), "c": float("nan"), "d": np.int64(7), "e": Path("/x"), "f": {2, 1}}
    with Journal(path, new=True) as journal:
        journal.append("event", {"data": data})
        with pytest.raises(TypeError, match="documents hold numbers, text"):
            journal.append("event", {"data": object()})
    found = read(path).documents[0][1]["data"]
    assert np.isnan(found.pop("c"))
    assert found == {"a": float(np.float32(0.1)), "b": [0, 1, 2], "d": 7, "e": "/x", "f": [1, 2]}
    path.unlink()
