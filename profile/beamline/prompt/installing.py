"""Put a session at a prompt: names, magics, tables, welcome."""

from typing import Any

from bluesky.magics import BlueskyMagics
from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell
from rich.console import Console

from whiteline.beamline.prompt.counts import best_effort
from whiteline.beamline.prompt.failures import show_why_devices_fail
from whiteline.beamline.prompt.short_names import ShortNames
from whiteline.beamline.prompt.welcome import welcome
from whiteline.beamline.session import Session

WRITTEN_S = 5.0
"""How long a prompt waits at most until what was taken is in the catalog [s]; it is written in the background."""


def this_prompt() -> Any | None:
    """Return the shell of IPython that this runs in; None elsewhere, as in the worker of a queue server.

    That worker (bluesky-queueserver 0.0.25) gives startup files a shell which can nothing.
    """
    shell = get_ipython()
    return shell if isinstance(shell, InteractiveShell) else None


def at_prompt(shell: Any, session: Session) -> dict[str, Any]:
    """Register magics and callbacks, welcome whoever sits there, and return names for the namespace.

    Parameters
    ----------
    shell : InteractiveShell
        Of IPython.
    session : Session
        That has opened.

    Returns
    -------
    dict of str to object
        `bec` and the short names.
    """
    console = Console(highlight=False, emoji=False)
    shell.register_magics(BlueskyMagics)
    show_why_devices_fail(shell)
    bec, no_plots = best_effort(shell)
    engine: Any = session.engine  # subscribing has no types
    engine.subscribe(bec)
    # whoever looks at a run at the next prompt finds all of it
    shell.events.register("post_run_cell", lambda _: session.store.wait(WRITTEN_S))
    welcome(console, session, no_plots)
    return {"bec": bec, **ShortNames(session.engine, session.devices, console).names()}
