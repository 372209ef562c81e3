"""Focus series: the best focus within its error, outliers left out, and a sentence where there is no focus to find."""

import numpy as np
import pytest

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.focus import NoFocus, focus_by_sharpness, focus_by_width
from whiteline.analysis.laws.zone_plate import ZonePlate

ZONE_PLATE = ZonePlate(244.0, 30.0)
ENERGY = 8333.0
BLUR = ZONE_PLATE.defocus_blur(1.0, ENERGY)
Z = np.linspace(-0.06, 0.06, 17)


def bell(focus: float, depth: float = 0.02, power: float = 1.0) -> np.ndarray:
    return np.asarray((1 + ((Z - focus) / depth) ** 2) ** -power)


def test_widths_give_focus_and_width_in_focus_within_their_errors(seed: int) -> None:
    source = np.random.default_rng(seed)
    pulls = []
    for _ in range(60):
        focus = source.uniform(-0.03, 0.03)
        width = ZONE_PLATE.blur(Z - focus, ENERGY)
        errors = 0.05 * width
        found = focus_by_width(Z, width + source.normal(0, errors), errors, blur_per_mm=BLUR)
        pulls.append([(found.z - focus) / found.error, (found.in_focus - 0.437 * 30) / found.in_focus_error])
        assert found.depth == pytest.approx(found.in_focus / BLUR)
    assert (np.sqrt(np.mean(np.square(pulls), axis=0)) < 1.4).all()
    assert (np.sqrt(np.mean(np.square(pulls), axis=0)) > 0.65).all()


def test_the_blur_may_be_fitted_too(seed: int) -> None:
    source = np.random.default_rng(seed)
    focus = source.uniform(-0.02, 0.02)
    width = ZONE_PLATE.blur(Z - focus, ENERGY)
    errors = 0.03 * width
    found = focus_by_width(Z, width + source.normal(0, errors), errors)
    assert abs(found.z - focus) < 6 * found.error
    assert found.depth == pytest.approx(0.437 * 30 / BLUR, rel=0.5)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_sharpnesses_give_the_focus_whatever_the_sample(seed: int, power: float) -> None:
    source = np.random.default_rng(seed)
    pulls = []
    for _ in range(40):
        focus = source.uniform(-0.03, 0.03)
        found = focus_by_sharpness(Z, 1e-4 * (bell(focus, power=power) + source.normal(0, 0.02, Z.size)), 2e-6 + 0 * Z)
        pulls.append((found.z - focus) / found.error)
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.5


def test_errors_come_from_the_scatter_where_none_are_given(seed: int) -> None:
    source = np.random.default_rng(seed)
    focus = source.uniform(-0.02, 0.02)
    signal = bell(focus) + source.normal(0, 0.02, Z.size)
    free, given = focus_by_sharpness(Z, signal), focus_by_sharpness(Z, signal, 0.02 + 0 * Z)
    assert free.z == pytest.approx(given.z, abs=given.error)
    assert free.error == pytest.approx(given.error, rel=0.85)


def test_an_outlier_is_left_out(seed: int) -> None:
    source = np.random.default_rng(seed)
    focus = source.uniform(-0.01, 0.01)
    width = ZONE_PLATE.blur(Z - focus, ENERGY)
    spoiled = width + source.normal(0, 0.03 * width)
    spoiled[3], spoiled[12] = 4.0, np.nan
    for errors in (None, 0.03 * width):
        found = focus_by_width(Z, spoiled, errors, blur_per_mm=BLUR)
        assert abs(found.z - focus) < 0.002
        assert not found.used[3]
        assert not found.used[12]
        assert sum(found.used) >= 13
    signal = bell(focus) + source.normal(0, 0.01, Z.size)
    signal[15] = 3.0
    found = focus_by_sharpness(Z, signal, 0.01 + 0 * Z)
    assert abs(found.z - focus) < 0.002
    assert not found.used[15]


def test_order_does_not_matter(seed: int) -> None:
    source = np.random.default_rng(seed)
    signal = bell(0.01) + source.normal(0, 0.01, Z.size)
    order = source.permutation(Z.size)
    found, expected = focus_by_sharpness(Z[order], signal[order]), focus_by_sharpness(Z, signal)
    assert found.z == pytest.approx(expected.z, abs=1e-6)


@pytest.mark.parametrize(("focus", "side"), [(0.11, "above"), (-0.11, "below")])
def test_a_focus_outside_of_the_series_is_refused(seed: int, focus: float, side: str) -> None:
    source = np.random.default_rng(seed)
    width = ZONE_PLATE.blur(Z - focus, ENERGY)
    with pytest.raises(NoFocus, match=rf"lies {side} the series .* scan on"):
        focus_by_width(Z, width + source.normal(0, 0.02 * width), 0.02 * width, blur_per_mm=BLUR)
    with pytest.raises(NoFocus, match=r"scan on|no better than"):
        focus_by_sharpness(Z, bell(focus, 0.04) + source.normal(0, 0.01, Z.size), 0.01 + 0 * Z)


@pytest.mark.parametrize("errors", [None, np.full(17, 0.1)])
def test_a_lost_contrast_is_refused(seed: int, errors: np.ndarray | None) -> None:
    source = np.random.default_rng(seed)
    for _ in range(5):
        with pytest.raises(NoFocus, match=r"contrast is lost|no better than|very end|lies"):
            focus_by_sharpness(Z, 1 + source.normal(0, 0.1, Z.size), errors)
        with pytest.raises(NoFocus, match="does not depend on z"):
            focus_by_width(Z, 20 + source.normal(0, 0.1, Z.size), errors)
    with pytest.raises(NoFocus, match="sharper than its noise"):
        focus_by_sharpness(Z, -np.ones(Z.size))


def test_too_few_points_are_refused() -> None:
    with pytest.raises(OutOfRange, match="at least 5"):
        focus_by_sharpness(Z[:4], bell(0.0)[:4])
    with pytest.raises(OutOfRange, match="take more steps"):
        focus_by_width([0.0, 0.0, 0.1, 0.1, 0.2, np.nan], [20.0, 21, 20, 22, 25, 30])


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="one length"):
        focus_by_width(Z, Z[:4])
    with pytest.raises(OutOfRange, match="width"):
        focus_by_width(Z, Z)
    with pytest.raises(OutOfRange, match="error of the series"):
        focus_by_sharpness(Z, bell(0.0), np.zeros(Z.size))
    with pytest.raises(OutOfRange, match="blur"):
        focus_by_width(Z, 1 + Z**2, blur_per_mm=-1.0)
