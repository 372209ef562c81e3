"""The makers of runs beside these tests are found by them, though tests are no package; and programs of others."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

here = Path(__file__).parent
sys.path += [str(here), *(str(here.parent / name) for name in ("fly", "live", "tomography"))]


@pytest.fixture(scope="session")
def peer() -> Any:
    """Run a script of this folder with the programs of others, and return the JSON of its last line."""
    python = here.parents[3] / ".venv-peers" / "bin" / "python"
    if not python.exists():
        pytest.skip("Mantis, larch and nexusformat are not installed in .venv-peers; `make peers` installs them")

    def run(script: str, *arguments: object) -> Any:
        command = [str(python), str(here / script), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
