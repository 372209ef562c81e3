"""Paths: every place inside, in the order that is told, as dense as was asked for, and nothing of the area left out."""

import math
from typing import Any

import numpy as np
import pytest
from bluesky.plan_patterns import outer_product
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as MatplotlibPath
from numpy.typing import NDArray
from ophyd.sim import SynAxis
from scipy.spatial import cKDTree

from whiteline.plans import paths, spirals
from whiteline.plans.regions import as_polygon, clipped, inside
from whiteline.plans.tiles import tile_ranges

Numbers = NDArray[np.float64]

POSITIONS = st.floats(-1000, 1000)


@st.composite
def ranges(draw: st.DrawFn, least: int = 1, most: int = 9) -> paths.Range:
    """Return a range, in either direction."""
    points = draw(st.integers(least, most))
    start, step = draw(POSITIONS), draw(st.floats(0.01, 50.0)) * draw(st.sampled_from((-1, 1)))
    return start, start + step * (points - 1), points


def steps(of: paths.Range) -> float:
    return (of[1] - of[0]) / max(of[2] - 1, 1)


def in_steps(places: Numbers, fast: paths.Range, slow: paths.Range) -> Numbers:
    """Return places in steps from the start of both axes."""
    return np.stack([(places[:, 0] - fast[0]) / steps(fast), (places[:, 1] - slow[0]) / steps(slow)], axis=1)


def as_set(places: Numbers) -> set[tuple[float, ...]]:
    return {tuple(one) for one in np.round(places, 6).tolist()}


def grid(fast: paths.Range, slow: paths.Range, fine: int = 60) -> Numbers:
    """Return many places of a rectangle, its edges included, in steps."""
    axes = np.meshgrid(np.linspace(0, fast[2] - 1, fine), np.linspace(0, slow[2] - 1, fine))
    return np.stack(axes, axis=-1).reshape(-1, 2)


@given(ranges(), ranges(), st.booleans(), st.integers(1, 3))
def test_a_raster_is_what_bluesky_makes_of_its_axes(
    fast: paths.Range, slow: paths.Range, snake: bool, maps: int
) -> None:
    slowest, x, y = (SynAxis(name=name) for name in ("map", "x", "y"))
    expected = outer_product([slowest, 0, 1, maps, y, *slow, False, x, *fast, snake])
    found = paths.raster(fast, slow, snake=snake, maps=maps)
    np.testing.assert_allclose(found, [(one[x], one[y]) for one in expected], rtol=0, atol=1e-9)


@given(ranges(), ranges())
def test_a_snake_visits_the_same_places_with_the_least_way_between_them(fast: paths.Range, slow: paths.Range) -> None:
    lines, snake = paths.raster(fast, slow), paths.raster(fast, slow, snake=True)
    assert len(lines) == len(snake) == fast[2] * slow[2]
    assert as_set(lines) == as_set(snake)
    ways = np.abs(np.diff(snake, axis=0))
    one_step = np.where(ways[:, 0] > 0, abs(steps(fast)), abs(steps(slow)))
    np.testing.assert_allclose(ways.sum(axis=1), one_step, atol=1e-9)


@given(ranges(least=3, most=30), ranges(least=3, most=30), st.sampled_from(["spiral", "fermat", "hexagonal"]))
def test_other_paths_fill_the_rectangle_evenly(fast: paths.Range, slow: paths.Range, name: str) -> None:
    places = getattr(paths if name == "hexagonal" else spirals, name)(fast, slow)
    for values, axis in zip(places.T, (fast, slow), strict=True):
        assert min(axis[:2]) <= values.min()
        assert values.max() <= max(axis[:2])
    units = in_steps(places, fast, slow)
    tree = cKDTree(units)
    apart = tree.query(units, k=2)[0][:, 1].min()
    assert apart == pytest.approx(1.0, abs=1e-6) if name != "fermat" else 0.9 < apart < 1.1
    # within a square step nothing is farther from a corner than 0.71; rings and spirals leave more at the edges
    everywhere = grid(fast, slow)
    inner = ((everywhere >= 1) & (everywhere <= [fast[2] - 2, slow[2] - 2])).all(axis=1)
    far = tree.query(everywhere)[0]
    assert far.max() < (0.71 if name == "hexagonal" else 1.6)
    assert far[inner].max(initial=0) < 0.9


@given(ranges(least=2, most=9), ranges(least=2, most=9))
def test_a_square_spiral_visits_the_places_of_the_raster_from_the_middle_outwards(
    fast: paths.Range, slow: paths.Range
) -> None:
    units = in_steps(spirals.square_spiral(fast, slow), fast, slow)
    assert len(units) == fast[2] * slow[2]
    assert {tuple(one) for one in np.round(units, 3).tolist()} == {
        tuple(one) for one in np.round(in_steps(paths.raster(fast, slow), fast, slow), 3).tolist()
    }
    ring = np.abs(units - units[0]).max(axis=1)
    assert (np.diff(ring) > -1e-3).all()


