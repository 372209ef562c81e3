"""The command line: `whiteline demo`, `whiteline shell` and the others."""

import sys

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
        sys.exit(INTERRUPTED)
