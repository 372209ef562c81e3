"""A point scan as a spectrum: absorption of the sample, and of the reference foil behind it, over the energy.

In transmission μt = log(I0 / It), by the law of Beer and Lambert; of fluorescence If / I0, which is proportional to it
for a thin or a dilute sample. Both are of count rates without dark, as the counters record them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.runs.streams import Stream
from whiteline.analysis.runs.unreadable import UnreadableRun

Numbers = NDArray[np.float64]

INCIDENT, TRANSMITTED, REFERENCE = "incident", "transmitted", "reference"
"""Names of the channels of the counters, in the order of the beam."""

CHAMBERS = frozenset({INCIDENT, TRANSMITTED, REFERENCE})


@dataclass(frozen=True, eq=False)
class PointSpectrum:
    """A spectrum, by ascending energy; NaN where a count is missing or tells nothing.

    Parameters
    ----------
    energies : ndarray of float64, shape (E,)
        That were reached [eV].
    absorption : ndarray of float64, shape (E,)
        log(I0 / It), or If / I0.
    reference : ndarray of float64 or None, shape (E,)
        log(It / Ir) of the foil, or log(I0 / Ir) where nothing was counted between them.
    signal : str
        Data key of what the absorption was found from.
    kind : str
        "transmission" or "fluorescence".
    """

    energies: Numbers
    absorption: Numbers
    reference: Numbers | None
    signal: str
    kind: str


def spectrum_of(
    stream: Stream, energies: Numbers, *, signal: str | None = None, incident: str | None = None
) -> PointSpectrum:
    """Return the spectrum of a stream.

    Parameters
    ----------
    stream : Stream
        Of a point scan.
    energies : ndarray of float64, shape (n,)
        Of its points [eV].
    signal : str, optional
        Data key of the counts that tell the absorption: the rate of a chamber behind the sample, or the counts of a
        fluorescence line, such as "fluorescence_Ni_Ka". If it is not given, the chamber "transmitted", else the only
        line that was counted, else the chamber "reference".
    incident : str, optional
        Data key of the beam before the sample; the rate of the chamber "incident" if it is not given.

    Raises
    ------
    UnreadableRun
        If nothing was counted that tells it, naming what was.
    """
    rates = chambers(stream)
    before = incident or rates.get(INCIDENT)
    lines = line_keys(stream)
    chosen = signal or rates.get(TRANSMITTED) or (lines[0] if len(lines) == 1 else None) or rates.get(REFERENCE)
    if before is None or chosen is None:
        wanted = "incident beam" if before is None else "signal"
        known = ", ".join([*rates.values(), *lines]) or "none"
        raise UnreadableRun(
            f"stream {stream.name!r} of {stream.run} has no {wanted} of its own accord; of its counts ({known}) choose "
            "signal and incident by their data keys"
        )
    beam, counts = _positive(stream.numbers(before)), over_elements(stream.numbers(chosen))
    fluorescence = chosen in lines or chosen.removesuffix("_counts") in lines
    absorption = counts / beam if fluorescence else np.log(beam / _positive(counts))
    foil = rates.get(REFERENCE)
    reference = None
    if foil is not None and foil != chosen:
        in_front = (
            beam
            if fluorescence and TRANSMITTED not in rates
            else _positive(stream.numbers(rates.get(TRANSMITTED, before)))
        )
        reference = np.log(in_front / _positive(stream.numbers(foil)))
    order = np.argsort(energies, kind="stable")
    return PointSpectrum(
        energies[order],
        absorption[order],
        None if reference is None else reference[order],
        chosen,
        "fluorescence" if fluorescence else "transmission",
    )


def chambers(stream: Stream) -> dict[str, str]:
    """Return the data keys of count rates by channel: of "counters_incident_rate" the channel is "incident"."""
    found: dict[str, str] = {}
    for key in stream.data_keys:
        device = stream.object_of.get(key, "")
        # a chamber that was read by itself is its own device
        for start in (f"{device}_", f"{device.rsplit('_', 1)[0]}_"):
            if key.startswith(start) and key.endswith("_rate") and len(key) > len(start) + len("_rate"):
                found.setdefault(key[len(start) : -len("_rate")], key)
                break
    return found


def line_keys(stream: Stream) -> list[str]:
    """Return the data keys of sums over fluorescence lines, corrected for dead time, such as "fluorescence_Ni_Ka"."""
    return [key for key in stream.data_keys if f"{key}_counts" in stream]


def over_elements(counts: Numbers) -> Numbers:
    """Return counts of points, shape (n,): those of a detector of several elements, shape (n, elements), are added."""
    return counts if counts.ndim == 1 else np.asarray(counts.sum(axis=1))


def _positive(counts: Numbers) -> Numbers:
    """Return counts with NaN where they are not above 0, and have no logarithm."""
    return np.where(counts > 0, counts, np.nan)
