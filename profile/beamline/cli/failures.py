"""What a command says of a failure: one sentence, and a remedy."""

import errno

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


def sentence_of(error: Exception) -> str:
    """Return what an error says; of one that the system gave what it was about, why, and what can be done.

    Parameters
    ----------
    error : Exception
        One that was raised with a sentence of its own says that.
    """
    if not isinstance(error, OSError) or error.filename is None or error.errno is None:
        return str(error)
    remedy = REMEDIES.get(error.errno)
    why = (error.strerror or "it cannot be used").lower()
    return f"{error.filename}: {why}" + (f"; {remedy}" if remedy else "")
