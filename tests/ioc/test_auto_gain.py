"""The search for a gain, on amplifiers of any current; no IOC is needed, but ophyd is imported."""

import numpy as np
import pytest

LARGEST_V = 10.0
LOW_V, HIGH_V = 0.01, 8.0


@pytest.fixture(scope="module")
def search(ca_ports):  # type: ignore[no-untyped-def]
    from whiteline.devices.auto_gain import GainSearch

    def run(current: float, gains, start: float, offset_V: float = 0.0):  # type: ignore[no-untyped-def]
        """Return the gain that is found [V/A], and how many counts it took."""
        found, counts = GainSearch("I0", gains, start, LOW_V, HIGH_V), 0
        while not found.found:
            volts = min(current * found.gain + offset_V, LARGEST_V)
            found.take(volts, volts >= 0.999 * LARGEST_V)
            counts += 1
            assert counts <= 2 * len(gains), "it does not end"
        return found.gain, counts

    return run


def test_it_finds_the_largest_gain_that_fits_whatever_the_current_and_the_start(search, seed: int) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Refused

    rng, refused = np.random.default_rng(seed), set()
    for _ in range(3000):
        steps = rng.choice([2.0, 5.0, 10.0, 100.0], size=rng.integers(1, 9))
        gains = 10.0 ** rng.integers(2, 6) * np.cumprod(steps)
        current, start = 10.0 ** rng.uniform(-13, -2), float(rng.choice(gains))
        fit = [gain for gain in gains if current * gain <= HIGH_V]
        if fit and current * fit[-1] > LOW_V:
            assert search(current, gains, start)[0] == fit[-1]
        else:
            with pytest.raises(Refused, match="no gain that will do") as error:
                search(current, gains, start)
            refused.add("beam" if "is there beam" in str(error.value) else "filter")
    assert refused == {"beam", "filter"}


def test_a_current_in_the_middle_takes_few_counts(search) -> None:  # type: ignore[no-untyped-def]
    gains = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]
    assert search(3e-7, gains, 1e5) == (1e7, 2)
    assert search(3e-7, gains, 1e7) == (1e7, 1)
    # from overload, nobody knows how far off it is
    assert search(3e-7, gains, 1e9) == (1e7, 3)


def test_an_offset_does_not_make_it_go_in_circles(search) -> None:  # type: ignore[no-untyped-def]
    """It lets a gain look too good, again and again."""
    gains = [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]
    assert search(3e-6, gains, 1e3, offset_V=-0.003)[0] == 1e6
    with pytest.raises(Exception, match="no gain that will do"):
        search(0.0, gains, 1e5, offset_V=-0.5)


def test_a_band_that_is_none_is_refused(ca_ports) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.auto_gain import GainSearch

    for band in ((1.0, 1.0), (8.0, 0.1), (-1.0, 5.0), (0.0, float("inf")), (float("nan"), 5.0)):
        with pytest.raises(ValueError, match=r"band of I0 .* V must ascend"):
            GainSearch("I0", [1e3, 1e4], 1e3, *band)
