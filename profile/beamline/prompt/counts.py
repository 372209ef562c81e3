"""Tables of counts as they come, and plots where there is a screen: bluesky's best-effort callback."""

import os
from typing import Any

from bluesky.callbacks.best_effort import BestEffortCallback


def has_display() -> bool:
    """Tell whether plots can be shown."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def best_effort(shell: Any) -> Any:
    """Return the callback, set up for this prompt.

    A plot takes about 0.15 s for each event, in the thread of the run engine. Maps are not its business: these are
    drawn beside the scan, on the live page.

    Parameters
    ----------
    shell : InteractiveShell
        Of IPython.
    """
    callback: Any = BestEffortCallback()  # type: ignore[no-untyped-call]
    callback.disable_baseline()  # two screens of axes at every run; wa() shows them
    if has_display():
        shell.run_line_magic("matplotlib", "auto")
    else:
        callback.disable_plots()
    return callback
