"""The knife beside the sample of the simulated nanoprobe: what passes it."""

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from whiteline.beamline import description
from whiteline.beamline.description import DescriptionError, load
from whiteline.sim.knife import Knife

KNIFE = Knife(200.0, 50.0)


def test_half_of_a_spot_passes_at_an_edge_and_nothing_between() -> None:
    assert KNIFE.passing([100.0, 200.0, 225.0, 250.0, 300.0], 40.0) == pytest.approx([1, 0.5, 0, 0.5, 1], abs=1e-12)
    # Φ(1): one σ to the left of the left edge
    assert float(KNIFE.passing(200.0 - 0.04, 40.0)) == pytest.approx(0.841344746, abs=1e-9)


def test_along_a_path_it_is_the_mean_of_what_passes_at_its_places(seed: int) -> None:
    source = np.random.default_rng(seed)
    for _ in range(50):
        sigma, path = source.uniform(20, 500), source.uniform(-0.5, 0.5) * 10 ** source.uniform(-8, 0)
        place = 200.0 + source.normal(0, 2e-3 * sigma)
        mean = quad(lambda t, p=place, w=path, s=sigma: norm.sf((p + t * w - 200.0) / (1e-3 * s)), -0.5, 0.5)[0]
        assert float(KNIFE.passing(place, sigma, path)) == pytest.approx(mean, abs=1e-9)


def test_a_full_field_microscope_has_none(tmp_path: Path) -> None:
    text = (Path(description.__file__).parent / "txm.toml").read_text()
    path = tmp_path / "site.toml"
    path.write_text(f"{text}\n[simulation.knife]\nx_um = 0.0\nwidth_um = 9.0\n")
    with pytest.raises(DescriptionError, match=r"simulation.knife.* is for a scanning microscope"):
        load(str(path))


def test_no_less_than_nothing_and_no_more_than_all_passes_along_a_path(seed: int) -> None:
    source = np.random.default_rng(seed)
    places, paths = source.uniform(150.0, 300.0, 20_000), 10 ** source.uniform(-6, 0.5, 20_000)
    passing = KNIFE.passing(places, source.uniform(10.0, 100.0, 20_000), paths)
    assert passing.min() == 0.0
    assert passing.max() == 1.0
