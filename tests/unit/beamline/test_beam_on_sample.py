"""The dose rate follows from what was measured, else from the figure of the description."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from whiteline.beamline.beam_on_sample import BeamOnSample
from whiteline.beamline.conditions import conditions
from whiteline.beamline.description import Beamline, DescriptionError, load


def test_a_million_photons_on_a_square_micrometre_give_the_golden_doses() -> None:
    # golden values of the physics sheet, for 10⁶ photons/µm²
    for material, energy, gray in (
        ("LiNi0.8Mn0.1Co0.1O2", 8360, 2.6e4),
        ("LiFePO4", 7130, 2.0e4),
        ("H2O", 8360, 1.2e3),
    ):
        beam = BeamOnSample(1e6, material, "a test")
        assert beam.dose_per_s(energy) == pytest.approx(gray, rel=0.06)


def test_the_description_gives_its_figure() -> None:
    txm, probe = load("txm"), load("nanoprobe")
    full_field = BeamOnSample.from_description(txm, "LiFePO4", 8333.0)
    assert full_field is not None
    assert full_field.fluence_per_s == txm.beam.photons_per_um2_s  # type: ignore[union-attr]
    spot = BeamOnSample.from_description(probe, "LiFePO4", 8333.0)
    assert spot is not None
    width_um = 2.3548 * 0.437 * probe.zone_plate.outer_zone_width_nm * 1e-3  # type: ignore[union-attr]
    assert spot.fluence_per_s == pytest.approx(1e9 / (np.pi / 4 * width_um**2), rel=1e-3)
    assert "description" in spot.source


def test_a_wider_spot_gives_less_dose() -> None:
    narrow, wide = (BeamOnSample.in_spot(1e9, (one, 0.1), "LiFePO4", "a chamber") for one in (0.1, 0.4))
    assert narrow.dose_per_s(7130.0) == pytest.approx(4 * wide.dose_per_s(7130.0))


def test_mirrors_are_achromatic_but_their_spot_is_not() -> None:
    mirrors = load("nanoprobe").model_copy(update={"optic": "mirrors"})
    low, high = (BeamOnSample.from_description(mirrors, "LiFePO4", energy) for energy in (7000.0, 14000.0))
    assert low is not None
    assert high is not None
    # half as wide in both directions at twice the energy
    assert high.fluence_per_s == pytest.approx(4 * low.fluence_per_s)


class RunWithFlats:
    """A run of a full-field microscope whose last flat, of several, has seen a known beam."""

    name = "run 7"
    flats = None

    def __init__(self, fluence_per_s: float, *, counted: bool = True) -> None:
        txm, exposure_s, pixel_um, binning = load("txm"), 0.2, 0.020, 2
        efficiency = txm.zone_plate.efficiency * txm.camera.efficiency  # type: ignore[union-attr]
        counts = fluence_per_s * exposure_s * efficiency * (pixel_um * binning) ** 2
        rng = np.random.default_rng(7)
        flats = 100.0 + np.stack([rng.poisson(share * counts, (64, 64)) for share in (0.1, 1.0)])
        self.flats = flats if counted else flats[:0]
        self._numbers = {"camera_exposure": np.array([0.1, exposure_s]), "energy_pixel": np.full(2, 1e3 * pixel_um)}
        self.configuration = {"camera_binning": binning}

    def stream(self, _: str) -> "RunWithFlats":
        """Return the stream of flats."""
        return self

    def numbers(self, key: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """Return a column."""
        return self._numbers[key]

    def dark(self) -> float:
        """Return the counts without beam."""
        return 100.0


def test_the_last_flat_tells_the_beam_through_the_efficiencies() -> None:
    txm = load("txm")
    beam = BeamOnSample.best_known(txm, "LiFePO4", 8333.0, flat=RunWithFlats(1.7e9))  # type: ignore[arg-type]
    assert beam is not None
    assert beam.fluence_per_s == pytest.approx(1.7e9, rel=0.01)
    assert beam.source == "the last flat of run 7"
    without: Any = RunWithFlats(1.7e9, counted=False)
    described = BeamOnSample.best_known(txm, "LiFePO4", 8333.0, flat=without)
    assert described is not None
    assert "description" in described.source


def test_an_ion_chamber_tells_the_beam_in_the_spot() -> None:
    probe, energy = load("nanoprobe"), 8333.0
    absorbed = probe.counters.channels["incident"].absorbed
    # a billion photons a second, of which the chamber takes its share
    current = 1e9 * absorbed * energy / 34.8 * 1.602176634e-19
    measured = BeamOnSample.best_known(probe, "LiFePO4", energy, current_A=current)
    described = BeamOnSample.best_known(probe, "LiFePO4", energy)
    assert measured is not None
    assert described is not None
    assert measured.fluence_per_s == pytest.approx((1 - absorbed) * described.fluence_per_s, rel=1e-6)
    assert measured.source == "ion chamber 'incident' and the spot"
    assert described.source == "the figure of the description"


@pytest.mark.parametrize("current_A", [float("nan"), 0.0, -1e-12, None])
def test_a_chamber_that_tells_nothing_leaves_the_description(current_A: float | None) -> None:
    beam = BeamOnSample.best_known(load("nanoprobe"), "LiFePO4", 8333.0, current_A=current_A)
    assert beam is not None
    assert "description" in beam.source


def test_a_chamber_must_be_one_of_a_scanning_microscope() -> None:
    with pytest.raises(ValueError, match="no ion chamber 'diode'; there are incident"):
        BeamOnSample.from_ion_chamber(1e-9, load("nanoprobe"), "LiFePO4", 8333.0, channel="diode")
    with pytest.raises(ValueError, match="scans no spot"):
        BeamOnSample.from_ion_chamber(1e-9, load("txm"), "LiFePO4", 8333.0)
    with pytest.raises(ValueError, match="current of ion chamber 'incident'"):
        BeamOnSample.from_ion_chamber(float("nan"), load("nanoprobe"), "LiFePO4", 8333.0)


def test_a_preflight_is_told_the_budget_of_the_material_and_the_folders_of_the_detectors() -> None:
    txm = load("txm")
    told = conditions(txm, SimpleNamespace(position=7112.0), "LiFePO4", thickness_um=12.0)
    assert told["budget_Gy"] == txm.dose_budgets_Gy["LiFePO4"] == 3e9
    assert told["folders"] == [txm.camera.files.read]  # type: ignore[union-attr]
    assert told["beam"].material == "LiFePO4"
    assert told["thickness_um"] == 12.0
    assert conditions(txm, SimpleNamespace(position=7112.0), "Fe2O3")["budget_Gy"] is None


@pytest.mark.parametrize(("material", "fluence"), [("LiFeXx4", 1e6), ("LiFePO4", 0.0), ("LiFePO4", float("nan"))])
def test_nonsense_is_refused(material: str, fluence: float) -> None:
    with pytest.raises(ValueError, match=r"fluence rate|formula|element"):
        BeamOnSample(fluence, material, "a test")


def test_the_figure_must_suit_the_microscope() -> None:
    txm = load("txm")
    with pytest.raises((ValueError, DescriptionError), match="photons_per_um2_s"):
        Beamline.model_validate(txm.model_dump() | {"beam": {"photons_per_s": 1e9}})
