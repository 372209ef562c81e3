"""Run the commands of whiteline as people do: processes of their own, with a home of their own."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect

BIN = Path(sys.executable).parent

SLOW = 300
"""How long anything may take on a busy machine [s]."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of somebody who has just logged in."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("EPICS_", "WHITELINE_", "DISPLAY", "WAYLAND_"))
    }
    return kept | {"HOME": str(home), "PYTHONWARNINGS": "ignore", **more}


@contextmanager
def simulating(home: Path, *options: str) -> Iterator[dict[str, str]]:
    """Run `whiteline sim`, and give the environment variables that it tells its clients to set."""
    command = [str(BIN / "whiteline"), "sim", *options]
    with subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = {}
        for line in process.stdout:
            if found := re.search(r'export (\w+)="([^"]*)"', line):
                told[found[1]] = found[2]
            if "Ctrl-C" in line:
                break
        assert told, "whiteline sim told nothing"
        try:
            yield told
        finally:
            process.terminate()
            process.communicate(timeout=60)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def until(asked: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (answer := asked()):
        assert time.monotonic() < deadline, f"{what} was not so after {seconds:g} s"
        time.sleep(0.2)
    return answer


class Terminal:
    """A pseudo-terminal in which `whiteline shell` runs, or another command that gives a prompt of IPython."""

    def __init__(
        self, home: Path, where: dict[str, str], *options: str, command: Sequence[str] = ("whiteline", "shell")
    ) -> None:
        self.child = pexpect.spawn(
            str(BIN / command[0]), [*command[1:], *options], cwd=str(home), timeout=SLOW,
            env=where | {"TERM": "dumb", "COLUMNS": "200"}, encoding="utf-8", dimensions=(60, 200), echo=False,
        )  # fmt: skip
        self.seen = ""

    def prompt(self) -> str:
        """Wait for the next prompt, and return what was shown before it."""
        self.child.expect(r"In \[\d+\]: ")
        self.seen = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.child.before or "")
        return self.seen

    def type(self, line: str) -> str:
        """Type a line, and return what it showed."""
        self.child.sendline(line)
        return self.prompt()
