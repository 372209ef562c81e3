"""How strong the beam on the sample is: from the last flat, from an ion chamber, else as it was commissioned."""

from dataclasses import dataclass
from math import isfinite, pi
from typing import Self

import numpy as np

from whiteline.analysis.checks import require_energy, require_positive
from whiteline.analysis.constants import ELEMENTARY_CHARGE_C
from whiteline.analysis.dose import dose_per_fluence, fluence_of_counts
from whiteline.analysis.laws.scanning import mirror_aperture, mirror_spot
from whiteline.analysis.laws.zone_plate import ZonePlate
from whiteline.analysis.runs import Run, UnreadableRun
from whiteline.beamline.description import Beamline

FWHM_PER_SIGMA = 2.354820045
"""Full width at half maximum of a Gaussian, in its σ."""

PAIR_ENERGY_EV = 34.8
"""Energy that makes an ion pair in nitrogen (ICRU Report 31) [eV]; argon 26.4, helium 41.3."""


@dataclass(frozen=True)
class BeamOnSample:
    """A beam, and the material that it falls on.

    Parameters
    ----------
    fluence_per_s : float
        Photons on a square micrometre of the sample in a second [1/µm²/s].
    material : str
        Chemical formula, such as "LiFePO4".
    source : str
        What it is known from.
    """

    fluence_per_s: float
    material: str
    source: str

    def __post_init__(self) -> None:
        require_positive(self.fluence_per_s, "fluence rate", "1/µm²/s")
        dose_per_fluence(8000.0, self.material)  # a formula that cannot be read is told at once

    def dose_per_s(self, energy: float) -> float:
        """Return the dose rate at a photon energy [Gy/s]; the source follows the energy, so the rate stays."""
        return self.fluence_per_s * float(dose_per_fluence(energy, self.material))

    @classmethod
    def from_flat(cls, run: Run, beamline: Beamline, material: str) -> Self:
        """Return the beam that the last flat of a run shows, through the efficiencies of zone plate and camera.

        Raises
        ------
        UnreadableRun
            If the run has no flat, or does not record exposure and pixel.
        ValueError
            If the beamline has no camera.
        """
        camera, plate = beamline.camera, beamline.zone_plate
        if camera is None or plate is None:
            raise ValueError(f"beamline {beamline.name!r} takes no flats: it has no camera")
        flats, points = run.flats, run.stream("flat")
        exposures, pixels = points.numbers("camera_exposure"), points.numbers("energy_pixel")
        if not len(flats) or not np.isfinite(exposures[-1]) or not np.isfinite(pixels[-1]):
            raise UnreadableRun(f"{run.name} has no flat with its exposure and pixel; take one, or use the description")
        binning = float(points.configuration.get("camera_binning") or 1)
        counts = float(np.median(flats[len(flats) - 1] - run.dark()))
        efficiency = plate.efficiency * camera.efficiency
        fluence = fluence_of_counts(counts, float(pixels[-1]) * binning, efficiency)
        return cls(fluence / float(exposures[-1]), material, f"the last flat of {run.name}")

    @classmethod
    def in_spot(cls, photons_per_s: float, spot_um: tuple[float, float], material: str, source: str) -> Self:
        """Return the beam of so many photons in a spot of two full widths at half maximum [µm]."""
        require_positive(photons_per_s, "photons in the spot", "1/s")
        require_positive(spot_um, "spot", "um")
        return cls(photons_per_s / (pi / 4 * spot_um[0] * spot_um[1]), material, source)

    @classmethod
    def from_ion_chamber(
        cls,
        current_A: float,
        beamline: Beamline,
        material: str,
        energy: float,
        *,
        channel: str = "incident",
        pair_energy_eV: float = PAIR_ENERGY_EV,
    ) -> Self:
        """Return the beam that an ion chamber before the sample of a scanning microscope tells, in its spot.

        I = N a E e / W, for N photons a second, of which the share a is absorbed in a gas that takes W for an ion pair.

        Parameters
        ----------
        current_A : float
            Of the chamber, less its dark current [A].
        beamline : Beamline
            Its description, which knows the share that is absorbed, and the optics.
        material : str
            Chemical formula.
        energy : float
            At which the current was measured [eV].
        channel : str
            Name of the chamber.
        pair_energy_eV : float
            W of its gas [eV].

        Raises
        ------
        OutOfRange
            If the current is none, as in an overload, or where no dark current was measured.
        ValueError
            If the beamline scans no spot, or has no such chamber.
        """
        require_positive(current_A, f"current of ion chamber {channel!r}", "A")
        require_energy(energy)
        require_positive(pair_energy_eV, "energy of an ion pair", "eV")
        if channel not in beamline.counters.channels:
            raise ValueError(f"there is no ion chamber {channel!r}; there are {', '.join(beamline.counters.channels)}")
        absorbed = beamline.counters.channels[channel].absorbed
        photons = current_A * pair_energy_eV / (absorbed * energy * ELEMENTARY_CHARGE_C)
        spot = spot_um(beamline, energy)
        return cls.in_spot(photons * (1 - absorbed), spot, material, f"ion chamber {channel!r} and the spot")

    @classmethod
    def from_description(cls, beamline: Beamline, material: str, energy: float) -> Self | None:
        """Return the beam as it was commissioned; None where the description has no figure.

        Parameters
        ----------
        beamline : Beamline
            Its description.
        material : str
            Chemical formula.
        energy : float
            At which the spot is taken [eV].
        """
        beam = beamline.beam
        if beam is None:
            return None
        source = "the figure of the description"
        if beam.photons_per_um2_s is not None:
            return cls(beam.photons_per_um2_s, material, source)
        assert beam.photons_per_s is not None
        return cls.in_spot(beam.photons_per_s, spot_um(beamline, energy), material, source)

    @classmethod
    def best_known(
        cls,
        beamline: Beamline,
        material: str,
        energy: float,
        *,
        flat: Run | None = None,
        current_A: float | None = None,
    ) -> Self | None:
        """Return the beam by the best that is known of it: a flat or an ion chamber, else the description.

        Parameters
        ----------
        beamline, material, energy
            As in `from_description`.
        flat : Run, optional
            The newest with flats, of a full-field microscope; one without is passed over.
        current_A : float, optional
            Of the incident ion chamber at this energy, of a scanning microscope; NaN is passed over [A].
        """
        if beamline.kind == "full-field" and flat is not None:
            try:
                return cls.from_flat(flat, beamline, material)
            except UnreadableRun:
                pass  # the description knows something, too, and the source of a dose is always told
        if beamline.kind == "scanning" and current_A is not None and isfinite(current_A) and current_A > 0:
            return cls.from_ion_chamber(current_A, beamline, material, energy)
        return cls.from_description(beamline, material, energy)


def spot_um(beamline: Beamline, energy: float) -> tuple[float, float]:
    """Return the spot of a scanning microscope in focus [µm], full widths at half maximum (vertical, horizontal).

    Raises
    ------
    ValueError
        If it scans none.
    """
    if beamline.kind != "scanning":
        raise ValueError(f"beamline {beamline.name!r} scans no spot: it is a {beamline.kind} microscope")
    if beamline.optic == "mirrors" and beamline.mirrors is not None:
        vertical, horizontal = (
            1e-3 * mirror_spot(energy, mirror_aperture(one.length_mm, one.angle_mrad, one.focal_length_mm))
            for one in (beamline.mirrors.vertical, beamline.mirrors.horizontal)
        )
        return vertical, horizontal
    assert beamline.zone_plate is not None
    plate = ZonePlate(beamline.zone_plate.diameter_um, beamline.zone_plate.outer_zone_width_nm)
    width = FWHM_PER_SIGMA * plate.in_focus_blur() * 1e-3
    return width, width
