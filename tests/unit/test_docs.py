"""The code on pages of docs/ that need no beamline runs as it is printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

NUMBERS = {
    "map-the-chemistry.md": r"fraction of .*: 0\.\d+, ± 0\.0\d+ in a pixel\n.* differ by -?0\.\d+ ± 0\.\d+ eV\n"
    r"\d+ pixels are not explained by the references\n"
    r"edge at 83[34]\d\.\d\d eV, white line at 83[45]\d\.\d\d eV\n0\.\d+\n",
    "what-is-stored.md": r"success · 28 points, 28 of 28 energies\n"
    r"<FrameStack camera_image .* 28 × 192 × 192 uint16, not read>\n"
    r"8337 eV: transmission 0\.\d+\nfraction of Ni2\+: 0\.\d+ ± 0\.\d+ in a pixel\nthe same offline: True\n"
    r"fail · 8 frames, all readable: True\n",
}


@pytest.mark.parametrize("page", NUMBERS)
def test_the_code_of_a_page_runs(root: Path, page: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs" / page).read_text(), re.DOTALL)
    assert blocks
    command = [sys.executable, "-W", "error", "-c", "".join(blocks)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(NUMBERS[page], done.stdout), done.stdout
