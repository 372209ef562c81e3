"""The queue server lists every plan, and its own tools take good arguments and refuse bad ones."""

from typing import Any

import pytest
from fly_fakes import FlyBeamline
from public_plans import FakeFeedback
from running import taken

import whiteline.plans as plans
from whiteline.analysis.checks import OutOfRange

profile_ops = pytest.importorskip("bluesky_queueserver.manager.profile_ops")

TWO_BY_TWO = {"fast_range": [0.0, 1.0, 2], "slow_range": [5.0, 6.0, 2]}
SPECTRUM: dict[str, Any] = {"detectors": ["counters"], "energy": "energy", "energies": [8330.0, 8350.0]}
STACK: dict[str, Any] = {
    "camera": "camera", "energy": "energy", "energies": [8330.0], "sample": "sample", "shutter": "fast_shutter",
    "exposure_s": 0.1,
}  # fmt: skip
RASTER: dict[str, Any] = {"detectors": ["counters"], "fast": "sample_x", "slow": "sample_y", "dwell_s": 0.1}
FLY_RASTER: dict[str, Any] = {**RASTER, "detectors": ["fluorescence_triggered"], "capture": "capture"}
TURN: dict[str, Any] = {
    "camera": "camera_triggered", "rotation": "sample_rotation", "capture": "turning", "energy": "energy",
    "sample": "sample", "shutter": "fast_shutter", "exposure_s": 0.1, "flat_frames": 1, "dark_frames": 1,
}  # fmt: skip
TILES: dict[str, Any] = {"area": [[0.0, 18.0], [0.0, 10.0]], "tile_um": [10.0, 10.0]}

GOOD: dict[str, list[dict[str, Any]]] = {
    "xanes": [SPECTRUM, {**SPECTRUM, "dwell_s": 0.1}, {**SPECTRUM, "dwell_s": [0.1, 0.2], "md": {"sample": "NiO"}}],
    "xanes_stack": [
        STACK,
        {**STACK, "flats": 2, "darks": "none", "positions": [[0.0, 1.0], [2.0, 1.0]], "also": ["counters"]},
        {**STACK, "energies": [[7100.0], [8330.0]], "filters": "filters", "filter_names": [[], ["Al 50"]]},
    ],
    "raster": [
        {**RASTER, **TWO_BY_TWO, "snake": True, "energy": "energy", "shutter": "fast_shutter"},
        {**RASTER, **TWO_BY_TWO, "path": "fermat", "polygons": [[[-1.0, 4.0], [2.0, 4.0], [2.0, 7.0], [-1.0, 7.0]]]},
        {**RASTER, "regions": [[[0.0, 1.0, 2], [5.0, 6.0, 2]]]},
    ],
    "raster_stack": [{**RASTER, **SPECTRUM, **TWO_BY_TWO}],
    "fly_raster": [
        {**FLY_RASTER, **TWO_BY_TWO, "snake": True, "energy": "energy", "shutter": "fast_shutter", "strict": True},
        {**FLY_RASTER, "detectors": [], "regions": [[[0.0, 1.0, 2], [5.0, 6.0, 2]]], "retries": 1},
    ],
    "fly_raster_stack": [{**FLY_RASTER, **TWO_BY_TWO, "energy": "energy", "energies": [8330.0, 8350.0]}],
    "fly_xanes": [
        {
            "detectors": [], "energy": "energy", "energy_range": [8330.0, 8350.0, 3], "capture": "capture",
            "sweep": "energy_sweep", "dwell_s": 0.1,
        }
    ],
    "fly_tomography": [{**TURN, "velocity": 60.0}, {**TURN, "projections": 20, "flats": "none", "darks": "none"}],
    "xanes_tomography": [{**TURN, "energies": [8330.0, 8350.0], "projections": 20, "taken": [8330.0], "group": "one"}],
    "mosaic": [{"camera": "camera", "sample": "sample", "shutter": "fast_shutter", "exposure_s": 0.1, **TILES}],
    "raster_mosaic": [{**RASTER, **TILES, "points": [2, 2]}],
    "tune": [
        {"detectors": ["counters"], "axis": "sample_x", "span": 4.0, "points": 7},
        {
            "detectors": ["counters"], "axis": "sample_x", "span": 4.0, "points": 7, "feedback": "feedback",
            "energy": "energy", "energies": [8330.0],
        },
    ],
    "scan_axis": [
        {
            "detectors": ["counters"], "axis": "sample_x", "start": -1.0, "stop": 1.0, "points": 5, "relative": True,
            "shutter": "fast_shutter", "dwell_s": 0.1,
        }
    ],
    "time_series": [{"plan": "xanes", "arguments": SPECTRUM, "times_s": [0.0]}],
    "bias_series": [{"plan": "xanes", "arguments": SPECTRUM, "axis": "sample_x", "values": [1.0, 2.0]}],
    "restore_positions": [
        {
            "axes": ["sample_x", "sample_y"], "positions": [1.0, 2.0], "along_beam": ["sample_y"],
            "shutter": "fast_shutter",
        }
    ],
}  # fmt: skip

