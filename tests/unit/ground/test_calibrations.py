import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whiteline.analysis.calibration import (
    Calibration,
    DarkCalibration,
    EnergyCalibration,
    FocusCalibration,
    MagnificationCalibration,
    RotationCalibration,
    Table,
    Uncertain,
    calibration_from_json,
    fit_energy,
)
from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.laws import bragg
from whiteline.analysis.laws.zone_plate import ZonePlate

SI111 = bragg.d_spacing((1, 1, 1))
BASICS: dict[str, Any] = {"version": 3, "date": "2026-03-01T09:30:00", "source": "3f2c"}
A1 = ZonePlate(240, 60).chromaticity


def focus(**changed: Any) -> FocusCalibration:
    parts: dict[str, Any] = {
        "a0": 0.3,
        "a1": A1,
        "covariance": ((1e-8, 0.0), (0.0, 1e-18)),
        "diameter_um": 240.0,
        "outer_zone_width_nm": 60.0,
        "run_out": (1.5, -3.0),
    }
    return FocusCalibration(**(parts | changed), **BASICS)


def table(**changed: Any) -> Table:
    parts: dict[str, Any] = {
        "axis": "undulator.gap",
        "unit": "mm",
        "energies": (8200.0, 8333.0, 8600.0),
        "positions": (4.95, 5.01, 5.13),
        "errors": (0.001, 0.002, 0.001),
        "harmonic": 5,
    }
    return Table(**(parts | changed), **BASICS)


EVERY_KIND = [
    EnergyCalibration(spacing=SI111, offset=0.01, covariance=((1e-12, -1e-10), (-1e-10, 2e-8)), **BASICS),
    focus(),
    MagnificationCalibration(factor=1.01, error=0.001, **BASICS),
    RotationCalibration(position=3.2, error=0.01, tilt_mrad=-0.5, tilt_error_mrad=0.1, **BASICS),
    DarkCalibration(rows=(("incident", 1e6, 12.0, 0.5), ("incident", 1e7, 110.0, 2.0)), **BASICS),
    table(),
]


@pytest.mark.parametrize("calibration", EVERY_KIND, ids=lambda one: one.kind)
def test_json_brings_back_the_same(calibration: Calibration) -> None:
    text = calibration.to_json()
    assert calibration_from_json(text) == calibration
    assert json.loads(text)["source"] == "3f2c"
    with pytest.raises(AttributeError):
        calibration.version = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "colour"}, "kinds are dark rates, energy, focus, magnification, rotation, table"),
        ({"offset": None}, "must be a finite number"),
        ({"offset": "much"}, "could not convert"),
        ({"covariance": 5}, "must be 2 × 2"),
        ({"version": "3"}, "version '3' of a calibration must be of type int"),
        ({"version": 1.5}, "version 1.5 of a calibration must be of type int"),
        ({"version": True}, "version True of a calibration must be of type int"),
        ({"date": 5}, "date 5 of a calibration must be of type str"),
        ({"source": 5}, "source 5 of a calibration must be of type str"),
        ({"extra": 1}, "has no extra; it has"),
        ({"covariance": [[1, 0]]}, "must be 2 × 2, not 1 × 2"),
        ({"covariance": [[1, 0], [0.5, 1]]}, "must be symmetric"),
        ({"covariance": [[1, 2], [2, 1]]}, "negative variance"),
        ({"covariance": [[-1, 0], [0, 1]]}, "negative variance"),
        ({"version": -1}, "must be 0 (the design) or above"),
        ({"source": ""}, "give the run that it was measured in"),
        ({"date": "yesterday"}, "is not ISO 8601"),
    ],
)
def test_bad_json_is_refused_with_its_reason(change: dict[str, Any], words: str) -> None:
    content = json.loads(EVERY_KIND[0].to_json()) | change
    with pytest.raises(ValueError, match=r".") as refused:
        calibration_from_json(json.dumps(content))
    assert words in str(refused.value)


