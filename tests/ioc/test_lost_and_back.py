"""An IOC is lost, and is back: its clients find it again, and nothing is left behind."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import pytest

from whiteline.beamline.simulation import Simulated, simulated
from whiteline.beamline.simulation.options import Options
from whiteline.sim.ioc.clock import FramesClock
from whiteline.sim.ioc.floor import Floor
from whiteline.sim.ioc.loopback import LOOPBACK
from whiteline.sim.ioc.ports import leased
from whiteline.sim.ioc.repeater import repeater

PVS = {"machine": "SR:current", "beamline": "TXM:condenser:x"}
AWAY_S = 33.0
"""By then libca has searched about every 8 s, and searches next 33 s after that unless it hears beacons [s]."""

BACK_S = 10.0
"""It searches every 8.2 s once it has heard some [s]."""

HEADER = struct.Struct(">HHHHI4s")
VERSION, BEACON, CONFIRM, REGISTER = 0, 13, 17, 24
HERE, NOWHERE = socket.inet_aton(LOOPBACK), bytes(4)


@pytest.fixture(scope="module")
def twin(simulate) -> Simulated:  # type: ignore[no-untyped-def]
    return simulate("txm", speed=20.0)


@contextmanager
def told(channel, connected: bool, timeout: float) -> Iterator[None]:  # type: ignore[no-untyped-def]
    """Wait after the block until a channel is connected, or is not."""
    changed = threading.Event()

    def look(conn: bool | None = None, **rest: object) -> None:
        if conn is connected:
            changed.set()

    channel.connection_callbacks.append(look)
    try:
        yield
        assert changed.wait(timeout), f"{channel.pvname} is {'not connected' if connected else 'connected'}"
    finally:
        channel.connection_callbacks.remove(look)


def test_a_client_finds_what_was_killed_and_started_again(twin: Simulated, ca) -> None:  # type: ignore[no-untyped-def]
    """The machine and the beamline, killed together, so that their clients wait but once."""
    ca.put("TXM:condenser:x", 1.0)
    ca.put("TXM:shutter:command", "Open")
    before = ca.get("SIM:truth:time")
    channels = {name: ca(pv) for name, pv in PVS.items()}
    with told(channels["machine"], False, 30), told(channels["beamline"], False, 30):
        for name in channels:
            twin.kill(name)
    time.sleep(AWAY_S)
    with told(channels["machine"], True, BACK_S), told(channels["beamline"], True, BACK_S):
        for name in channels:
            twin.start(name)
    assert [process.poll() for process in twin.processes.values()] == [None, None]
    assert ca.get("SR:current") > 390
    assert ca.get("TXM:condenser:x.RBV") == pytest.approx(0.0, abs=0.01)
    assert ca.get("TXM:shutter:status", as_string=True) == "Closed"
    ca.wait("SIM:truth:time", lambda value: value > before + AWAY_S * twin.options.speed)


@pytest.mark.parametrize("name", PVS)
def test_frozen_an_ioc_is_silent_and_thawed_it_answers(twin: Simulated, ca, name: str) -> None:  # type: ignore[no-untyped-def]
    channel = ca(PVS[name])
    twin.freeze(name)
    with pytest.warns(UserWarning, match="timed out"):
        assert channel.get(use_monitor=False, timeout=1.0) is None
    assert channel.connected
    twin.thaw(name)
    assert ca.get(PVS[name]) is not None


def test_an_ioc_that_runs_is_not_started_twice(twin: Simulated) -> None:
    with pytest.raises(RuntimeError, match="the machine IOC still runs; kill it first"):
        twin.start("machine")


def test_the_block_ends_what_was_started_again_and_what_is_frozen(tmp_path: Path) -> None:
    with leased(3) as ports, pytest.MonkeyPatch.context() as patched:
        # a client of these ports would be another process; this one has its own
        patched.setattr("whiteline.beamline.simulation.running._found_here", lambda environment: nullcontext())
        with simulated(Options(beamline="txm", data=tmp_path, clock="frames"), ports=ports) as twin:
            first = dict(twin.processes)
            twin.kill("beamline")
            assert first["beamline"].returncode == -9
            twin.start("beamline")
            assert twin.processes["beamline"] is not first["beamline"]
            twin.freeze("machine")
            twin.freeze("beamline")
        # the beamline still lays out its sample, which may take longer on a busy machine than it is given to end
        assert twin.processes["machine"].returncode == 0
        assert twin.processes["beamline"].returncode in (0, -9)
        assert not any(Path(f"/proc/{process.pid}").exists() for process in (*first.values(), *twin.processes.values()))
        assert not any(_listens(port) for port in ports)


def test_time_that_goes_by_frames_goes_on_where_an_ioc_is_started_again(tmp_path: Path) -> None:
    floor = Floor.create(tmp_path / "floor", 0.0)
    floor.frames_time_s = 100.0
    clock = FramesClock(1.0, floor, floor.frames_time_s)
    clock.exposed(2.0)
    clock.book(True)
    assert clock.now() == 102.0


def _listens(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


class Peer:
    """A client or an IOC, by plain datagrams."""

    def __init__(self, repeater_port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LOOPBACK, 0))
        self.socket.settimeout(10)
        self._to = LOOPBACK, repeater_port

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self._to)

    def register(self, datagram: bytes = HEADER.pack(REGISTER, 0, 0, 0, 0, HERE)) -> None:
        self.send(datagram)
        assert self.socket.recv(1024) == HEADER.pack(CONFIRM, 0, 0, 0, 0, HERE)

    def close(self) -> None:
        self.socket.close()


def beacon(number: int, address: bytes = HERE) -> bytes:
    return HEADER.pack(BEACON, 0, 13, 20_000, number, address)


@pytest.fixture
def port() -> Iterator[int]:
    with leased(1) as (one,):
        yield one


def test_a_beacon_reaches_every_client_with_the_address_of_its_sender(port: int) -> None:
    with repeater(port), closing(Peer(port)) as ioc, closing(Peer(port)) as one, closing(Peer(port)) as old:
        one.register()
        old.register(b"")
        ioc.send(b"short")
        ioc.send(HEADER.pack(VERSION, 0, 0, 13, 0, HERE))
        ioc.send(beacon(0))
        ioc.send(beacon(1, NOWHERE))
        for client in (one, old):
            assert [client.socket.recv(1024) for _ in range(2)] == [beacon(0), beacon(1)]


def test_a_client_that_is_gone_is_forgotten_and_the_others_are_still_told(port: int) -> None:
    with repeater(port), closing(Peer(port)) as ioc, closing(Peer(port)) as stays:
        gone = Peer(port)
        gone.register()
        stays.register()
        place = gone.socket.getsockname()
        gone.close()
        for number in range(3):
            ioc.send(beacon(number))
            assert stays.socket.recv(1024) == beacon(number)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(place)
            other.settimeout(0.2)
            ioc.send(beacon(3))
            assert stays.socket.recv(1024) == beacon(3)
            with pytest.raises(TimeoutError):
                other.recv(1024)


def test_a_client_that_registered_with_an_earlier_repeater_is_told(port: int) -> None:
    with closing(Peer(port)) as ioc, closing(Peer(port)) as client:
        with repeater(port):
            client.register()
        with repeater(port):
            ioc.send(beacon(0))
            assert client.socket.recv(1024) == beacon(0)


def test_a_repeater_ends_with_its_block_and_gives_its_port_back(port: int) -> None:
    with repeater(port):
        assert _listens(port)
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 is taken"), repeater(port):
            pass
    assert not _listens(port)
