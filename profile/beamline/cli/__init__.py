"""The command line: `whiteline demo`, `whiteline shell` and the others."""

import os
import sys
from typing import NoReturn

__all__ = ["main"]

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main() -> None:
    """Run the command line; what is refused is one sentence, not a traceback."""
    try:
        # imported here, so that Ctrl-C is clean meanwhile, too
        from whiteline.beamline.cli.app import app
        from whiteline.beamline.cli.failures import sentence_of

        try:
            app()
        except (ValueError, OSError) as error:
            sys.exit(f"whiteline: {sentence_of(error)}")
    except KeyboardInterrupt:
        _leave()
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            _leave()
        raise


def _leave() -> NoReturn:
    """End at once: threads of libraries that an interrupt has cut short, as the catalog's, may never end themselves."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)
