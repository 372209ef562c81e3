"""What session, run engine and devices have to say, in a file that is looked into when something went wrong."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOGGERS = "whiteline", "bluesky", "ophyd", "caproto", "IPython"
"""Whose words are kept."""

FORM = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"

LARGEST_BYTES, OLDER_FILES = 5_000_000, 5


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write what is logged into a file, from information upwards, until the block ends.

    Parameters
    ----------
    path : Path
        Of the file; its folder is made. When it is full, it is put aside under a number, and the oldest goes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(path, maxBytes=LARGEST_BYTES, backupCount=OLDER_FILES, delay=True, encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORM))
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [one.level for one in loggers]
    for one in loggers:
        one.addHandler(handler)
        one.setLevel(min(one.level, logging.INFO) if one.level else logging.INFO)
    try:
        yield
    finally:
        for one, level in zip(loggers, before, strict=True):
            one.removeHandler(handler)
            one.setLevel(level)
        handler.close()
