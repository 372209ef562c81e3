"""Keep what libraries write out of the terminal."""

import logging
import os
import sys
import warnings


def silence_channel_access() -> None:
    """Discard what libraries in C write to standard error, to the end; errors of Python still show.

    The client library of Channel Access starts a repeater where it finds none, complains at length where there is no
    such program, tells of each IOC that it loses, and of what is still on its way when the process ends.
    """
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def silence_libraries() -> None:
    """Discard that, what libraries log, and their warnings; for commands that say themselves what is to be said."""
    silence_channel_access()
    logging.disable()
    warnings.simplefilter("ignore")
