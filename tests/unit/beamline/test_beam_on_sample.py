"""The dose rate follows from what was measured, else from the figure of the description."""

import numpy as np
import pytest

from whiteline.beamline.beam_on_sample import BeamOnSample
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


@pytest.mark.parametrize(("material", "fluence"), [("LiFeXx4", 1e6), ("LiFePO4", 0.0), ("LiFePO4", float("nan"))])
def test_nonsense_is_refused(material: str, fluence: float) -> None:
    with pytest.raises(ValueError, match=r"fluence rate|formula|element"):
        BeamOnSample(fluence, material, "a test")


def test_the_figure_must_suit_the_microscope() -> None:
    txm = load("txm")
    with pytest.raises((ValueError, DescriptionError), match="photons_per_um2_s"):
        Beamline.model_validate(txm.model_dump() | {"beam": {"photons_per_s": 1e9}})
