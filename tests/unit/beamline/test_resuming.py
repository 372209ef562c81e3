"""What has changed since a run was interrupted is told by what it does, or refused if the pixels would be others."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from event_model import compose_run

from whiteline.analysis.calibration import EnergyCalibration
from whiteline.analysis.runs import Run, open_run
from whiteline.beamline.resuming import CannotResume
from whiteline.beamline.resuming.arguments import by_name
from whiteline.beamline.resuming.differences import differences
from whiteline.beamline.resuming.members import Member, metadata
from whiteline.beamline.resuming.resumption import _budget_left

THEN = EnergyCalibration(
    version=3, date="2026-11-24", source="run 1", spacing=3.1356, offset=0.01, covariance=((1e-12, 0.0), (0.0, 1e-12)),
)  # fmt: skip


def taken_with(**configuration: Any) -> Run:
    """Return a run that was interrupted before its first point."""
    run = compose_run(metadata={"plan_name": "xanes_stack", "energies": [8300.0, 8350.0], "detectors": ["camera"]})
    keys = {name: {"dtype": "array", "shape": [], "source": ""} for name in configuration}
    camera = {"data": configuration, "timestamps": dict.fromkeys(configuration, 0.0), "data_keys": keys}
    stream = run.compose_descriptor(name="primary", data_keys={}, configuration={"camera": camera})
    return open_run([("start", run.start_doc), ("descriptor", stream.descriptor_doc)])


def device(**configuration: Any) -> dict[str, Any]:
    """Return devices that are configured so now."""
    reading = {key: {"value": value, "timestamp": 0.0} for key, value in configuration.items()}
    return {"camera": SimpleNamespace(name="camera", read_configuration=lambda: reading)}


def test_nothing_is_told_where_nothing_has_changed_but_what_plans_set() -> None:
    run = taken_with(
        camera_roi=[0, 0, 64, 64],
        camera_binning=2,
        camera_exposure=0.1,
        camera_z_zero=[None, 1.0],
        capture_x_zero=0.05,
        mono_calibration=THEN.to_json(),
    )
    now = device(
        camera_roi=(0, 0, 64, 64),
        camera_binning=2,
        camera_exposure=3.0,
        camera_z_zero=[float("nan"), 1.0],
        capture_x_zero=float("nan"),  # not known before the first line of a session
        mono_calibration=THEN.to_json(),
    )
    assert differences(run, now) == ()


def test_another_calibration_is_told_by_what_it_does_to_the_energy() -> None:
    newer = replace(THEN, version=4, date="2026-11-26", offset=0.011)
    run = taken_with(mono_calibration=THEN.to_json())
    (sentence,) = differences(run, device(mono_calibration=newer.to_json()))
    off = newer.energy(THEN.angle(8325.0)) - 8325.0
    assert abs(off) > 0.1
    assert "mono_calibration was version 3 of 2026-11-24, and is version 4 of 2026-11-26 now" in sentence
    assert f"{off:+.3f} eV apart" in sentence


def test_another_region_or_binning_is_refused_and_any_other_setting_is_told() -> None:
    run = taken_with(camera_roi=[0, 0, 64, 64], camera_gain=1.0)
    assert differences(run, device(camera_gain=2.0)) == ("camera_gain was 1.0, and is 2.0 now",)
    with pytest.raises(CannotResume, match=r"camera_roi was .0, 0, 64, 64. in .*, and is .0, 0, 32, 32.: its pixels"):
        differences(run, device(camera_roi=[0, 0, 32, 32]))


def test_what_was_predicted_of_the_whole_is_not_told_of_the_rest() -> None:
    told = {"preflight": {"seconds": 3600.0}, "sample": "particles", "plan_name": "xanes_stack"}
    run = open_run([("start", compose_run(metadata=told).start_doc)])
    assert metadata(run, Member(None, run)).keys() & told.keys() == {"sample"}


def test_what_is_left_of_a_dose_budget_goes_over_to_the_run_that_goes_on() -> None:
    def part(points: int, *doses: float) -> Any:
        """A part with a point each second, and a pass told of after each ten of them."""
        taken = [SimpleNamespace(time=1.0 * n) for n in range(points)]
        told = [SimpleNamespace(data={"passes_dose": one}, time=10.0 * n + 9.5) for n, one in enumerate(doses)]
        streams = {"primary": SimpleNamespace(points=taken)} | (
            {"passes": SimpleNamespace(points=told)} if told else {}
        )
        return SimpleNamespace(
            name="run 7", start={"planned": {"primary": 80}}, points=taken, streams=streams, parts=()
        )  # fmt: skip

    def whole(*parts: Any) -> Any:
        points = [point for one in parts for point in one.points]
        return SimpleNamespace(name="run 7", start=parts[0].start, points=points, streams={}, parts=parts)

    asked = {"dose_budget_Gy": 5e9, "passes": 8}
    # eight passes of ten points; it was ended in the fourth one, of which half was taken
    assert _budget_left(asked, part(35, 1e9, 2e9, 3e9)) == {"dose_budget_Gy": pytest.approx(1.5e9)}
    # the first pass gave more, as it looked for the focus: the newest one counts for what is not told of
    assert _budget_left(asked, part(28, 1.5e9, 2e9)) == {"dose_budget_Gy": pytest.approx(5e9 - 2.4e9)}
    # each part was metered from 0, and the first one told nothing
    assert _budget_left(asked, whole(part(5), part(10, 1e9), part(4))) == {"dose_budget_Gy": pytest.approx(3.1e9)}
    assert _budget_left(asked, part(5)) == {}
    assert _budget_left({"passes": 8}, part(35, 1e9, 2e9, 3e9)) == {}
    assert _budget_left(asked, part(35, float("nan"))) == {}
    # nothing is left: no pass is begun any more, but one that was is finished
    with pytest.raises(CannotResume, match=r"run 7 has given 6e\+09 Gy already, and its dose budget is 5e\+09 Gy"):
        _budget_left(asked, part(30, 2e9, 4e9, 6e9))
    assert _budget_left(asked, part(35, 2e9, 4e9, 6e9)) == {"dose_budget_Gy": pytest.approx(2e8)}


def test_devices_and_their_parts_are_found_by_the_names_that_documents_have() -> None:
    x = SimpleNamespace(name="sample_x")
    sample = SimpleNamespace(name="sample", _sub_devices=("x",), x=x)
    live = SimpleNamespace(name="live_shift")
    found = by_name({"sample": sample}, [live])
    assert found == {"sample": [sample], "sample_x": [x], "live_shift": [live]}
