"""The capture box of the simulated nanoprobe: where each pixel was, what was counted there, and how lines fail."""

import dataclasses
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from capture_client import Box

from whiteline.analysis import tables
from whiteline.analysis.laws.bragg import bragg_angle
from whiteline.beamline import twin as physics
from whiteline.beamline.simulation import Simulated
from whiteline.beamline.simulation.settings import start_positions
from whiteline.sim.nanoprobe import Nanoprobe, Readings

X, BRAGG = "NANO:sample:fine:x", "MONO:bragg"
FAULT = "SIM:fault:"

PULSES, STEP = 200, 0.05
"""Of a line of 10 µm."""

VELOCITY = 50.0
"""For a gate of a millisecond [µm/s]."""

SLOW = 0.5
"""For lines that do not end before something happens to them [µm/s]."""

RUN_UP = 1.0

GAP_MM = 0.008
"""How much wider the undulator must be for 18 eV more."""


@pytest.fixture(scope="module")
def twin(simulate) -> Simulated:  # type: ignore[no-untyped-def]
    return simulate("nanoprobe", speed=4.0)


@pytest.fixture(scope="module")
def probe(twin: Simulated) -> Nanoprobe:
    return physics.nanoprobe(twin.beamline)


@pytest.fixture(scope="module")
def lit(twin: Simulated, ca, probe: Nanoprobe) -> None:  # type: ignore[no-untyped-def]
    """Beam above the Ni edge, on the height of the first particle."""
    for prefix in ("FE:shutter:", "NANO:shutter:"):
        ca.put(f"{prefix}command", "Open")
    for number, gain in ((1, "1e9 V/A"), (2, "1e8 V/A"), (3, "1e8 V/A")):
        ca.put(f"NANO:amplifier:{number}:gain", gain)
    ca.put("NANO:sample:fine:y", -probe.sample.bodies[0].outline.centre[1])
    start = start_positions(twin.beamline)
    ca.put(BRAGG, start["monochromator.bragg"] - 0.03)
    ca.put("ID:gap:set", start["undulator.gap"] + GAP_MM)
    ca.put("ID:gap:start", 1)


@pytest.fixture
def box(twin: Simulated, ca, lit) -> Iterator[Box]:  # type: ignore[no-untyped-def]
    box = Box(ca, twin, "NANO:capture:", "NANO:fluorescence:", "det1:")
    yield box
    for fault, off in (("stalled_axis", ""), ("capture_unplugged", 0), ("capture_overrun", 0)):
        ca.put(f"{FAULT}{fault}", off)
    box.put("Disarm", 1)
    box.put("Close", 1)
    ca.put(f"{X}.STOP", 1)


def raster_line(box: Box, ca, up: bool = True, velocity: float = VELOCITY, **settings) -> str:  # type: ignore[no-untyped-def]
    sign = 1 if up else -1
    start = -sign * PULSES * STEP / 2
    ca.put(f"{X}.VELO", 1000.0)
    ca.put(X, start - sign * RUN_UP)
    return box.line(X, -start + sign * RUN_UP, velocity, Start=start, Step=sign * STEP, **settings)


def misses(box: Box, ca, **settings) -> str:  # type: ignore[no-untyped-def]
    """Arm for a line, and begin to move without waiting."""
    ca.put(f"{X}.VELO", 1000.0)
    ca.put(X, -6.0)
    state = box.arm(Start=-5.0, Step=STEP, **settings)
    ca.put(f"{X}.VELO", SLOW)
    ca.start(X, 6.0)
    return state


def test_every_pixel_of_a_snake_is_where_the_interferometer_says(box: Box, ca) -> None:  # type: ignore[no-untyped-def]
    box.open("x", PULSES)
    assert raster_line(box, ca) == "Done"
    assert raster_line(box, ca, up=False) == "Done"
    measured, _ = box.read(swmr=True)
    assert measured["x_mean"].shape == (2, PULSES)
    measured, truth = box.close()
    assert set(box.get("Columns")) == set(measured)
    for axis in "xyz":
        error_nm = 1e3 * (measured[f"{axis}_mean"] - truth[f"{axis}_mean"])
        # gates of a millisecond: the noise of a mean is that of a reading at 1 kHz
        assert np.sqrt(np.mean(error_nm**2)) == pytest.approx(0.5, rel=0.2)
    for line, sign in enumerate((1, -1)):
        wanted = sign * (STEP * np.arange(PULSES) - PULSES * STEP / 2)
        assert measured["x_start"][line] == pytest.approx(wanted, abs=6 * np.sqrt(2) * 5e-4)
        assert measured["x_end"][line, :-1] == pytest.approx(measured["x_start"][line, 1:], abs=6 * np.sqrt(2) * 5e-4)
        gates_s = measured["time_end"][line] - measured["time_start"][line]
        assert gates_s.mean() == pytest.approx(1e-3, rel=0.02)
        # the stage shakes, and a pulse comes when it is there
        assert gates_s.std() > 2e-5
    assert np.std(truth["y_mean"]) == pytest.approx(3e-3, rel=0.3)
    assert (np.diff(measured["time_start"].ravel()) > 0).all()
    assert (measured["fluorescence_frames"] == 0).all()


