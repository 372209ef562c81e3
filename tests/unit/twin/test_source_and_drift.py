import numpy as np
import pytest

from whiteline.analysis.laws import bragg
from whiteline.sim.drift import Drift
from whiteline.sim.monochromator import Monochromator
from whiteline.sim.ring import Ring
from whiteline.sim.undulator import Undulator

SI111 = bragg.d_spacing((1, 1, 1))


def test_the_ring_decays_and_is_topped_up() -> None:
    ring = Ring(400.0, 8.0, 120.0)
    assert ring.current(0) == 400
    assert ring.current(119.99) == pytest.approx(400 * np.exp(-120 / 28800), rel=1e-6)
    assert ring.current(120.0) == 400


def test_a_dump_takes_the_beam_and_brings_it_back_full() -> None:
    ring, dumps = Ring(400.0, 8.0, 120.0), ((100.0, 160.0),)
    assert ring.current(99.0, dumps) > 390
    assert ring.current(100.0, dumps) == ring.current(159.0, dumps) == 0
    assert ring.current(160.0, dumps) == 400
    assert ring.current(279.0, dumps) == pytest.approx(400 * np.exp(-119 / 28800))


def test_the_rocking_curve_has_its_maximum_in_the_middle_and_its_width() -> None:
    mono = Monochromator(SI111, 0.0, 1.43e-4, 10.0, 0.5, 0.2, 25.0)
    reading = bragg.bragg_angle(8333.0, SI111)
    assert mono.reflectivity(0.0, reading) == 1
    half = np.sqrt(2) * mono.darwin_urad(reading) / 2
    assert mono.reflectivity(half, reading) == pytest.approx(0.5)
    # 1.19 eV over 0.0341 eV/µrad
    assert mono.darwin_urad(reading) == pytest.approx(35, rel=0.01)


def test_no_beam_at_no_angle() -> None:
    mono = Monochromator(SI111, 0.0, 1.43e-4, 10.0, 0.5, 0.2, 25.0)
    with pytest.raises(ValueError, match=r"reflects nothing: it must lie between 0 and 90 deg"):
        mono.energy(-1.0)


def test_the_walk_grows_as_the_root_of_time(seed: int) -> None:
    places = np.array([[Drift(2.0, 0.0, 20.0, seed + n).position(t) for t in (1.0, 100.0)] for n in range(400)])
    spread = np.sqrt((places**2).mean(axis=(0, 2)))
    # 800 draws: right within 2.5 %, five times that
    assert spread == pytest.approx([2.0, 20.0], rel=0.125)


def test_the_drift_is_the_same_in_any_order(seed: int) -> None:
    times = [0.0, 0.1, 1234.5, 3.0, 40_000.0, 7.25]
    forward, backward = Drift(2.0, 5.0, 20.0, seed), Drift(2.0, 5.0, 20.0, seed)
    first = {time: forward.position(time, (1.0, 2.0)) for time in sorted(times)}
    second = {time: backward.position(time, (1.0, 2.0)) for time in sorted(times, reverse=True)}
    assert first == second


def test_it_creeps_after_a_move_by_speed_times_time(seed: int) -> None:
    calm = Drift(0.0, 5.0, 20.0, seed)
    assert calm.position(10.0, (10.0,)) == (0.0, 0.0)
    early = np.hypot(*calm.position(10.1, (10.0,)))
    assert early == pytest.approx(0.5, rel=0.01)
    assert np.hypot(*calm.position(500.0, (10.0,))) == pytest.approx(100.0)
    x, y = calm.position(500.0, (10.0,))
    both = calm.position(500.0, (10.0, 20.0))
    assert np.hypot(both[0] - x, both[1] - y) == pytest.approx(100.0)


def test_a_negative_time_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must not be negative"):
        Drift(2.0, 5.0, 20.0, 1).position(-1.0)


@pytest.mark.parametrize("energy", [500.0, 2000.0, 8333.0, 60_000.0])
@pytest.mark.parametrize("gap", [1.0, 4.2, 8.0, 30.0, 500.0])
def test_no_undulator_is_brighter_than_its_best(energy: float, gap: float) -> None:
    device = Undulator(3.0, 20.0, 140, (3.33, 5.47, 1.8), 4.2)
    assert 0 <= device.brightness(gap, energy) <= 1
