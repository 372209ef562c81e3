"""Axes of a device: one line each, built from what the description says of them."""

from collections.abc import Mapping
from typing import Any

from ophyd import Component, Device
from ophyd.ophydobj import Kind

from whiteline.devices.motor import AxisSettings, Motor


class AxisOf(Component):
    """An axis whose record, limits and tolerance its device was given by the name of this component.

    Parameters
    ----------
    cls : type
        Class of the axis; the description may name another.
    kind : Kind or str
        As in ophyd.
    """

    def __init__(self, cls: type = Motor, kind: Kind | str = Kind.normal) -> None:
        super().__init__(cls, kind=kind)

    def create_component(self, instance: Any) -> Any:
        """Build the axis of a device."""
        settings: AxisSettings = instance.axes[self.attr]
        chosen = settings.axis_class or self.cls
        return chosen(
            settings.pv, name=f"{instance.name}_{self.attr}", parent=instance, settings=settings, kind=self.kind
        )


class PartOf(Component):
    """A part of a device, built with what the device was given for it in `parts`, by the name of this component."""

    def create_component(self, instance: Any) -> Any:
        """Build the part."""
        return self.cls(
            name=f"{instance.name}_{self.attr}", parent=instance, kind=self.kind, **instance.parts[self.attr]
        )


class WithAxes(Device):
    """A device with axes, whose settings it is given by their names.

    Parameters
    ----------
    axes : mapping of str to AxisSettings
        Of each component that is an `AxisOf`.

    Raises
    ------
    ValueError
        If an axis is missing, or one is given that the device does not have.
    """

    def __init__(self, *args: Any, axes: Mapping[str, AxisSettings], **kwargs: Any) -> None:
        wanted = {name for name, component in self._sig_attrs.items() if isinstance(component, AxisOf)}
        if wanted != set(axes):
            raise ValueError(
                f"{type(self).__name__} has the axes {', '.join(sorted(wanted))}; given were {', '.join(sorted(axes))}"
            )
        self.axes = dict(axes)
        super().__init__(*args, **kwargs)

    @property
    def hints(self) -> dict[str, Any]:
        """What a table or plot shows of this device: what it declares as hinted, not every axis that it carries."""
        shown = (getattr(self, name) for name, one in self._sig_attrs.items() if one.kind == Kind.hinted)
        return {"fields": [field for one in shown for field in one.hints.get("fields", [])]}
