"""Start the two IOCs, know when they answer, and leave no process behind."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from whiteline.beamline.description import Beamline
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.floor import Floor
from whiteline.sim.ioc.loopback import client_environment, server_environment
from whiteline.sim.ioc.ports import leased
from whiteline.sim.ioc.readiness import NotServed, wait_until_served

READY_S = 60.0
"""How long the IOCs may take to answer on a machine that is busy [s]."""

STOP_S = 5.0
"""How long they may take to end before they are killed [s]."""


@dataclass(frozen=True)
class Simulated:
    """A simulated beamline that runs.

    Parameters
    ----------
    options : Options
        How it runs.
    beamline : Beamline
        Its description, with the options put into it.
    ports : tuple of int
        Of loopback: machine, beamline, repeater.
    folder : Path
        Where the detectors write.
    processes : mapping of str to Popen
        The IOCs, "machine" and "beamline".
    ready_s : float
        How long they took to answer [s].
    """

    options: Options
    beamline: Beamline
    ports: tuple[int, int, int]
    folder: Path
    processes: Mapping[str, subprocess.Popen[bytes]]
    ready_s: float

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which a client finds it."""
        return client_environment(*self.ports)


class AlreadySearching(RuntimeError):
    """The Channel Access client of this process has been started for other IOCs."""


@contextmanager
def simulated(
    options: Options | None = None, *, ports: Sequence[int] | None = None, port: int | None = None
) -> Iterator[Simulated]:
    """Run a simulated beamline.

    In the block this process finds it: environment variables are set before the client library is loaded, which reads
    them but once. So ophyd and epics must be imported inside the block, or after `ports` were set for good.

    Parameters
    ----------
    options : Options or None
        How it runs.
    ports : sequence of int or None
        Three ports that the caller has leased; any free ones if None.
    port : int or None
        The first of three consecutive ports to lease, instead of any free ones.

    Raises
    ------
    ValueError
        If the description or an option is wrong.
    OSError
        If a port is taken, a folder is not writable, or an IOC does not start.
    AlreadySearching
        If the client library of this process is loaded already, for other IOCs.

    Examples
    --------
    >>> from whiteline.beamline.simulation import simulated
    >>> with simulated() as twin:
    ...     import epics
    ...     current = epics.caget("SR:current")
    """
    options = options or Options()
    beamline = options.description()
    if options.species:
        check_species(beamline)
    folder = options.folder(beamline)
    with ExitStack() as stack:
        machine, beamline_port, repeater = ports or stack.enter_context(leased(3, port))
        stack.enter_context(_found_here(client_environment(machine, beamline_port, repeater)))
        shared = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="whiteline-"))) / "floor"
        started = time.monotonic()
        Floor.create(shared, started)
        processes: dict[str, subprocess.Popen[bytes]] = {}
        stack.callback(_stop, processes)
        iocs = (
            ("machine", machine, f"{beamline.ring.prefix}current"),
            ("beamline", beamline_port, beamline.monochromator.bragg.pv),
        )
        for name, number, _ in iocs:
            processes[name] = _start(name, number, repeater, options, folder, shared)
        for name, number, pv in iocs:
            _wait(name, pv, number, processes[name])
        ready_s = time.monotonic() - started
        yield Simulated(options, beamline, (machine, beamline_port, repeater), folder, processes, ready_s)


def check_species(beamline: Beamline) -> None:
    """Raise unless the spectrum of every species can be read and covers its edge.

    Raises
    ------
    DescriptionError
        Naming the species.
    """
    # imported here: cross sections take seconds to load, and are needed only for spectra of the user's own
    from whiteline.beamline.twin import species_of

    assert beamline.simulation is not None
    species_of(beamline.simulation, beamline.monochromator.spacing)


def _start(
    name: str, port: int, repeater: int, options: Options, folder: Path, shared: Path
) -> subprocess.Popen[bytes]:
    """Start an IOC. It ends when this process does: its standard input is a pipe that then closes."""
    arguments = name, str(port), str(repeater), str(folder), str(shared), options.to_json()
    return subprocess.Popen(
        [sys.executable, "-m", "whiteline.beamline.simulation.ioc", *arguments],
        env=os.environ | server_environment(port),
        stdin=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the parent, which then ends its children in order
    )


def _wait(name: str, pv: str, port: int, process: subprocess.Popen[bytes]) -> None:
    try:
        wait_until_served(pv, port, READY_S, lambda: process.poll() is None)
    except NotServed as error:
        raise OSError(f"the {name} IOC did not start: {error}") from error


def _stop(processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
    for process in processes.values():
        process.terminate()
    deadline = time.monotonic() + STOP_S
    for process in processes.values():
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin:
            process.stdin.close()


@contextmanager
def _found_here(environment: Mapping[str, str]) -> Iterator[None]:
    """Let this process find the IOCs, as long as its client library is not loaded yet, or knows these ports."""
    before = {name: os.environ.get(name) for name in environment}
    if before != dict(environment):
        client = sys.modules.get("epics.ca")
        if client is not None and client.libca is not None:
            raise AlreadySearching(
                "Channel Access was already used in this process, and searches elsewhere for good: start the simulated "
                "beamline before ophyd or epics is imported"
            )
        os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