SHUTTER: dict[str, Any] = {"shutter": "fast_shutter"}
CALIBRATIONS: dict[str, dict[str, Any]] = {
    "calibrate_energy": {
        "counters": "counters", "energy": "energy", "monochromator": "mono", "foil_wheel": "wheel", "foils": ["Ni"],
        **SHUTTER,
    },
    "calibrate_focus": {
        "detectors": ["camera"], "energy": "energy", "zone_plate": "plate", "energies": [8200.0, 8400.0, 8600.0],
        "dwell_s": 0.1, "sharpness": "sharpness", "shift": "shift", "sample": "sample", **SHUTTER,
    },
    "calibrate_gap": {
        "detectors": ["counters"], "energy": "energy", "undulator": "undulator", "energies": [8200.0, 8400.0],
        **SHUTTER,
    },
    "calibrate_magnification": {
        "camera": "camera", "energy": "energy", "axis": "sample_x", "shift": "shift", "sample": "sample",
        "dwell_s": 0.1, **SHUTTER,
    },
    "find_rotation_centre": {
        "camera": "camera", "energy": "energy", "rotation": "sample_rotation", "stage": "sample_x",
        "centre": "rotation", "sample": "sample", "dwell_s": 0.1, **SHUTTER,
    },
    "focus_series": {
        "detectors": ["counters"], "energy": "energy", "zone_plate": "plate", "dwell_s": 0.1, "edge_axis": "sample_x",
        "edge_range": [-1.5, 1.5, 61], "signal": "counters_incident", **SHUTTER,
    },
    "knife_edge": {
        "detectors": ["counters"], "axis": "sample_x", "edge_range": [-1.0, 1.0, 41], "signal": "counters_incident",
        "dwell_s": 0.1, **SHUTTER,
    },
    "measure_dark_rates": {"counters": "counters", "gains": {"incident": [1e6, 1e7]}, **SHUTTER},
    "scan_osa": {"detectors": ["counters"], "aperture": "aperture", **SHUTTER},
}  # fmt: skip
"""Of plans that ask for devices that the fakes of this file have not: what is accepted, not what runs."""

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("xanes", {**SPECTRUM, "energies": "8330"}, "energies"),
    ("xanes", {**SPECTRUM, "energies": [[8330.0]]}, "energies"),
    ("xanes", {"detectors": ["counters"], "energy": "energy"}, "energies"),
    ("xanes", {**SPECTRUM, "dwel_s": 0.1}, "dwel_s"),
    ("xanes", {**SPECTRUM, "dwell_s": "long"}, "dwell_s"),
    ("xanes", {**SPECTRUM, "detectors": "counters"}, "detectors"),
    ("xanes_stack", {**STACK, "flats": "sometimes"}, "flats"),
    ("xanes_stack", {**STACK, "darks": "sometimes"}, "darks"),
    ("xanes_stack", {**STACK, "positions": [1.0, 2.0]}, "positions"),
    ("raster", {**RASTER, **TWO_BY_TWO, "path": "zigzag"}, "path"),
    ("raster", {**RASTER, "fast_range": [0.0, 1.0], "slow_range": [5.0, 6.0, 2]}, "fast_range"),
    ("fly_raster", {**RASTER, **TWO_BY_TWO}, "capture"),
    ("fly_raster", {**FLY_RASTER, **TWO_BY_TWO, "path": "fermat"}, "path"),
    ("fly_tomography", {**TURN, "velocity": 60.0, "flats": "each"}, "flats"),
    ("tune", {"detectors": ["counters"], "axis": "sample_x", "span": "wide"}, "span"),
    ("time_series", {"plan": "raster_everything", "arguments": {}, "times_s": [0.0]}, "plan"),
    ("restore_positions", {"axes": ["sample_x"], "positions": ["far"]}, "positions"),
]
"""What the validation refuses, by the types alone, and which argument it names."""

BEFORE_ANYTHING_MOVES: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("xanes", {**SPECTRUM, "energies": [8.33]}, OutOfRange, "keV"),
    ("xanes", {**SPECTRUM, "energies": [8350.0, 8330.0, 8340.0]}, ValueError, "must ascend or descend"),
    ("xanes", {**SPECTRUM, "dwell_s": 0.0}, OutOfRange, "dwell"),
    ("xanes", {**SPECTRUM, "detectors": ["cuonters"]}, TypeError, "'cuonters', which is the name of no device"),
    ("xanes", {**SPECTRUM, "energy": "enrgy"}, TypeError, "energy = 'enrgy' cannot play this part"),
    ("raster", {**RASTER, "fast_range": [0.0, 1.0, 200], "slow_range": [0.0, 1.0, 200]}, OutOfRange, "fly_raster"),
    ("raster", {**RASTER, **TWO_BY_TWO, "detectors": ["camera"]}, TypeError, "is a camera"),
    ("fly_raster", {**FLY_RASTER, **TWO_BY_TWO, "detectors": ["counters"]}, TypeError, "cannot be triggered"),
    ("fly_raster", {**FLY_RASTER, **TWO_BY_TWO, "capture": "captrue"}, TypeError, "capture = 'captrue' cannot play"),
    ("fly_raster", {**FLY_RASTER, **TWO_BY_TWO, "dwell_s": 1e-4}, OutOfRange, "rate of fluorescence"),
    ("tune", {"detectors": ["counters"], "axis": "sample_x", "span": -1.0}, OutOfRange, "span"),
    (
        "scan_axis",
        {"detectors": ["counters"], "axis": "sample_x", "start": 0.0, "stop": 1e6, "points": 5},
        ValueError,
        "sample_x",
    ),
    ("restore_positions", {"axes": ["sample_x"], "positions": [1e6]}, ValueError, "sample_x"),
]
"""What has the right type and cannot be right: the item of the queue fails with one sentence, and nothing has moved."""

