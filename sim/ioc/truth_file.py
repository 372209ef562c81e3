"""Write the truth into an HDF5 file: what there is to be found, and what the hardware truly did."""

from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from whiteline.sim.full_field import FullFieldMicroscope
from whiteline.sim.full_field import Readings as FullFieldReadings
from whiteline.sim.ioc.exposures import Exposure
from whiteline.sim.ioc.state import State, state_of
from whiteline.sim.monochromator import Monochromator
from whiteline.sim.nanoprobe import Nanoprobe
from whiteline.sim.nanoprobe import Readings as ScanReadings
from whiteline.sim.truth import Truth, truth_of_image, truth_of_raster

UNITS = {
    "energy": "eV",
    "energy_offset": "eV",
    "best_focus": "mm",
    "defocus": "mm",
    "depth_of_focus": "mm",
    "magnification": "",
    "drift_x": "nm",
    "drift_y": "nm",
    "sample_x": "nm",
    "sample_y": "nm",
    "field_x": "nm",
    "field_y": "nm",
}
"""Units of the fields of a `State`."""


def write_truth(
    file: Path,
    microscope: FullFieldMicroscope | Nanoprobe,
    believed: Monochromator,
    exposures: Sequence[Exposure],
    reference: Exposure,
    raster_um: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    """Write the truth; a reader sees the file before or after, never between.

    Parameters
    ----------
    file : Path
        Replaced if it exists.
    microscope : FullFieldMicroscope or Nanoprobe
        The instrument with its sample.
    believed : Monochromator
        What is believed of the monochromator.
    exposures : sequence of Exposure
        So far.
    reference : Exposure
        The one in whose frame the maps are.
    raster_um : tuple of ndarray, shapes (columns,) and (rows,)
        Positions x and y of the stage at which the maps of a scanning microscope are [µm].

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    partial = file.with_suffix(".partial")
    with h5py.File(partial, "w") as out:
        out.attrs["seed"] = microscope.beam.seed
        write_species(out, microscope)
        _write_states(out, microscope, believed, exposures)
        maps = out.create_group("truth")
        maps.attrs["frame"] = reference.number
        truth, places = _maps(microscope, reference, raster_um)
        for name, (values, unit) in places.items():
            maps[name] = values
            maps[name].attrs["units"] = unit
        for name, unit in (("thickness_um", "um"), ("fraction", ""), ("half_height", "eV"), ("white_line", "eV")):
            maps[name] = getattr(truth, name)
            maps[name].attrs["units"] = unit
        maps.attrs["species"] = list(truth.names)
    partial.replace(file)


def write_species(out: h5py.File, microscope: FullFieldMicroscope | Nanoprobe) -> None:
    """Write the species of the sample with their spectra."""
    for number, one in enumerate(microscope.sample.species):
        group = out.create_group(f"species/{number}")
        group.attrs.update(
            name=one.name,
            formula=one.formula,
            density=one.density,
            element=one.near_edge.element,
            edge=one.near_edge.edge,
        )
        group["energy"], group["absorption"] = one.near_edge.energy, one.near_edge.absorption
        group["energy"].attrs["units"] = "eV"


def _write_states(
    out: h5py.File,
    microscope: FullFieldMicroscope | Nanoprobe,
    believed: Monochromator,
    exposures: Sequence[Exposure],
) -> None:
    group = out.create_group("exposures")
    group["frame"] = [one.number for one in exposures]
    group["time"] = [one.readings.time_s for one in exposures]
    group["time"].attrs["units"] = "s"
    group["open"] = [one.readings.open for one in exposures]
    states = [astuple(state_of(microscope, one.readings, one.number, believed)) for one in exposures]
    for field, values in zip(fields(State), np.array(states).T, strict=True):
        group[field.name] = values
        group[field.name].attrs["units"] = UNITS[field.name]


def _maps(
    microscope: FullFieldMicroscope | Nanoprobe,
    reference: Exposure,
    raster_um: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> tuple[Truth, dict[str, tuple[object, str]]]:
    """Return the maps, and where they are: size of a pixel, or positions of the stage."""
    readings = reference.readings
    if isinstance(microscope, FullFieldMicroscope) and isinstance(readings, FullFieldReadings):
        assert reference.region is not None
        truth = truth_of_image(microscope, readings, reference.number, reference.region)
        pixel_nm = microscope.optics(readings, reference.number).pixel_nm * reference.region.binning
        return truth, {"pixel": (pixel_nm, "nm")}
    assert isinstance(microscope, Nanoprobe)
    assert isinstance(readings, ScanReadings)
    x, y = raster_um
    return truth_of_raster(microscope, readings, x, y), {"x": (x, "um"), "y": (y, "um")}
