"""Fits of lines to spectra: overlapping lines come apart, with the errors of simulated counting, near the bound."""

from pathlib import Path

import dask.array as da
import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.analysis import tables
from whiteline.analysis.bounds import bound, fluorescence_weight, total_information
from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.fluorescence import Channels, fit_lines, line_shapes
from whiteline.sim.fluorescence import FluorescenceDetector

CHANNELS = Channels.of_electronics(1024, 10.0, 110.0)
EDGES = [("Fe", "K"), ("Co", "K"), ("Ni", "K")]


def truth_and_spectra(seed: int, pixels: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.uint32]]:
    """Counts of Fe, Co and Ni, whose Kβ and Kα overlap, on a sloping background; expected and counted spectra."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform([50, 0, 20], [1500, 80, 400], (pixels, 3))
    expected = np.full((pixels, 1024), 0.3) + 0.4 * np.linspace(1, 0, 1024)
    for column, (element, edge) in enumerate(EDGES):
        lines = tables.lines(element, edge)
        total = sum(line.branching for line in lines)
        for line in lines:
            expected += truth[:, column, None] * line.branching / total * CHANNELS.shape(line.energy)
    return truth, expected, rng.poisson(expected).astype(np.uint32)


def test_overlapping_lines_come_apart_with_the_errors_that_they_say(seed: int) -> None:
    truth, _, spectra = truth_and_spectra(seed, 6000)
    shapes = line_shapes(EDGES, 8400.0, CHANNELS)
    fit = fit_lines(spectra.reshape(60, 100, 1024), shapes, CHANNELS)
    for column, name in enumerate(("Fe_K", "Co_K", "Ni_K")):
        found = fit.maps[name]
        pulls = (found.value.ravel() - truth[:, column]) / found.error.ravel()
        assert found.valid.all()
        # The mean of the pulls is no test: where chance counts few, the error comes out small together with the value.
        off = found.value.ravel() - truth[:, column]
        assert abs(off.mean()) < 5 * off.std() / np.sqrt(6000)
        # That also widens the pulls, by 1.6 % for Co, of which there are 40 counts beside 50 of Fe Kβ.
        assert np.sqrt((pulls**2).mean()) == pytest.approx(1, abs=5 / np.sqrt(2 * 6000) + 0.025)


def test_the_errors_come_near_the_bound(seed: int) -> None:
    _, expected, spectra = truth_and_spectra(seed, 400)
    shapes = line_shapes(EDGES, 8400.0, CHANNELS)
    fit = fit_lines(spectra.reshape(20, 20, 1024), shapes, CHANNELS)
    weight = fluorescence_weight(expected[:, shapes.window].T)
    total = total_information(shapes.shapes, weight, 1.0)
    for index, name in enumerate(("Fe_K", "Co_K", "Ni_K")):
        least = bound(total, np.eye(len(shapes.names))[index])
        ratio = np.sqrt((fit.maps[name].error ** 2).mean() / (least**2).mean())
        # one set of weights for the whole map costs some, and no error may be smaller than the bound
        assert 0.97 < ratio < 1.15


def test_counts_of_the_twins_detector_are_found_with_its_scattered_beam(seed: int) -> None:
    twin = FluorescenceDetector(1, 1024, 10.0, 110.0, 1e-9, 0.01, 2e-5, seed, 1)
    lines = [(line.energy, 2e-4 * line.branching) for line in tables.lines("Ni", "K")]
    arriving = twin.arriving(lines, 1e9, 8800.0)
    counts = np.stack([twin.counts(arriving, 1.0, frame)[0] for frame in range(40)])
    shapes = line_shapes([("Ni", "K")], 8800.0, CHANNELS, scattered=True, background=1)
    fit = fit_lines(counts, shapes, CHANNELS)
    truths = {
        "Ni_K": 1e7 * 2e-4 * sum(line.branching for line in tables.lines("Ni", "K")),
        "elastic": 0.7 * 2e-5 * 1e7,
        "Compton": 0.3 * 2e-5 * 1e7,
    }
    for name, truth in truths.items():
        found = fit.maps[name]
        assert found.value.mean() == pytest.approx(truth, abs=5 * found.error.mean() / np.sqrt(40) + 1e-3 * truth)


def test_a_line_that_was_left_out_is_seen_in_the_mean_spectrum(seed: int) -> None:
    _, _, spectra = truth_and_spectra(seed, 400)
    whole = fit_lines(spectra, line_shapes(EDGES, 8400.0, CHANNELS), CHANNELS)
    without = fit_lines(spectra, line_shapes(EDGES[:2], 8400.0, CHANNELS, window=(6000, 8700)), CHANNELS)
    misfit = [
        (fit.mean_spectrum - fit.mean_fit) / np.sqrt(np.maximum(fit.mean_fit, 0.1) / 400) for fit in (whole, without)
    ]
    assert np.abs(misfit[0]).max() < 6
    worst = CHANNELS.centres[without.window][int(np.argmax(misfit[1]))]
    assert worst == pytest.approx(7478, abs=60)
    assert misfit[1].max() > 30


def test_file_and_lazy_array_give_the_same_and_bad_pixels_stay_alone(seed: int, tmp_path: Path) -> None:
    _, _, counted = truth_and_spectra(seed, 60)
    spectra = counted.astype(float).reshape(6, 10, 1024)
    clean = fit_lines(spectra, shapes := line_shapes(EDGES, 8400.0, CHANNELS), CHANNELS).maps["Ni_K"]
    spectra[1, 2, 700], spectra[3, 4, 650], spectra[5, 6, 3] = np.nan, -2, np.nan
    spectra[0, 0] = 0
    fit = fit_lines(spectra, shapes, CHANNELS)
    wrong = np.zeros((6, 10), bool)
    wrong[1, 2] = wrong[3, 4] = True
    for found in fit.maps.values():
        np.testing.assert_array_equal(~found.valid, wrong)
        np.testing.assert_array_equal(np.isnan(found.value), wrong)
        np.testing.assert_array_equal(np.isnan(found.error), wrong)
    assert fit.maps["Ni_K"].value[0, 0] == 0
    assert fit.maps["Ni_K"].error[0, 0] > 0
    rest = fit.maps["Ni_K"].valid.copy()
    rest[0, 0] = False
    # three pixels less in the mean spectrum change its weights a little
    assert np.abs((fit.maps["Ni_K"].value - clean.value) / clean.error)[rest].max() < 0.2
    with h5py.File(tmp_path / "spectra.h5", "w") as file:
        stored = fit_lines(file.create_dataset("counts", data=spectra), shapes, CHANNELS)
    lazy = fit_lines(da.from_array(spectra, (2, 10, 1024)), shapes, CHANNELS)
    for other in (stored, lazy):
        for name, found in fit.maps.items():
            np.testing.assert_allclose(np.asarray(other.maps[name].value), found.value, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(np.asarray(other.maps[name].error), found.error, rtol=1e-9)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(OutOfRange, match="energy 8300 eV cannot excite the lines of Ni K: its edge is at 8333 eV"):
        line_shapes([("Ni", "K")], 8300.0, CHANNELS)
    with pytest.raises(ValueError, match="an edge is named twice"):
        line_shapes([("Ni", "K"), ("Ni", "K")], 8400.0, CHANNELS)
    with pytest.raises(ValueError, match="at least one element"):
        line_shapes([], 8400.0, CHANNELS)
    with pytest.raises(ValueError, match="no line of Br K lies in the spectrum, which ends at 10240 eV"):
        line_shapes([("Br", "K")], 14000.0, CHANNELS)
    with pytest.raises(ValueError, match="5 shapes cannot be told apart by 3 channels"):
        line_shapes([("Ni", "K"), ("Co", "K")], 8400.0, CHANNELS, window=(7450, 7480))
    with pytest.raises(ValueError, match="Ni_K has no line in the window"):
        line_shapes([("Ni", "K")], 8400.0, CHANNELS, window=(100, 300))
    with pytest.raises(ValueError, match="no channel lies between"):
        line_shapes([("Ni", "K")], 8400.0, CHANNELS, window=(20_000, 30_000))
    with pytest.raises(ValueError, match="elastic and Compton are too alike to be told apart"):
        line_shapes([("Ni", "K")], 8400.0, CHANNELS, scattered=True, scattering_deg=0.1)
    with pytest.raises(ValueError, match="hold no count in the window"):
        fit_lines(np.zeros((3, 1024), int), line_shapes([("Ni", "K")], 8400.0, CHANNELS), CHANNELS)
