"""What a command says of a failure: one sentence, and a remedy."""

import errno
import os
import re

REMEDIES = {
    errno.EACCES: "ask for the right to it, or name another place",
    errno.EPERM: "ask for the right to it, or name another place",
    errno.EROFS: "name a place that can be written to",
    errno.ENOSPC: "make room there, or name another place",
    errno.EDQUOT: "make room there, or name another place",
    errno.ENOENT: "check how it is spelt",
    errno.ENOTDIR: "a file is in the way: move it, or name another place",
    errno.EEXIST: "a file is in the way: move it, or name another place",
    errno.EISDIR: "name a file",
}
"""What can be done where the system refuses something."""

HDF5 = re.compile(r"name = '(?P<name>[^']+)', errno = (?P<number>\d+)")
"""Where an error of HDF5 says which file the system refused, and why."""


def sentence_of(error: Exception) -> str:
    """Return what an error says; of one that the system gave what it was about, why, and what can be done.

    Parameters
    ----------
    error : Exception
        One that was raised with a sentence of its own says that.
    """
    if not isinstance(error, OSError):
        return str(error)
    number, name = error.errno, error.filename
    if name is None and (found := HDF5.search(str(error))):
        number, name = int(found["number"]), found["name"]
    if number is None or name is None:
        return str(error)
    remedy = REMEDIES.get(number)
    return f"{name}: {os.strerror(number).lower()}" + (f"; {remedy}" if remedy else "")
