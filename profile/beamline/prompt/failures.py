"""What the prompt shows of a device that has failed: its own sentence, not that some status was unsuccessful."""

import sys
from types import TracebackType
from typing import Any

from bluesky.utils import FailedStatus

SENTENCES = "Minimal"
"""Mode of IPython's errors in which each is one sentence; in the others the whole chain is shown, causes first."""


def show_why_devices_fail(shell: Any) -> None:
    """Let a shell of IPython show why a device has failed.

    Parameters
    ----------
    shell : InteractiveShell
        Of IPython.
    """

    def show(
        shell: Any, kind: type[BaseException], error: BaseException, trace: TracebackType, tb_offset: int | None = None
    ) -> None:
        cause = error.__cause__
        if cause is not None and str(cause) and shell.InteractiveTB.mode == SENTENCES:
            shell.showtraceback((type(cause), cause, cause.__traceback__), tb_offset=tb_offset)
            # %tb and %debug tell all of it
            sys.last_type, sys.last_value, sys.last_traceback = kind, error, trace
        else:
            shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    shell.set_custom_exc((FailedStatus,), show)
