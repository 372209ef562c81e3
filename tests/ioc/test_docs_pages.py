"""The code on pages of docs/ that need a beamline runs as it is printed, on the simulated one."""

import re
import subprocess
from pathlib import Path

from commands import BIN, Terminal, environment


def blocks(root: Path, page: str) -> list[str]:
    """Return the Python on a page, block by block."""
    return re.findall(r"```python\n(.*?)```", (root / "docs" / page).read_text(), re.DOTALL)


def test_the_first_scan(root: Path, tmp_path: Path) -> None:
    session = Terminal(tmp_path, environment(tmp_path), "--simulated", "--speed", "20")
    session.prompt()
    last = ""
    for number, block in enumerate(blocks(root, "your-first-scan.md")):
        (tmp_path / f"block{number}.py").write_text(block)
        last = session.type(f"%run -i block{number}.py")
        print(last)
        assert "Error" not in last
        assert "Traceback" not in last
    assert re.search(r"11 of 11|\d+ of \d+ energies", last), last
    assert "fraction of" in last
    assert 0 < float(last.split()[-1]) < 1
    session.child.sendline("quit")
    session.child.expect("\n")
    session.child.wait()


def test_a_plan_of_ones_own(root: Path, tmp_path: Path) -> None:
    script = tmp_path / "page.py"
    script.write_text("".join(blocks(root, "write-a-plan.md")))
    done = subprocess.run(
        [str(BIN / "python"), str(script)], env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "4 points, Closed\n"


def test_a_project_of_ones_own(root: Path, tmp_path: Path) -> None:
    for name, block in zip(("conftest.py", "test_ours.py"), blocks(root, "test-without-hardware.md"), strict=True):
        (tmp_path / name).write_text(block)
    done = subprocess.run(
        [str(BIN / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"], env=environment(tmp_path), cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
