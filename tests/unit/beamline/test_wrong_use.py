"""Whatever is typed wrong at a command: one sentence that names it, no traceback, and nothing is begun."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from whiteline.beamline import description

NO_CATALOG = "holds no catalog; name the folder of one by --catalog, or --beamline"


def typed(*words: str, home: Path) -> tuple[int, str]:
    """Type a command in an empty home; return its exit code and all that it has written, in one line."""
    program = Path(sys.executable).with_name("whiteline")
    done = subprocess.run(
        [program, *words],
        cwd=home,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Give a port that somebody else listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("demo --beamline moon", "'moon'"),
        ("demo --size 3", "size of the map 3 px must lie between"),
        ("demo --energies 1", "energies"),
        ("demo --references NiO=missing.xdi LiNiO2=missing.xdi", "missing.xdi"),
        ("demo --references NiO=notes.txt LiNiO2=notes.txt", "notes.txt"),
        ("demo --out /proc/results", "cannot be made: No such file or directory; name another one by --out"),
        ("sim --beamline moon.toml", "description moon.toml cannot be read"),
        ("sim --port 1", "port 1 must lie between 1024 and 65533"),
        ("check --beamline notes.txt", "notes.txt"),
        ("check --beamline .", "description . cannot be read"),
        ("shell --beamline missing.toml", "description missing.toml cannot be read"),
        ("export -1 --as csv", NO_CATALOG),
        ("export -1 --as pdf", "format 'pdf' is not known; take one of xdi"),
        ("export", "Missing argument"),
        ("score -1", NO_CATALOG),
        ("runs", NO_CATALOG),
        ("runs --catalog notes.txt", NO_CATALOG),
        ("plans levitate", "there is no plan 'levitate'; there are bias_series"),
        ("maps -1", NO_CATALOG),
        ("live --port 70000", "--port"),
        ("live --catalog moon", "catalog 'moon' cannot be opened"),
        ("levitate", "No such command 'levitate'"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(words: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("the beam was good today\n")
    code, told = typed(*words.split(), home=tmp_path)
    assert code != 0
    assert sentence in told
    assert "Traceback" not in told
    assert len(told) < 700, told
    # libraries keep caches in hidden folders
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["notes.txt"]


@pytest.mark.parametrize("words", ["shell", "shell --simulated", "sim", "demo --out whiteline-data"])
def test_a_file_where_a_folder_should_be_is_told(words: str, tmp_path: Path) -> None:
    (tmp_path / "whiteline-data").write_text("")
    code, told = typed(*words.split(), home=tmp_path)
    assert code != 0
    assert "whiteline-data" in told
    assert "name another" in told or "name one" in told
    assert "Errno" not in told
    assert "Traceback" not in told


def test_a_store_that_nobody_may_write_into_is_told(tmp_path: Path) -> None:
    shipped = (Path(description.__file__).parent / "txm.toml").read_text()
    (tmp_path / "denied.toml").write_text(shipped.replace("~/whiteline-data/txm-catalog", "/sys/whiteline"))
    code, told = typed("shell", "--beamline", "denied.toml", home=tmp_path)
    assert code != 0
    assert re.search(r"whiteline: /sys/whiteline\S*: \S.*; (ask for the right to it|name a place)", told), told
    assert "Traceback" not in told


def test_a_session_that_cannot_open_ends_and_says_why(tmp_path: Path) -> None:
    kept = tmp_path / "whiteline-data" / "txm-catalog" / "metadata.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("{ half")
    code, told = typed("shell", home=tmp_path)
    assert code == 1
    assert "metadata.json" in told
    assert "the session did not open" in told
    assert "Traceback" not in told


def test_a_taken_port_of_the_page_is_told(taken_port: int, tmp_path: Path) -> None:
    code, told = typed("live", "--port", str(taken_port), home=tmp_path)
    assert code != 0
    assert str(taken_port) in told
    assert "Traceback" not in told


def test_ports_of_the_twin_that_are_taken_are_told(taken_port: int, tmp_path: Path) -> None:
    code, told = typed("sim", "--port", str(taken_port), home=tmp_path)
    assert code != 0
    assert str(taken_port) in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    "command", ["demo", "sim", "shell", "check", "live", "export", "score", "runs", "plans", "maps"]
)
def test_help_shows_an_example(command: str) -> None:
    from typer.testing import CliRunner

    from whiteline.beamline.cli.app import app

    shown = CliRunner().invoke(app, [command, "--help"], prog_name="whiteline")
    assert shown.exit_code == 0
    assert shown.output.count(f"whiteline {command}") >= 2, "its usage and an example"
