"""The code on pages of docs/ that need no beamline runs as it is printed."""

import ast
import inspect
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from matplotlib.image import imread

from whiteline import plans
from whiteline.beamline.cli.app import app
from whiteline.beamline.demo.picture import DPI, HEIGHT, WIDTH
from whiteline.beamline.description import Beamline
from whiteline.beamline.description.store import Store

USAGE: Any = typer.BadParameter.__base__
"""What wrong use raises: click's own error, or that of the copy of click that typer brings."""

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
    found = re.findall(r"```python\n(.*?)```", (root / "docs" / page).read_text(), re.DOTALL)
    blocks = [one for one in found if "site.toml" not in one]  # that one needs a beamline
    assert blocks
    command = [sys.executable, "-W", "error", "-c", "".join(blocks)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(NUMBERS[page], done.stdout), done.stdout


def calls_of_plans(text: str) -> list[ast.Call]:
    """Return what a page's Python code asks of the plans."""
    trees = [ast.parse(block) for block in re.findall(r"```i?python\n(.*?)```", text, re.DOTALL)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imports = [one for one in nodes if isinstance(one, ast.ImportFrom) and one.module != "whiteline.plans"]
    others = {name.asname or name.name for one in imports for name in one.names}  # such as a list of energies
    calls = [one for one in nodes if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)]
    return [one for one in calls if one.func.id in set(plans.__all__) - others]


def bound(call: ast.Call) -> None:
    """Bind a call to the signature of its plan; arguments that are unpacked from elsewhere may be any."""
    assert isinstance(call.func, ast.Name)
    signature = inspect.signature(getattr(plans, call.func.id))
    unpacked = any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords)
    given = [None] * sum(not isinstance(one, ast.Starred) for one in call.args)
    named = {one.arg: None for one in call.keywords if one.arg is not None}
    (signature.bind_partial if unpacked else signature.bind)(*given, **named)


def test_plans_on_all_pages_are_called_as_they_are_defined(root: Path) -> None:
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    calls = {page.name: calls_of_plans(page.read_text()) for page in pages}
    for page, found in calls.items():
        for call in found:
            try:
                bound(call)
            except TypeError as error:
                pytest.fail(f"{page}: {ast.unparse(call)}: {error}")
    assert {"README.md", "take-a-scan.md", "fly-scans.md", "your-first-scan.md"} <= {
        page for page, found in calls.items() if found
    }


def test_a_call_that_no_plan_takes_would_be_seen() -> None:
    (call,) = calls_of_plans("```python\nRE(xanes([counters], energy, shuter=fast_shutter))\n```")
    with pytest.raises(TypeError):
        bound(call)


def pages(root: Path) -> list[Path]:
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def commands_of(text: str) -> list[list[str]]:
    """Return what is typed at a shell on a page, `whiteline` and its words, without comments."""
    blocks = re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("  #")[0].removeprefix(".venv/bin/") for block in blocks for line in block.splitlines()]
    return [shlex.split(line.partition(" #")[0]) for line in lines if line.startswith("whiteline ")]


def test_commands_on_all_pages_are_those_that_there_are(root: Path) -> None:
    """Each is read as it would be if it were typed, and not run."""
    group, number = typer.main.get_command(app), 0
    for page in pages(root):
        for _, name, *words in commands_of(page.read_text()):
            number += 1
            command = group.get_command(None, name)  # type: ignore[attr-defined]
            assert command is not None, f"{page.name}: there is no whiteline {name}"
            try:
                command.make_context(name, [one for one in words if one != "…"])
            except USAGE as error:
                pytest.fail(f"{page.name}: whiteline {name} {' '.join(words)}: {error.message}")
    assert number > 10


def test_a_command_that_is_not_there_would_be_seen() -> None:
    ((_, name, *words),) = commands_of("```sh\n.venv/bin/whiteline score -1 --catalogue out  # scored\n```")
    command = typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined]
    with pytest.raises(USAGE):
        command.make_context(name, [*words, "more"])


def test_toml_on_all_pages_is_toml_of_a_description(root: Path) -> None:
    known, number = set(Beamline.model_fields), 0
    for page in pages(root):
        for block in re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL):
            number += 1
            tables = tomllib.loads(block)
            assert tables
            if "[" in block.splitlines()[0]:
                assert set(tables) <= known, page.name
            if "store" in tables:
                Store.model_validate(tables["store"])
    assert number >= 4


def test_links_between_pages_lead_somewhere(root: Path) -> None:
    for page in pages(root):
        for link in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_picture_of_the_readme_is_one_of_the_demonstration(root: Path) -> None:
    height, width, _ = imread(root / "docs" / "demo.png").shape
    assert (width, height) == (WIDTH * DPI, HEIGHT * DPI)
