"""The spectrum of a point scan with the rates that it is made of, as files of spectra hold them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.exports.request import Request, UnsuitableRun
from whiteline.analysis.live.recipes import grouped
from whiteline.analysis.runs.spectra import INCIDENT, REFERENCE, TRANSMITTED, chambers

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RatesSpectrum:
    """A spectrum by ascending energy, each energy once, shape (E,) all.

    Parameters
    ----------
    energies : ndarray of float64
        That were reached [eV].
    incident, signal : ndarray of float64
        Beam before the sample, and what tells the absorption.
    transmitted, reference : ndarray of float64 or None
        Beam behind the sample, and behind the reference foil, if they were counted.
    fluorescence : bool
        Whether the absorption is signal over incident, else log(incident / signal).
    signal_key, incident_key : str
        Data keys.
    unit, incident_unit : str
        Of signal and incident.
    processing : tuple of str
        What was done, a sentence each.
    """

    energies: Numbers
    incident: Numbers
    signal: Numbers
    transmitted: Numbers | None
    reference: Numbers | None
    fluorescence: bool
    signal_key: str
    incident_key: str
    unit: str
    incident_unit: str
    processing: tuple[str, ...]

    @property
    def absorption(self) -> Numbers:
        """Signal over incident, or log(incident / signal)."""
        ratio = self.signal / self.incident
        return ratio if self.fluorescence else -np.log(ratio)

    @property
    def mode(self) -> str:
        """How it was measured, in the words of NXxas."""
        return "Fluorescence Yield" if self.fluorescence else "Transmission"


def rates_spectrum(request: Request) -> RatesSpectrum:
    """Return the spectrum of a point scan.

    Raises
    ------
    UnsuitableRun
        If the run is no point scan, or has no point with all that it needs.
    UnreadableRun
        If nothing was counted that tells the absorption, naming what was.
    """
    request.require("points")
    run = request.run
    spectrum = run.spectrum(request.signal, request.incident)
    points, rates = run.points, chambers(run.points)
    incident_key = request.incident or rates[INCIDENT]
    fluorescence = spectrum.kind == "fluorescence"
    energies = run.energies
    columns = {"incident": points.numbers(incident_key), "signal": points.numbers(spectrum.signal)}
    for name, channel in (("transmitted", TRANSMITTED), ("reference", REFERENCE)):
        if channel in rates and rates[channel] != spectrum.signal:
            columns[name] = points.numbers(rates[channel])
    known = np.isfinite(energies) & np.all([np.isfinite(one) for one in columns.values()], axis=0)
    known &= columns["incident"] > 0
    if not fluorescence:
        known &= columns["signal"] > 0
    if not known.any():
        raise UnsuitableRun(f"{run.name} has no point whose energy and counts are all known; open it and look at them")
    groups = grouped([float(one) for one in energies[known]])

    def mean(values: Numbers) -> Numbers:
        return np.array([values[known][group].mean() for group in groups])

    processing = ["points are by ascending energy, which is read back from the Bragg angle"]
    if len(groups) < known.sum():
        processing.append(f"{known.sum()} points are averaged at {len(groups)} energies that repeat")
    if not known.all():
        processing.append(f"{np.count_nonzero(~known)} points are left out, as a count is missing or 0")
    found = {name: mean(values) for name, values in columns.items()}
    return RatesSpectrum(
        energies=mean(energies),
        incident=found["incident"],
        signal=found["signal"],
        transmitted=found.get("transmitted"),
        reference=found.get("reference"),
        fluorescence=fluorescence,
        signal_key=spectrum.signal,
        incident_key=incident_key,
        unit=points.unit(spectrum.signal) or "counts",
        incident_unit=points.unit(incident_key) or "counts",
        processing=tuple(processing),
    )


def edge_of(request: Request) -> tuple[str, str]:
    """Return element and edge, as they were given or as the run says.

    Raises
    ------
    UnsuitableRun
        If neither does.
    """
    if request.edge is not None:
        return request.edge
    element, edge = request.run.start.get("element"), request.run.start.get("edge")
    if not element or not edge:
        raise UnsuitableRun(
            f"{request.run.name} does not say which edge it crosses, and {request.form} asks for it; name it by "
            "--edge Ni-K (edge=('Ni', 'K'))"
        )
    return str(element), str(edge)
