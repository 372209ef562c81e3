"""Tests over Channel Access: IOCs in processes of their own, and one client, this one.

pyepics reads where to search when it is first imported, and never again. So each pytest process leases its ports
once; the IOCs of one module after the other listen there.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ca_client import Camera, Channels

from whiteline.beamline import description
from whiteline.beamline.simulation import Simulated, simulated
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.loopback import client_environment, server_environment
from whiteline.sim.ioc.ports import leased
from whiteline.sim.ioc.readiness import wait_until_served

KEPT = pytest.StashKey[list[Any]]()
MODULES = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def ca_ports() -> Iterator[list[int]]:
    """Three ports of loopback, where this process looks for IOCs, and for a repeater."""
    assert "epics" not in sys.modules, "import epics and ophyd inside tests and fixtures, not at the top of a file"
    with leased(3) as ports:
        os.environ.update(client_environment(*ports))
        yield ports


Serve = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def serve(ca_ports: list[int]) -> Iterator[Serve]:
    """Run a Python file as an IOC on a port, and wait until it answers for a process variable."""
    with ExitStack() as stack:

        def start(file: Path, pv: str, *arguments: str) -> subprocess.Popen[bytes]:
            port = ca_ports[0]
            command = [sys.executable, str(file), str(port), *arguments]
            process = subprocess.Popen(command, env=os.environ | server_environment(port))
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)
            wait_until_served(pv, port, timeout_s=20)
            return process

        yield start


Simulate = Callable[..., Simulated]


@pytest.fixture(scope="module")
def tag(request: pytest.FixtureRequest) -> str:
    """What the names of this module's process variables begin with.

    pyepics takes seconds to find a name again that an earlier IOC has served, so no module uses those of another.
    """
    number = request.config.stash[MODULES] = request.config.stash.get(MODULES, 0) + 1
    return f"T{number}:"


@pytest.fixture(scope="module")
def simulate(ca_ports: list[int], tag: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulate]:
    """Run a simulated beamline with some options until the end of the module; one at a time.

    A shipped description may be edited by pairs of texts, old and new.
    """
    with ExitStack() as stack:

        def start(beamline: str, edits: Iterable[tuple[str, str]] = (), **options: Any) -> Simulated:
            folder = tmp_path_factory.mktemp(beamline)
            text = (Path(description.__file__).parent / f"{beamline}.toml").read_text()
            for old, new in edits:
                assert old in text
                text = text.replace(old, new)
            text = re.sub(r'\b(pv|prefix|amplifier|feedback|temperature) = "', rf'\1 = "{tag}', text)
            (folder / "tagged.toml").write_text(text)
            chosen = Options(beamline=str(folder / "tagged.toml"), data=folder / "data", **options)
            return stack.enter_context(simulated(chosen, ports=ca_ports))

        yield start


@pytest.fixture(scope="module")
def ca(ca_ports: list[int], tag: str, request: pytest.FixtureRequest) -> Channels:
    """Process variables by name, without their tag. They are kept: pyepics may crash where channels are closed."""
    channels = Channels(tag)
    request.config.stash.setdefault(KEPT, []).append(channels)
    return channels


@pytest.fixture(scope="module", autouse=True)
def _search_no_more(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let the devices of a module not search for its IOCs for ever."""
    yield
    if kept := request.config.stash.get(KEPT, []):
        from whiteline.devices.errands import search_no_more

        for one in kept:
            search_no_more(one.values() if hasattr(one, "values") else [one])


@pytest.fixture
def camera_of(ca: Channels) -> Callable[[Simulated], Camera]:
    """Return the camera of a simulated TXM."""
    return lambda twin: Camera(ca, twin)


@pytest.fixture(scope="session")
def keep(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Keep a device of ophyd to the very end: its channels are closed with it, and pyepics may crash on that."""
    kept = request.config.stash.setdefault(KEPT, [])

    def one(device: Any) -> Any:
        kept.append(device)
        device.wait_for_connection(timeout=90)
        return device

    return one
