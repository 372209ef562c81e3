"""The focus: found where it truly is, known as well as is said, and nothing is changed where it was not found."""

import json
from typing import Any

import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky import RunEngine
from calibration_fakes import CalibrationLine, Hidden

from whiteline.analysis.focus import BestFocus
from whiteline.analysis.live.fake import FakeLive
from whiteline.plans.calibration.calibrate_focus import calibrate_focus
from whiteline.plans.calibration.edge_scan import EdgeScan
from whiteline.plans.calibration.focus_series import focus_series
from whiteline.plans.calibration.knife_edge import knife_edge
from whiteline.plans.calibration.through_focus import UNTOLD_ERROR, Focus

ENERGIES = [8200.0, 8400.0, 8600.0]


def run(plan: Any) -> tuple[Any, list[tuple[str, dict[str, Any]]]]:
    """Run a plan, and return its result and its documents."""
    documents: list[tuple[str, dict[str, Any]]] = []
    engine = RunEngine({}, context_managers=[], call_returns_result=True)
    found = engine(plan, lambda name, document: documents.append((name, document)))
    return found.plan_result, documents


def events(documents: list[tuple[str, dict[str, Any]]], stream: str) -> list[dict[str, Any]]:
    """Return the data of the events of a stream."""
    named = {one["uid"]: one["name"] for name, one in documents if name == "descriptor"}
    return [one["data"] for name, one in documents if name == "event" and named[one["descriptor"]] == stream]


def by_image(line: CalibrationLine, **more: Any) -> dict[str, Any]:
    return {
        "shutter": line.shutter,
        "dwell_s": 0.1,
        "sharpness": line.live.sharpness,
        "shift": line.live.shift,
        "sample": line.sample,
    } | more


def by_edge(line: CalibrationLine, **more: Any) -> dict[str, Any]:
    return {
        "shutter": line.shutter,
        "dwell_s": 0.1,
        "edge_axis": line.sample.x,
        "edge_range": (-1.5, 1.5, 41),
        "signal": "edge_signal",
    } | more


@pytest.fixture
def line(seed: int) -> CalibrationLine:
    return CalibrationLine(np.random.default_rng(seed))


def state(line: CalibrationLine) -> dict[str, Any]:
    return line.state() | dict(line.world.positions) | {"energy": line.world.energy}


@pytest.mark.parametrize("move", [False, True])
def test_a_series_finds_the_focus_and_goes_there_if_it_is_asked(line: CalibrationLine, move: bool) -> None:
    line.hidden = Hidden(zero_mm=0.03, ratio=1.0)
    before = state(line)
    found, documents = run(focus_series([line.camera], line.energy, line.zone_plate, move=move, **by_image(line)))
    focus, error, _ = found.quantities["focus"]
    true = line.true_focus(line.world.energy)
    assert abs(focus - true) < 6 * error
    assert error < 0.01 * 0.024
    assert found.applied is move
    after = state(line)
    assert after.pop("zone_plate_z") == pytest.approx(focus if move else before["zone_plate_z"])
    before.pop("zone_plate_z")
    assert after == before
    (event,) = events(documents, "calibration")
    assert json.loads(event["calibration_quantities"])["focus"][0] == focus
    # the sample was out for the flat alone
    assert [one.sample_in for one in line.world.exposures] == [False] + [True] * (len(line.world.exposures) - 1)
    assert all(one.open for one in line.world.exposures)


def test_the_focus_is_searched_where_it_is_far(line: CalibrationLine) -> None:
    line.hidden = Hidden(zero_mm=-0.31)
    without, _ = run(focus_series([line.camera], line.energy, line.zone_plate, **by_image(line)))
    assert not without.quantities
    assert "focus" in without.reason
    found, _ = run(focus_series([line.camera], line.energy, line.zone_plate, search=1.0, **by_image(line)))
    assert abs(found.quantities["focus"][0] - line.true_focus(line.world.energy)) < 6 * found.quantities["focus"][1]


@pytest.mark.parametrize("full_field", [True, False])
def test_the_calibration_predicts_the_focus_over_the_scan(seed: int, full_field: bool) -> None:
    line = CalibrationLine(np.random.default_rng(seed), full_field=full_field)
    before = state(line)
    if full_field:
        plan = calibrate_focus([line.camera], line.energy, line.zone_plate, ENERGIES, **by_image(line))
    else:
        how = by_edge(line, search=1.2, points=9)
        plan = calibrate_focus([line.edge], line.energy, line.zone_plate, ENERGIES, **how)
    found, documents = run(plan)
    assert found.applied, found.reason
    held = line.zone_plate.calibration.calibration
    assert held == found.calibration
    assert held.version == 1
    assert held.source == documents[0][1]["uid"]
    grid = np.linspace(8200.0, 8600.0, 9)
    if full_field:
        detector = np.full(9, 1700.0)
        off = held.full_field_reading(grid, detector) - [line.true_focus(one, 1700.0) for one in grid]
        errors = held.full_field_error(grid, detector)
    else:
        off = held.scanning_reading(grid) - [line.true_focus(one) for one in grid]
        errors = held.scanning_error(grid)
    assert (np.abs(off) < 6 * errors).all()
    assert (errors < 0.01 * 1e-3 * line.design.depth_of_focus(grid)).all() or not full_field
    assert (np.abs(off) < 0.05 * 1e-3 * line.design.depth_of_focus(grid)).all()
    # the energy is back, and the zone plate where it stood; the next move of the energy places it anew
    after = state(line)
    assert after["energy"] == before["energy"]
    assert after["shutter"] == "Closed"
    assert not after["staged"]


