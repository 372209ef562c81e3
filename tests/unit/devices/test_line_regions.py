"""Regions of fluorescence lines, and sums without the dead time; no IOC."""

import numpy as np
import pytest

from whiteline.analysis import tables
from whiteline.analysis.channels import Channels
from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.line_regions import line_regions, named
from whiteline.devices.counted import Counted
from whiteline.sim.fluorescence import FluorescenceDetector

SPECTRUM = Channels(bins=4096, bin_eV=10.0, resolution=160.77)
"""As the twin has it: 110 eV of electronics beside the statistics of the charge."""


@pytest.fixture
def twin() -> FluorescenceDetector:
    return FluorescenceDetector(4, 4096, 10.0, 110.0, 2e-4, 0.01, 1e-4, 1, 1)


@pytest.mark.parametrize("energy", [3000.0, 5895.0, 8266.8, 14000.0])
def test_lines_are_as_wide_as_those_of_the_twin(twin: FluorescenceDetector, energy: float) -> None:
    assert SPECTRUM.fwhm(energy) == pytest.approx(twin.line_fwhm(energy), rel=1e-3)


@pytest.mark.parametrize(
    ("element", "line", "energy"), [("Ni", "Ka", 8360.0), ("Fe", "Ka", 7200.0), ("Pb", "La", 13100.0)]
)
def test_a_region_of_two_widths_holds_a_family_of_lines_and_no_more(  # type: ignore[no-untyped-def]
    twin: FluorescenceDetector, element: str, line: str, energy: float
) -> None:
    (region,) = line_regions([(element, line)], energy, SPECTRUM, 2.0, 8)
    edge = "L3" if line.startswith("L") else "K"
    family = [one for one in tables.lines(element, edge) if one.name.startswith(line)]
    spectrum = sum(one.branching * twin.line_shape(one.energy) for one in family)
    held = spectrum[region.first : region.beyond].sum() / spectrum.sum()
    assert 0.98 < held < 0.998
    assert region.label == f"{element}_{line}"


def test_lines_are_named_in_three_ways() -> None:
    assert named([("Ni", "Ka"), "Fe_Ka", "Mn Kb"]) == named("Ni_Ka Fe_Ka Mn_Kb")
    assert named("") == ()
    for wrong, says in ((["Ni"], "must name an element and a line"), (["Ni_Ka", ("Ni", "Ka")], "named twice")):
        with pytest.raises(ValueError, match=says):
            named(wrong)


@pytest.mark.parametrize(
    ("pair", "energy", "says"),
    [
        (("Ni", "Ka"), 8300.0, "energy 8300 eV cannot excite Ni Ka1: its K edge is at 8333 eV"),
        (("ni", "Ka"), 8400.0, "element 'ni' is not known; write Ni"),
        (("In", "Ka"), 29000.0, "leaves the spectrum, 0 to 20480 eV"),
        (("B", "Ka"), 8400.0, "leaves the spectrum"),
    ],
)
def test_a_line_that_cannot_be_counted_is_refused(pair: tuple[str, str], energy: float, says: str) -> None:
    short = Channels(bins=2048, bin_eV=10.0, resolution=400.0)
    with pytest.raises(ValueError, match=says):
        line_regions([pair], energy, short, 2.0, 8)


def test_a_resolution_that_silicon_cannot_have_is_refused() -> None:
    with pytest.raises(OutOfRange, match="is better than silicon can be, 117"):
        Channels(4096, 10.0, 100.0)


@pytest.mark.parametrize("busy", [0.01, 0.3, 0.7, 0.95])
def test_corrected_sums_are_those_that_arrived(busy: float) -> None:
    """By the law of the twin, n exp(-n tau), each element at a rate of its own."""
    dead_time, dwell = 2.5e-7, np.array([1.0, 2.0, 0.5])
    arrived = busy / dead_time * np.array([1.0, 0.5, 0.1])
    alive = np.exp(-arrived * dead_time)
    lines = np.array([[0.5], [0.2]]) * arrived * dwell
    counted = Counted(lines * alive, arrived * alive * dwell, dwell, dead_time)
    assert not counted.missing.any()
    assert counted.live == pytest.approx(alive)
    assert counted.corrected == pytest.approx(lines.sum(axis=1))


def test_what_is_not_known_is_missing() -> None:
    """Above 1/(e tau) no paralyzable detector counts; nor is anything known without a clock."""
    events = np.array([1e5, 4e6, 1e5])
    counted = Counted(np.full((1, 3), 100.0), events, np.array([1.0, 1.0, 0.0]), 2.5e-7)
    assert list(counted.missing) == [False, True, True]
    assert np.isnan(counted.live[1:]).all()
    assert np.isnan(counted.corrected).all()
    nothing = Counted(np.zeros((1, 2)), np.zeros(2), np.ones(2), 2.5e-7)
    assert list(nothing.corrected) == [0.0]
    assert list(nothing.live) == [1.0, 1.0]
