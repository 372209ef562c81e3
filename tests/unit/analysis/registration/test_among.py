"""Images of a series against the mean of all others: right to their own errors, none found by its own noise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.registration.among import shifts_among


def test_images_are_placed_to_their_own_errors(scene: Callable[..., Any]) -> None:
    pulls = []
    for _ in range(6):
        one = scene(128)
        counts = np.array([3e3, 3e3, 3e3, 3e4, 3e4, 3e4, 3e4, 3e4])
        by = one.source.uniform(-0.2, 0.2, (counts.size, 2))
        images = [one.frame(tuple(shift), counts=count) for shift, count in zip(by, counts, strict=True)]
        found = shifts_among(images, counts)
        off = found.shifts - by
        off -= np.average(off, axis=0, weights=1 / found.errors[:, 0] ** 2)
        pulls.append(off / found.errors)
        assert found.errors[:3].mean() > 1.5 * found.errors[3:].mean()
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.5


def test_two_images_share_their_shift(scene: Callable[..., Any]) -> None:
    one = scene(96)
    found = shifts_among([one.exact(), one.exact((0.4, -0.3))], [1.0, 1.0])
    np.testing.assert_allclose(found.shifts[1] - found.shifts[0], (0.4, -0.3), atol=0.05)


def test_an_image_without_the_sample_tells_nothing(scene: Callable[..., Any]) -> None:
    one = scene(96)
    images = [one.frame(), one.frame(), one.source.standard_normal((96, 96))]
    found = shifts_among(images, [1.0, 1.0, 1e-6])
    assert np.isfinite(found.shifts[:2]).all()
    assert np.isnan(found.shifts[2]).all()


def test_missing_pixels_are_left_out(scene: Callable[..., Any]) -> None:
    one = scene(96)
    images = np.array([one.frame(), one.frame((0.3, 0.1)), one.frame()])
    images[0, :3] = np.nan
    images[1, :, -2:] = np.nan
    found = shifts_among(images, np.ones(3))
    np.testing.assert_allclose(found.shifts[1] - found.shifts[2], (0.3, 0.1), atol=0.12)


@pytest.mark.parametrize(("images", "weights"), [(1, [1.0]), (3, [1.0, 1.0]), (3, [1.0, 0.0, 1.0])])
def test_what_cannot_be_is_refused(images: int, weights: list[float]) -> None:
    with pytest.raises(OutOfRange):
        shifts_among(np.ones((images, 40, 40)), weights)
