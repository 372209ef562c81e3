"""Start the two IOCs, know when they answer, lose them and have them back, and leave no process behind."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from whiteline.beamline.description import Beamline
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.floor import Floor
from whiteline.sim.ioc.loopback import client_environment, server_environment
from whiteline.sim.ioc.ports import leased
from whiteline.sim.ioc.readiness import NotServed, wait_until_served
from whiteline.sim.ioc.repeater import repeater

READY_S = 60.0
"""How long the IOCs may take to answer on a machine that is busy [s]."""

STOP_S = 5.0
"""How long they may take to end before they are killed [s]."""


NAMES = "machine", "beamline"
"""The IOCs, in the order of their ports."""


@dataclass
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
    shared : Path
        The file through which they share the state of the floor.
    ready_s : float
        How long they took to answer [s].

    Examples
    --------
    >>> with simulated() as twin:
    ...     twin.kill("beamline")  # its clients lose it
    ...     twin.start("beamline")  # and find it again, at its start positions
    """

    options: Options
    beamline: Beamline
    ports: tuple[int, int, int]
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]]
    shared: Path = field(repr=False)
    ready_s: float = 0.0

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which a client finds it."""
        return client_environment(*self.ports)

    def kill(self, name: str) -> None:
        """Kill an IOC, as a crash does; what it did is left as it stands.

        Parameters
        ----------
        name : str
            "machine" or "beamline".
        """
        self.processes[name].kill()
        _ended(self.processes[name])

    def start(self, name: str) -> None:
        """Start an IOC that has ended, and return when it answers.

        It begins as it began first: axes at their start positions, shutters closed. Time on the floor has gone on.

        Parameters
        ----------
        name : str
            "machine" or "beamline".

        Raises
        ------
        RuntimeError
            If it still runs.
        OSError
            If it does not start.
        """
        if self.processes[name].poll() is None:
            raise RuntimeError(f"the {name} IOC still runs; kill it first")
        _ended(self.processes[name])
        self._launch(name)
        self._wait(name)

    def freeze(self, name: str) -> None:
        """Stop an IOC where it is: its circuits stay open, and nothing answers on them.

        Parameters
        ----------
        name : str
            "machine" or "beamline".
        """
        self.processes[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen IOC go on.

        Parameters
        ----------
        name : str
            "machine" or "beamline".
        """
        self.processes[name].send_signal(signal.SIGCONT)

    def _launch(self, name: str) -> None:
        port, repeater_port = self.ports[NAMES.index(name)], self.ports[2]
        words = name, str(port), str(repeater_port), str(self.folder), str(self.shared), self.options.to_json()
        # it ends when this process does: its standard input is a pipe that then closes
        process = subprocess.Popen(
            [sys.executable, "-m", "whiteline.beamline.simulation.ioc", *words],
            env=os.environ | server_environment(port, repeater_port),
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends its children in order
        )
        self.processes[name] = process

    def _wait(self, name: str) -> None:
        process = self.processes[name]
        pv = f"{self.beamline.ring.prefix}current" if name == "machine" else self.beamline.monochromator.bragg.pv
        try:
            wait_until_served(pv, self.ports[NAMES.index(name)], READY_S, lambda: process.poll() is None)
        except NotServed as error:
            raise OSError(f"the {name} IOC did not start: {error}") from error

    def _stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
            process.send_signal(signal.SIGCONT)  # one that is frozen could not end
        deadline = time.monotonic() + STOP_S
        for process in self.processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
            _ended(process)


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a process, and close our end of its standard input."""
    process.wait()
    if process.stdin:
        process.stdin.close()


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
    with ExitStack() as stack:
        machine, beamline_port, repeater_port = ports or stack.enter_context(leased(3, port))
        folder = options.folder(beamline)
        numbers = machine, beamline_port, repeater_port
        stack.enter_context(_found_here(client_environment(*numbers)))
        shared = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="whiteline-"))) / "floor"
        started = time.monotonic()
        Floor.create(shared, started)
        # here, not in an IOC: clients register with it but once, and any IOC may be lost
        stack.enter_context(repeater(repeater_port))
        twin = Simulated(options, beamline, numbers, folder, {}, shared)
        stack.callback(twin._stop)
        for name in NAMES:
            twin._launch(name)
        for name in NAMES:
            twin._wait(name)
        twin.ready_s = time.monotonic() - started
        yield twin


def check_species(beamline: Beamline) -> None:
    """Raise unless the spectrum of every species can be read and covers its edge.

    Raises
    ------
    DescriptionError
        Naming the species.
    """
    # imported here: cross sections take seconds to load, and are needed only for spectra of the user's own
    from whiteline.beamline.species_of import species_of

    assert beamline.simulation is not None
    species_of(beamline.simulation, beamline.monochromator.spacing)


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
