"""Dark rates are those without beam, at each gain that was asked for; what is not measured stays as it is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dark_fakes import DarkLine
from test_calibration_focus import events, run

from whiteline.analysis.calibration import DarkCalibration
from whiteline.beamline.kept_calibrations import KeptCalibrations
from whiteline.plans import measure_dark_rates


@pytest.fixture
def line(seed: int) -> DarkLine:
    return DarkLine(np.random.default_rng(seed))


def measured(line: DarkLine, **how: Any) -> tuple[Any, Any]:
    return run(measure_dark_rates(line.counters, **{"shutter": line.shutter, "dwell_s": 2.0} | how))


def pulls(line: DarkLine, found: DarkCalibration) -> list[float]:
    return [(rate - line.counters.rate(gain)) / error for _, gain, rate, error in found.rows]


def test_rates_are_found_with_their_errors_and_kept(line: DarkLine, tmp_path: Path) -> None:
    kept = KeptCalibrations(tmp_path)
    line.world.shutter = "Open"
    found, documents = measured(line, gains={"incident": [1e6, 1e7, 1e8], "transmitted": [1e7]}, counts=20)
    for document in documents:
        kept(*document)
    assert found.applied, found.reason
    rates = found.calibration.by_channel
    assert {channel: list(rates[channel]) for channel in rates} == {
        "incident": [1e6, 1e7, 1e8], "transmitted": [1e7],
    }  # fmt: skip
    assert np.abs(pulls(line, found.calibration)).max() < 6
    # 20 counts of 2 s at 20 1/s: 800 counts, known by 28
    assert found.quantities["incident at 1e+07 V/A"][1] == pytest.approx(28 / 40, rel=0.5)
    assert line.counters.dark_calibration.calibration == found.calibration
    assert kept.newest() == {"counters": found.calibration}
    assert not any(one.open for one in line.world.exposures)
    assert line.world.shutter == "Closed"
    assert line.counters.in_force == {"incident": 1e6, "transmitted": 1e6}
    assert line.counters.dwell.value == 0.25
    assert len(events(documents, "primary")) == 60


def test_without_gains_those_in_force_are_measured_and_others_stay_known(line: DarkLine) -> None:
    first, _ = measured(line, gains={"incident": [1e8]})
    line.counters.in_force |= {"incident": 1e7}
    second, _ = measured(line)
    assert second.calibration.by_channel.keys() == {"incident", "transmitted"}
    assert set(second.calibration.by_channel["incident"]) == {1e7, 1e8}
    assert second.calibration.by_channel["incident"][1e8] == first.calibration.by_channel["incident"][1e8]
    assert second.calibration.version == 2


def test_errors_are_of_order_one(seed: int) -> None:
    found = []
    for one in range(200):
        line = DarkLine(np.random.default_rng([seed, one]))
        found += pulls(line, measured(line, gains={"incident": [1e7], "transmitted": [1e8]}, counts=10)[0].calibration)
    # the root mean square of 400 pulls is right within 3.5 %; where counts scatter by more than they should by chance,
    # the error is that, which makes pulls smaller
    assert 0.75 < np.sqrt(np.mean(np.square(found))) < 1.15


def test_a_chamber_that_is_in_overload_changes_nothing_and_is_told(line: DarkLine) -> None:
    line.world.shutter = "Open"  # and nobody closes it: it is none that was given
    found, documents = measured(line, shutter=None)
    assert not found.applied
    assert "incident was in overload without beam" in found.reason
    assert line.counters.dark_calibration.calibration is None
    (event,) = events(documents, "calibration")
    assert event["calibration_applied"] == 0


def test_a_good_one_is_not_taken_over_if_it_shall_not(line: DarkLine) -> None:
    found, _ = measured(line, apply=False)
    assert found.calibration is not None
    assert found.reason == "it was not to be applied"
    assert line.counters.dark_calibration.calibration is None


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"gains": {"incident": [3.0]}}, ValueError, "has no gain 3 V/A"),
        ({"gains": {"incidental": [1e6]}}, ValueError, "incidental"),
        ({"dwell_s": 0.0}, ValueError, "dwell"),
        ({"counts": 0}, ValueError, "counts"),
    ],
)
def test_what_cannot_be_right_is_refused_before_the_first_message(
    line: DarkLine, how: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        next(measure_dark_rates(line.counters, **{"shutter": line.shutter} | how))


def test_what_has_no_chambers_is_no_scaler(line: DarkLine) -> None:
    with pytest.raises(TypeError, match="chambers"):
        next(measure_dark_rates(line.camera, shutter=line.shutter))
