"""An IOC with many motors, so that each test has one of its own: `python motors_ioc.py PORT`.

Each motor has process variables beside its record that switch its faults and show what it has told Python.
"""

import sys
from dataclasses import replace

from caproto.server import PVGroup, PvpropertyStringRO, pvproperty

from whiteline.sim.ioc.channel_access import serve
from whiteline.sim.ioc.motor_record.motor import AxisSettings, Motor

SLOW = AxisSettings(
    name="slow",
    pv="T:slow",
    unit="mm",
    low=-10.0,
    high=10.0,
    velocity=10.0,
    acceleration_s=0.05,
    settle_s=0.0,
    backlash=0.0,
    precision=4,
    start=0.0,
)
KINDS = {
    "slow": SLOW,
    "instant": replace(SLOW, velocity=1e6, acceleration_s=0.0),
    "lash": replace(SLOW, backlash=0.5, settle_s=0.02),
    "above": replace(SLOW, low=1.0, high=11.0, start=5.0),
    "noisy": SLOW,
}

HOW_MANY = {"slow": 40, "instant": 80, "lash": 12, "above": 4, "noisy": 4}


class NoClock:
    """A clock that keeps what it is told."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.told: list[tuple[str, float]] = []

    def now(self) -> float:
        return 0.0

    def moved(self, axis: str, duration_s: float) -> None:
        self.told.append((axis, duration_s))

    def exposed(self, duration_s: float) -> None:
        pass

    def book(self) -> None:
        pass


class Inside(PVGroup):
    """What Python sees of a motor, and its faults."""

    lost_done = pvproperty(name=":lost_done", value=0)
    stalled = pvproperty(name=":stalled", value=0)
    slipped = pvproperty(name=":slipped", value=0.0)
    dial = pvproperty(name=":dial", value=0.0, read_only=True)
    position = pvproperty(name=":position", value=0.0, read_only=True)
    completed = pvproperty(name=":completed", value=0, read_only=True)
    told = pvproperty(name=":told", value="", dtype=PvpropertyStringRO, read_only=True)
    duration = pvproperty(name=":duration", value=0.0, read_only=True)

    def __init__(self, motor: Motor, clock: NoClock) -> None:
        super().__init__(prefix=motor.settings.pv)
        self.motor, self.clock = motor, clock
        self.heard: list[str] = []
        motor.on_completed.append(self._hear)

    def _hear(self, motor: Motor, start: float, end: float, duration_s: float) -> None:
        assert motor is self.motor
        self.heard.append(f"{start:.3f} {end:.3f} {duration_s:.3f}")

    @lost_done.putter
    async def lost_done(self, instance, value):
        self.motor.lost_done = bool(value)

    @stalled.putter
    async def stalled(self, instance, value):
        self.motor.stalled = bool(value)

    @slipped.putter
    async def slipped(self, instance, value):
        self.motor.slipped = value

    @dial.getter
    async def dial(self, instance):
        return self.motor.dial

    @position.getter
    async def position(self, instance):
        return self.motor.position

    @completed.getter
    async def completed(self, instance):
        return self.motor.completed

    @told.getter
    async def told(self, instance):
        return self.heard[-1] if self.heard else ""

    @duration.getter
    async def duration(self, instance):
        return self.clock.told[-1][1] if self.clock.told else 0.0


def main(port: int) -> None:
    pvdb = {}
    for kind, settings in KINDS.items():
        for number in range(HOW_MANY[kind]):
            clock = NoClock(speed=2.0 if kind == "lash" else 1.0)
            # the error of a reading tells its number, so that a test can see which one it was
            encoder = (lambda reading: 1e-3 * (1 + reading // 2**20)) if kind == "noisy" else None
            motor = Motor(replace(settings, pv=f"{settings.pv[:2]}{kind}{number}"), clock, encoder=encoder)
            pvdb |= motor.pvdb | Inside(motor, clock).pvdb
    serve(pvdb, port)


if __name__ == "__main__":
    main(int(sys.argv[1]))