def test_rings_and_fermat_begin_in_the_middle_and_go_outwards() -> None:
    fast, slow = (0.0, 10.0, 21), (100.0, 110.0, 21)
    for path in (spirals.spiral, spirals.fermat):
        radius = np.hypot(*(path(fast, slow) - [5.0, 105.0]).T)
        assert radius[0] < 0.5
        assert (np.diff(radius) > -1e-9).all()


def test_fermat_has_one_place_in_each_square_step() -> None:
    places = spirals.fermat((0.0, 50.0, 51), (0.0, 25.0, 51))
    for radius in (5.0, 8.0, 12.0):
        inside_ellipse = np.hypot(places[:, 0] - 25.0, 2 * (places[:, 1] - 12.5)) < radius
        assert inside_ellipse.sum() == pytest.approx(math.pi * radius**2, abs=2)


def test_hexagonal_neighbours_are_equally_far_if_the_steps_are_so() -> None:
    places = paths.hexagonal((0.0, 10.0, 11), (0.0, 10 * math.sqrt(3) / 2, 11), snake=True)
    inner = places[(np.abs(places[:, 0] - 5) < 3.9) & (np.abs(places[:, 1] - 4.3) < 3)]
    np.testing.assert_allclose(cKDTree(places).query(inner, k=7)[0][:, 1:], 1.0, atol=1e-9)
    assert np.abs(np.diff(places, axis=0)).max() < 1.01, "a snake goes on beside where its line ended"


@given(st.lists(st.tuples(POSITIONS, POSITIONS), min_size=3, max_size=9), st.integers(0, 2**31))
def test_inside_is_what_a_polygon_winds_around_an_odd_number_of_times(
    corners: list[tuple[float, float]], seed: int
) -> None:
    try:
        polygon = as_polygon(corners)
    except ValueError:
        return
    places = np.random.default_rng(seed).uniform(-1000, 1000, (400, 2))
    ends = np.roll(polygon, -1, axis=0)
    along = np.linspace(0, 1, 2001)[:, None, None]
    away = cKDTree((polygon + along * (ends - polygon)).reshape(-1, 2)).query(places)[0] > 2.0
    off = np.vstack([polygon, polygon[:1]])[None] - places[away][:, None]
    angle = np.unwrap(np.arctan2(off[..., 1], off[..., 0]), axis=1)
    turns = np.round((angle[:, -1] - angle[:, 0]) / (2 * np.pi)).astype(int)
    np.testing.assert_array_equal(inside(places[away], polygon), turns % 2 == 1)


def test_inside_is_what_matplotlib_calls_so_for_a_simple_polygon() -> None:
    corners = [(0, 0), (10, 0), (10, 10), (5, 3), (0, 10)]
    places = np.random.default_rng(4).uniform(-2, 12, (4000, 2))
    np.testing.assert_array_equal(inside(places, as_polygon(corners)), MatplotlibPath(corners).contains_points(places))


@given(ranges(least=2), ranges(least=2))
def test_a_polygon_around_the_rectangle_keeps_all_of_it_edges_and_corners_included(
    fast: paths.Range, slow: paths.Range
) -> None:
    around = [(fast[0], slow[0]), (fast[1], slow[0]), (fast[1], slow[1]), (fast[0], slow[1])]
    whole = paths.raster(fast, slow, snake=True)
    places, numbers = clipped(whole, [as_polygon(around)])
    np.testing.assert_array_equal(places, whole)
    assert not numbers.any()


def test_several_regions_are_visited_one_after_the_other_and_each_place_once() -> None:
    whole = paths.raster((0.0, 10.0, 11), (0.0, 10.0, 11))
    right, left = [(4, 0), (10, 0), (10, 10), (4, 10)], [(0, 0), (5, 0), (5, 10), (0, 10)]
    places, numbers = clipped(whole, [as_polygon(right), as_polygon([*left, left[0]])])
    assert (np.diff(numbers) >= 0).all()
    assert as_set(places) == as_set(whole)
    assert len(places) == len(whole)
    np.testing.assert_array_equal(numbers == 0, places[:, 0] >= 4)


