"""The makers beside these tests, and of fly scans, are found by them, though tests are no package."""

import sys
from pathlib import Path

here = Path(__file__).parent
sys.path += [str(here), str(here.parent / "fly")]
