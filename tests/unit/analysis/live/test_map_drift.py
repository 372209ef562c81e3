"""How far maps of a raster have moved: found to a part of a pixel, of the line that shows at all energies."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from whiteline.analysis.live.map_drift import drift_of_map


@pytest.mark.parametrize("by", [(1.4, -2.3), (-0.6, 0.2)])
def test_a_shift_is_found_in_what_counts_before_the_edge(seed: int, by: tuple[float, float]) -> None:
    rng = np.random.default_rng(seed)
    content = gaussian_filter(rng.random((80, 80)), 2.0)
    content = 4000 * (content - content.min()) / np.ptp(content)
    moved = shift(content, by, order=3, mode="nearest")
    iron = np.stack([content, moved])[:, 10:70, 10:70]
    nickel = np.stack([np.zeros_like(content), 3000.0 - moved / 2])[:, 10:70, 10:70]
    lines = {name: (rng.poisson(np.maximum(one, 0)).astype(float), one) for name, one in
             (("Ni_Ka", nickel), ("Fe_Ka", iron))}  # fmt: skip
    found = drift_of_map(lines, 1, 8350.0, 12.0)
    assert found is not None
    assert found.trusted
    assert found.number == 2
    assert found.time == 12.0
    assert (found.shift_y, found.shift_x) == pytest.approx(by, abs=0.1)


def test_small_or_broken_maps_tell_nothing() -> None:
    whole = np.ones((2, 40, 40))
    broken = whole.copy()
    broken[1, 3, 3] = np.nan
    small = np.ones((2, 20, 40))
    for value in (broken, small):
        assert drift_of_map({"Fe_Ka": (value, value)}, 1, 8350.0, 0.0) is None
    assert drift_of_map({"Fe_Ka": (whole, whole)}, 0, 8350.0, 0.0) is None
    assert drift_of_map({}, 1, 8350.0, 0.0) is None
