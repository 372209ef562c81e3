"""What lets the beam through or weakens it: shutters with their heartbeat, filters, the wheel of foils."""

from typing import Any

from whiteline.beamline.build.site_classes import class_of
from whiteline.beamline.description import Beamline
from whiteline.beamline.description.optics import Layer as LayerTable
from whiteline.beamline.description.source import Shutter as ShutterTable
from whiteline.devices.filters import Filters, Layer
from whiteline.devices.foil_wheel import FoilWheel
from whiteline.devices.heartbeat import Heartbeat
from whiteline.devices.shutter import FastShutter, Shutter


def beam_of(beamline: Beamline) -> dict[str, Any]:
    """Return shutters, heartbeat, filters and foil wheel, by name."""
    filters, wheel = beamline.filters, beamline.foil_wheel
    return {
        "photon_shutter": _shutter("photon", beamline.shutters.photon, Shutter),
        "fast_shutter": _shutter("fast", beamline.shutters.fast, FastShutter),
        "heartbeat": Heartbeat(beamline.shutters.fast.prefix, name="heartbeat"),
        "filters": class_of(filters, Filters, "filters")(
            filters.prefix, name="filters", layers=[_layer(one) for one in filters.foils]
        ),
        "foil_wheel": class_of(wheel, FoilWheel, "foil_wheel")(
            wheel.pv, name="foil_wheel", foils=[_layer(one) for one in wheel.foils]
        ),
    }


def _shutter(which: str, table: ShutterTable, usual: type[Shutter]) -> Any:
    return class_of(table, usual, f"shutters.{which}")(table.prefix, name=f"{which}_shutter", timeout_s=table.timeout_s)


def _layer(table: LayerTable) -> Layer:
    return Layer(table.name, table.formula, table.density, table.thickness_um)
