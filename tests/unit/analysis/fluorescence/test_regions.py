"""Channels and regions of lines, and their sums, against the twin and simulated counting."""

from pathlib import Path

import dask.array as da
import h5py
import numpy as np
import pytest

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.fluorescence import Channels, LineRegion, line_regions, region_sums
from whiteline.sim.fluorescence import FluorescenceDetector

CHANNELS = Channels.of_electronics(4096, 10.0, 110.0)


@pytest.mark.parametrize("energy", [2000.0, 5895.0, 8266.8, 14000.0])
def test_a_line_is_as_wide_and_of_the_shape_of_the_twins(energy: float) -> None:
    twin = FluorescenceDetector(4, 4096, 10.0, 110.0, 2.5e-7, 0.01, 1e-4, 1, 1)
    assert CHANNELS.fwhm(energy) == pytest.approx(twin.line_fwhm(energy), rel=1e-12)
    shape = CHANNELS.shape(energy)
    assert shape.sum() == pytest.approx(1)
    # the twin takes the middle of a channel for its mean: (10 eV)²/24 of the curvature of a Gaussian
    np.testing.assert_allclose(shape, twin.line_shape(energy), atol=2e-3 * shape.max())
    assert (CHANNELS.centres * shape).sum() == pytest.approx(energy, abs=1e-6)


@pytest.mark.parametrize(
    ("pair", "energy", "says"),
    [
        (("Ni", "Ka"), 8300.0, "energy 8300 eV cannot excite Ni Ka1: its K edge is at 8333 eV"),
        (("ni", "Ka"), 8400.0, "element 'ni' is not known; write Ni"),
        (("Ni", "Kz"), 8400.0, "Ni has no line 'Kz'"),
        (("In", "Ka"), 29000.0, "leaves the spectrum, 0 to 20480 eV"),
    ],
)
def test_a_line_that_cannot_be_counted_is_refused(pair: tuple[str, str], energy: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        line_regions([pair], energy, Channels(2048, 10.0, 160.0))


def test_channels_that_cannot_be_are_refused() -> None:
    with pytest.raises(OutOfRange, match="resolution of the detector 80 eV is better than silicon can be"):
        Channels(4096, 10.0, 80.0)
    with pytest.raises(OutOfRange, match="width of a channel 0 eV"):
        Channels(4096, 0.0, 160.0)


def test_sums_and_errors_are_those_of_simulated_counting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    expected = 300 * CHANNELS.shape(7478.0) + 1.0
    regions = line_regions([("Ni", "Ka"), ("Fe", "Ka")], 8400.0, CHANNELS)
    spectra = rng.poisson(expected, (80, 60, 4096)).astype(np.uint16)
    sums = region_sums(spectra, regions, CHANNELS)
    assert list(sums) == ["Ni_Ka", "Fe_Ka"]
    for region in regions:
        truth, found = expected[region.first : region.beyond].sum(), sums[region.label]
        assert found.valid.all()
        np.testing.assert_array_equal(found.value, spectra[..., region.first : region.beyond].sum(axis=-1))
        assert found.value.mean() == pytest.approx(truth, abs=5 * np.sqrt(truth / 4800))
        assert (found.error**2).mean() == pytest.approx(found.value.var(), rel=5 * np.sqrt(2.5 / 4800) + 0.05)


def test_file_and_lazy_array_give_the_same_and_bad_pixels_stay_alone(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    channels, regions = Channels(128, 80.0, 200.0), [LineRegion("Ni", "Ka", 7478.0, 90, 97)]
    spectra = rng.poisson(3.0, (11, 13, 128)).astype(float)
    spectra[2, 3, 95], spectra[4, 5, 91], spectra[6, 7, 10] = np.nan, -1, np.nan
    spectra[0, 0] = 0
    found = region_sums(spectra, regions, channels)["Ni_Ka"]
    wrong = np.zeros((11, 13), bool)
    wrong[2, 3] = wrong[4, 5] = True
    np.testing.assert_array_equal(~found.valid, wrong)
    np.testing.assert_array_equal(np.isnan(found.value), wrong)
    assert (found.value[0, 0], found.error[0, 0]) == (0, 1)
    with h5py.File(tmp_path / "spectra.h5", "w") as file:
        stored = region_sums(file.create_dataset("counts", data=spectra), regions, channels)["Ni_Ka"]
    lazy = region_sums(da.from_array(spectra, (4, 13, 128)), regions, channels)["Ni_Ka"]
    for name in ("value", "error", "valid"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(found, name))
        np.testing.assert_array_equal(np.asarray(getattr(lazy, name)), getattr(found, name))


def test_spectra_that_do_not_fit_are_refused() -> None:
    region = LineRegion("Ni", "Ka", 7478.0, 90, 97)
    channels = Channels(128, 80.0, 200.0)
    with pytest.raises(ValueError, match=r"spectra of shape \(4, 5, 100\) must have pixels and, last, 128 channels"):
        region_sums(np.ones((4, 5, 100)), [region], channels)
    with pytest.raises(ValueError, match="hold one twice"):
        region_sums(np.ones((4, 5, 128)), [region, region], channels)
    with pytest.raises(ValueError, match="ends at channel 97 of 64"):
        region_sums(np.ones((4, 5, 64)), [region], Channels(64, 80.0, 200.0))
    assert region_sums(np.ones((4, 5, 128)), [], channels) == {}
