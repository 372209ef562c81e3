"""What the two IOCs share, the time on the floor, the ports that are leased, and the hearts that are watched."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whiteline.sim.ioc.clock import FramesClock, Passing, WallClock
from whiteline.sim.ioc.floor import MOST_DUMPS, Floor
from whiteline.sim.ioc.heartbeat import Heartbeats
from whiteline.sim.ioc.loopback import LOOPBACK, client_environment, server_environment
from whiteline.sim.ioc.ports import FIRST, LAST, NoPort, leased
from whiteline.sim.ioc.readiness import NotServed, wait_until_served

HOLD_A_PORT = """
import sys
from whiteline.sim.ioc.ports import leased
with leased(1, int(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return Floor.create(tmp_path / "floor", 100.0)


def test_one_process_sees_what_the_other_has_written(floor: Floor, tmp_path: Path) -> None:
    other = Floor(tmp_path / "floor")
    assert other.started == 100.0
    assert not other.open
    floor.set_shutter("photon", True)
    assert not other.open
    floor.set_shutter("fast", True)
    assert other.open
    floor.set_shutter("photon", False)
    assert not other.open
    floor.dump(3.0, 8.0)
    floor.dump(20.0, 21.0)
    assert other.dumps_s == ((3.0, 8.0), (20.0, 21.0))
    other.frames_time_s = 7.5
    assert floor.frames_time_s == 7.5


def test_of_many_dumps_the_newest_are_known(floor: Floor) -> None:
    for number in range(MOST_DUMPS + 5):
        floor.dump(number, number + 0.5)
    assert len(floor.dumps_s) == MOST_DUMPS
    assert floor.dumps_s[0] == (5.0, 5.5)
    assert floor.dumps_s[-1] == (MOST_DUMPS + 4, MOST_DUMPS + 4.5)


def test_wall_time_is_multiplied(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = WallClock(20.0, floor)
    monkeypatch.setattr("time.monotonic", lambda: 102.5)
    assert clock.now() == 50.0
    clock.moved("x", 3.0)
    clock.exposed(1.0)
    clock.book(True)
    assert clock.now() == 50.0


moves = st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 100)), max_size=8)


@given(moves=moves, exposures=st.lists(st.floats(0, 10), max_size=3), data=st.data())
def test_frames_time_does_not_depend_on_the_order_in_which_moves_end(
    tmp_path_factory: pytest.TempPathFactory,
    moves: list[tuple[str, float]],
    exposures: list[float],
    data: st.DataObject,
) -> None:
    file = tmp_path_factory.mktemp("floors") / "floor"

    def ended(moves: list[tuple[str, float]]) -> float:
        clock = FramesClock(1.0, Floor.create(file, 0.0))
        for one in exposures:
            clock.exposed(one)
        for axis, duration in moves:
            clock.moved(axis, duration)
        assert clock.now() == 0.0
        clock.book(True)
        return clock.now()

    assert ended(moves) == ended(data.draw(st.permutations(moves)))
    assert ended(moves) == pytest.approx(sum(one for _, one in moves) + sum(exposures), abs=2e-8)


def test_a_detector_that_is_triggered_together_with_the_camera_sees_the_same_time(floor: Floor) -> None:
    """Whether the camera's exposure has ended or not when the other detector starts."""
    seen = []
    for camera_is_quick in (True, False):
        clock = FramesClock(1.0, floor)
        beside = Passing(clock)
        clock.exposed(0.22)  # of the point before
        clock.moved("x", 1.0)
        clock.book(True)
        if camera_is_quick:
            clock.exposed(0.22)
        beside.book(False)
        seen.append(beside.now())
        beside.exposed(99.0)
        clock.book(True)
    assert seen == [1.22, 1.22]


def test_speed_does_not_change_frames_time(floor: Floor) -> None:
    times = []
    for speed in (1.0, 50.0):
        clock = FramesClock(speed, floor)
        clock.moved("x", 2.0)
        clock.book(True)
        times.append(clock.now())
    assert times == [2.0, 2.0]


