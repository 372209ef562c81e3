"""The spectrum of a region that was drawn, against the truth of made stacks and rasters; and which pixels are in it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making_rasters import raster
from making_runs import Made, references, usual_energies

from whiteline.analysis.live import LiveXanes, Results
from whiteline.analysis.maps.map import Map
from whiteline.beamline.page.region import Rectangle, RegionSpectrum, mean_of
from whiteline.beamline.page.shown import Regions
from whiteline.beamline.page.view import Picture


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ((2.0, 5.0), (1.0, 4.0), Rectangle(1, 4, 2, 5)),
        ((5.2, 1.6), (3.9, 0.4), Rectangle(0, 4, 2, 5)),
        ((-9.0, 3.4), (-5.0, 99.0), Rectangle(0, 10, 0, 3)),
        ((3.6, 4.4), (2.0, 3.0), None),
        ((50.0, 60.0), (0.0, 5.0), None),
    ],
)
def test_pixels_are_inside_by_their_centres(x: tuple[float, float], y: tuple[float, float], expected: object) -> None:
    assert Rectangle.drawn(x, y, (10, 12)) == expected


def test_its_spectrum_is_that_of_its_pixels_and_the_same_frame_by_frame(tmp_path: Path, seed: int) -> None:
    energies = usual_energies()
    source = np.random.default_rng(seed)
    drift = source.normal(0, 1.5, (len(energies), 2))
    drift[0] = 0.0
    made = Made(tmp_path, energies, seed, counts=5000.0, drift=drift)
    live = LiveXanes(references=references(), name="page")
    region = Rectangle(15, 40, 20, 55)
    growing = RegionSpectrum(region, live.settings)
    for number, pair in enumerate(made.whole()):
        live(*pair)
        if number % 40 == 39:
            live.wait(120)
            rows = live.rows()
            if rows is not None:
                growing.of(rows)
    results = live.wait(120)
    rows = live.rows()
    assert rows is not None
    assert len(rows.steps) == len(energies)
    whole = RegionSpectrum(region, live.settings).of(rows)
    grown = growing.of(rows)
    live.close()
    assert whole is not None
    assert grown is not None
    np.testing.assert_array_equal(grown.absorption, whole.absorption)
    np.testing.assert_allclose(whole.energy, energies, atol=1e-6)
    assert whole.pixels > 0.9 * 25 * 35  # but the hot one

    stack = np.stack([region.of(rows.frame(index, slice(0, made.shape[0]))[0]) for index in range(len(energies))])
    good = np.isfinite(stack).all(axis=0)
    assert whole.pixels == good.sum()
    order = np.argsort([recipe.energy for recipe, _ in rows.steps])
    np.testing.assert_allclose(whole.absorption, stack[:, good].mean(axis=1)[order], rtol=1e-4)

    # the fraction of mean spectra is the mean weighted by the edge jump
    jump = made._placed(made.wide_jump, (0.0, 0.0), 1.0)
    fraction = made.fraction()
    truth = float((region.of(fraction) * region.of(jump)).sum() / region.of(jump).sum())
    assert whole.combination is not None
    at = whole.combination.names.index("LiNiO2")
    found, error = float(whole.combination.fractions[at]), float(whole.combination.fraction_errors[at])
    print(f"fraction {found:.4f} ± {error:.4f}, truly {truth:.4f}")
    assert abs(found - truth) < 5 * error + 0.003  # some of its rim comes from outside by the registration
    # and not that of the whole map
    assert results.spectrum is not None
    assert np.abs(results.spectrum.absorption - whole.absorption).max() > 3 * np.nanmax(whole.error)


def test_a_large_region_is_sampled() -> None:
    assert Rectangle(0, 100, 0, 100).step == 1
    large = Rectangle(0, 2048, 0, 2048)
    assert large.step == 16


Ask = Callable[[Rectangle, Results], tuple[Any, str]]


class Watched:
    """A run that is shown, of a live analysis."""

    def __init__(self) -> None:
        self.live = LiveXanes(references=references(), name="page")
        self.settings, self.rows = self.live.settings, self.live.rows


@pytest.fixture
def watched() -> Iterator[tuple[LiveXanes, Ask]]:
    """A live analysis, and what asks for the spectrum of a rectangle until it is worked out."""
    shown = Watched()
    with ThreadPoolExecutor(1) as workers:
        regions = Regions(shown, workers)  # type: ignore[arg-type]

        def ask(rectangle: Rectangle, results: Results) -> tuple[Any, str]:
            regions.spectrum(rectangle, results)
            workers.submit(lambda: None).result(60)  # one thread: what was asked before is done
            return regions.spectrum(rectangle, results)

        yield shown.live, ask
    shown.live.close()


@pytest.mark.parametrize("backwards", [False, True])
def test_a_region_of_a_raster_has_a_spectrum_too(watched: tuple[LiveXanes, Ask], backwards: bool, seed: int) -> None:
    live, ask = watched
    documents = list(raster(seed, backwards=backwards))
    left, right = Rectangle(2, 9, 0, 3), Rectangle(2, 9, 11, 14)
    half = next(n for n, (_, one) in enumerate(documents) if one.get("seq_num") == 12 * 14 * 8 + 40)
    for pair in documents[:half]:
        live(*pair)
    so_far = live.wait(60)
    early, _ = ask(left, so_far)
    assert early.energy.size == 8  # that at which the map is not complete is not among them
    for pair in documents[half:]:
        live(*pair)
    results = live.wait(60)
    assert results.planes is not None
    assert results.spectrum is not None
    assert results.spectrum.e0 is not None
    for region, truth in ((left, np.linspace(0, 1, 14)[:3].mean()), (right, np.linspace(0, 1, 14)[11:].mean())):
        found, why = ask(region, results)
        assert why == ""
        assert found.pixels == 7 * 3
        assert (np.diff(found.energy) > 0).all()
        stack = region.of(results.planes.value).reshape(results.energies.size, -1)
        np.testing.assert_allclose(found.absorption, stack.mean(axis=1)[np.argsort(results.energies)], rtol=1e-5)
        at = found.combination.names.index("LiNiO2")
        fraction, error = float(found.combination.fractions[at]), float(found.combination.fraction_errors[at])
        print(f"fraction {fraction:.4f} ± {error:.4f}, truly {truth:.4f}")
        assert abs(fraction - truth) < 5 * error


def test_a_region_of_a_raster_over_a_chamber_s_current_is_per_photon(seed: int) -> None:
    live = LiveXanes(references=references(), incident_current=True)
    for pair in raster(seed):
        live(*pair)
    results = live.wait(60)
    live.close()
    assert results.planes is not None
    assert results.spectrum is not None
    whole = RegionSpectrum(Rectangle(0, 12, 0, 14), live.settings).of_planes(results.planes)
    assert whole is not None
    assert whole.pixels == results.spectrum.pixels == 12 * 14
    np.testing.assert_allclose(whole.absorption, results.spectrum.absorption, rtol=1e-5)


def test_without_a_complete_map_a_region_has_no_spectrum(watched: tuple[LiveXanes, Ask], seed: int) -> None:
    live, ask = watched
    for name, document in raster(seed):
        if name != "stop" and document.get("seq_num", 0) < 12 * 14:
            live(name, document)
    found, why = ask(Rectangle(2, 9, 0, 3), live.wait(60))
    assert found is None
    assert why == "no spectrum, as there is no complete map at one of several energies"


def test_the_mean_of_a_map_is_over_its_known_pixels() -> None:
    value = np.arange(12.0).reshape(3, 4)
    value[0, 0] = np.nan
    mean, spread, number = mean_of(value, np.ones((3, 4)), Rectangle(0, 2, 0, 2))
    assert (mean, number) == (pytest.approx((1 + 4 + 5) / 3), 3)
    assert spread == pytest.approx(np.std([1, 4, 5]))
    assert np.isnan(mean_of(value, np.full((3, 4), np.nan), Rectangle(0, 2, 0, 2))[0])


def test_a_picture_is_missing_where_the_map_means_nothing() -> None:
    value = np.linspace(0, 1, 1500 * 8).reshape(1500, 8)
    error = np.full(value.shape, 0.02)
    valid = np.ones(value.shape, bool)
    valid[:300] = False
    picture = Picture.of(Map("fraction of LiNiO2", "", value, error, valid), 0.025)
    assert picture.value.shape == picture.error.shape == (750, 4)
    assert np.isnan(picture.value[:150]).all()
    assert np.isnan(picture.error[:150]).all()
    assert np.isfinite(picture.value[150:]).all()
    assert picture.extent == (0.2, 37.5)
    assert picture.axis_unit == "µm"
    assert picture.valid == 0.8
    assert picture.ends == (-0.1, 1.1)
    edge = Picture.of(Map("edge energy", "eV", 8333 + value, error, valid), None)
    assert edge.axis_unit == "px"
    low, high = edge.ends
    assert 8333.2 <= low < high <= 8334.0
    empty = Picture.of(Map("edge energy", "eV", value, error, np.zeros(value.shape, bool)), None)
    assert np.isnan(empty.value).all()
    assert empty.ends[0] < empty.ends[1]
