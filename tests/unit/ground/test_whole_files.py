"""A file that is replaced is there as a whole, the old one or the new, whatever ends the one who writes it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from whiteline.analysis.whole_files import write_whole, written_whole
from whiteline.plans.preflight import TimeModel

KILLED = """
import os, sys
from pathlib import Path
from whiteline.analysis.whole_files import written_whole

with written_whole(Path(sys.argv[1])) as part:
    part.write_text("the first half of")
    os._exit(9)
"""


def only_file(folder: Path) -> str:
    (name,) = (one.name for one in folder.iterdir() if not one.name.startswith("."))
    return name


def test_a_new_file_takes_the_place_of_the_old_one_and_makes_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "new" / "times.json"
    for text in ("old", "new"):
        write_whole(file, text)
        assert file.read_text() == text
    assert [one.name for one in file.parent.iterdir()] == ["times.json"]


def test_whoever_is_killed_as_he_writes_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    file.write_text("old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(file)], timeout=120, check=False)
    assert done.returncode == 9
    assert file.read_text() == "old"
    assert only_file(tmp_path) == "times.json"


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "map.tif"
    file.write_text("old")

    def fails() -> None:
        with written_whole(file) as part:
            part.write_text("the first half of")
            raise RuntimeError("no more of it")

    with pytest.raises(RuntimeError, match="no more of it"):
        fails()
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("map.tif", "old")]


def test_times_that_cannot_be_written_leave_those_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "times.json"
    known = TimeModel(messages={"read": 0.5})
    known.to_file(file)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        TimeModel().to_file(file)
    assert TimeModel.from_file(file) == known
    assert [one.name for one in tmp_path.iterdir()] == ["times.json"]
