"""The machine: the storage ring, its shutters, and the watch over the clients that open them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from caproto import AlarmSeverity, AlarmStatus, ChannelData
from caproto.server import PVGroup, PvpropertyDouble, PvpropertyEnum, PvpropertyEnumRO, PvpropertyInteger, pvproperty

from whiteline.sim.ioc.channel_access import Task
from whiteline.sim.ioc.clients import FromAClient
from whiteline.sim.ioc.clock import Clock
from whiteline.sim.ioc.crash import crash
from whiteline.sim.ioc.floor import Floor
from whiteline.sim.ioc.heartbeat import Heartbeats
from whiteline.sim.ioc.shutter import Shutter, ShutterSettings
from whiteline.sim.ring import Ring

EVERY_S = 0.1
"""Wall time between two looks at the ring and at the heartbeats [s]."""


@dataclass(frozen=True)
class MachineSettings:
    """The ring and the shutters.

    Parameters
    ----------
    ring : Ring
        How its current goes.
    ring_prefix : str
        Of its process variables.
    ring_GeV : float
        Energy of the electrons [GeV].
    prefix : str
        Of the process variables of the faults, before "machine:".
    photon, fast : ShutterSettings
        The shutter of the front end, and the fast one before the sample.
    """

    ring: Ring
    ring_prefix: str
    ring_GeV: float
    prefix: str
    photon: ShutterSettings
    fast: ShutterSettings


class RingRecords(PVGroup):
    """Process variables of the storage ring."""

    current = pvproperty(name="current", value=0.0, units="mA", precision=3, read_only=True, record="ai")
    lifetime = pvproperty(name="lifetime", value=0.0, units="h", precision=2, read_only=True)
    energy = pvproperty(name="energy", value=0.0, units="GeV", precision=3, read_only=True)
    beam = pvproperty(
        name="beam",
        value="Stored",
        dtype=PvpropertyEnumRO,
        enum_strings=("No beam", "Stored"),
        alarm_group="beam",
    )


class Beat(FromAClient, PvpropertyInteger):
    """A counter of the client that counted last."""


class Watch(PVGroup):
    """The heartbeat of the clients: each counts for itself, and 0 ends its watch."""

    heartbeat = pvproperty(name="heartbeat", value=0, dtype=Beat)
    watched = pvproperty(name="heartbeat:clients", value=0, read_only=True, doc="How many clients are watched")

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix=prefix)
        self.beats = Heartbeats()

    @heartbeat.putter
    async def heartbeat(self, instance: Beat, value: int) -> None:
        """Take a beat."""
        if instance.client is not None:
            self.beats.beat(instance.client, int(value))
            if self.watched.value != self.beats.watched:
                await self.watched.write(self.beats.watched)


class Faults(PVGroup):
    """Faults of the machine, switched on by process variables."""

    beam_dump = pvproperty(name="beam_dump", value=0.0, units="s", doc="Lose the beam, and have it back after so long")
    shutter_stuck = pvproperty(
        name="shutter_stuck",
        value="None",
        dtype=PvpropertyEnum,
        enum_strings=("None", "photon", "fast"),
        doc="The shutter that does not move",
    )
    exit = crash()

    def __init__(self, machine: "Machine", prefix: str) -> None:
        super().__init__(prefix=prefix)
        self._machine = machine

    @beam_dump.putter
    async def beam_dump(self, instance: PvpropertyDouble, value: float) -> None:
        """Dump the beam."""
        if not 0 <= value < float("inf"):
            raise ValueError(f"{instance.pvname} = {value:g} s must be 0 or a time without beam")
        if value > 0:
            await self._machine.dump(float(value))

    @shutter_stuck.putter
    async def shutter_stuck(self, instance: PvpropertyEnum, value: str) -> str:
        """Let a shutter stick."""
        for shutter in self._machine.shutters:
            shutter.stuck = shutter.settings.name == value
        return value


class Machine:
    """The IOC of the machine.

    Parameters
    ----------
    settings : MachineSettings
        What it is made of.
    clock : Clock
        Its time.
    floor : Floor
        Where it tells the beamline of its shutters and dumps.
    """

    def __init__(self, settings: MachineSettings, clock: Clock, floor: Floor) -> None:
        self._settings, self._clock, self._floor = settings, clock, floor
        self.ring = RingRecords(prefix=settings.ring_prefix)
        self.photon, self.fast = self.shutters = tuple(
            Shutter(one, clock, partial(floor.set_shutter, one.name)) for one in (settings.photon, settings.fast)
        )
        self.watch = Watch(prefix=settings.fast.prefix)
        self.faults = Faults(self, f"{settings.prefix}machine:fault:")

    @property
    def pvdb(self) -> Mapping[str, ChannelData]:
        """Process variables by name."""
        groups: Sequence[PVGroup] = (self.ring, *self.shutters, self.watch, self.faults)
        return {name: channel for group in groups for name, channel in group.pvdb.items()}

    async def dump(self, seconds: float) -> None:
        """Lose the beam for a time [s]; the interlock takes the permit of the photon shutter."""
        now = self._clock.now()
        self._floor.dump(now, now + seconds)
        await self._show_ring()

    async def run(self) -> None:
        """Show the ring, and close the fast shutter of a client whose heart has stopped."""
        await self.ring.energy.write(self._settings.ring_GeV)
        await self.ring.lifetime.write(self._settings.ring.lifetime_h)
        while True:
            await self._show_ring()
            lost = self.watch.beats.sweep()
            if self.fast.opened_by in lost:
                await self.fast.close()
            if lost:
                await self.watch.watched.write(self.watch.beats.watched)
            await asyncio.sleep(EVERY_S)

    @property
    def tasks(self) -> Sequence[Task]:
        """What runs beside the server."""
        return (self.run,)

    async def _show_ring(self) -> None:
        current = self._settings.ring.current(self._clock.now(), self._floor.dumps_s)
        await self.ring.current.write(current)
        stored = current > 0
        if stored != (self.ring.beam.value == "Stored"):
            await self.ring.beam.write(
                "Stored" if stored else "No beam",
                status=AlarmStatus.NO_ALARM if stored else AlarmStatus.STATE,
                severity=AlarmSeverity.NO_ALARM if stored else AlarmSeverity.MAJOR_ALARM,
            )
            await self.photon.allow(stored)
