"""What a command says where the system refuses something: which file, why, and what can be done."""

import errno
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from whiteline.beamline.cli.failures import sentence_of


@pytest.mark.parametrize("write", [lambda path: path.write_text(""), lambda path: h5py.File(path, "w")])
def test_a_folder_that_is_not_there(write: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "none" / "stack.h5"
    with pytest.raises(FileNotFoundError) as raised:
        write(path)
    assert sentence_of(raised.value) == f"{path}: no such file or directory; check how it is spelt"


def test_a_right_that_is_missing() -> None:
    said = sentence_of(PermissionError(errno.EACCES, "Permission denied", "/data/stack.h5"))
    assert said == "/data/stack.h5: permission denied; ask for the right to it, or name another place"


def test_what_was_raised_with_a_sentence_says_that() -> None:
    assert sentence_of(OSError("port 5006 is taken; name another by --port")) == (
        "port 5006 is taken; name another by --port"
    )
    assert sentence_of(ValueError("energy 8 eV must lie above 100 eV")) == "energy 8 eV must lie above 100 eV"
