"""The score of a run: what it is held against, where a list of energies was taken more than once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.analysis import tables
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.maps.map import Map
from whiteline.beamline.description import load
from whiteline.beamline.score.edges import edge_score, score_edges
from whiteline.beamline.score.fractions import bounds_of_stack, valid_pixels
from whiteline.beamline.score.motion import frames_lost
from whiteline.beamline.score.raster_maps import mean_of_known
from whiteline.beamline.score.rasters import emitted
from whiteline.beamline.score.scoring import score_run
from whiteline.beamline.score.truth import NoTruth, RunTruth
from whiteline.beamline.simulated_references import simulated_references
from whiteline.sim.species import NearEdge, Species

REFERENCES = simulated_references(load("txm"))
ENERGIES = np.linspace(REFERENCES[0].energy[0] + 1, REFERENCES[0].energy[-1] - 1, 40)
SHAPE = (3, 4)


def stack(energies: NDArray[np.float64], **more: Any) -> Any:
    """Return a stack with a flat at each energy, 1e4 counts everywhere."""
    light = [np.full(SHAPE, 1e4) for _ in energies]
    flat = SimpleNamespace(points=[SimpleNamespace(places={"camera_image": SimpleNamespace(count=1)})])
    return SimpleNamespace(
        energies=energies, points=list(energies), start={"frames_per_event": 1} | more, good_enough=False,
        flats_for_frames=lambda _: light, dark=lambda: np.zeros(SHAPE), stream=lambda _: flat,
        flat_groups=lambda _: [(0,)] * len(energies), raster_shape=None, has_points=False,
    )  # fmt: skip


def truth(energies: NDArray[np.float64]) -> Any:
    jumps = np.full((len(REFERENCES), *SHAPE), 0.4)

    def density(at: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        spectrum = sum(0.4 * np.interp(at, one.energy, one.absorption) for one in REFERENCES)
        return np.asarray(spectrum)[:, None] * np.ones(chosen.sum())

    names = tuple(one.name for one in REFERENCES)
    return SimpleNamespace(references=REFERENCES, energy=energies, jumps=jumps, names=names, density=density)


@pytest.mark.parametrize("off_eV", [0.0, 2e-4, 2e-3])
def test_two_passes_bound_the_error_as_two_passes_do(off_eV: float) -> None:
    """A readback may come twice to the last digit, or nearly; both frames were counted."""
    twice = np.concatenate([ENERGIES, ENERGIES + off_eV])
    everywhere = np.ones(SHAPE, bool)
    once, both = (bounds_of_stack(stack(one), Settings(), truth(one), everywhere) for one in (ENERGIES, twice))
    assert once.shape == (len(REFERENCES), 12)
    np.testing.assert_allclose(once / both, np.sqrt(2), rtol=2e-3)


def test_without_a_map_of_the_edge_there_is_no_figure_of_it() -> None:
    """Energies that end too near the edge give none."""
    found = score_edges(stack(ENERGIES), SimpleNamespace(maps={}), truth(ENERGIES), 8333.0)  # type: ignore[arg-type]
    assert np.isnan([found.rms, found.bias]).all()


def test_a_run_of_several_places_is_not_held_against_the_first(tmp_path: Path) -> None:
    run = stack(ENERGIES, plan_name="xanes_stack")
    run.position_indices, run.name, run.streams = (0, 1), "run 1", {}
    with pytest.raises(NoTruth, match="was taken at 2 places"):
        score_run(run, tmp_path / "truth.h5")


def test_passes_that_were_not_needed_are_not_lost() -> None:
    run, seen = stack(ENERGIES, num_points=4 * ENERGIES.size), SimpleNamespace(numbers=[np.arange(1)] * ENERGIES.size)
    assert frames_lost(run, seen) == 3 * ENERGIES.size
    run.good_enough = True
    assert frames_lost(run, seen) == 0


def test_at_one_of_several_places_passes_and_frames_say_how_many_points_there_should_be() -> None:
    run = stack(ENERGIES, passes=2, frames_per_energy=6, frames_per_event=2)
    run.planned_energies = ENERGIES
    points = 2 * 3 * ENERGIES.size
    whole = SimpleNamespace(numbers=[np.arange(2)] * points)
    assert frames_lost(run, whole) == 0
    assert frames_lost(run, SimpleNamespace(numbers=whole.numbers[:-5])) == 10


def test_edges_of_too_few_pixels_are_not_scored() -> None:
    chosen = np.ones(SHAPE, bool)
    found = Map.masked("edge energy", "eV", np.full(SHAPE, 8340.0), np.full(SHAPE, 0.1), chosen)
    score = edge_score(found, chosen, ENERGIES, truth(ENERGIES).density(ENERGIES, chosen), 2, 8333.0)
    assert np.isnan([score.rms, score.bias]).all()


def test_what_is_not_known_is_left_out_of_a_mean() -> None:
    values = np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(mean_of_known(values), [2.0, np.nan])


def test_the_truth_of_a_raster_emits_what_the_twin_does(seed: int) -> None:
    """Of a measured spectrum, too, that dips below zero before its edge by its noise."""
    source, edge = np.random.default_rng(seed), tables.edge_energy("Ni", "K")
    grid = np.arange(edge - 150, edge + 300, 0.5)
    rise = 0.5 + np.arctan((grid - edge - 8) / 1.5) / np.pi
    rough = np.where(grid < edge - 12, 0.003 * source.standard_normal(grid.size), rise)
    nickel = Species("NiO", "NiO", 6.67, NearEdge("Ni", "K", grid, rough))
    none = np.zeros((1, 2, 2))
    known = RunTruth((nickel,), none, none, np.empty(0), np.empty(0), np.empty((0, 2)), ())
    energies = np.arange(edge - 100, edge + 200, 0.5) + 0.25
    lines = nickel.emissions(energies)
    alpha = max((photons for _, photons in lines), key=np.max)
    found = emitted(known, energies)[:, 0]
    assert (alpha == 0).sum() > 20
    np.testing.assert_allclose(found / found[-1], alpha / alpha[-1], atol=2e-3)


def test_a_run_without_fractions_is_said_to_have_none() -> None:
    found: Any = SimpleNamespace(maps={}, run="run 1", troubles=("no fractions are fitted: 2 energies are too few",))
    with pytest.raises(NoTruth, match=r"run 1 has no map of the fraction of .*: no fractions are fitted: 2 energies"):
        valid_pixels(found, truth(ENERGIES))
