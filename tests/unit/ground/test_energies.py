from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whiteline.analysis.energies import EnergyList, by_regions, by_wavenumber, exafs, from_file, wavenumber, xanes

region = st.tuples(st.floats(-150, 100), st.floats(0, 100), st.floats(0.5, 20), st.floats(0.01, 10)).map(
    lambda r: (r[0], r[0] + r[1], r[2], r[3])
)


@given(st.lists(region, min_size=1, max_size=5))
def test_any_regions_make_a_list_that_ascends_and_holds_each_energy_once(regions: list[tuple[float, ...]]) -> None:
    made = by_regions(regions, relative_to=8333.0)  # type: ignore[arg-type]
    assert (np.diff(made.energies) > 0).all()
    for start, stop, step, _ in regions:
        wanted = 8333.0 + start + step * np.arange(int((stop - start) / step + 1e-9) + 1)
        nearest = np.abs(np.asarray(made)[:, None] - wanted).min(axis=0)
        assert nearest.max() < 1e-3 + 1e-9


def test_regions_that_touch_share_one_energy_and_the_later_gives_its_dwell() -> None:
    made = by_regions([(8300, 8310, 5, 0.1), (8310, 8312, 1, 0.5)])
    assert made.energies == (8300, 8305, 8310, 8311, 8312)
    assert made.dwell_s == (0.1, 0.1, 0.5, 0.5, 0.5)


def test_both_ends_belong_to_a_region_in_floating_point_too() -> None:
    assert by_regions([(0, 0.3, 0.1)], relative_to=8333.0).energies == pytest.approx((8333, 8333.1, 8333.2, 8333.3))


@pytest.mark.parametrize("element", ["Ti", "Mn", "Fe", "Ni", "Zn"])
def test_ready_made_xanes_has_61_energies_and_covers_the_edge(element: str) -> None:
    made = xanes(element)
    assert len(made) == 61
    assert made.edge is not None
    assert made.energies[0] == made.edge - 133
    assert made.energies[-1] == made.edge + 267
    near = [energy for energy in made if -5 <= energy - made.edge <= 25]
    assert np.diff(near).max() <= 1.0


def test_xanes_of_nickel_spans_the_usual_range() -> None:
    assert (xanes("Ni").energies[0], xanes("Ni").energies[-1]) == (8200, 8600)


def test_exafs_steps_evenly_in_k_with_a_dwell_that_grows() -> None:
    made = exafs("Ni", to=12.0, step=0.05, weight=2.0)
    assert made.edge == 8333
    assert np.diff(made.energies).min() >= 0.5 - 1e-9
    k = np.array([wavenumber(energy, 8333.0) for energy in made if energy > 8362])
    assert np.diff(k) == pytest.approx(0.05, abs=1e-9)
    assert k[-1] == pytest.approx(12.0)
    dwell = np.array(made.dwell_s)[-k.size :]
    assert dwell / dwell[0] == pytest.approx((k / k[0]) ** 2)


def test_wavenumber_of_a_photoelectron() -> None:
    # ħ²/2m = 3.80998 eV Å² (CODATA)
    assert wavenumber(8333.0 + 3.80998 * 100, 8333.0) == pytest.approx(10.0, rel=1e-6)
    assert by_wavenumber(8333.0, 10, 10, 1).energies[0] == pytest.approx(8333.0 + 380.998, abs=1e-3)


def test_lists_add_up() -> None:
    both = by_regions([(8300, 8310, 5)]) + by_regions([(8305, 8320, 5)], dwell_s=3.0)
    assert both.energies == (8300, 8305, 8310, 8315, 8320)
    assert both.dwell_s == (1, 3, 3, 3, 3)


def test_a_file_in_any_order_with_duplicates(tmp_path: Path) -> None:
    path = tmp_path / "energies.txt"
    path.write_text("# keV  s\n8.35 0.2\n8.30, 0.1\n8.35 0.4\n")
    made = from_file(path, "keV")
    assert made.energies == pytest.approx((8300, 8350))
    assert made.dwell_s == (0.1, 0.4)
    with pytest.raises(ValueError, match=r"8.3 looks like keV: write 8300"):
        from_file(path, "eV")
    with pytest.raises(ValueError, match=r"must be eV or keV"):
        from_file(path, "meV")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"cannot be read: no such file"):
        from_file(tmp_path / "none.txt", "eV")


def test_it_prints_as_a_table() -> None:
    lines = str(by_regions([(-10, 10, 10)], relative_to=8333.0, dwell_s=0.5)).splitlines()
    assert "E / eV" in lines[0]
    assert "k / Å⁻¹" in lines[0]
    assert lines[1].split() == ["1", "8323.00", "-10.00", "0.5"]
    assert lines[3].split() == ["3", "8343.00", "+10.00", "1.620", "10.00", "0.5"]
    assert lines[-1] == "3 energies, 1.5 s"


def test_an_unsorted_list_is_refused_where_it_is_built_by_hand() -> None:
    with pytest.raises(ValueError, match=r"must ascend, each once"):
        EnergyList((8310.0, 8300.0), (1.0, 1.0))
