"""Load what a session needs without looking for garbage meanwhile."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_later() -> Iterator[None]:
    """Do not collect cyclic garbage within; then what was loaded is there to stay, and is not looked through again.

    Importing makes hundreds of thousands of objects that live as long as the process, and hardly any garbage. Python's
    collector goes through all of them again and again: a fifth of the time that a session takes to open, and pauses
    that a scan would have later.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
