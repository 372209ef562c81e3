"""The dose of a run that goes on: counted where the sample was exposed, and of nothing else."""

from typing import Any

import pytest

from whiteline.analysis.live.status import NotAnalysed
from whiteline.beamline.beam_on_sample import BeamOnSample
from whiteline.beamline.dose_meter import DoseMeter

BEAM = BeamOnSample(1e6, "LiFePO4", "a test")
PER_S = BEAM.dose_per_s(7130.0)


@pytest.fixture
def meter() -> DoseMeter:
    meter = DoseMeter(BEAM, "camera")
    meter("start", {"uid": "run", "frames_per_event": 5})
    configuration = {"camera": {"data": {"camera_readout": 0.02}}}
    for stream in ("primary", "flat", "dark", "look"):
        meter("descriptor", {"uid": stream, "name": stream, "configuration": configuration})
    return meter


def event(meter: DoseMeter, stream: str, number: int, exposure: float, **data: Any) -> None:
    read = {"camera_exposure": exposure, "energy": 7130.0} | data
    meter("event", {"descriptor": stream, "seq_num": number, "data": read})


def test_only_frames_of_the_sample_count(meter: DoseMeter) -> None:
    event(meter, "dark", 1, 0.2)
    event(meter, "flat", 1, 0.2)
    assert meter.gray == 0.0
    assert not meter.counted
    event(meter, "primary", 1, 0.2)
    event(meter, "look", 1, 0.1)
    assert meter.gray == pytest.approx(5 * (0.22 + 0.12) * PER_S)
    assert meter.counted
    # PHYSICS: 2.0e4 Gy for 1e6 photons/um2 on LiFePO4 at 7130 eV
    assert pytest.approx(2.0e4, rel=0.05) == PER_S


def test_a_point_that_was_measured_anew_was_exposed_twice(meter: DoseMeter) -> None:
    event(meter, "primary", 1, 0.2)
    event(meter, "primary", 1, 0.2)
    assert meter.gray == pytest.approx(2 * 5 * 0.22 * PER_S)


def test_the_most_exposed_place_counts_and_each_run_begins_anew(meter: DoseMeter) -> None:
    event(meter, "primary", 1, 0.2, position_index=0)
    event(meter, "primary", 2, 0.3, position_index=1)
    meter.dose.trigger().wait(1)
    assert meter.dose.read()["dose_gray"]["value"] == pytest.approx(5 * 0.32 * PER_S)
    meter("start", {"uid": "another"})
    assert meter.gray == 0.0


def test_what_is_not_known_is_not_told(meter: DoseMeter) -> None:
    meter("event", {"descriptor": "primary", "seq_num": 1, "data": {"energy": 7130.0}})
    with pytest.raises(NotAnalysed, match="say no exposure of 'camera'"):
        meter.dose.trigger().wait(1)