def test_pulls_of_the_focus_are_of_order_one(seed: int) -> None:
    pulls = []
    for child in np.random.default_rng(seed).spawn(24):
        line = CalibrationLine(
            child, hidden=Hidden(zero_mm=child.uniform(-0.3, 0.3), ratio=1 + child.uniform(-2e-3, 2e-3))
        )
        # far more than what a fit does not know of, and not so much that a series may show no focus at all
        line.noise = 2e-6
        found, _ = run(calibrate_focus([line.camera], line.energy, line.zone_plate, ENERGIES, **by_image(line)))
        assert found.applied, found.reason
        off = found.calibration.full_field_reading(8400.0, 1700.0) - line.true_focus(8400.0, 1700.0)
        pulls.append(off / found.calibration.full_field_error(8400.0, 1700.0))
    assert 0.4 < np.sqrt(np.mean(np.square(pulls))) < 1.8


def test_the_error_of_a_focus_follows_the_scatter_of_its_series() -> None:
    depth, error = 0.024, 1e-4
    untold = UNTOLD_ERROR * depth

    def of(chi_square: float) -> float:
        best = BestFocus(50.0, error, 1e-4, 1e-6, 0.02, chi_square, (True,) * 15)
        return Focus(best, (), 8400.0, 1700.0, depth).error

    assert of(4.0) == pytest.approx(np.hypot(2 * error, untold))
    # all images of a series have the noise of one flat, which is half of it and no scatter
    assert of(0.6) == pytest.approx(np.hypot(np.sqrt(0.5) * error, untold))
    # where no errors were given the scatter has made them
    assert of(1.0) == of(np.nan) == pytest.approx(np.hypot(error, untold))


def test_lost_contrast_changes_nothing_and_says_so(line: CalibrationLine) -> None:
    line.contrast = 0.0
    before, held = state(line), line.zone_plate.calibration.calibration
    found, documents = run(calibrate_focus([line.camera], line.energy, line.zone_plate, ENERGIES, **by_image(line)))
    assert not found.applied
    assert "no focus was found at 8200 eV" in found.reason
    assert "contrast is lost" in found.reason
    (event,) = events(documents, "calibration")
    assert event["calibration_applied"] == 0
    assert event["calibration_reason"] == found.reason
    assert line.zone_plate.calibration.calibration is held
    assert state(line) == before


def test_an_optic_that_is_not_what_the_design_says_is_not_taken_over(line: CalibrationLine) -> None:
    line.hidden = Hidden(zero_mm=0.0, ratio=1.02)
    before, held = state(line), line.zone_plate.calibration.calibration
    how = by_image(line, search=2.6)
    found, documents = run(
        calibrate_focus([line.camera], line.energy, line.zone_plate, [8300.0, 8400.0, 8500.0], **how)
    )
    assert not found.applied
    assert "check the axis and the optic" in found.reason
    assert events(documents, "calibration")[0]["calibration_applied"] == 0
    assert line.zone_plate.calibration.calibration is held
    assert state(line) | {"detector": 0, "gap": 0} == before | {"detector": 0, "gap": 0}


@pytest.mark.parametrize("part", ["sharpness", "shift"])
def test_an_empty_frame_changes_nothing_and_is_told(line: CalibrationLine, part: str) -> None:
    before, held = state(line), line.zone_plate.calibration.calibration
    line.live = FakeLive(failing={part: "the flat at 8200 eV is nowhere above the dark"}, sharpness=line.sharpness)
    found, documents = run(calibrate_focus([line.camera], line.energy, line.zone_plate, ENERGIES, **by_image(line)))
    assert not found.applied
    assert found.reason == "no focus was found at 8200 eV: the flat at 8200 eV is nowhere above the dark"
    assert events(documents, "calibration")[0]["calibration_reason"] == found.reason
    assert line.zone_plate.calibration.calibration is held
    assert state(line) == before


@pytest.mark.parametrize("full_field", [True, False])
@pytest.mark.parametrize("side", ["above", "below"])
def test_a_focus_outside_of_the_range_changes_nothing_and_is_told(seed: int, full_field: bool, side: str) -> None:
    far = 0.08 if full_field else 0.3
    hidden = Hidden(zero_mm=far if side == "above" else -far, ratio=1.0)
    line = CalibrationLine(np.random.default_rng(seed), full_field=full_field, hidden=hidden)
    before, held = state(line), line.zone_plate.calibration.calibration
    if full_field:
        plan = calibrate_focus([line.camera], line.energy, line.zone_plate, ENERGIES, **by_image(line, search=None))
    else:
        how = by_edge(line, search=None, points=9, span=0.2)
        plan = calibrate_focus([line.edge], line.energy, line.zone_plate, ENERGIES, **how)
    found, documents = run(plan)
    assert not found.applied
    assert f"no focus was found at 8200 eV: the focus lies {side} the series" in found.reason
    assert "scan on from there" in found.reason
    assert events(documents, "calibration")[0]["calibration_applied"] == 0
    assert line.zone_plate.calibration.calibration is held
    assert state(line) == before


