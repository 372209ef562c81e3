"""An IOC of EPICS base, by softioc: `python epics_base_ioc.py PORT TAG`.

Its records are called as those of the simulated beamline, and share no line of code with it. So whatever works here
works with the records of EPICS, and not only with what caproto makes of them.
"""

import asyncio
import ctypes
import os
import signal
import sys

from softioc import builder, softioc
from softioc.asyncio_dispatcher import AsyncioDispatcher

PR_SET_PDEATHSIG = 1
FILTERS = ("Al 50", "Al 100")
FOILS = ("None", "Fe", "Ni")
GAINS = ("1e5 V/A", "1e6 V/A", "1e7 V/A")


class Moved:
    """A command, and a status that follows it after a while, unless it is stuck.

    The command completes when the status is there, or before it where `early`, as some IOCs have it.
    """

    def __init__(
        self, command: str, status: str, words: tuple[str, ...], seconds: float, *, moving: bool, early: bool = False
    ) -> None:
        self.words, self.seconds, self.moving, self.early = words, seconds, moving, early
        kind = builder.boolOut if len(words) == 2 else builder.mbbOut
        shown = (*words, "Moving") if moving else words
        self.status = builder.mbbIn(status, *shown, initial_value=0)
        self.command = kind(command, *words, initial_value=0, on_update=self.go, blocking=True, always_update=True)
        self.stuck = builder.boolOut(f"{status}:stuck", "No", "Yes", initial_value=0)
        self.permit = None
        self.cycles = None

    async def go(self, value: int) -> None:
        if self.permit is not None and value and not self.permit.get():
            return
        if self.early:
            asyncio.get_running_loop().create_task(self.move(int(value)))
        else:
            await self.move(int(value))

    async def move(self, value: int) -> None:
        if self.stuck.get() or self.status.get() == value:
            return
        if self.moving:
            self.status.set(len(self.words))
        await asyncio.sleep(self.seconds)
        self.status.set(value)
        if self.cycles is not None and value:
            self.cycles.set(self.cycles.get() + 1)


def shutter(prefix: str, *, early: bool) -> None:
    moved = Moved(f"{prefix}command", f"{prefix}status", ("Closed", "Open"), 0.1, moving=True, early=early)
    moved.permit = builder.mbbIn(f"{prefix}permit", "Denied", "Permitted", initial_value=1)
    moved.cycles = builder.longIn(f"{prefix}cycles", initial_value=0)
    builder.boolOut(
        f"{prefix}allow", "No", "Yes", initial_value=1, on_update=lambda value: moved.permit.set(int(value))
    )


def main(tag: str) -> None:
    # the parent may be killed, and must leave nothing behind
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    dispatcher = AsyncioDispatcher()
    shutter(f"{tag}FE:shutter:", early=True)
    shutter(f"{tag}TXM:shutter:", early=False)
    builder.longOut(f"{tag}TXM:shutter:heartbeat", initial_value=0)
    for number, name in enumerate(FILTERS, 1):
        builder.stringIn(f"{tag}TXM:filters:{number}:name", initial_value=name)
        prefix = f"{tag}TXM:filters:{number}:"
        Moved(f"{prefix}insert", f"{prefix}status", ("Out", "In"), 0.05, moving=True)
    Moved(f"{tag}TXM:foils", f"{tag}TXM:foils:readback", FOILS, 0.1, moving=False)
    gain = builder.aIn(f"{tag}TXM:amplifier:1:gain:value", initial_value=1e5, EGU="V/A")
    builder.mbbOut(
        f"{tag}TXM:amplifier:1:gain", *GAINS, initial_value=0, on_update=lambda value: gain.set(10.0 ** (5 + value))
    )
    builder.mbbIn(f"{tag}TXM:amplifier:1:overload", "No", "Yes", initial_value=0)
    builder.aOut(f"{tag}TXM:plain", initial_value=1.5, EGU="mm", PREC=3)
    builder.longIn(f"{tag}pid", initial_value=os.getpid())
    builder.LoadDatabase()
    # Channel Access is enough, and PV Access would listen on every interface
    softioc.iocInit(dispatcher, enable_pva=False)
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[2])
