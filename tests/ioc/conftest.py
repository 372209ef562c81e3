"""Tests over Channel Access: IOCs in processes of their own, and one client, this one.

pyepics reads where to search when it is first imported, and never again. So each pytest process leases its ports
once; the IOCs of one module after the other listen there.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ca_client import Camera, Channels

from whiteline.beamline.simulation import Simulated, simulated
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.loopback import client_environment, server_environment
from whiteline.sim.ioc.ports import leased
from whiteline.sim.ioc.readiness import wait_until_served


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
def simulate(ca_ports: list[int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulate]:
    """Run a simulated beamline with some options until the end of the module; one at a time."""
    with ExitStack() as stack:

        def start(**options: Any) -> Simulated:
            data = tmp_path_factory.mktemp("data")
            return stack.enter_context(simulated(Options(data=data, **options), ports=ca_ports))

        yield start


@pytest.fixture(scope="session")
def ca(ca_ports: list[int]) -> Channels:
    """Process variables by name. They are kept to the end: pyepics may crash where channels are closed."""
    return Channels()


@pytest.fixture
def camera_of(ca: Channels) -> Callable[[Simulated], Camera]:
    """Return the camera of a simulated TXM."""
    return lambda twin: Camera(ca, twin)
