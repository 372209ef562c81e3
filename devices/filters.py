"""Filters that weaken the beam, each of which is put in or taken out by its name."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

from ophyd import Component, EpicsSignal, EpicsSignalRO
from ophyd.device import create_device_from_components
from ophyd.status import StatusBase

from whiteline.analysis import tables
from whiteline.analysis.checks import require_energy, require_positive
from whiteline.devices.commanded import TIMEOUT_S, Commanded
from whiteline.devices.errands import ANSWER_S, Errand, Watchful
from whiteline.devices.errors import Lost, MoveFailed, Refused, Stopped

IN, OUT = "In", "Out"


@dataclass(frozen=True)
class Layer:
    """A layer of a material that can be put into the beam.

    Parameters
    ----------
    name : str
        What it is called.
    formula : str
        Chemical formula.
    density : float
        [g/cm³].
    thickness_um : float
        [µm].

    Raises
    ------
    OutOfRange
        If density or thickness is not above zero.
    """

    name: str
    formula: str
    density: float
    thickness_um: float

    def __post_init__(self) -> None:
        require_positive(self.density, f"density of {self.name}", "g/cm³")
        require_positive(self.thickness_um, f"thickness of {self.name}", "um")

    def optical_density(self, energy: float) -> float:
        """Return μt at an energy [eV], by the tabulated photoabsorption."""
        return float(tables.absorption(self.formula, self.density, energy)) * self.thickness_um

    def transmission(self, energy: float) -> float:
        """Return the share of the photons of an energy [eV] that pass."""
        return exp(-self.optical_density(energy))


class Filter(Commanded):
    """One filter; its reading is "In", "Out" or "Moving".

    Parameters
    ----------
    prefix : str
        Of its process variables.
    layer : Layer
        What it is of; the IOC must know it by the same name.
    timeout_s : float
        How long it may take [s].
    """

    command = Component(EpicsSignal, "insert", string=True, auto_monitor=True, kind="omitted")
    status = Component(EpicsSignalRO, "status", string=True, auto_monitor=False, kind="hinted")
    changes = Component(EpicsSignalRO, "status", string=True, auto_monitor=True, kind="omitted")
    label = Component(EpicsSignalRO, "name", string=True, auto_monitor=False, kind="config")

    def __init__(
        self, prefix: str = "", *, name: str, layer: Layer, timeout_s: float = TIMEOUT_S, **kwargs: Any
    ) -> None:
        self.layer = layer
        super().__init__(prefix, name=name, timeout_s=timeout_s, **kwargs)

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it can be told."""
        return IN, OUT

    @property
    def needed_signals(self) -> tuple[Any, ...]:
        """Signals without which it cannot be told anything."""
        return *super().needed_signals, self.label

    def _bring(self, errand: Errand, wanted: str, seconds: float) -> None:
        # where description and IOC count the filters differently, the wrong one would go in
        if (label := self._ask(errand, self.label)) != self.layer.name:
            raise Refused(
                f"{self.name} is not moved: {self.label.pvname} says {label!r}, and the description "
                f"{self.layer.name!r}; let them agree"
            )
        super()._bring(errand, wanted, seconds)