def test_the_counts_are_those_of_where_the_spot_truly_was(box: Box, ca, twin: Simulated, probe: Nanoprobe) -> None:  # type: ignore[no-untyped-def]
    box.open("x", PULSES)
    assert raster_line(box, ca) == "Done"
    measured, truth = (columns for columns in box.close())
    bragg = start_positions(twin.beamline)["monochromator.bragg"] - 0.03
    assert truth["energy"] == pytest.approx(probe.beam.monochromator.energy(bragg), abs=0.05)
    start = start_positions(twin.beamline)
    readings = Readings(
        bragg=bragg,
        crystal_gap=12.9,
        undulator_gap=start["undulator.gap"] + GAP_MM,
        zone_plate=start["zone_plate.z"],
        zone_plate_xy_um=(start["zone_plate.x"], start["zone_plate.y"]),
        aperture=-10.0,
    )
    passed = []
    for x, y, energy in zip(*(truth[name][0] for name in ("place_x", "place_y", "energy")), strict=True):
        spot = dataclasses.replace(probe.spot(readings, energy), place_um=(x, y))
        thickness = probe.thickness(spot, path_um=(STEP, 0.0))
        passed.append(np.exp(-np.dot(probe.sample.attenuations(energy), thickness)))
    assert min(passed) < 0.95
    gates_s = measured["time_end"][0] - measured["time_start"][0]
    transmitted = measured["transmitted_counts"][0] / (truth["flux"][0] * gates_s)
    transmitted /= np.median(transmitted[np.array(passed) > 0.999])
    # 95 counts at least, cut to whole ones, of many more photons
    assert np.abs(transmitted - passed).max() < 6 * 0.5 / 95
    assert np.corrcoef(transmitted, passed)[0, 1] > 0.99
    assert measured["incident_counts"].mean() > 10


