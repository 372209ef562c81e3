"""The made runs of the live analysis serve here, too."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "analysis" / "live"))
