"""Frames of different magnification become one, and their errors follow."""

import numpy as np
import pytest

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.laws import full_field
from whiteline.analysis.stacks import rescale


def scene(shape: tuple[int, int], scale: float) -> np.ndarray:
    """A smooth scene, enlarged about the centre of the frame."""
    y, x = ((np.arange(n) - (n - 1) / 2) / scale for n in shape)
    return np.asarray(np.sin(y[:, None] / 5) * np.cos(x[None] / 7) + 0.01 * y[:, None])


def test_frames_of_a_standing_detector_come_to_lie_on_each_other() -> None:
    focal = 49.198 * np.array([8300, 8333, 8430]) / 8333
    detector = full_field.detector_distance(49.198, 32.5)
    magnification = np.array(
        [full_field.magnification(full_field.zone_plate_distance(float(f), detector), detector) for f in focal]
    )
    assert magnification[-1] / magnification[0] - 1 == pytest.approx(-0.0164, abs=2e-4)
    shape = (121, 150)
    scales = magnification / magnification[1]
    stack = np.stack([scene(shape, scale) for scale in scales]).astype(np.float32)
    found = rescale(stack, magnification, float(magnification[1]))
    expected = scene(shape, 1.0)
    apart = np.abs(stack - expected)[:, 5:-5, 5:-5].max()
    left = np.abs(found.stack - expected)[:, 10:-10, 10:-10].max()
    assert apart > 0.1
    # a cubic spline follows a wave of 31 px to 1e-4, but for the rim, where it has no neighbours
    assert left < 2e-4
    assert found.valid[10:-10, 10:-10].all()
    np.testing.assert_array_equal(found.stack[1], stack[1])
    np.testing.assert_array_equal(found.valid, np.isfinite(found.stack).all(axis=0))
    assert found.valid.mean() > 0.9


@pytest.mark.parametrize("order", [1, 3])
def test_errors_of_rescaled_noise_are_its_scatter(seed: int, order: int) -> None:
    rng = np.random.default_rng(seed)
    shape, repeats = (60, 60), 200
    sigma = 0.01 * (1 + np.mgrid[:60, :60][0] / 60)
    noise = (sigma * rng.standard_normal((repeats, *shape))).astype(np.float32)
    variance = np.broadcast_to(sigma**2, noise.shape)
    found = rescale(noise, np.full(repeats, 1.013), 1.0, variance=variance, order=order)
    assert found.variance is not None
    inside = found.valid & (np.hypot(*np.mgrid[-30:30, -30:30]) < 27)
    pulls = found.stack[:, inside] / np.sqrt(found.variance[:, inside])
    # every pixel is shared by its neighbours, so that few more are independent than pixels over their correlation
    assert np.sqrt((pulls**2).mean()) == pytest.approx(1, abs=5 * np.sqrt(3 / (2 * pulls.size)) + 0.01)
    assert found.variance[0][inside].mean() < 0.9 * (sigma[inside] ** 2).mean()


def test_bad_pixels_stay_bad_and_do_not_spread_far() -> None:
    stack = np.ones((2, 40, 40), np.float32)
    stack[1, 20, 20] = np.nan
    found = rescale(stack, [32.5, 32.6], 32.5)
    assert not found.valid[20, 20]
    missing = ~found.valid[3:-3, 3:-3]
    assert missing.sum() <= 25
    np.testing.assert_allclose(found.stack[1][found.valid], 1, atol=1e-5)


def test_what_does_not_fit_is_refused() -> None:
    stack = np.ones((2, 8, 8))
    with pytest.raises(ValueError, match="3 magnifications need a stack"):
        rescale(stack, [1, 1, 1], 1.0)
    with pytest.raises(OutOfRange, match="magnification 0 must be"):
        rescale(stack, [1, 0], 1.0)
    with pytest.raises(OutOfRange, match="magnification of the reference nan"):
        rescale(stack, [1, 1], np.nan)
    with pytest.raises(ValueError, match="a variance of shape"):
        rescale(stack, [1, 1], 1.0, variance=np.ones((2, 8, 7)))
