import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from whiteline.sim.bodies import Body, Ellipsoid
from whiteline.sim.camera import Region
from whiteline.sim.full_field import FullFieldMicroscope, Readings
from whiteline.sim.sample import Sample
from whiteline.sim.species import EdgeModel, Species, modelled
from whiteline.sim.truth import edge_positions, truth_of_image, truth_of_thickness

Where = Callable[[float], Readings]
REGION = Region.centred((2048, 2048), (128, 128), 4)


def test_the_truth_of_a_core_and_a_shell(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    """In the middle of a sphere: the chords of core and shell, and the atoms in them."""
    first, second = microscope.sample.species
    body = Body(Ellipsoid((0, 0, 0), (2, 2, 2)), {first.name: 1.0}, {second.name: 1.0}, 0.5)
    one = dataclasses.replace(microscope, sample=Sample((body,), (first, second)))
    truth = truth_of_image(one, in_focus(8350.0), 0, REGION)
    middle = np.unravel_index(np.argmax(truth.thickness_um[1]), REGION.shape)
    assert truth.thickness_um[:, middle[0], middle[1]] == pytest.approx([2.0, 2.0], rel=0.01)
    atoms = np.array([first.atoms_per_um3, second.atoms_per_um3]) * 2.0
    assert truth.fraction[:, middle[0], middle[1]] == pytest.approx(atoms / atoms.sum(), rel=0.005)


def test_fractions_add_up_and_are_missing_where_there_is_nothing(
    microscope: FullFieldMicroscope, in_focus: Where
) -> None:
    truth = truth_of_image(microscope, in_focus(8350.0), 0, REGION)
    empty = truth.thickness_um.sum(axis=0) == 0
    assert 0.1 < empty.mean() < 0.9
    assert np.isnan(truth.fraction[:, empty]).all()
    assert np.isnan(truth.half_height[empty]).all()
    assert truth.fraction[:, ~empty].sum(axis=0) == pytest.approx(1, abs=1e-5)
    assert np.isfinite(truth.white_line[~empty]).all()


def test_the_truth_is_blurred_by_the_width_in_focus(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    fine = Region.centred((2048, 2048), (256, 256))
    sharp = dataclasses.replace(
        microscope,
        zone_plate=dataclasses.replace(microscope.zone_plate, diameter_um=244.0 * 4, outer_zone_width_nm=7.5),
    )
    blurred, crisp = (
        truth_of_image(one, in_focus(8350.0), 0, fine).thickness_um.sum(axis=0) for one in (microscope, sharp)
    )
    sigma = np.sqrt(13.11**2 - (13.11 / 4) ** 2) / 20.0
    inner = slice(10, -10)
    folded = gaussian_filter(crisp.astype(float), sigma, truncate=6)
    assert np.abs(folded[inner, inner] - blurred[inner, inner]).max() < 0.02 * blurred.max()
    assert np.abs(crisp[inner, inner] - blurred[inner, inner]).max() > 0.03 * blurred.max()


def test_the_truth_follows_drift_and_stage(microscope: FullFieldMicroscope, in_focus: Where) -> None:
    start = in_focus(8350.0)
    step = microscope.optics(start).pixel_nm * 4 * 10 / 1e3
    moved = dataclasses.replace(start, sample_um=(step, 0.0))
    first, second = (truth_of_image(microscope, one, 0, REGION).thickness_um for one in (start, moved))
    assert second[:, :, 10:] == pytest.approx(first[:, :, :-10], abs=2e-3)


def test_edge_positions_of_pure_species_and_between(microscope: FullFieldMicroscope) -> None:
    species = microscope.sample.species
    share = np.linspace(0, 1, 11, dtype=np.float32)
    half, peak = edge_positions(species, np.stack([1 - share, share]))
    # Ni3+ first: its edge and its white line lie above those of Ni2+
    assert (np.diff(half) < 0).all()
    # the maxima of the two models: E_w of the white line, a little lowered by the slope of the step
    assert (peak[0], peak[-1]) == pytest.approx((8350.0, 8347.7), abs=0.15)
    grid = np.arange(8330, 8350, 0.001)
    for index, one in ((0, species[0]), (10, species[1])):
        assert half[index] == pytest.approx(grid[np.argmax(one.near_edge(grid) >= 0.5)], abs=0.003)


def test_three_species_as_two_of_them(microscope: FullFieldMicroscope) -> None:
    """The table of two and the way of more than two agree."""
    first, second = microscope.sample.species
    share = np.linspace(0, 1, 37, dtype=np.float32)
    pair = edge_positions((first, second), np.stack([share, 1 - share]))
    third = dataclasses.replace(second, name="third")
    triple = edge_positions((first, second, third), np.stack([share, (1 - share) / 2, (1 - share) / 2]))
    assert triple[0] == pytest.approx(pair[0], abs=2e-3)
    assert triple[1] == pytest.approx(pair[1], abs=0.06)


def test_an_edge_that_is_never_reached_has_no_position(microscope: FullFieldMicroscope) -> None:
    late = modelled("Ni", "K", EdgeModel(8370.0, (0.0, 8400.0, 3.0)), 1.2)
    pair = tuple(dataclasses.replace(one, near_edge=late) for one in microscope.sample.species)
    half, _ = edge_positions((pair[0], pair[1]), np.array([[0.5], [0.5]], np.float32))
    assert np.isnan(half).all()


def test_species_at_two_edges_have_no_common_fraction(microscope: FullFieldMicroscope) -> None:
    iron = Species("iron", "Fe2O3", 5.2, modelled("Fe", "K", EdgeModel(7120, (0.5, 7128, 3)), 1.0))
    with pytest.raises(ValueError, match=r"different edges, .*; a fraction needs one"):
        truth_of_thickness((microscope.sample.species[0], iron), np.ones((2, 4, 4), np.float32))