def test_spectra_come_one_a_pulse_and_show_the_particle(box: Box, ca) -> None:  # type: ignore[no-untyped-def]
    box.open("x", PULSES)
    box.acquire("Gate", 1.0)
    assert raster_line(box, ca) == "Done"
    assert raster_line(box, ca, up=False) == "Done"
    spectra = box.acquired()
    measured, truth = box.close()
    assert measured["fluorescence_frames"].ravel().tolist() == list(range(1, 2 * PULSES + 1))
    assert (truth["fluorescence_taken"] == 1).all()
    assert spectra.shape == (2 * PULSES, 4, 4096)
    line = int(tables.lines("Ni")[0].energy // 10)
    nickel = spectra[:, :, line - 20 : line + 20].sum(axis=(1, 2)).reshape(2, PULSES)
    weaker = -np.log(measured["transmitted_counts"] / np.median(measured["transmitted_counts"]))
    for row in (0, 1):
        assert np.corrcoef(nickel[row], weaker[row])[0, 1] > 0.7
    # the snake sees the same sample on its way back
    assert np.corrcoef(nickel[0], nickel[1][::-1])[0, 1] > 0.7


def test_triggers_that_come_too_fast_are_missed_and_told(box: Box, ca) -> None:  # type: ignore[no-untyped-def]
    """An exposure of 1.5 gates takes every second pulse: the others are missing, and no spectrum is shifted."""
    box.open("x", PULSES)
    box.acquire("External", 1.5e-3)
    assert raster_line(box, ca) == "Done"
    spectra = box.acquired()
    measured, truth = box.close()
    taken = np.diff(measured["fluorescence_frames"][0], prepend=0) == 1
    assert taken.tolist() == (truth["fluorescence_taken"][0] == 1).tolist()
    assert 0.4 * PULSES < taken.sum() < 0.6 * PULSES
    assert not (taken[1:] & taken[:-1]).any()
    assert len(spectra) == taken.sum() == measured["fluorescence_frames"][0, -1]


def test_pulses_by_the_clock(box: Box, ca) -> None:  # type: ignore[no-untyped-def]
    box.open("x", 50, Mode="Time")
    assert box.arm(Step=0.004, Gate=0.003) in ("Armed", "Running")
    assert box.ended() == "Done"
    measured, _ = box.close()
    assert np.diff(measured["time_start"][0]) == pytest.approx(0.004, abs=1e-9)
    assert measured["time_end"][0] - measured["time_start"][0] == pytest.approx(0.003, abs=1e-9)


def test_an_edge_in_one_sweep_of_energy_and_gap(box: Box, ca, twin: Simulated, probe: Nanoprobe) -> None:  # type: ignore[no-untyped-def]
    """The energy of each pulse by the encoder is the true one within jitter, and a foil has its edge there."""
    low, high = 8318.0, 8348.0
    law = twin.beamline.undulator.law(twin.beamline.ring)
    gaps = [law.gap(energy, 5) for energy in (low, high)]
    angles = [bragg_angle(energy, twin.beamline.monochromator.spacing) for energy in (low, high)]
    before, velocity = ca.get(f"{BRAGG}.VAL"), ca.get(f"{BRAGG}.VELO")
    slow = 0.0025  # the gap starts some questions and answers before Bragg, and is ahead by that much
    ca.put("NANO:foils", "Ni")
    ca.put("ID:gap:set", gaps[0])
    ca.put("ID:gap:start", 1)
    ca.put(BRAGG, angles[0] + 0.004)
    ca.put("ID:gap:set", gaps[1])
    ca.put("ID:gap:velocity", (gaps[1] - gaps[0]) * slow / (angles[0] - angles[1]))
    box.open("bragg", 400)
    try:
        ca.start("ID:gap:start", 1)
        step = -(angles[0] - angles[1]) / 400
        assert box.line(BRAGG, angles[1] - 0.004, slow, Start=angles[0], Step=step, Timeout=120.0) == "Done"
    finally:
        ca.put("ID:gap:velocity", 0.1)
        ca.put(f"{BRAGG}.VELO", velocity)
        ca.put(BRAGG, before)
        ca.put("NANO:foils", 0)
    measured, truth = box.close()
    energy = np.array([probe.beam.monochromator.energy(one) for one in measured["bragg_mean"][0]])
    assert energy[[0, -1]] == pytest.approx([low, high], abs=0.1)
    # 0.2 µrad of jitter are 0.0068 eV, and the thermal drift has gone on since the start
    assert np.std(energy - truth["energy"][0]) == pytest.approx(0.0068, rel=0.2)
    assert np.abs(np.mean(energy - truth["energy"][0])) < 0.02
    # the undulator follows: without it, the first zero of its line is 12 eV away
    assert truth["flux"][0].min() > 0.5 * truth["flux"][0].max()
    gates_s = measured["time_end"][0] - measured["time_start"][0]
    passed = measured["reference_counts"][0] / (truth["flux"][0] * gates_s)
    slope = np.gradient(np.convolve(passed, np.ones(9) / 9, "same"), energy)[10:-10]
    assert energy[10:-10][np.argmin(slope)] == pytest.approx(8333.0, abs=0.7)


def test_a_stage_that_stops_in_the_line_is_told_and_the_pixels_so_far_are_kept(box: Box, ca, tag: str) -> None:  # type: ignore[no-untyped-def]
    box.open("x", PULSES)
    assert misses(box, ca, Timeout=25.0) == "Armed"
    ca.wait(f"{box.prefix}Captured_RBV", lambda count: 0 < count < PULSES)
    ca.put(f"{FAULT}stalled_axis", f"{tag}{X}")
    assert box.ended() == "Failed"
    captured = box.get("Captured_RBV")
    box.tells(f"{captured} of {PULSES} pulses came within 25 s after arming: x stands at ")
    ca.put(f"{FAULT}stalled_axis", "")
    assert raster_line(box, ca, Timeout=30.0) == "Done"
    measured, truth = box.close()
    for column in (*measured.values(), *truth.values()):
        assert np.isfinite(column[0]).tolist() == [True] * captured + [False] * (PULSES - captured)
        assert np.isfinite(column[1]).all()


def test_a_line_is_disarmed_in_its_middle(box: Box, ca) -> None:  # type: ignore[no-untyped-def]
    box.open("x", PULSES)
    assert misses(box, ca) == "Armed"
    ca.wait(f"{box.prefix}Captured_RBV", lambda count: count > 0)
    box.put("Arm", 1)
    box.tells("a line is running: put Disarm first")
    box.put("Disarm", 1)
    assert box.get("State_RBV") == "Idle"
    captured = box.get("Captured_RBV")
    box.tells(f"disarmed after {captured} of {PULSES} pulses")
    assert raster_line(box, ca) == "Done"
    measured, _ = box.close()
    assert np.isfinite(measured["x_mean"]).sum(axis=1).tolist() == [captured, PULSES]


def test_positions_are_those_of_now(box: Box, ca) -> None:  # type: ignore[no-untyped-def]
    """A scan needs them to tell the box where its first pulse is."""
    assert list(box.get("Channels")) == ["x", "y", "z", "rotation", "bragg"]
    assert list(box.get("Units")) == ["um", "um", "um", "deg", "deg"]
    for place in (3.0, -3.0):
        ca.put(X, place)
        x = box.get("Positions_RBV")[0]
        # the rotation wobbles by 0.05 µm, and the stage shakes by some nanometres
        assert x == pytest.approx(place, abs=0.07)


def test_what_cannot_be_armed(box: Box, ca) -> None:  # type: ignore[no-untyped-def]
    assert box.arm(Pulses=PULSES, Axis="x", Step=STEP, Start=-5.0) == "Failed"
    box.tells("no file is open: put Open first")
    box.open("x", PULSES)
    assert box.arm(Pulses=10) == "Failed"
    box.tells("Pulses = 10 must stay 200, as when the file was opened")
    assert box.arm(Pulses=PULSES, Step=0.0) == "Failed"
    box.tells("Step = 0 must be other than 0")
    ca.put(X, 2.0)
    assert box.arm(Step=STEP, Start=-5.0) == "Failed"
    box.tells("already past the first pulse at -5 um for steps of 0.05")
    box.put("Close", 1)
    box.put("FilePath", "/nowhere/at/all")
    box.put("Open", 1)
    box.tells("no file can be opened: the folder /nowhere/at/all/ does not exist")


def test_a_box_that_is_unplugged_answers_nothing_until_it_is_back(box: Box, ca) -> None:  # type: ignore[no-untyped-def]
    box.open("x", PULSES)
    assert misses(box, ca) == "Armed"
    ca.wait(f"{box.prefix}Captured_RBV", lambda count: count > 0)
    ca.put(f"{FAULT}capture_unplugged", 1)
    assert box.get("Connected_RBV") == "Disconnected"
    assert ca.severity(f"{box.prefix}State_RBV") == 3
    disarmed = threading.Event()
    ca(f"{box.prefix}Disarm").put(1, wait=False, callback=lambda **_: disarmed.set())
    assert not disarmed.wait(0.5)
    assert box.get("State_RBV") in ("Armed", "Running")
    ca.put(f"{FAULT}capture_unplugged", 0)
    assert disarmed.wait(10)
    ca.wait(f"{box.prefix}Lines_RBV", lambda lines: lines == 1)
    assert ca.severity(f"{box.prefix}State_RBV") == 0
    assert raster_line(box, ca) == "Done"
    measured, _ = box.close()
    captured = np.isfinite(measured["x_mean"]).sum(axis=1)
    assert 0 < captured[0] < PULSES
    assert captured[1] == PULSES


def test_a_buffer_that_runs_over_is_told(box: Box, ca) -> None:  # type: ignore[no-untyped-def]
    box.open("x", PULSES)
    ca.put(f"{FAULT}capture_overrun", 1)
    assert misses(box, ca) == "Armed"
    assert box.ended() == "Failed"
    captured = box.get("Captured_RBV")
    so_far = f"{np.isfinite(box.close()[0]['x_mean']).sum()} of {PULSES} pulses"
    box.tells(f"the buffer of the box ran over after {so_far}: it writes 50000 pulses per second for good; go slower")
    assert captured < PULSES


def test_no_beam_in_a_line_is_seen_in_its_counts(box: Box, ca) -> None:  # type: ignore[no-untyped-def]
    box.open("x", PULSES)
    assert misses(box, ca) == "Armed"
    ca.wait(f"{box.prefix}Captured_RBV", lambda count: count > 0)
    ca.put("NANO:shutter:command", "Closed")
    assert box.ended() == "Done"
    ca.put("NANO:shutter:command", "Open")
    measured, _ = box.close()
    counts = measured["transmitted_counts"][0]
    assert counts[0] > 20
    assert counts[-10:].max() <= 2
