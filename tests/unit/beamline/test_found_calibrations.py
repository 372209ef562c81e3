"""What a calibration has found is told when its run ends, and what it has not found, too."""

import json
from typing import Any

from whiteline.beamline.found_calibrations import calibrations_told


def told(*events: tuple[int, dict[str, Any]], stream: str = "calibration") -> list[str]:
    """Return what is told of a run that has these events, by number."""
    lines: list[str] = []
    document = calibrations_told(lines.append)
    document("start", {"uid": "run"})
    document("descriptor", {"uid": "stream", "name": stream, "run_start": "run"})
    for number, data in events:
        document("event", {"descriptor": "stream", "seq_num": number, "data": data})
        assert not lines, "a line in the middle of a scan would break its progress bar"
    document("stop", {"run_start": "run"})
    return lines


def found(
    of: str, quantities: dict[str, Any], *, applied: bool, reason: str = "", result: bool = True
) -> dict[str, Any]:
    return {
        "calibration_of": of, "calibration_quantities": json.dumps(quantities), "calibration_applied": int(applied),
        "calibration_reason": reason, "calibration_result": "{}" if result else "",
    }  # fmt: skip


FOCUS = {"a0": (-0.2491, 0.108, "mm"), "a1": (0.0115846, 1.3e-5, "mm/eV")}


def test_what_is_in_force_is_told_with_its_errors_and_units() -> None:
    (line,) = told((1, found("zone_plate", FOCUS, applied=True)))
    assert line == "calibrated zone_plate: a0 -0.2491 ± 0.11 mm, a1 0.0115846 ± 1.3e-05 mm/eV; in force from now on"


def test_why_nothing_was_changed_is_told() -> None:
    (none,) = told((1, found("zone_plate", {}, applied=False, reason="no focus was found at 8300 eV: no edge")))
    assert none == "nothing was found of zone_plate, which is as before: no focus was found at 8300 eV: no edge"
    (poor,) = told((1, found("zone_plate", FOCUS, applied=False, reason="it was not to be applied")))
    assert poor.endswith("mm/eV; not in force: it was not to be applied")


def test_an_event_that_is_taken_anew_is_told_once() -> None:
    lines = told(
        (1, found("monochromator", {}, applied=False, reason="lost")),
        (1, found("monochromator", {"offset": (0.01, 0.0, "deg")}, applied=True)),
        (2, found("zone_plate", FOCUS, applied=True)),
    )
    assert lines[0] == "calibrated monochromator: offset 0.01 deg; in force from now on"
    assert len(lines) == 2


def test_other_streams_tell_nothing() -> None:
    assert told((1, {"energy": 8333.0}), stream="primary") == []


def test_what_no_device_holds_is_not_said_to_be_in_force() -> None:
    (line,) = told((1, found("aperture", {"x": (12.0, None, "µm")}, applied=True, result=False)))
    assert line == "found of aperture: x 12 µm"


def test_what_is_not_known_and_other_streams_of_that_name_break_no_scan() -> None:
    (line,) = told((1, found("probe", {"width": (None, 0.1, "nm")}, applied=False)), (2, {"energy": 8333.0}))
    assert line == "found of probe: width ? ± 0.1 nm"


def test_a_run_within_another_takes_nothing_from_it() -> None:
    lines: list[str] = []
    document = calibrations_told(lines.append)
    document("start", {"uid": "outer"})
    document("descriptor", {"uid": "stream", "name": "calibration", "run_start": "outer"})
    document("event", {"descriptor": "stream", "seq_num": 1, "data": found("zone_plate", FOCUS, applied=True)})
    document("start", {"uid": "inner"})
    document("stop", {"run_start": "inner"})
    assert lines == []
    document("stop", {"run_start": "outer"})
    assert len(lines) == 1
