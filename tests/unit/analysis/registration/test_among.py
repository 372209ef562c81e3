"""Images of a series against the mean of all others: right to their own errors, none found by its own noise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.registration.among import shifts_among


def noise_of(density: Any, counts: float) -> float:
    """Mean variance of a measured optical density."""
    return float(np.mean(np.exp(density)) / counts)


@pytest.mark.parametrize("dim", ["fewer counts", "less contrast"])
def test_images_are_placed_to_their_own_errors(scene: Callable[..., Any], dim: str) -> None:
    """As before an edge, where an image has the noise of all others, and shows less."""
    pulls = []
    counts = np.where(np.arange(8) < 3, 3e3 if dim == "fewer counts" else 3e4, 3e4)
    contrasts = np.where(np.arange(8) < 3, 1.0 if dim == "fewer counts" else 0.3, 1.0)
    for _ in range(8):
        one = scene(128)
        by = one.source.uniform(-0.2, 0.2, (8, 2))
        images = [one.frame(tuple(shift), contrast=contrast, counts=count)
                  for shift, contrast, count in zip(by, contrasts, counts, strict=True)]  # fmt: skip
        found = shifts_among(images, [noise_of(*pair) for pair in zip(images, counts, strict=True)])
        assert np.isfinite(found.shifts).all()
        off = found.shifts - by
        off -= np.average(off, axis=0, weights=1 / found.errors[:, 0] ** 2)
        pulls.append(off / found.errors)
        assert found.errors[:3].mean() > 1.5 * found.errors[3:].mean()
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.5


def test_two_that_show_much_are_found_among_many_that_show_nothing(scene: Callable[..., Any]) -> None:
    one = scene(128)
    dark, noise = 20, 1e-2
    images = [noise**0.5 * one.source.standard_normal((128, 128)) for _ in range(dark)]
    images += [one.frame(counts=3e4), one.frame((0.3, -0.2), counts=3e4)]
    found = shifts_among(images, [noise] * dark + [noise_of(image, 3e4) for image in images[-2:]])
    assert np.isnan(found.shifts[:dark]).any(axis=1).mean() > 0.9
    np.testing.assert_allclose(found.shifts[-1] - found.shifts[-2], (0.3, -0.2), atol=0.1)


def test_two_images_share_their_shift(scene: Callable[..., Any]) -> None:
    one = scene(96)
    found = shifts_among([one.exact(), one.exact((0.4, -0.3))], [1e-4, 1e-4])
    np.testing.assert_allclose(found.shifts[1] - found.shifts[0], (0.4, -0.3), atol=0.05)


def test_missing_pixels_are_left_out(scene: Callable[..., Any]) -> None:
    one = scene(96)
    images = np.array([one.frame(), one.frame((0.3, 0.1)), one.frame()])
    images[0, :3] = np.nan
    images[1, :, -2:] = np.nan
    found = shifts_among(images, np.full(3, 1e-4))
    np.testing.assert_allclose(found.shifts[1] - found.shifts[2], (0.3, 0.1), atol=0.12)


@pytest.mark.parametrize(("images", "variances"), [(1, [1.0]), (3, [1.0, 1.0]), (3, [1.0, 0.0, 1.0])])
def test_what_cannot_be_is_refused(images: int, variances: list[float]) -> None:
    with pytest.raises(OutOfRange):
        shifts_among(np.ones((images, 40, 40)), variances)
