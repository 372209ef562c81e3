"""NXxas: a spectrum by the application definition of NeXus, which larch reads.

https://manual.nexusformat.org/classes/applications/NXxas.html; absorption, element and edge are beside it where larch
puts them when it writes NXxas itself. larch takes what detectors and positioners of the instrument hold, so the energy
is under both the monochromator and a positioner.
"""

from functools import partial
from pathlib import Path

import h5py
import numpy as np

from whiteline.analysis.exports.nexus import begin, field, group, link
from whiteline.analysis.exports.point_spectra import RatesSpectrum, edge_of, rates_spectrum
from whiteline.analysis.exports.request import Files, Request


def nxxas(request: Request) -> Files:
    """Return the file of an export.

    Raises
    ------
    UnsuitableRun
        If the run is no point scan, or neither it nor the request says which edge it crosses.
    """
    request.require("points")
    edge = edge_of(request)
    return {".nxs": partial(_write, request, rates_spectrum(request), edge)}


def _write(request: Request, spectrum: RatesSpectrum, edge: tuple[str, str], path: Path) -> None:
    with h5py.File(path, "w") as file:
        entry = begin(file, request, "NXxas", spectrum.processing)
        instrument = entry["instrument"]
        energy = field(group(instrument, "monochromator", "NXmonochromator"), "energy", spectrum.energies, "eV")
        link(group(instrument, "energy", "NXpositioner"), "value", energy)
        beams = {
            "incoming_beam": (spectrum.incident, spectrum.incident_unit, spectrum.incident_key),
            "absorbed_beam": (spectrum.signal, spectrum.unit, spectrum.signal_key),
        }
        for name, values in (("transmitted_beam", spectrum.transmitted), ("reference_beam", spectrum.reference)):
            if values is not None:
                beams[name] = (values, spectrum.incident_unit, name)
        for name, (values, unit, key) in beams.items():
            detector = group(instrument, name, "NXdetector")
            field(detector, "data", values, unit)
            field(detector, "local_name", key)
        monitor = group(entry, "monitor", "NXmonitor")
        field(monitor, "mode", "timer")
        field(monitor, "preset", _dwell_s(request), "s")
        link(monitor, "data", instrument["incoming_beam/data"])

        data = group(entry, "data", "NXdata")
        name = "mufluor" if spectrum.fluorescence else "mutrans"
        data.attrs["signal"], data.attrs["axes"] = name, "energy"
        field(data, "mode", spectrum.mode)
        link(data, "energy", energy)
        link(data, "absorbed_beam", instrument["absorbed_beam/data"])
        link(data, "i0", instrument["incoming_beam/data"])
        what = "If / I0" if spectrum.fluorescence else "log(I0 / It)"
        field(data, name, spectrum.absorption, "", what)
        field(data, "element", edge[0])
        field(data, "edge", edge[1])
        entry.attrs["default"] = "data"


def _dwell_s(request: Request) -> float:
    """Return the dwell of a point [s], the shortest if they differ; NaN if the run does not say it."""
    scan = request.run.start.get("scan")
    dwell = scan.get("dwell") if isinstance(scan, dict) else None
    return float(np.min(dwell)) if dwell is not None and np.size(dwell) else np.nan