class Filters(Watchful):
    """All filters of a beamline; one of them is `filters["Al 50"]`, or the attribute `filters.al_50`.

    Parameters
    ----------
    prefix : str
        Of their process variables, which are numbered from 1.
    layers : sequence of Layer
        What the filters are, in the order of their numbers.
    timeout_s : float
        How long each may take [s].

    Raises
    ------
    ValueError
        If two have the same name.
    """

    def __new__(cls, *_: Any, layers: Sequence[Layer], timeout_s: float = TIMEOUT_S, **__: Any) -> "Filters":
        """Make a class that has each filter as a component, as ophyd wants it, and a device of it."""
        components: dict[str, Component] = {}
        for number, layer in enumerate(layers, 1):
            attribute = _attribute(cls, layer.name)
            if attribute in components:
                raise ValueError(f"filter {layer.name!r} is there twice; each needs a name of its own")
            components[attribute] = Component(Filter, f"{number}:", layer=layer, timeout_s=timeout_s)
        made = create_device_from_components(cls.__name__, docstring=cls.__doc__, base_class=cls, **components)
        return object.__new__(made)

    def __init__(
        self, prefix: str = "", *, name: str, layers: Sequence[Layer], timeout_s: float = TIMEOUT_S, **kwargs: Any
    ) -> None:
        super().__init__(prefix, name=name, **kwargs)
        self._by_name = {one.layer.name: one for _, one in self.walk_subdevices() if isinstance(one, Filter)}
        self.timeout_s = timeout_s

    def __getitem__(self, name: str) -> Filter:
        """Return a filter by its name."""
        self.check_value([name])
        return self._by_name[name]

    @property
    def names(self) -> tuple[str, ...]:
        """What the filters are called."""
        return tuple(self._by_name)

    @property
    def inserted(self) -> frozenset[str]:
        """Names of those that are in the beam just now; one that moves still is."""
        return frozenset(name for name, one in self._by_name.items() if one.status.get() != OUT)

    def transmission(self, energy: float, names: Iterable[str] | None = None) -> float:
        """Return the share of the photons that pass.

        Parameters
        ----------
        energy : float
            Photon energy [eV].
        names : iterable of str or None
            Of the filters; those that are in the beam if None.

        Raises
        ------
        ValueError
            If a name is unknown.
        OutOfRange
            If the energy is none in eV.
        """
        require_energy(energy)
        chosen = self.inserted if names is None else self.check_value(names)
        return exp(-sum(self._by_name[name].layer.optical_density(energy) for name in sorted(chosen)))

    def check_value(self, names: Iterable[str]) -> Collection[str]:
        """Refuse names that no filter has, and return the others as a set.

        Raises
        ------
        ValueError
            Naming the filters that there are.
        """
        wanted = frozenset([names] if isinstance(names, str) else names)
        unknown = sorted(map(str, wanted - set(self._by_name)))
        if unknown:
            raise ValueError(
                f"{self.name} has no filter {', '.join(map(repr, unknown))}; it has {', '.join(map(repr, self.names))}"
            )
        return wanted

    def set(self, names: Iterable[str]) -> StatusBase:
        """Have these filters in the beam, and no others.

        Those that are missing go in before others come out, so that the sample never sees more than it will, or did.

        Parameters
        ----------
        names : iterable of str
            Of the filters that shall be in; none at all for the full beam.

        Returns
        -------
        Status
            Done when fresh readings say that each is where it should be; fails naming those that are not.

        Raises
        ------
        ValueError
            If a name is unknown; nothing moves then.
        """
        wanted = self.check_value(names)

        def exchange(errand: Errand) -> None:
            self._together(errand, [one for name, one in self._by_name.items() if name in wanted], IN)
            self._together(errand, [one for name, one in self._by_name.items() if name not in wanted], OUT)

        return self.run_errand(exchange, needs=())

    def trigger(self) -> StatusBase:
        """Ask where each is; fails with `Lost` if an IOC does not answer. The reading after it is fresh."""
        filters = self._by_name.values()

        def look(errand: Errand) -> None:
            for one in filters:
                errand.ask(one.status)

        return self.run_errand(look, needs=[one.status for one in filters])

    def locate(self) -> dict[str, list[str]]:
        """Return the names of those that were told to be in, and of those that are in just now."""
        told = [name for name, one in self._by_name.items() if one.command.get() == IN]
        return {"setpoint": told, "readback": sorted(self.inserted, key=self.names.index)}

    def stop(self, *, success: bool = False) -> None:
        """Wait no longer for what was told, which cannot be stopped; `success` is of no effect."""
        super().stop(success=success)
        self.end_errand("was stopped before all were there")

    def _together(self, errand: Errand, filters: Sequence[Filter], word: str) -> None:
        errand.require_possible()
        statuses = {one: one.set(word) for one in filters}
        for status in statuses.values():
            status.add_callback(lambda _: self.wake())
        seconds = 2 * self.timeout_s + ANSWER_S
        errand.until(lambda: all(status.done for status in statuses.values()), seconds, f"its filters to be {word}")
        errors = [error for status in statuses.values() if (error := status.exception()) is not None]
        if errors:
            kind = next((kind for kind in (Lost, Refused, Stopped) if isinstance(errors[0], kind)), MoveFailed)
            raise kind(f"{self.name} are not as wanted: {'; '.join(map(str, errors))}") from errors[0]


def _attribute(cls: type, name: str) -> str:
    """Return the name of a filter as that of an attribute: "al_50" for "Al 50"."""
    attribute = re.sub(r"\W+", "_", name).strip("_").lower()
    return attribute if attribute.isidentifier() and not hasattr(cls, attribute) else f"filter_{attribute}"