@pytest.mark.parametrize(("text", "words"), [("[1]", "not list"), ("{", "must be a JSON object"), ("{}", "kind None")])
def test_what_is_no_calibration_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        calibration_from_json(text)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ((), "are none"),
        ((("incident", 1e6, 12.0),), "must be channel, gain, dark rate and error"),
        (((7, 1e6, 12.0, 1.0),), "must be channel, gain, dark rate and error"),
        ((("incident", 0.0, 12.0, 1.0),), "gain of incident"),
        ((("incident", 1e6, -1.0, 1.0),), "must not be negative"),
        ((("incident", 1e6, float("nan"), 1.0),), "dark rate of incident"),
        ((("incident", 1e6, 12.0, 0.0),), "error of the dark rate of incident"),
        ((("incident", 1e6, 12.0, 1.0), ("incident", 1e6, 13.0, 1.0)), "name a channel and gain twice"),
    ],
)
def test_dark_rates_that_cannot_be_are_refused(rows: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DarkCalibration(rows=rows, **BASICS)


def test_dark_rates_that_were_measured_anew_replace_those_of_before() -> None:
    before = DarkCalibration(rows=(("incident", 1e6, 12.0, 0.5), ("incident", 1e7, 110.0, 2.0)), **BASICS)
    newer = (("incident", 1e7, 90.0, 1.0), ("transmitted", 1e6, 7.0, 1.0))
    both = DarkCalibration(rows=(*before.not_in(newer), *newer), **BASICS)
    assert both.by_channel == {"incident": {1e6: 12.0, 1e7: 90.0}, "transmitted": {1e6: 7.0}}


@given(st.floats(5000, 15000), st.floats(-0.2, 0.2), st.floats(-1e-3, 1e-3))
def test_angle_and_energy_undo_each_other(energy: float, offset: float, stretch: float) -> None:
    calibration = EnergyCalibration(spacing=SI111 + stretch, offset=offset, covariance=((0, 0), (0, 0)), **BASICS)
    assert calibration.energy(calibration.angle(energy)) == pytest.approx(energy, rel=1e-12)


def test_predicted_error_of_energy_is_that_of_many_fits(seed: int) -> None:
    """The covariance is right if fits of noisy foils scatter as it says: at the foils, between, and beyond."""
    source = np.random.default_rng(seed)
    edges = np.array([7112.0, 7709.0, 8333.0, 8979.0])
    true = EnergyCalibration(spacing=SI111 + 2e-4, offset=0.01, covariance=((0, 0), (0, 0)), **BASICS)
    readings, errors = true.angle(edges), np.full(4, 1e-4)
    at = np.array([7112.0, 8000.0, 9500.0])
    fits = [
        fit_energy(edges, readings + errors * source.standard_normal(4), errors, spacing=SI111, **BASICS)
        for _ in range(400)
    ]
    pulls = [(fit.energy(true.angle(at)) - at) / fit.predicted_error(at) for fit in fits]
    # the root mean square of 400 pulls is right within 3.5 %; five times that
    assert np.sqrt(np.mean(np.square(pulls), axis=0)) == pytest.approx(np.ones(3), abs=0.18)
    assert np.abs(np.mean(pulls, axis=0)).max() < 5 / np.sqrt(400)


def test_one_foil_gives_the_offset_and_keeps_the_spacing() -> None:
    reading = bragg.bragg_angle(8333.0, SI111) - 0.02
    fit = fit_energy([8333.0], [reading], [1e-4], spacing=SI111, **BASICS)
    assert fit.spacing == SI111
    assert fit.offset == pytest.approx(0.02, abs=1e-12)
    at_foil, beyond = fit.predicted_error(np.array([8333.0, 12000.0]))
    assert at_foil == pytest.approx(1e-4 * np.pi / 180 * 1e6 * bragg.dispersion(8333.0, SI111), rel=1e-6)
    assert beyond > at_foil


def test_a_law_refuses_where_its_own_covariance_predicts_too_much() -> None:
    edges = [7112.0, 8333.0]
    readings = bragg.bragg_angle(np.array(edges), SI111)
    fit = fit_energy(edges, readings.tolist(), [1e-4, 1e-4], spacing=SI111, **BASICS)
    fit.angle(8000.0)
    with pytest.raises(Uncertain, match=r"energy at 20000 eV is known to no better than \S+ eV .* above 0.2 eV"):
        fit.angle(20000.0)
    assert fit.energy(bragg.bragg_angle(20000.0, fit.spacing) - fit.offset) == pytest.approx(20000.0)


def test_focus_refuses_beyond_five_percent_of_the_depth_of_focus() -> None:
    sharp = focus(covariance=((1e-8, 0.0), (0.0, 0.0)))
    assert sharp.scanning_reading(8333.0) == pytest.approx(0.3 - 8333 * A1)
    with pytest.raises(Uncertain, match=r"focus at 8333 eV is known to no better than 100 µm"):
        focus(covariance=((1e-2, 0.0), (0.0, 0.0))).scanning_reading(8333.0)


def test_the_limit_of_a_focus_is_five_percent_of_the_depth() -> None:
    depth_um = ZonePlate(240, 60).depth_of_focus(8333.0)
    for error_um, refused in ((0.049 * depth_um, False), (0.051 * depth_um, True)):
        calibration = focus(covariance=(((1e-3 * error_um) ** 2, 0.0), (0.0, 0.0)))
        for reading in (lambda one: one.scanning_reading(8333.0), lambda one: one.full_field_reading(8333.0, 2000.0)):
            if refused:
                with pytest.raises(Uncertain):
                    reading(calibration)
            else:
                reading(calibration)


def test_the_reading_of_a_full_field_zone_plate() -> None:
    f = 8333.0 * A1
    assert focus().full_field_reading(8333.0, 2000.0) == pytest.approx(0.3 + (2000 - np.sqrt(2000**2 - 8000 * f)) / 2)


def test_magnification_is_multiplied() -> None:
    assert MagnificationCalibration(factor=1.01, error=0.001, **BASICS).magnification(32.5) == pytest.approx(32.825)


def test_the_error_at_a_point_of_a_table_is_its_own() -> None:
    found = table(errors=(0.001, 0.002, 0.003)).predicted_error(np.array([8200.0, 8333.0, 8600.0]))
    assert found == pytest.approx([0.001, 0.002, 0.003])


def test_focus_of_both_microscopes_and_its_error(seed: int) -> None:
    covariance = ((4e-8, 2e-12), (2e-12, 9e-16))
    calibration = focus(covariance=covariance)
    source = np.random.default_rng(seed)
    draws = source.multivariate_normal((0.3, A1), covariance, 4000, method="cholesky")
    scanning = [a0 - a1 * 8333 for a0, a1 in draws]
    assert np.std(scanning) == pytest.approx(float(calibration.scanning_error(8333.0)), rel=0.06)
    length = 2000.0
    full_field = [a0 + (length - np.sqrt(length**2 - 4 * length * a1 * 8333)) / 2 for a0, a1 in draws]
    assert np.std(full_field) == pytest.approx(float(calibration.full_field_error(8333.0, length)), rel=0.06)


def test_focus_warns_where_a1_is_not_that_of_the_zone_plate() -> None:
    with pytest.warns(UserWarning, match=r"differs by \+2.0% .* check the axis and the optic"):
        focus(a1=1.02 * A1)


def test_run_out() -> None:
    assert focus().wander(-95.0, -97.0) == (3.0, -6.0)


@given(st.floats(8200, 8600))
def test_a_table_interpolates_and_does_not_overshoot(energy: float) -> None:
    gap = table().position(energy)
    assert 4.95 <= gap <= 5.13
    assert 0 < float(table().predicted_error(energy)) <= 0.002


def test_a_table_goes_through_its_points() -> None:
    assert [table().position(energy) for energy in (8200.0, 8333.0, 8600.0)] == pytest.approx([4.95, 5.01, 5.13])


@given(st.one_of(st.floats(100, 8199.99), st.floats(8600.01, 1e5)))
def test_a_table_is_never_extrapolated(energy: float) -> None:
    with pytest.raises(
        OutOfRange, match=r"energy for the table of undulator.gap .* never extrapolated: measure it there"
    ):
        table().position(energy)


@pytest.mark.parametrize(
    "changed",
    [
        {"energies": (8333.0, 8200.0, 8600.0)},
        {"energies": (8200.0, 8200.0, 8600.0)},
        {"energies": (8.2, 8.3, 8.6)},
        {"positions": (1.0, 2.0)},
        {"errors": (0.1, -0.1, 0.1)},
        {"positions": (1.0, float("nan"), 2.0)},
    ],
)
def test_a_table_refuses_what_cannot_be(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"undulator\.gap"):
        table(**changed)


@pytest.mark.parametrize(
    ("edges", "readings", "errors", "words"),
    [
        ([8333.0], [13.7, 13.8], [1e-4], "lists of one length"),
        ([], [], [], "lists of one length"),
        ([8333.0, 8333.0], [13.7, 13.8], [1e-4, 1e-4], "average their readings"),
        ([8.333], [13.7], [1e-4], "looks like keV"),
        ([8333.0], [13.7], [0.0], "error of a reading 0 deg"),
        ([8333.0], [float("nan")], [1e-4], "reading of the Bragg axis nan deg"),
    ],
)
def test_a_fit_refuses_what_it_cannot_use(edges: Any, readings: Any, errors: Any, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        fit_energy(edges, readings, errors, spacing=SI111, **BASICS)
    assert words in str(refused.value)
