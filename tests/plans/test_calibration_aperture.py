"""The order-sorting aperture comes to the middle of the beam, or back to where it stood."""

import numpy as np
import pytest
from fakes import Fake, FakeAxis, FakeBeamline
from test_calibration_focus import run

from whiteline.plans.calibration.scan_osa import scan_osa

MIDDLE = 21.0, -17.0


class FakeAperture(Fake):
    """A pinhole on two axes."""

    def __init__(self, line: FakeBeamline) -> None:
        super().__init__("aperture", line.world)
        line.world.positions |= {"osa_x": 0.0, "osa_y": 0.0}
        self.x = FakeAxis("aperture_x", line.world, "osa_x")
        self.y = FakeAxis("aperture_y", line.world, "osa_y")


@pytest.mark.parametrize("light", [1e6, 0.0])
def test_the_aperture_is_centred_or_where_it_was(seed: int, light: float) -> None:
    rng, line = np.random.default_rng(seed), FakeBeamline()
    aperture = FakeAperture(line)

    def passed(world: object) -> float:
        apart = np.hypot(line.world.positions["osa_x"] - MIDDLE[0], line.world.positions["osa_y"] - MIDDLE[1])
        return float(light * np.clip((42 - apart) / 25, 0, 1) + 100 + rng.normal(0, 10))

    line.world.signal = passed
    before = line.state()
    found, _ = run(scan_osa([line.counters], aperture, shutter=line.shutter, signal="counters_incident"))
    assert line.state() == before
    stands = line.world.positions["osa_x"], line.world.positions["osa_y"]
    if light:
        assert found.applied
        assert stands == pytest.approx(MIDDLE, abs=1.5)
    else:
        assert not found.applied
        assert "no middle was found in x" in found.reason
        assert stands == (0.0, 0.0)
