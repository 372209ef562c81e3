"""The beam at each pulse by two chambers: flicker is followed, noise is not, and how well it is known is told."""

import numpy as np
import pytest

from whiteline.analysis.fly.steady_beam import steadied

LINES, PULSES, GATE_S = 300, 60, 5e-4


def counted(
    seed: int, flicker: float, noise: float, *, ramp: float = 0.0, mean: float = 400.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return a beam, what a noisy chamber and a good one count of it, and the gates, which differ a little."""
    rng = np.random.default_rng(seed)
    beam = 1 + flicker * rng.standard_normal((LINES, PULSES)) + np.linspace(-ramp, ramp, PULSES)
    gates = GATE_S * rng.uniform(0.98, 1.02, beam.shape)
    true = mean * beam * gates / GATE_S
    first = true * (1 + noise * rng.standard_normal(beam.shape))
    second = 5 * true * (1 + 0.004 * rng.standard_normal(beam.shape))
    return true, first, second, gates


@pytest.mark.parametrize(
    ("flicker", "noise", "ramp"), [(0.0, 0.03, 0.0), (0.003, 0.02, 0.05), (0.02, 0.02, 0.0), (0.05, 0.005, 0.0)]
)
def test_it_is_known_better_than_by_either_way_alone(seed: int, flicker: float, noise: float, ramp: float) -> None:
    true, first, second, gates = counted(seed, flicker, noise, ramp=ramp)
    found, over = steadied(first, second, gates)
    left = np.std(found / true - 1)
    # pulse by pulse, or the slow beam alone; the share of what is believed is known from 60 pulses only
    assert left < 1.15 * min(noise, np.hypot(flicker, noise / 5)) + 0.002
    variance = over * np.mean(found)
    assert np.sqrt(np.mean((found - true) ** 2)) == pytest.approx(np.sqrt(variance.mean()), rel=0.2)


def test_a_chamber_without_noise_is_believed(seed: int) -> None:
    true, _, second, gates = counted(seed, 0.03, 0.0)
    found, over = steadied(true, second, gates)
    np.testing.assert_allclose(found, true, rtol=0.02)
    assert np.sqrt(np.median(over) / np.mean(true)) < 0.01


def test_short_lines_missing_pulses_and_lines_without_beam_stay_as_they_are(seed: int) -> None:
    _, first, second, gates = counted(seed, 0.01, 0.02)
    found, over = steadied(first[:, :9], second[:, :9], gates[:, :9])
    np.testing.assert_array_equal(found, first[:, :9])
    assert np.isnan(over).all()
    first[0, 3], second[1, 5], gates[2, 7] = np.nan, np.nan, 0.0
    second[3], first[4] = 0.0, 0.0
    found, over = steadied(first, second, gates)
    np.testing.assert_array_equal(found[:5], first[:5])
    assert np.isnan(over[:5]).all()
    assert np.isfinite(over[5:]).all()


def test_a_beam_that_is_lost_in_a_line_is_lent_nothing_by_its_neighbours(seed: int) -> None:
    true, first, second, gates = counted(seed, 0.005, 0.02)
    first[:, 37:], second[:, 37:] = 0.0, 0.0
    found, _ = steadied(first, second, gates)
    np.testing.assert_array_equal(found[:, 37:], 0.0)
    np.testing.assert_allclose(found[:, :37], true[:, :37], rtol=0.12)
