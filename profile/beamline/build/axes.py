"""Settings of axes, from their tables."""

from whiteline.beamline.build.site_classes import class_of
from whiteline.beamline.description.axes import Axis
from whiteline.beamline.description.base import Table
from whiteline.beamline.description.source import Undulator
from whiteline.devices.motor import AxisSettings, Motor
from whiteline.devices.undulator import GapSettings, UndulatorGap


def axis_settings(axis: Axis, path: str) -> AxisSettings:
    """Return what a device is told of an axis."""
    return AxisSettings(
        pv=axis.pv,
        low=axis.low,
        high=axis.high,
        tolerance=axis.tolerance,
        axis_class=class_of(axis, Motor, path) if axis.site_class else None,
        velocity=axis.velocity,
    )


def axes_of(table: Table, path: str) -> dict[str, AxisSettings]:
    """Return the settings of every axis directly in a table, by their names there."""
    axes = {name: value for name in type(table).model_fields if isinstance(value := getattr(table, name), Axis)}
    return {name: axis_settings(axis, f"{path}.{name}") for name, axis in axes.items()}


def gap_settings(undulator: Undulator) -> GapSettings:
    """Return what the undulator is told of its gap."""
    gap = undulator.gap
    return GapSettings(
        pv=gap.pv,
        low=gap.low,
        high=gap.high,
        tolerance=gap.tolerance,
        axis_class=class_of(gap, UndulatorGap, "undulator.gap") if gap.site_class else None,
        velocity=gap.velocity,
        latency_s=undulator.busy_latency_s,
    )
