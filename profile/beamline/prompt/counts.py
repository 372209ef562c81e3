"""Tables of counts as they come, and plots where there is a screen: bluesky's best-effort callback."""

import os
from importlib.util import find_spec
from typing import Any

from bluesky.callbacks.best_effort import BestEffortCallback

QT = "PyQt6", "PySide6", "PyQt5"
"""With one of these bluesky draws while a scan runs; other toolkits cannot be drawn with beside it."""


def why_no_plots() -> str | None:
    """Return why plots cannot be shown, and what can be done; None if they can."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "no display, so no plots: `ssh -X` brings them here, `whiteline live` into a browser"
    if not any(find_spec(name) for name in QT):
        return "no Qt, so no plots: `pip install PyQt6` brings them here, `whiteline live` into a browser"
    return None


def best_effort(shell: Any) -> tuple[Any, str | None]:
    """Return the callback, set up for this prompt, and why it shows no plots, None if it does.

    A plot takes about 0.15 s for each event, in the thread of the run engine. Maps are not its business: these are
    drawn beside the scan, on the live page.

    Parameters
    ----------
    shell : InteractiveShell
        Of IPython.
    """
    callback: Any = BestEffortCallback()  # type: ignore[no-untyped-call]
    callback.disable_baseline()  # two screens of axes at every run; wa() shows them
    why = why_no_plots()
    if why is None:
        try:
            shell.run_line_magic("matplotlib", "qt")
        except ImportError:  # as matplotlib has it where no display answers
            why = f"display {os.environ.get('DISPLAY')} does not answer, so no plots: open the session from a desktop"
    if why is not None:
        callback.disable_plots()
    return callback, why
