"""Sharpness: falls with blur, does not depend on the dose, is zero for noise, and knows its error."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.focus import focus_by_sharpness, sharpness

SIDE = 160


def texture(source: np.random.Generator, blur: float) -> NDArray[np.float64]:
    """Transmission of a textured sample, blurred by a Gaussian of so many pixels."""
    density = ndimage.gaussian_filter(source.normal(size=(SIDE, SIDE)), 1.5)
    return np.exp(-0.5 - ndimage.gaussian_filter(0.2 * density / density.std(), blur))


def test_sharpness_falls_with_blur_by_the_law_of_gaussians(seed: int) -> None:
    source = np.random.default_rng(seed)
    density = ndimage.gaussian_filter(source.normal(size=(SIDE, SIDE)), 2.0, mode="wrap")
    values = [
        sharpness(1 + 0.1 * ndimage.gaussian_filter(density, blur, mode="wrap"), band=(0.001, 0.4)).value
        for blur in (0.0, 2.0)
    ]
    # Energy of the gradients of white noise filtered by a Gaussian goes with σ⁻⁴; σ² grows from 4 to 8.
    assert values[1] / values[0] == pytest.approx(1 / 4, rel=0.35)


@pytest.mark.parametrize("counts", [200.0, 20_000.0])
def test_the_dose_does_not_matter(seed: int, counts: float) -> None:
    source = np.random.default_rng(seed)
    image = texture(source, 1.5)
    truth = sharpness(image).value
    found = [sharpness(source.poisson(counts * image).astype(float)) for _ in range(20)]
    scatter = np.std([one.value for one in found])
    mean_error = np.mean([one.error for one in found])
    assert abs(np.mean([one.value for one in found]) - truth) < 6 * mean_error / np.sqrt(20) + 0.01 * truth
    assert 0.4 < scatter / mean_error < 1.9


def test_noise_alone_is_not_sharp(seed: int) -> None:
    source = np.random.default_rng(seed)
    for variance in (None, 400.0):
        pulls = []
        for _ in range(30):
            found = sharpness(source.poisson(400, (96, 120)).astype(float), variance=variance)
            pulls.append(found.value / found.error)
        assert 0.5 < np.sqrt(np.mean(np.square(pulls))) < 1.6


def test_bad_pixels_hardly_matter(seed: int) -> None:
    source = np.random.default_rng(seed)
    image = source.poisson(20_000 * texture(source, 1.5)).astype(float)
    clean = sharpness(image)
    image[source.random(image.shape) < 0.001] = np.nan
    valid = np.ones(image.shape, bool)
    valid[40, 50] = False
    image[40, 50] = 1e9
    assert sharpness(image, valid=valid).value == pytest.approx(clean.value, rel=0.03)


def test_a_series_of_images_finds_its_focus(seed: int) -> None:
    source = np.random.default_rng(seed)
    density = ndimage.gaussian_filter(source.normal(size=(SIDE, SIDE)), 1.0)
    density *= 0.2 / density.std()
    z, focus = np.linspace(-0.06, 0.06, 13), source.uniform(-0.02, 0.02)
    found = []
    for one in z:
        blur = np.hypot(0.7, 60 * (one - focus))
        seen = np.exp(-0.5 - ndimage.gaussian_filter(density, blur))
        # The dose changes from image to image.
        found.append(sharpness(source.poisson(source.uniform(500, 5000) * seen).astype(float)))
    best = focus_by_sharpness(z, [one.value for one in found])
    assert abs(best.z - focus) < 0.003


def test_what_has_no_sharpness_is_refused() -> None:
    with pytest.raises(OutOfRange, match="side of an image 20 px"):
        sharpness(np.ones((20, 40)))
    with pytest.raises(OutOfRange, match="mean of the image"):
        sharpness(-np.ones((40, 40)))
    with pytest.raises(OutOfRange, match="share of bad pixels"):
        sharpness(np.where(np.arange(40) < 20, 1.0, np.nan) * np.ones((40, 40)))
    with pytest.raises(OutOfRange, match="band"):
        sharpness(np.ones((40, 40)), band=(0.1, 0.45))
    with pytest.raises(OutOfRange, match="variance"):
        sharpness(np.ones((40, 40)), variance=-1.0)
    with pytest.raises(OutOfRange, match="dimensions"):
        sharpness(np.ones(40))
