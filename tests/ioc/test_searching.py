"""Devices find an IOC that is back at once, where a stock channel waits for libca to search again."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from whiteline.sim.ioc.loopback import server_environment
from whiteline.sim.ioc.readiness import wait_until_served

IOC = Path(__file__).with_name("motors_ioc.py")
GOVERNED_S = 10.0
"""libca does not search for a lost channel before that."""


class Process:
    """The IOC of motors, which can be killed and started again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.start()

    def start(self) -> None:
        environment = os.environ | server_environment(self._port)
        self._process = subprocess.Popen([sys.executable, str(IOC), str(self._port)], env=environment)
        wait_until_served("T:slow0", self._port, timeout_s=60)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def ioc(ca_ports: list[int]) -> Iterator[Process]:
    process = Process(ca_ports[0])
    yield process
    process.kill()


def wait_for(true: Callable[[], bool], what: str) -> None:
    ticks, deadline = threading.Event(), time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come"
        ticks.wait(0.02)


def test_a_lost_motor_is_found_and_moves_again(ioc: Process, keep: Callable[[Any], Any]) -> None:
    from whiteline.devices.motor import Motor

    motors = [keep(Motor(f"T:slow{number}", name=f"motor{number}")) for number in (34, 35, 36)]
    import epics

    stock = epics.PV("T:slow37.RBV")
    assert stock.wait_for_connection(timeout=30)
    for _ in range(2):
        lost = time.monotonic()
        ioc.kill()
        wait_for(lambda: not any(motor.connected for motor in motors), "the loss")
        ioc.start()
        wait_for(lambda: all(motor.connected for motor in motors), "the motors")
        # as long as this holds, the way round is needed
        assert not stock.connected or time.monotonic() - lost > GOVERNED_S
        for number, motor in enumerate(motors):
            motor.move(0.5 + number)
            assert motor.position == pytest.approx(0.5 + number, abs=motor.tolerance)
            motor.velocity.put(9.0, wait=True)  # every channel is there, with the right to write
            assert motor.velocity.get(use_monitor=False) == 9.0
        wait_for(lambda: bool(stock.connected), "the stock channel")
