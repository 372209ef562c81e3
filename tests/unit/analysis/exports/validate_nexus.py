#!/usr/bin/env python3
"""What nexusformat finds wrong in files: against their application definition, and against the base classes."""

import contextlib
import json
import logging
import sys

from nexusformat.nexus import validate


class Kept(logging.Handler):
    """Keeps warnings and errors."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one; what is no more than a heading is logged as critical."""
        if record.levelno in (logging.WARNING, logging.ERROR):
            self.found.append(f"{record.levelname}: {record.getMessage().strip()}")
        elif record.levelno == logging.CRITICAL:
            self.where = record.getMessage().strip()


def main(*paths: str) -> None:
    """Validate each, and tell what was found."""
    found = {}
    with contextlib.redirect_stdout(sys.stderr):
        for path in paths:
            for way in (validate.validate_application, validate.validate_file):
                kept = Kept()
                validate.logger.addHandler(kept)
                totals = way(path)
                validate.logger.removeHandler(kept)
                found[f"{path} {way.__name__}"] = {"totals": totals, "found": kept.found}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
