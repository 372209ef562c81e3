"""The storage ring: how much beam there is."""

from typing import Any

from ophyd import Component, Device, EpicsSignalRO, Signal
from ophyd.signal import EpicsSignalBase

STORED = "Stored"
"""The word for a ring with beam."""


class Ring(Device):
    """The storage ring, which is only read.

    Parameters
    ----------
    prefix : str
        Of its process variables, such as "SR:".

    Attributes
    ----------
    current : EpicsSignalRO
        Of the stored beam [mA]; a suspender may watch it.
    lifetime : EpicsSignalRO
        Of the stored beam [h].
    energy : EpicsSignalRO
        Of the electrons [GeV].
    beam : EpicsSignalRO
        "Stored" or "No beam".
    stored : Signal
        1 while the ring says that beam is stored, 0 without beam and while its IOC is lost. A suspender should rather
        watch this one: the current that came last stays as it was when the IOC is lost.
    """

    current = Component(EpicsSignalRO, "current", auto_monitor=True, kind="hinted")
    lifetime = Component(EpicsSignalRO, "lifetime", auto_monitor=True, kind="normal")
    energy = Component(EpicsSignalRO, "energy", auto_monitor=True, kind="config")
    beam = Component(EpicsSignalRO, "beam", string=True, auto_monitor=True, kind="normal")
    stored = Component(Signal, value=0, kind="omitted")

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any) -> None:
        self._told: str | None = None
        super().__init__(prefix, name=name, **kwargs)
        self.beam.subscribe(self._beam_changed, run=True)
        self.beam.subscribe(self._connection_changed, event_type=EpicsSignalBase.SUB_META, run=True)

    def _beam_changed(self, *, value: Any = None, **_: Any) -> None:
        self._told = None if value is None else str(value)
        self._show()

    def _connection_changed(self, *, connected: bool = False, **_: Any) -> None:
        if not connected:
            # what was told before does not hold any more: the next monitor counts
            self._told = None
        self._show()

    def _show(self) -> None:
        # the first monitor may bring a number, before the words are known
        numbered = {str(number): word for number, word in enumerate(self.beam.enum_strs or ())}
        word = numbered.get(self._told or "", self._told)
        if bool(self.stored.get()) != (word == STORED):
            self.stored.put(int(word == STORED))
