"""The journal: every document on disk before the RunEngine goes on.

A journal is a text file with one document a line: eight hexadecimal digits, the CRC32 of the rest; a space; and
`[number, name, document]` in JSON. The numbers count up from 0, so that a line that is missing is seen as well as one
that is damaged. A document is acknowledged, by `Journal.append` returning, once it has reached the disk.

The process that writes a journal holds an exclusive lock on it to its end, whatever that end is. So a journal whose
lock can be had belongs to nobody who lives.
"""

import fcntl
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

Document = tuple[str, dict[str, Any]]

SUFFIX = ".jsonl"

_CRC = 8
"""How many digits a CRC32 has."""


class JournalError(OSError):
    """A document that could not be written into the journal; it is not acknowledged."""


class InUse(OSError):
    """A journal that belongs to a process that lives."""


@dataclass(frozen=True)
class Contents:
    """What a journal holds.

    Parameters
    ----------
    documents : tuple of (str, dict)
        All that are whole, in order.
    damage : tuple of str
        A sentence for each line, or lines, that is not.
    torn : int
        How many bytes at the end are no whole line: a document that was being written, and never acknowledged.
    next_number : int
        Of the document that comes next.
    whole : int
        Where the last whole line ends [bytes].
    """

    documents: tuple[Document, ...]
    damage: tuple[str, ...]
    torn: int
    next_number: int
    whole: int


def encode(number: int, name: str, document: Any) -> bytes:
    """Return a line of a journal.

    Raises
    ------
    TypeError
        If the document holds what JSON cannot express.
    """
    text = json.dumps([number, name, document], default=_plain, separators=(",", ":")).encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(text), text)


def decode(line: bytes) -> tuple[int, str, dict[str, Any]]:
    """Return number, name and document of a line without its end.

    Raises
    ------
    ValueError
        If the line is damaged.
    """
    text = line[_CRC + 1 :]
    if line[: _CRC + 1] != b"%08x " % zlib.crc32(text):
        raise ValueError("its CRC32 does not match")
    number, name, document = json.loads(text)
    return number, name, document


def read(path: Path) -> Contents:
    """Read a journal, whole or damaged.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    OSError
        If it cannot be read at all.
    """
    return _read(path.read_bytes())


def _read(content: bytes) -> Contents:
    documents: list[Document] = []
    damage: list[str] = []
    *lines, tail = content.split(b"\n")
    whole, expected, damaged = len(content) - len(tail), 0, 0
    if rescued := _without_end(tail):
        lines.append(rescued)
        whole += len(rescued)
    for line in lines:
        try:
            number, name, document = decode(line)
        except ValueError:
            damaged += 1
            continue
        if number != expected or damaged:
            damage.append(f"documents {expected} to {number - 1}: {damaged} damaged line(s) in their place")
        documents.append((name, document))
        expected, damaged = number + 1, 0
    if damaged:
        damage.append(f"documents from {expected} on: {damaged} damaged line(s) at the end")
    # a number of a damaged line is not used again, so that what is appended is seen to come after it
    return Contents(tuple(documents), tuple(damage), len(content) - whole, expected + damaged, whole)


def _without_end(tail: bytes) -> bytes:
    """Return the last line if only its end is missing, or damaged; else nothing."""
    for line in (tail, tail[:-1]):
        with suppress(ValueError):
            decode(line)
            return line
    return b""


def _plain(value: Any) -> Any:
    """Return an array or a number of numpy, a path or a set in terms of JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{value!r} cannot be kept: documents hold numbers, text, lists and mappings, not {type(value)}")


class Journal:
    """A journal that is being written, by one process alone.

    Parameters
    ----------
    path : Path
        The file. One that exists is gone on with, after a torn end was cut off.
    new : bool
        Whether it is begun; there must be none of its name then.

    Raises
    ------
    InUse
        If another process, or another journal of this one, writes it; or has put it away in this moment.
    OSError
        If it cannot be opened.
    """

    def __init__(self, path: Path, *, new: bool = False) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if new else 0), 0o664)
        try:
            _lock(self._file, path)
            self.contents = read(path)
            self._end, self._number = self.contents.whole, self.contents.next_number
            self._ragged = self.contents.torn > 0
            self._close_line()
            with _directory(path.parent) as folder:
                os.fsync(folder)
        except BaseException:
            os.close(self._file)
            raise

    def append(self, name: str, document: Any) -> bytes:
        """Write a document, and return when it is on the disk.

        Parameters
        ----------
        name, document
            As the RunEngine emits them.

        Returns
        -------
        bytes
            The line, without its end.

        Raises
        ------
        JournalError
            If it could not be written; the journal is then as it was before.
        TypeError
            If it holds what cannot be kept.
        """
        line = encode(self._number, name, document)
        try:
            self._write(line)
        except OSError as error:
            reason = error.strerror or str(error)
            raise JournalError(
                error.errno, f"journal {self.path} did not take a document ({name}): {reason.lower()}; make room there"
            ) from error
        self._number += 1
        return line[:-1]

    def _write(self, line: bytes) -> None:
        if self._ragged:
            os.ftruncate(self._file, self._end)
            self._ragged = False
        self._ragged = True  # until all of it is there, what is there is no document
        done = 0
        try:
            while done < len(line):
                done += os.pwrite(self._file, line[done:], self._end + done)
            os.fdatasync(self._file)
        except OSError:
            with suppress(OSError):  # else it is cut before the next one
                os.ftruncate(self._file, self._end)
                self._ragged = False
            raise
        self._end += len(line)
        self._ragged = False

    def _close_line(self) -> None:
        """Write the end of the last line, if it is all that is missing."""
        if self._end and os.pread(self._file, 1, self._end - 1) != b"\n":
            self._write(b"\n")

    def close(self) -> None:
        """Close it, and give up its lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def one_at_a_time(journals: Path) -> Iterator[None]:
    """Let one session after the other write into the catalog.

    SQLite takes one writer at a time, and Tiled 0.2.20 answers the others with an error, after which its client waits
    for ever longer. The sessions of a catalog have one folder of journals, so this is where they agree.
    """
    try:
        file = os.open(journals / ".writing", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    except OSError:  # a folder that may not be written into: no session can begin a journal there either
        yield
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _lock(file: int, path: Path) -> None:
    in_use = InUse(f"journal {path} belongs to a process that still runs; it is left alone")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_ino != path.stat().st_ino:
            raise in_use
    except (BlockingIOError, FileNotFoundError) as error:
        raise in_use from error


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)
