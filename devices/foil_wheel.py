"""The wheel of foils, whose edges are known and calibrate the energy."""

from collections.abc import Mapping, Sequence
from typing import Any

from ophyd import Component, EpicsSignal, EpicsSignalRO
from ophyd.status import StatusBase

from whiteline.devices.commanded import TIMEOUT_S, Commanded
from whiteline.devices.errands import Errand
from whiteline.devices.errors import Refused
from whiteline.devices.filters import Layer

NO_FOIL = "None"


class FoilWheel(Commanded):
    """A wheel that turns a foil into the beam, or none; its reading is the name of the foil that is there.

    Parameters
    ----------
    prefix : str
        The process variable of the wheel.
    foils : sequence of Layer
        That it holds; the IOC must know them by the same names.
    timeout_s : float
        How long it may take to turn [s].

    Raises
    ------
    ValueError
        If two foils have the same name, or one is called "None".
    """

    command = Component(EpicsSignal, "", string=True, auto_monitor=True, kind="omitted")
    status = Component(EpicsSignalRO, ":readback", string=True, auto_monitor=False, kind="hinted")
    changes = Component(EpicsSignalRO, ":readback", string=True, auto_monitor=True, kind="omitted")

    def __init__(
        self, prefix: str = "", *, name: str, foils: Sequence[Layer], timeout_s: float = TIMEOUT_S, **kwargs: Any
    ) -> None:
        self.foils: Mapping[str, Layer] = {foil.name: foil for foil in foils}
        if len(self.foils) < len(foils) or NO_FOIL in self.foils:
            raise ValueError(f"each foil of {name} needs a name of its own, other than {NO_FOIL!r}")
        super().__init__(prefix, name=name, timeout_s=timeout_s, **kwargs)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it can be told."""
        return NO_FOIL, *self.foils

    def set(self, value: str | None) -> StatusBase:
        """Turn a foil into the beam.

        Parameters
        ----------
        value : str or None
            Its name; None, or "None", for no foil.

        Returns
        -------
        Status
            Done when a fresh reading says that it is there; fails with `Refused` if the IOC does not know the foil, and
            with `Lost` or `Overdue`, saying which foil is there.

        Raises
        ------
        ValueError
            If there is no such foil; nothing turns then.
        """
        return super().set(NO_FOIL if value is None else value)

    def _bring(self, errand: Errand, wanted: str, seconds: float) -> None:
        errand.require_possible()
        known = self.command.enum_strs or ()
        if wanted not in known:
            raise Refused(
                f"{self.name} is not turned to {wanted!r}: {self.command.setpoint_pvname} has {', '.join(known)}; let "
                "it and the description agree"
            )
        super()._bring(errand, wanted, seconds)
