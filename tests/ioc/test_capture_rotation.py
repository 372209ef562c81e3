"""The capture box of the simulated TXM: frames while the sample turns, each at its measured angle."""

from dataclasses import replace

import numpy as np
import pytest
from capture_client import Box

from whiteline.beamline import twin as physics
from whiteline.beamline.in_focus import readings_in_focus
from whiteline.beamline.simulation import Simulated
from whiteline.sim.camera import Region

ROTATION = "TXM:sample:rotation"
SIDE, BINNING, EXPOSURE_S = 128, 4, 0.05


@pytest.fixture(scope="module")
def twin(simulate) -> Simulated:  # type: ignore[no-untyped-def]
    return simulate("txm", speed=4.0)


@pytest.fixture
def box(twin: Simulated, ca) -> Box:  # type: ignore[no-untyped-def]
    for prefix in ("FE:shutter:", "TXM:shutter:"):
        ca.put(f"{prefix}command", "Open")
    return Box(ca, twin, "TXM:capture:", "TXM:camera:", "cam1:")


def turned(box: Box, ca, period_s: float, pulses: int):  # type: ignore[no-untyped-def]
    """Turn at full speed with a pulse every so often; return what was captured, the truth, and the frames."""
    step = 12.0 * period_s
    size = SIDE * BINNING
    edge = (2048 - size) // 2
    ca.put(ROTATION, -7.0)
    box.open("rotation", pulses, Gate=EXPOSURE_S)
    box.acquire("External", EXPOSURE_S, MinX=edge, MinY=edge, SizeX=size, SizeY=size, BinX=BINNING)
    assert box.line(ROTATION, pulses * step + 7.0, Start=0.0, Step=step) == "Done"
    frames = box.acquired()
    return *box.close(), frames


def test_each_frame_shows_the_sample_at_its_measured_angle(box: Box, ca, twin: Simulated) -> None:  # type: ignore[no-untyped-def]
    pulses, period_s = 30, 0.08
    measured, truth, frames = turned(box, ca, period_s, pulses)
    assert measured["camera_frames"][0].tolist() == list(range(1, pulses + 1))
    # the pulse comes at its angle, and the gate of 0.05 s goes on by 0.6 degrees
    wanted = 12.0 * (period_s * np.arange(pulses) + EXPOSURE_S / 2)
    assert measured["rotation_mean"][0] == pytest.approx(wanted, abs=1e-3)
    assert measured["rotation_mean"] == pytest.approx(truth["rotation_mean"], abs=1e-5)
    microscope, region = physics.full_field(twin.beamline), Region.centred((2048, 2048), (SIDE, SIDE), BINNING)
    start = readings_in_focus(twin.beamline, 8333.0, 5)
    flat = microscope.frame(replace(start, sample_um=(5000.0, 0.0)), EXPOSURE_S, 1, region) - 100.0

    def density(frame):  # type: ignore[no-untyped-def]
        return -np.log(np.maximum(frame - 100.0, 1.0) / flat).ravel()

    for number in (0, 12, 29):
        at = measured["rotation_mean"][0, number]
        like = [
            np.corrcoef(density(frames[number]), density(microscope.frame(seen, EXPOSURE_S, 2, region)))[0, 1]
            for seen in (replace(start, rotation_deg=at + aside) for aside in (-6.0, 0.0, 6.0))
        ]
        assert like[1] > 0.8
        assert like[1] == max(like)


def test_a_camera_driven_too_fast_misses_every_second_trigger(box: Box, ca) -> None:  # type: ignore[no-untyped-def]
    """0.05 s of exposure and 0.02 s of readout do not fit into 0.06 s."""
    measured, truth, frames = turned(box, ca, 0.06, 16)
    assert np.diff(measured["camera_frames"][0], prepend=0).tolist() == [1, 0] * 8
    assert truth["camera_taken"][0].tolist() == [1, 0] * 8
    assert len(frames) == 8
