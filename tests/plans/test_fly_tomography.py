"""Tomography while the sample turns: measured angles, flats and darks in their roles, and one run at each energy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bluesky import RunEngine
from fly_fakes import FlyBeamline
from interrupting import run as run_of
from running import taken

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.laws.fly_line import FlyLine
from whiteline.analysis.runs import open_run
from whiteline.plans import fly_lines, fly_tomography, xanes_tomography
from whiteline.plans.tomogram import Turn, backwards, turn_line

GATE_S = (0.05 + 0.01) / 0.9
"""Of an exposure of 0.05 s of the fake camera."""


@pytest.fixture
def line(tmp_path: Path) -> FlyBeamline:
    return FlyBeamline(tmp_path)


def common(line: FlyBeamline) -> dict[str, Any]:
    return {
        "capture": line.turning, "sample": line.sample, "shutter": line.shutter, "exposure_s": 0.05, "projections": 30,
        "flat_frames": 3, "dark_frames": 2,
    }  # fmt: skip


def of(line: FlyBeamline, **different: Any) -> Any:
    return fly_tomography(line.fly_camera, line.sample.rotation, **{**common(line), "energy": line.energy, **different})


def over_edge(line: FlyBeamline, **different: Any) -> Any:
    arguments = {**common(line), "energies": [8330.0, 8340.0, 8350.0], **different}
    return xanes_tomography(line.fly_camera, line.energy, arguments.pop("energies"), line.sample.rotation, **arguments)


def test_a_turn_has_measured_angles_and_flats_and_darks_around_it(line: FlyBeamline) -> None:
    before = line.state()
    (run,) = taken(of(line, flats="before and after", darks="before and after"))
    angles = run.fly.read("rotation_mean").ravel()
    np.testing.assert_allclose(angles, 3.0 + 6.0 * np.arange(30))
    np.testing.assert_array_equal(run.points.read("sample_rotation"), angles)
    frames, pulses = run.fly.taken_frames("camera")
    np.testing.assert_array_equal(frames[:][:, 0, 0], np.arange(30))
    np.testing.assert_array_equal(pulses, np.arange(30))
    assert run.start["roles"] == {"energy": "energy", "rotation": "sample_rotation", "frames": "camera_image"}
    assert run.start["shape"] == [30]
    assert run.completeness.whole
    np.testing.assert_array_equal(run.energies, 8200.0)
    # flats without the sample and darks in the dark, on both sides, of the same exposure
    assert len(run.stream("flat")) == 2 * 3
    assert len(run.stream("dark")) == 2 * 2
    still = [(one.sample_in, one.open, one.seconds) for one in line.world.exposures]
    dark, flat = (True, False, 0.05), (False, True, 0.05)
    assert still == [dark, dark, flat, flat, flat, flat, flat, flat, dark, dark]
    (flown,) = line.turning.flown
    assert flown.open
    assert flown.sample_in
    assert flown.line.gate_s == pytest.approx(GATE_S)
    assert line.state() == before


@pytest.mark.parametrize("fault", ["", "trajectory"])
def test_a_turn_is_told_of_while_it_goes_on(line: FlyBeamline, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fly_lines, "TELL_S", 0.002)
    line.turning.tellings = 5
    line.turning.fault = lambda attempt: fault if attempt == 0 else ""
    before = line.state()
    documents = run_of(of(line, flats="none", darks="none"))
    run = open_run(documents)
    fly = next(one["uid"] for name, one in documents if name == "descriptor" and one["name"] == "fly")
    numbers = [
        (one["seq_nums"]["start"], one["seq_nums"]["stop"])
        for name, one in documents
        if name == "stream_datum" and one["descriptor"] == fly
    ]
    batches = sorted(set(numbers))
    assert len(batches) >= 4
    assert [first for first, _ in batches] == [1, *(stop for _, stop in batches[:-1])]
    assert batches[-1][1] == 31
    np.testing.assert_allclose(run.points.read("sample_rotation"), 3.0 + 6.0 * np.arange(30))
    assert run.completeness.whole
    frames, pulses = run.fly.taken_frames("camera")
    np.testing.assert_array_equal(pulses, np.arange(30))
    assert line.state() == before
    if fault:
        # what was told of is not taken again
        _, again = line.turning.flown
        assert 100.0 < again.line.first < 180.0
        assert again.line.last == pytest.approx(180.0)
        assert run.stream("again").read("line_why").tolist()[0].startswith("line of capture failed")
        assert len(frames) == 30


def test_a_strict_turn_is_told_of_when_it_is_whole(line: FlyBeamline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fly_lines, "TELL_S", 0.002)
    line.turning.fault = lambda attempt: "triggers" if attempt == 0 else ""
    (run,) = taken(of(line, flats="none", darks="none", strict=True))
    assert [one.line for one in line.turning.flown] == [turn_line(Turn(0.0, 180.0, None, 30), GATE_S, "rotation")] * 2
    _, pulses = run.fly.taken_frames("camera")
    np.testing.assert_array_equal(pulses, np.arange(30))


def test_projections_that_are_named_are_flown_and_no_others(line: FlyBeamline) -> None:
    only = {"fly": [4, 5, 6, 11, 29, 30]}
    (run,) = taken(of(line, only=only))
    whole = turn_line(Turn(0.0, 180.0, None, 30), GATE_S, "rotation")
    arcs = [whole.of_rows(3, 3), whole.of_rows(10, 1), whole.of_rows(28, 2)]
    assert [one.line for one in line.turning.flown] == arcs
    np.testing.assert_array_equal(run.fly.lines, only["fly"])
    np.testing.assert_allclose(run.points.read("sample_rotation"), 3.0 + 6.0 * (np.array(only["fly"]) - 1))
    assert run.completeness.whole
    assert not line.world.exposures
    with pytest.raises(OutOfRange, match="31 must lie between 1 and 30"):
        next(of(line, only={"fly": [31]}))


def test_a_turn_by_velocity_of_a_whole_circle(line: FlyBeamline) -> None:
    (run,) = taken(of(line, projections=None, velocity=12.0, stop=360.0 - 10.0, flats="none", darks="none"))
    (flown,) = line.turning.flown
    assert flown.line.velocity == pytest.approx(12.0)
    assert flown.line.pulses == int(350.0 / (12.0 * GATE_S))
    assert set(run.streams) == {"primary", "fly", "fly_camera"}
    assert not line.world.exposures


def test_a_line_of_a_turn() -> None:
    assert turn_line(Turn(0.0, 180.0, None, 90), 0.1, "rotation") == FlyLine("rotation", 0.0, 2.0, 90, 0.1, rows=90)
    back = turn_line(Turn(180.0, 0.0, 20.0, None), 0.1, "rotation")
    assert back == FlyLine("rotation", 180.0, -2.0, 90, 0.1, rows=90)
    assert backwards(back) == FlyLine("rotation", 0.0, 2.0, 90, 0.1, rows=90)


def test_a_tomogram_at_each_energy_is_a_run_of_a_group(line: FlyBeamline) -> None:
    before = line.state()
    runs = taken(over_edge(line, return_to=8300.0))
    assert [float(run.energies[0]) for run in runs] == [8330.0, 8340.0, 8350.0]
    assert [run.start["energies"] for run in runs] == [[8330.0], [8340.0], [8350.0]]
    assert [run.start["group_index"] for run in runs] == [0, 1, 2]
    assert {run.start["group_size"] for run in runs} == {3}
    assert len({run.start["group"] for run in runs}) == 1
    assert {run.start["edge"] for run in runs} == {"K"}
    assert [one.line.step > 0 for one in line.turning.flown] == [True, False, True]
    first, second, _ = (run.points.read("sample_rotation") for run in runs)
    np.testing.assert_allclose(second, first[::-1])
    assert [one.energy for one in line.turning.flown] == [8330.0, 8340.0, 8350.0]
    assert all(one.sample_in for one in line.turning.flown)
    assert line.state() == before
    assert line.world.energy == 8300.0


def test_the_undulator_keeps_its_harmonic_from_the_first_energy_to_the_last(line: FlyBeamline) -> None:
    """It is chosen anew whenever the energy is staged."""
    engine, told = RunEngine({}, context_managers=[]), list[tuple[str, Any]]()
    engine.msg_hook = lambda message: told.append((message.command, message.obj))
    engine(over_edge(line))
    of_energy = [command for command, device in told if device is line.energy]
    assert of_energy.count("stage") == 1
    assert of_energy.index("stage") < of_energy.index("set")
    assert of_energy.count("set") == 3
    assert "unstage" not in of_energy[: len(of_energy) - of_energy[::-1].index("set")]
    assert of_energy[-1] == "unstage"


def test_a_series_that_was_interrupted_is_gone_on_with(line: FlyBeamline) -> None:
    runs = taken(over_edge(line, taken=[8330.0005, 8350.0], group="the first one"))
    assert [run.start["energies"] for run in runs] == [[8340.0]]
    assert runs[0].start["group"] == "the first one"
    assert (runs[0].start["group_index"], runs[0].start["group_size"]) == (1, 3)
    # it turns as it would have in the whole series, as projections are numbered by that
    (flown,) = line.turning.flown
    assert flown.line.step < 0
    with pytest.raises(ValueError, match="nothing is left"):
        next(over_edge(line, taken=[8330.0, 8340.0, 8350.0]))
    with pytest.raises(ValueError, match="8400 eV, which is none of the energies"):
        next(over_edge(line, taken=[8400.0]))


@pytest.mark.parametrize(
    ("different", "kind", "says"),
    [
        ({"velocity": 12.0}, ValueError, "either velocity, in deg/s, or projections"),
        ({"projections": None}, ValueError, "either velocity, in deg/s, or projections"),
        ({"projections": 1}, OutOfRange, "projections"),
        ({"stop": 0.0}, OutOfRange, "angle of a turn"),
        ({"stop": 359.9, "projections": 100}, ValueError, "sample_rotation .* must lie between"),
        ({"projections": 10}, OutOfRange, "velocity of sample_rotation"),
        ({"projections": None, "velocity": 1e-3}, OutOfRange, "projections .* turn faster"),
        ({"exposure_s": 0.0}, OutOfRange, "exposure"),
        ({"flats": "each"}, ValueError, "flats = 'each'"),
        ({"darks": "sometimes"}, ValueError, "darks = 'sometimes'"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_message(
    line: FlyBeamline, different: dict[str, Any], kind: type[Exception], says: str
) -> None:
    for plan in (of, over_edge):
        with pytest.raises(kind, match=says):
            next(plan(line, **different))


def test_a_camera_that_is_not_triggered_is_refused(line: FlyBeamline) -> None:
    with pytest.raises(TypeError, match="camera = camera cannot play this part"):
        next(fly_tomography(line.camera, line.sample.rotation, **common(line), energy=line.energy))
