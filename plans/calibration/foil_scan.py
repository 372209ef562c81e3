"""Scans over the edge of a foil: a coarse one that finds the edge, and fine ones there and back about it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import bluesky.plan_stubs as bps
import numpy as np
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator
from numpy.typing import NDArray

from whiteline.analysis.laws.bragg import bragg_angle
from whiteline.analysis.spectra.edge_position import smoothed_derivative
from whiteline.analysis.spectra.foil import FoilCalibration, calibrate_on_foil
from whiteline.analysis.spectra.repeated_scans import Noise, RepeatedScan
from whiteline.analysis.tables import edge_energy
from whiteline.plans.calibration.readings import value_of
from whiteline.plans.point import take_point
from whiteline.plans.protocols import Axis
from whiteline.plans.supposing import suppose

Floats = NDArray[np.float64]

COARSE_STEP_EV, COARSE_REACH_EV = 2.5, 25.0
"""Of the coarse scan about the tabulated edge: a monochromator is rarely further off."""

FINE_STEP_EV, FINE_REACH_EV = 0.5, 5.0
"""Of the fine scans about the edge that was found."""

SLOPE_SMOOTHING_EV = FINE_STEP_EV / 2
"""Of the slope that the wobble of the energy is multiplied by. Smoothed as the edge is, or more, it would come out by a
third too small where the edge is steepest, and with it the errors of what is there."""

REACH_EV = 45.0
"""How far from the tabulated edge a scan may go, that of an edge at the end of the coarse one."""


@dataclass(frozen=True, eq=False)
class FoilScanned:
    """What the scans of a foil have given.

    Parameters
    ----------
    element, edge : str
        Of the foil.
    coarse : tuple of ndarray
        Energies [eV] and absorption of the coarse scan, shape (n,).
    fine : tuple of ndarray
        Those of the fine scans at the same energies, shape (passes, m).
    """

    element: str
    edge: str
    coarse: tuple[Floats, Floats]
    fine: tuple[Floats, Floats]

    def repeated(self, spacing: float) -> RepeatedScan:
        """Return the fine scans with their slopes by the Bragg angle [1/rad], for a d-spacing [Å]."""
        energies, absorption = self.fine
        mean, values = energies.mean(axis=0), absorption.mean(axis=0)
        per_ev = self._slopes(mean, values, mean)
        return RepeatedScan(energies, absorption, per_ev * _ev_per_radian(mean, spacing), per_ev)

    def calibrated(self, noise: Noise, spacing: float) -> FoilCalibration:
        """Return where the edge is, with errors that follow from the noise of the scans.

        Raises
        ------
        ValueError
            If there is no edge, or it lies at an end.
        """
        passes = self.fine[0].shape[0]
        mean, values = (part.mean(axis=0) for part in self.fine)
        outside = (self.coarse[0] < mean.min() - FINE_STEP_EV / 2) | (self.coarse[0] > mean.max() + FINE_STEP_EV / 2)
        energies = np.concatenate([self.coarse[0][outside], mean])
        absorption = np.concatenate([self.coarse[1][outside], values])
        counts = np.concatenate([np.ones(int(outside.sum())), np.full(mean.size, float(passes))])
        order = np.argsort(energies)
        energies, absorption, counts = energies[order], absorption[order], counts[order]
        slopes = self._slopes(energies, absorption, energies) * _ev_per_radian(energies, spacing)
        errors = noise.of(slopes) / np.sqrt(counts)
        return calibrate_on_foil(
            energies, absorption, errors, element=self.element, edge=self.edge, smoothing=FINE_STEP_EV
        )

    @staticmethod
    def _slopes(energies: Floats, values: Floats, at: Floats) -> Floats:
        return np.asarray(smoothed_derivative(energies, at, SLOPE_SMOOTHING_EV) @ values)


class FoilScan:
    """How foils are scanned.

    Parameters
    ----------
    counters : Readable
        The ion chambers.
    energy : Axis
        The energy axis.
    wheel : Movable
        Turns a foil into the beam, by its name.
    shutter : Movable or None
        Open while the counters count.
    incident, reference : str
        Data keys of the counts before the foil, and behind it.
    passes : int
        Fine scans, each in the other direction than the one before.
    """

    def __init__(
        self,
        counters: Readable[Any],
        energy: Axis,
        wheel: Movable[Any],
        *,
        shutter: Movable[Any] | None,
        incident: str,
        reference: str,
        passes: int,
    ) -> None:
        self.counters, self.energy, self.wheel, self.shutter = counters, energy, wheel, shutter
        self.incident, self.reference, self.passes = incident, reference, passes

    @property
    def points(self) -> int:
        """Points of one foil."""
        fine = round(2 * FINE_REACH_EV / FINE_STEP_EV) + 1
        return round(2 * COARSE_REACH_EV / COARSE_STEP_EV) + 1 + self.passes * fine

    def scan(self, foil: str, element: str, edge: str) -> MsgGenerator[FoilScanned]:
        """Scan a foil.

        Raises
        ------
        ValueError
            If it is not in the beam, shows no edge, or a chamber is in overload.
        """
        tabulated = edge_energy(element, edge)
        first = tabulated - COARSE_REACH_EV
        yield from bps.mv(self.wheel, foil, self.energy, first)
        yield from self._choose_gains()
        places = np.arange(first, tabulated + COARSE_REACH_EV + 1e-6, COARSE_STEP_EV)
        coarse = yield from self._pass(places)
        try:
            found = calibrate_on_foil(*coarse, element=element, edge=edge).measured
        except ValueError as error:
            if (yield from suppose(tabulated)) is None:
                raise ValueError(f"no edge of foil {foil!r} was found, is it in the beam? {error}") from error
            found = tabulated
        count = round(2 * FINE_REACH_EV / FINE_STEP_EV) + 1
        fine = np.linspace(found - FINE_REACH_EV, found + FINE_REACH_EV, count)
        scans = []
        for number in range(self.passes):
            way = -1 if number % 2 else 1
            energies, absorption = yield from self._pass(fine[::way])
            scans.append((energies[::way], absorption[::way]))
        together = np.stack([one[0] for one in scans]), np.stack([one[1] for one in scans])
        return FoilScanned(element, edge, coarse, together)

    def _choose_gains(self) -> MsgGenerator[None]:
        """Let the counters choose their gains where the foil passes most, below its edge."""
        gains = getattr(self.counters, "gains", None)
        if gains is not None:
            if self.shutter is not None:
                yield from bps.mv(self.shutter, "Open")
            yield from bps.mv(gains, "auto")
            if self.shutter is not None:
                yield from bps.mv(self.shutter, "Closed")

    def _pass(self, energies: Sequence[float] | Floats) -> MsgGenerator[tuple[Floats, Floats]]:
        reached, absorption = [], []
        for value in energies:
            yield from bps.mv(self.energy, float(value))
            reading = yield from take_point([self.counters], [self.energy], shutter=self.shutter)
            counts = [_counts(reading, key, float(value)) for key in (self.incident, self.reference)]
            reached.append(value_of(reading, self.energy.name))
            absorption.append(math.log(counts[0] / counts[1]))
        return np.asarray(reached, float), np.asarray(absorption, float)


def _counts(reading: Any, key: str, energy: float) -> float:
    """Return the counts of a chamber, by its name or by the key of its counts; NaN in a simulation.

    Raises
    ------
    ValueError
        If it is in overload, or counts nothing.
    """
    if f"{key}_counts" in (reading or {}):
        if value_of(reading, f"{key}_overload", optional=True) == 1:
            raise ValueError(f"{key} is in overload at {energy:.8g} eV; choose a lower gain")
        key = f"{key}_counts"
    counts = value_of(reading, key)
    if counts <= 0:
        raise ValueError(f"{key} is {counts:g} at {energy:.8g} eV: no beam; look at shutters and gains")
    return counts


def _ev_per_radian(energies: Floats, spacing: float) -> Floats:
    return np.asarray(energies / np.tan(np.radians(bragg_angle(energies, spacing))))