def test_an_edge_that_is_not_there_changes_nothing_and_is_told(seed: int) -> None:
    line = CalibrationLine(np.random.default_rng(seed), full_field=False)
    line.contrast = 0.0
    before = state(line)
    found, _ = run(calibrate_focus([line.edge], line.energy, line.zone_plate, ENERGIES, **by_edge(line, points=9)))
    assert not found.applied
    assert "no focus was found at 8200 eV: no edge stands out" in found.reason
    assert state(line) == before


@pytest.mark.parametrize("side", [-1, 1])
def test_an_edge_that_drifts_is_followed(seed: int, side: int) -> None:
    line = CalibrationLine(np.random.default_rng(seed), full_field=False)
    # some 30 scans of 41 points, by which the edge leaves the range of the first one
    line.edge.drift_um = side * 0.002
    how = by_edge(line, search=1.2, points=9)
    found, _ = run(calibrate_focus([line.edge], line.energy, line.zone_plate, ENERGIES, **how))
    assert abs(line.edge.at_um) > how["edge_range"][1]
    assert found.applied, found.reason
    off = found.calibration.scanning_reading(np.array(ENERGIES)) - [line.true_focus(one) for one in ENERGIES]
    assert (np.abs(off) < 0.05 * 1e-3 * line.design.depth_of_focus(np.array(ENERGIES))).all()
    # within the last scan it drifted on
    assert abs(found.quantities["edge"][0] - line.edge.at_um) < 41 * 0.002


def test_an_edge_that_was_followed_to_a_wrong_place_is_looked_for_where_it_was_first(
    line: CalibrationLine,
) -> None:
    scan = EdgeScan(
        [line.edge], line.sample.x, np.linspace(-0.5, 0.5, 41).tolist(), signal="edge_signal", incident="", also=[],
        shutter=None,
    )  # fmt: skip
    # it was at 0.4 but once, as by one bad fit; then it is out of the range that was moved there
    for at, middle in ((0.0, 0.0), (0.4, 0.4), (-0.4, 0.0), (-0.4, -0.4)):
        line.edge.at_um = at
        run(bpp.stage_wrapper(bpp.run_wrapper(scan.scan()), [line.edge]))
        assert np.mean(scan.followed()) == pytest.approx(middle, abs=0.02)


def test_an_edge_is_not_followed_farther_than_its_axis_goes(line: CalibrationLine) -> None:
    def checked(value: float) -> None:
        if abs(value) > 1.6:
            raise ValueError(f"x = {value} is beyond 1.6")

    line.sample.x.check_value = checked
    scan = EdgeScan(
        [line.edge], line.sample.x, np.linspace(-1.5, 1.5, 41).tolist(), signal="edge_signal", incident="", also=[],
        shutter=None,
    )  # fmt: skip
    for at, middle in ((0.0, 0.0), (0.05, 0.0), (0.3, 0.05), (0.3, 0.0)):
        line.edge.at_um = at
        assert np.mean(scan.followed()) == pytest.approx(middle, abs=0.01)
        run(bpp.stage_wrapper(bpp.run_wrapper(scan.scan()), [line.edge]))


def test_the_probe_is_measured_on_an_edge(seed: int) -> None:
    line = CalibrationLine(np.random.default_rng(seed), full_field=False, hidden=Hidden(zero_mm=0.0, ratio=1.0))
    before = state(line)
    plan = knife_edge(
        [line.edge], line.sample.x, (-0.4, 0.4, 41), signal="edge_signal", shutter=line.shutter, dwell_s=0.1
    )
    found, _ = run(plan)
    sigma, error, _ = found.quantities["sigma"]
    assert abs(sigma - line.edge.sharp_um) < 6 * error
    assert error < 0.003
    assert state(line) == before
    line.contrast = 0.0
    found, _ = run(
        knife_edge([line.edge], line.sample.x, (-0.4, 0.4, 41), signal="edge_signal", shutter=line.shutter, dwell_s=0.1)
    )
    assert not found.quantities
    assert "no edge stands out" in found.reason


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"points": 3}, "points 3 must be .* from 7 on"),
        ({"dwell_s": 0.0}, "dwell 0 s"),
        ({"span": -0.1}, "span -0.1 mm"),
        ({"frames": 0}, "frames 0"),
        ({"sharpness": None}, "needs sharpness"),
        ({"edge_axis": 1}, "either sharpness"),
    ],
)
def test_what_cannot_be_right_is_refused_before_the_first_message(
    line: CalibrationLine, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        next(calibrate_focus([line.camera], line.energy, line.zone_plate, ENERGIES, **by_image(line, **more)))
