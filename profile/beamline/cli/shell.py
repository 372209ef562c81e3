"""`whiteline shell`: the session in which a scientist works, at a prompt of IPython."""

import logging
import os
from contextlib import ExitStack
from importlib.resources import files
from typing import Annotated, Any

import typer

from whiteline.beamline.cli.collecting_later import collecting_later
from whiteline.beamline.cli.quiet import silence_channel_access


def shell(
    beamline: Annotated[
        str | None,
        typer.Option(help="A description: a file, or one that is shipped. Else $WHITELINE_BEAMLINE, else txm."),
    ] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Run a simulated beamline meanwhile, and open the session on it.")
    ] = False,
    speed: Annotated[float, typer.Option(help="Of the simulated beamline.")] = 10.0,
) -> None:
    """Open a session: run engine, devices, plans, catalog and live analysis, at a prompt.

    With no beamline reachable it opens as well, and says what is missing.

    Example: whiteline shell --beamline txm --simulated
    """
    silence_channel_access()
    with ExitStack() as stack:
        if simulated:
            from whiteline.beamline.simulation import simulated as running
            from whiteline.beamline.simulation.options import Options

            stack.enter_context(running(Options(beamline=beamline, speed=speed)))
        names: dict[str, Any] = {}
        with collecting_later():
            prompt = _prompt(beamline, names)
        session = names.get("session")  # IPython empties its names when it ends
        if session is None:
            # IPython has said why, and would go on without a session
            raise ValueError("the session did not open; what is wrong stands above")
        prompt.start()
        session.close()


def _prompt(beamline: str | None, names: dict[str, Any]) -> Any:
    """Return IPython with a session opened in it, ready to be typed at; its names are put into the mapping."""
    from whiteline.beamline.description import ENVIRONMENT, load

    description = load(beamline)
    if beamline is not None:
        os.environ[ENVIRONMENT] = beamline

    from IPython.terminal.ipapp import TerminalIPythonApp
    from traitlets.config import Config

    folder = description.store.folder / "ipython"
    folder.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.ProfileDir.location = str(folder)
    startup = [one for one in files("whiteline.beamline.startup").iterdir() if one.name.endswith(".py")]
    config.InteractiveShellApp.exec_files = sorted(str(one) for one in startup if one.name[0].isdigit())
    config.TerminalIPythonApp.display_banner = False
    config.TerminalIPythonApp.log_level = logging.CRITICAL  # what is wrong in a startup file is told as itself
    config.TerminalInteractiveShell.confirm_exit = False
    config.InteractiveShell.xmode = "Minimal"  # errors are sentences; %xmode Context shows where they come from
    config.HistoryManager.hist_file = str(folder / "history.sqlite")
    # as IPython's start_ipython, in two steps
    prompt: Any = TerminalIPythonApp.instance(config=config, user_ns=names)
    prompt.initialize([])
    return prompt