@pytest.mark.parametrize(
    ("corners", "says"),
    [
        ([(0, 0), (1, 1)], "number of corners of polygon 2 must be at least 3"),
        ([(0, 0), (1, 1), (0, 0)], "number of corners of polygon 2 must be at least 3"),
        ([], "number of corners of polygon 0 must be at least 3"),
        ([(0, 0), (1, 1), (2, 2)], "lie on a line"),
        ([(0, 0), (1, math.nan), (2, 2)], "corner of polygon nan um must be a finite number"),
        ([(0, 0, 0), (1, 1, 0), (2, 0, 0)], "must be pairs"),
        ([1, 2, 3], "must be pairs"),
        ([(0, 0), (1, 1), (2,)], "must be pairs"),
        (5, "must be pairs"),
    ],
)
def test_what_is_no_polygon_is_refused(corners: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        as_polygon(corners)


def test_a_polygon_that_no_point_lies_in_is_named() -> None:
    whole = paths.raster((0.0, 10.0, 11), (0.0, 10.0, 11))
    with pytest.raises(ValueError, match="no point of the path lies inside polygon 1"):
        clipped(whole, [as_polygon([(0, 0), (5, 0), (0, 5)]), as_polygon([(0.2, 0.2), (0.4, 0.2), (0.3, 0.4)])])


@pytest.mark.parametrize(
    ("given_range", "says"),
    [
        ((0.0, 1.0), r"must be \(start, stop, points\)"),
        (3, r"must be \(start, stop, points\)"),
        ((0.0, 1.0, 0), "number of points of fast_range 0 must be a whole number from 1 on"),
        ((0.0, 1.0, -3), "must be a whole number from 1 on"),
        ((0.0, 1.0, 2.5), "must be a whole number from 1 on"),
        ((0.0, 1.0, 1), "number of points of fast_range 1 does not go with a way from 0 to 1 um"),
        ((1.0, 1.0, 5), "number of points of fast_range 5 does not go with a way from 1 to 1 um"),
        ((0.0, math.inf, 5), "fast_range inf um must be a finite number"),
    ],
)
def test_what_is_no_range_is_refused(given_range: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        paths.as_range(given_range, "fast_range")


@given(
    st.tuples(POSITIONS, POSITIONS), st.tuples(POSITIONS, POSITIONS), st.floats(20, 300), st.floats(20, 300),
    st.floats(0, 0.6),
)  # fmt: skip
def test_tiles_cover_the_area_to_its_ends_and_overlap_by_what_is_asked_for(
    x: tuple[float, float], y: tuple[float, float], width: float, height: float, overlap: float
) -> None:
    centres = tile_ranges((x, y), (width, height), overlap)
    for (start, stop, count), size, (low, high) in zip(centres, (width, height), map(sorted, (x, y)), strict=True):
        places = np.linspace(start, stop, count)
        assert places[0] - size / 2 <= low + 1e-6
        assert places[-1] + size / 2 >= high - 1e-6
        if count > 1:
            step = places[1] - places[0]
            assert 0 < step <= size * (1 - overlap) * (1 + 1e-6)
            assert places[0] - size / 2 == pytest.approx(low)
            # with one tile less, the tiles would not overlap enough, or leave something out
            assert high - low - size > (count - 2) * size * (1 - overlap)


@pytest.mark.parametrize(("size", "tile", "count"), [(0.9, 0.3, 3), (4.9, 0.7, 7), (3.0, 0.3, 10), (3.3, 1.1, 3)])
def test_an_area_that_is_tiled_exactly_needs_no_tile_more(size: float, tile: float, count: int) -> None:
    fast, slow = tile_ranges(((0.0, size), (size, 0.0)), (tile, tile), 0.0)
    assert fast == slow == (pytest.approx(tile / 2), pytest.approx(size - tile / 2), count)


@pytest.mark.parametrize(
    ("area", "tile", "overlap", "says"),
    [
        (((0, 10), (0, 10)), (5, 5), 1.0, "overlap 1 must be at least 0 and less than 1"),
        (((0, 10), (0, 10)), (5, 5), -0.1, "overlap -0.1 must be"),
        (((0, 10), (0, 10)), (5, 5), math.nan, "overlap nan must be"),
        (((0, 10), (0, 10)), (0, 5), 0.1, "tile_um 0 um must be a finite number above 0"),
        (((0, 10), (0, 10)), 5, 0.1, r"must be \(width, height\)"),
        ((0, 10), (5, 5), 0.1, "area"),
        (((0, 10),), (5, 5), 0.1, "area"),
        (((0, math.inf), (0, 10)), (5, 5), 0.1, "area inf um must be a finite number"),
        (((0, 1e4), (0, 1e4)), (5, 5), 0.1, "number of tiles .* must be at most 10000; look at the units"),
    ],
)
def test_what_makes_no_mosaic_is_refused(area: Any, tile: Any, overlap: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        tile_ranges(area, tile, overlap)