def test_ports_are_leased_once() -> None:
    with leased(3) as first, leased(3) as second:
        assert len({*first, *second}) == 6
        assert all(FIRST <= port <= LAST for port in (*first, *second))
        with pytest.raises(NoPort, match=f"port {first[0]} of {LOOPBACK} is taken"), leased(1, first[0]):
            pass
    with leased(1, first[0]) as again:
        assert again == [first[0]]


def test_a_port_on_which_something_listens_is_taken() -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with leased(1) as (port,):
            pass
        with socket.socket(socket.AF_INET, kind) as other:
            other.bind((LOOPBACK, port))
            if kind == socket.SOCK_STREAM:
                other.listen()
            with pytest.raises(NoPort, match=f"port {port} of {LOOPBACK} is taken"), leased(1, port):
                pass


@pytest.mark.parametrize("port", [0, -1, 80, 65_536, 10**9])
def test_an_impossible_port_is_refused(port: int) -> None:
    with pytest.raises(NoPort, match=f"port {port} must lie between 1024 and"), leased(2, port):
        pass


def test_a_lease_ends_with_its_process_even_if_that_is_killed() -> None:
    with leased(1) as (port,):
        pass
    command = [sys.executable, "-c", HOLD_A_PORT, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(NoPort), leased(1, port):
            pass
        holder.kill()
        holder.wait()
        with leased(1, port) as again:
            assert again == [port]


def test_nobody_answers_on_a_free_port() -> None:
    with leased(1) as (port,):
        with pytest.raises(NotServed, match=f"X:a is not served on port {port}"):
            wait_until_served("X:a", port, timeout_s=0.1)
        with pytest.raises(NotServed, match="has ended"):
            wait_until_served("X:a", port, timeout_s=100.0, alive=lambda: False)


def test_everything_stays_on_loopback() -> None:
    server, client = server_environment(20_000), client_environment(20_000, 20_001, 20_002)
    assert client["EPICS_CA_ADDR_LIST"] == "127.0.0.1:20000 127.0.0.1:20001"
    for environment in (server, client):
        assert environment["EPICS_CA_AUTO_ADDR_LIST"] == "NO"
    assert server["EPICS_CAS_INTF_ADDR_LIST"] == LOOPBACK
    assert server["EPICS_CAS_AUTO_BEACON_ADDR_LIST"] == "NO"


class Hand:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


ALICE, BOB = ("127.0.0.1", 1), ("127.0.0.1", 2)


def test_a_heart_that_never_beat_is_not_watched() -> None:
    hand = Hand()
    beats = Heartbeats(clock=hand)
    hand.now = 1e6
    assert not beats.lost(ALICE)
    assert not beats.lost(None)
    assert beats.watched == 0


def test_each_client_has_its_own_heart() -> None:
    hand = Hand()
    beats = Heartbeats(clock=hand)
    beats.beat(ALICE, 1)
    for count in range(1, 8):
        hand.now += 1.0
        beats.beat(BOB, count)
    assert beats.lost(ALICE)
    assert not beats.lost(BOB)
    beats.beat(ALICE, 2)
    assert not beats.lost(ALICE)
    hand.now += 3.0
    assert not beats.lost(ALICE)
    hand.now += 0.01
    assert beats.lost(ALICE)
    assert beats.lost(BOB)
    assert beats.sweep() == {ALICE, BOB}
    assert beats.sweep() == set()
    assert beats.watched == 0


def test_a_clean_exit_disarms_the_watch() -> None:
    hand = Hand()
    beats = Heartbeats(clock=hand)
    beats.beat(ALICE, 5)
    beats.beat(ALICE, 0)
    hand.now = 100.0
    assert not beats.lost(ALICE)
    assert beats.watched == 0
