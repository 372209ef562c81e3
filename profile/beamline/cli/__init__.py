"""The command line: `whiteline demo`, `whiteline sim`."""

import sys

from whiteline.beamline.cli.app import app

__all__ = ["main"]


def main() -> None:
    """Run the command line; what is refused is one sentence, not a traceback."""
    try:
        app()
    except (ValueError, OSError) as error:
        sys.exit(f"whiteline: {error}")
