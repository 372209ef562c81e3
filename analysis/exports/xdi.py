"""XDI: a spectrum as columns of text with named header fields, as larch and Athena read it.

B. Ravel and M. Newville, XAFS Data Interchange, version 1.0. Names of the columns are its own: energy, i0, itrans,
ifluor, irefer, mutrans, mufluor.
"""

import json
from functools import partial
from pathlib import Path

import numpy as np

from whiteline.analysis.calibration import EnergyCalibration
from whiteline.analysis.exports.point_spectra import RatesSpectrum, edge_of, rates_spectrum
from whiteline.analysis.exports.provenance import NOT_RECORDED, iso, sample_name, title_of, versions
from whiteline.analysis.exports.request import Files, Request


def xdi(request: Request) -> Files:
    """Return the file of an export.

    Raises
    ------
    UnsuitableRun
        If the run is no point scan, or neither it nor the request says which edge it crosses.
    """
    request.require("points")
    edge = edge_of(request)
    spectrum = rates_spectrum(request)
    return {".xdi": partial(_write, request, spectrum, edge)}


def _write(request: Request, spectrum: RatesSpectrum, edge: tuple[str, str], path: Path) -> None:
    columns = {"energy": ("eV", spectrum.energies), "i0": (spectrum.incident_unit, spectrum.incident)}
    if spectrum.fluorescence:
        columns["ifluor"] = (spectrum.unit, spectrum.signal)
        if spectrum.transmitted is not None:
            columns["itrans"] = ("", spectrum.transmitted)
        columns["mufluor"] = ("", spectrum.absorption)
    else:
        columns["itrans"] = (spectrum.unit, spectrum.signal)
        columns["mutrans"] = ("", spectrum.absorption)
    if spectrum.reference is not None and "itrans" in columns:
        columns["irefer"] = ("", spectrum.reference)
    names = list(columns)
    lines = [f"XDI/1.0 whiteline/{versions()['whiteline']}"]
    lines += [f"Column.{number}: {name} {columns[name][0]}".rstrip() for number, name in enumerate(names, start=1)]
    lines += [f"{key}: {value}" for key, value in _header(request, spectrum, edge).items() if value]
    lines += ["///", title_of(request.run), *spectrum.processing, "---", " ".join(names)]
    # a value of a header is one line
    header = "\n".join(f"# {' '.join(line.split())}" for line in lines)
    rows = np.column_stack([values for _, values in columns.values()])
    with path.open("w", encoding="utf-8") as file:
        file.write(header + "\n")
        for row in rows:
            file.write(" ".join(f"{value:.12g}" for value in row) + "\n")


def _header(request: Request, spectrum: RatesSpectrum, edge: tuple[str, str]) -> dict[str, str | None]:
    run = request.run
    found: dict[str, str | None] = {"Element.symbol": edge[0], "Element.edge": edge[1]}
    energy = next((one for one in run.calibrations.values() if isinstance(one, EnergyCalibration)), None)
    if energy is not None:
        found["Mono.d_spacing"] = f"{energy.spacing:.8g}"
    name = sample_name(run)
    found |= {
        "Facility.name": str(run.start.get("facility") or ""),
        "Beamline.name": request.instrument,
        "Sample.name": "" if name == NOT_RECORDED else name,
        "Scan.start_time": iso(run.start["time"]),
        "Scan.end_time": iso(None if run.stop is None else run.stop["time"]),
        "Detector.i0": spectrum.incident_key,
        f"Detector.{'ifluor' if spectrum.fluorescence else 'itrans'}": spectrum.signal_key,
        "Whiteline.uid": run.uid,
        "Whiteline.scan_id": str(run.start.get("scan_id", "")),
        "Whiteline.plan": str(run.start.get("plan_name", "")),
        "Whiteline.exit_status": run.exit_status,
        "Whiteline.completeness": str(run.completeness),
        "Whiteline.versions": json.dumps(versions()),
    }
    return found | {f"Whiteline.{key}": one.to_json() for key, one in run.calibrations.items()}
