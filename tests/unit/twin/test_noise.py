"""What random numbers depend on, and that each has the spread that it should."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from whiteline.sim.counters import IonChamber, OpticalSpectrometer
from whiteline.sim.drift import Drift
from whiteline.sim.fluorescence import FluorescenceDetector
from whiteline.sim.noise import detected, generator, stream


def test_read_noise_is_there_for_few_counts_and_for_many_in_one_frame(seed: int) -> None:
    expected = np.where(np.arange(200_000) % 2, 10.0, 1e5).astype(np.float32)
    counts = detected(expected, 20.0, generator(stream(seed, 1, 0))).astype(float)
    assert counts[1::2].var() == pytest.approx(10 + 400, rel=6 * np.sqrt(2 / 1e5))
    assert counts[::2].var() == pytest.approx(1e5 + 400, rel=6 * np.sqrt(2 / 1e5))


def test_a_counter_does_not_lose_the_fraction_of_a_count(seed: int) -> None:
    chamber = IonChamber(0.02, 4e-12, 1e5, 10.0, seed, 2)
    counts = [chamber.counts(0.0, 8333.0, 1e6, 1.0, number) for number in range(4000)]
    assert np.mean(counts) == pytest.approx(0.4, abs=6 * 0.5 / np.sqrt(4000))


def test_the_grating_broadens_a_band(seed: int) -> None:
    grating = OpticalSpectrometer(1024, (350.0, 1000.0), 10.0, 1e-2, 600.0, 3.0, seed, 5)
    light = np.mean([grating.spectrum([(600.0, 10.0, 1e8)], number) for number in range(20)], axis=0) - 600
    place = grating.wavelengths
    band = abs(place - 600) < 80
    mean = (light * place)[band].sum() / light[band].sum()
    width = np.sqrt((light * (place - mean) ** 2)[band].sum() / light[band].sum())
    assert width == pytest.approx(np.sqrt(200), rel=0.03)


def test_each_element_of_the_detector_counts_for_itself(seed: int) -> None:
    detector = FluorescenceDetector(4, 4096, 10.0, 110.0, 1e-12, 0.01, 1e-4, seed, 4)
    arriving = 1000 * detector.line_shape(7480.3)
    spectra = np.stack([detector.counts(arriving, 1.0, number).sum(axis=1) for number in range(500)]).astype(float)
    assert spectra.sum(axis=1).var() == pytest.approx(4000, rel=6 * np.sqrt(2 / 500))
    assert not np.array_equal(spectra[:, 0], spectra[:, 1])


def test_compton_scattering_lowers_the_energy() -> None:
    detector = FluorescenceDetector(4, 4096, 10.0, 110.0, 0.25e-6, 0.01, 1e-4, 1, 4)
    scattered = detector.arriving([], 1e9, 12_000.0)
    centres = (np.arange(4096) + 0.5) * 10
    mean = (scattered * centres).sum() / scattered.sum()
    assert mean == pytest.approx(0.7 * 12_000 + 0.3 * 12_000 / (1 + 12_000 / 510_999), abs=1)


def test_the_walk_goes_on_from_block_to_block_and_between_its_points(seed: int) -> None:
    drift = Drift(2.0, 0.0, 20.0, seed)
    for time in (1024.0, 2048.0, 10_240.0):
        step = np.subtract(drift.position(time + 0.25), drift.position(time))
        assert np.abs(step).max() < 7 * 2 * np.sqrt(0.25)
    half = np.mean([drift.position(0.0), drift.position(0.25)], axis=0)
    assert drift.position(0.125) == pytest.approx(half)


def test_the_two_directions_of_the_walk_are_their_own(seed: int) -> None:
    places = np.array([Drift(2.0, 0.0, 20.0, seed + number).position(50.0) for number in range(500)])
    assert abs(np.corrcoef(places.T)[0, 1]) < 6 / np.sqrt(500)


def test_each_move_creeps_in_a_direction_of_its_own(seed: int) -> None:
    first, other = (Drift(0.0, 5.0, 20.0, number) for number in (seed, seed + 1))
    assert first.position(900.0, (1.0,)) != pytest.approx(other.position(900.0, (1.0,)))
    one = np.array(first.position(900.0, (1.0,)))
    two = np.array(first.position(900.0, (1.0, 2.0))) - one
    assert np.hypot(*two) == pytest.approx(100)
    assert two != pytest.approx(one)


def test_threads_that_ask_at_once_see_the_same_walk(seed: int) -> None:
    times = np.linspace(30_000.0, 0.0, 64).tolist()
    alone = [Drift(2.0, 5.0, 20.0, seed).position(time) for time in times]
    for _ in range(5):
        shared = Drift(2.0, 5.0, 20.0, seed)
        with ThreadPoolExecutor(8) as executor:
            assert list(executor.map(shared.position, times)) == alone