items = [(name, number) for name, several in GOOD.items() for number in range(len(several))]


class Worker:
    """What the queue server's worker makes of a namespace, and of an item of the queue."""

    def __init__(self, line: FlyBeamline) -> None:
        self.line = line
        devices: dict[str, Any] = {
            device.name: device for device in [*line.devices, line.sample, FakeFeedback("feedback", line.world)]
        }
        devices |= {"capture": line.capture, "turning": line.turning, "energy_sweep": line.sweep}
        devices |= {"fluorescence_triggered": line.fly_fluorescence, "camera_triggered": line.fly_camera}
        namespace = {name: getattr(plans, name) for name in plans.__all__} | devices
        found = profile_ops.existing_plans_and_devices_from_nspace(nspace=namespace)
        self.plans, self.devices, self._plans_here, self._devices_here = found[:4]

    def validate(self, name: str, arguments: dict[str, Any]) -> tuple[bool, str]:
        """Return whether an item is accepted into the queue, and why not."""
        item = {"item_type": "plan", "name": name, "kwargs": arguments, "user_group": "primary"}
        accepted, why = profile_ops.validate_plan(item, allowed_plans=self.plans, allowed_devices=self.devices)
        return bool(accepted), str(why)

    def messages(self, name: str, arguments: dict[str, Any]) -> Any:
        """Return the plan as the worker calls it, with devices for their names."""
        parsed = profile_ops.prepare_plan(
            {"name": name, "kwargs": arguments, "user_group": "primary"},
            plans_in_nspace=self._plans_here,
            devices_in_nspace=self._devices_here,
            allowed_plans={"primary": self.plans},
            allowed_devices={"primary": self.devices},
        )
        return parsed["callable"](*parsed["args"], **parsed["kwargs"])


@pytest.fixture
def worker() -> Worker:
    return Worker(FlyBeamline())


def test_every_public_plan_and_device_is_listed_with_its_description(worker: Worker) -> None:
    assert set(worker.plans) == set(plans.__all__) == set(GOOD) | set(CALIBRATIONS)
    assert {"camera", "counters", "energy", "fast_shutter", "filters", "sample", "sample_x"} <= set(worker.devices)
    for name, listed in worker.plans.items():
        assert listed["description"], name
        for parameter in listed["parameters"]:
            assert parameter.get("description"), (name, parameter["name"])
            assert parameter.get("annotation"), (name, parameter["name"])
        *_, last = listed["parameters"]
        assert name == "restore_positions" or last["name"] == "md"


@pytest.mark.parametrize(("name", "number"), items)
def test_good_arguments_are_accepted_and_the_plan_runs_as_the_worker_calls_it(
    worker: Worker, name: str, number: int
) -> None:
    assert worker.validate(name, GOOD[name][number]) == (True, "")
    before = worker.line.world.shutter
    runs = taken(worker.messages(name, GOOD[name][number]))
    assert runs or name == "restore_positions"
    assert worker.line.world.shutter == before == "Closed"


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_calibrations_are_accepted_and_refused_by_their_arguments(worker: Worker, name: str) -> None:
    assert worker.validate(name, CALIBRATIONS[name]) == (True, "")
    without = dict(list(CALIBRATIONS[name].items())[1:])
    accepted, why = worker.validate(name, without)
    assert not accepted
    assert next(iter(CALIBRATIONS[name])) in why


@pytest.mark.parametrize(("name", "arguments", "named"), REFUSED)
def test_bad_arguments_do_not_get_into_the_queue(
    worker: Worker, name: str, arguments: dict[str, Any], named: str
) -> None:
    accepted, why = worker.validate(name, arguments)
    assert not accepted
    assert named in why


@pytest.mark.parametrize(("name", "arguments", "kind", "says"), BEFORE_ANYTHING_MOVES)
def test_what_only_the_plan_can_refuse_it_refuses_before_anything_moves(
    worker: Worker, name: str, arguments: dict[str, Any], kind: type[Exception], says: str
) -> None:
    plan = worker.messages(name, arguments)
    with pytest.raises(kind, match=says):
        next(plan)
    assert not any(device.calls["set"] + device.calls["stage"] for device in worker.line.devices)
