"""The makers of fly scans beside these tests are found by them, though tests are no package."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
