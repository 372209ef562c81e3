"""The code on pages of docs/ that need no beamline runs as it is printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

NUMBERS = {
    "live-page.md": r"\['start', 'stop'\]\n",
    "focus-follows-energy.md": r"49\.198 mm, in focus within 2\.05 eV\ndetector 1698\.\d mm, zone plate 50\.712 mm\n"
    r"19\.0 um out of focus, where the depth of focus is 24\.5 um\n",
    "export-a-run.md": r"nio\.xdi: NiO, 50 energies, 1\.10 over the edge\nnio\.csv nio_spectrum\.csv\n",
    "map-the-chemistry.md": r"fraction of .*: 0\.\d+, ± 0\.0\d+ in a pixel\n.* differ by -?0\.\d+ ± 0\.\d+ eV\n"
    r"\d+ pixels are not explained by the references\n"
    r"edge at 83[34]\d\.\d\d eV, white line at 83[45]\d\.\d\d eV\n0\.\d+\n",
    "resume-a-scan.md": r"25 of 40 points, 25 of 40 energies; missing 8325, 8326, 8327, 8328 … eV\n"
    r"missing: \(26, 27, .* 40\)\n\{'primary': \[\[26, 40\]\]\} · True\n40 of 40 points, 40 of 40 energies\n",
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
