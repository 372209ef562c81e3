"""Whether another session works on the same beamline: two that scan at once spoil each other's data.

Each session holds a lock on one file beside the store, and writes there who it is. The lock ends with the process,
however that ends, so nobody is warned of one that is gone.
"""

import fcntl
import getpass
import json
import os
import platform
from datetime import datetime
from pathlib import Path
from typing import IO, Self

FILE = "session.lock"


class Presence:
    """That a session is here, until it is closed.

    Parameters
    ----------
    folder : Path
        Of the store; it is there already.

    Attributes
    ----------
    other : str
        The session that was here before, as a sentence; empty if there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.other = ""
        self._file: IO[str] | None = (folder / FILE).open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.other = _told(self._file)
            self.close()
        else:
            self._file.truncate(0)
            self._file.write(json.dumps(_myself()))
            self._file.flush()

    def close(self) -> None:
        """Leave; the next one is not warned."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()


def _myself() -> dict[str, str | int]:
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"user": getpass.getuser(), "host": platform.node(), "process": os.getpid(), "since": since}


def _told(file: IO[str]) -> str:
    file.seek(0)
    try:
        who = json.loads(file.read())
        by = f"of {who['user']} on {who['host']} (process {who['process']}), open since {who['since']}"
    except (ValueError, KeyError, TypeError):  # it is about to write it
        by = "that has just begun"
    return f"there is another session {by}; what one moves, the other does not expect: end one of them before you scan"
