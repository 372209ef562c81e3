"""The fluorescence detector: spectra of its elements, regions of interest in them, and their sums."""

from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from caproto.server import PVGroup, pvproperty
from numpy.typing import NDArray

from whiteline.sim.camera import Region
from whiteline.sim.gates import Gates
from whiteline.sim.ioc.capture.witness import Witness
from whiteline.sim.ioc.clock import Clock
from whiteline.sim.ioc.measuring import Measuring

REGIONS = 8
"""Regions of interest of each element."""

TICKS_HZ = 80e6
"""Frequency of the clock that counts the live time of each element [1/s]."""


@dataclass(frozen=True)
class FluorescenceSettings:
    """A fluorescence detector.

    Parameters
    ----------
    prefix : str
        Of its process variables.
    elements, bins : int
        How many elements, and channels of each spectrum.
    readout_s : float
        Time to read a spectrum, after which the next trigger pulse may come [s].
    buffer : int
        Spectra that it holds, when it is triggered faster than it hands them on.
    most_per_s : float
        Spectra that it can hand on for good [1/s].
    """

    prefix: str
    elements: int
    bins: int
    readout_s: float
    buffer: int
    most_per_s: float


class RegionOfInterest(PVGroup):
    """Process variables of a region of interest: the first bin, the first one beyond it, and the sum between."""

    first = pvproperty(name="_LLM", value=0)
    beyond = pvproperty(name="_HLM", value=0)
    total = pvproperty(name=":Value_RBV", value=0.0, read_only=True)


class Element(PVGroup):
    """Process variables of one element: clock ticks, all counts, and its regions of interest.

    Parameters
    ----------
    prefix : str
        Of them, such as "NANO:fluorescence:C1".
    """

    ticks = pvproperty(name="_SCA0:Value_RBV", value=0.0, read_only=True, doc="Ticks of the clock in the dwell")
    events = pvproperty(name="_SCA3:Value_RBV", value=0.0, read_only=True, doc="All counts in the dwell")

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix=prefix)
        self.regions = [RegionOfInterest(prefix=f"{prefix}_ROI{number}") for number in range(1, REGIONS + 1)]

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """The regions that are set, one after the other from the first: first bin, and the first one beyond."""
        found = [(int(one.first.value), int(one.beyond.value)) for one in self.regions]
        unset = next((number for number, (first, beyond) in enumerate(found) if beyond <= first), len(found))
        return tuple(found[:unset])

    async def show(self, spectrum: NDArray[np.uint32], dwell_s: float) -> None:
        """Publish what a spectrum holds."""
        await self.ticks.write(float(np.rint(dwell_s * TICKS_HZ)))
        await self.events.write(float(spectrum.sum()))
        for region in self.regions:
            if region.beyond.value > region.first.value:
                await region.total.write(float(spectrum[region.first.value : region.beyond.value].sum()))


class FluorescenceSource:
    """What a fluorescence detector gives its driver: an array of spectra, one row an element.

    Parameters
    ----------
    settings : FluorescenceSettings
        The detector.
    measuring : Measuring
        What it sees.
    clock : Clock
        As this detector sees it.
    witness : Witness or None
        Knows where everything was at trigger pulses, if there are any.
    """

    dtype = "uint32"
    readout_s = 0.0

    def __init__(
        self, settings: FluorescenceSettings, measuring: Measuring, clock: Clock, witness: Witness | None
    ) -> None:
        self.shape = (settings.elements, settings.bins)
        self.elements = [Element(f"{settings.prefix}C{number}") for number in range(1, settings.elements + 1)]
        self._measuring, self._clock, self._witness = measuring, clock, witness

    @property
    def pvdb(self) -> Mapping[str, Any]:
        """Process variables of the elements by name."""
        groups: list[PVGroup] = [group for one in self.elements for group in (one, *one.regions)]
        return {name: channel for group in groups for name, channel in group.pvdb.items()}

    def expose(self, exposure_s: float, number: int, region: Region) -> Awaitable[NDArray[np.uint32]]:
        """Start to count; the spectra come later, when the sums are published."""
        return self._counted(self._measuring.point(self._clock, exposure_s, number, remembered=True), exposure_s)

    async def _counted(self, point: Awaitable[Any], dwell_s: float) -> NDArray[np.uint32]:
        spectra: NDArray[np.uint32] = (await point).fluorescence
        for element, spectrum in zip(self.elements, spectra, strict=True):
            await element.show(spectrum, dwell_s)
        return spectra

    def expose_many(
        self, starts_s: NDArray[np.float64], lengths_s: NDArray[np.float64], number: int, region: Region
    ) -> AsyncIterator[NDArray[np.uint32]]:
        """Return the spectra of exposures that are over, some at a time; of the last of them sums are published."""
        assert self._witness is not None
        self._witness.look()
        gates = self._witness.scene(since_s=float(starts_s[0])).gates(starts_s, lengths_s)
        return self._made(gates, number)

    async def _made(self, gates: Gates, number: int) -> AsyncIterator[NDArray[np.uint32]]:
        making = await self._measuring.spectra(gates, number)
        while (some := await self._measuring.outside(lambda: next(making, None))) is not None:
            yield some
            last = some[-1]
        for element, spectrum in zip(self.elements, last, strict=True):
            await element.show(spectrum, float(gates.length_s[-1]))
