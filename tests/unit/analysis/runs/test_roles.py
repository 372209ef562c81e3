"""What the parts of a run are: energies, flats, positions, calibrations, what is missing, maps and spectra."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whiteline.analysis.calibration import EnergyCalibration
from whiteline.analysis.runs import RunBuilder, UnreadableRun, open_run
from whiteline.analysis.runs.flats import groups_of_flats

Documents = list[tuple[str, dict[str, Any]]]
NUMBER = {"dtype": "number", "shape": [], "source": "test"}


def documents(
    rows: Sequence[dict[str, Any]],
    keys: dict[str, dict[str, Any]] | None = None,
    *,
    configuration: dict[str, Any] | None = None,
    devices: dict[str, list[str]] | None = None,
    seq_nums: Sequence[int] | None = None,
    stream: str = "primary",
    **start: Any,
) -> Documents:
    """Make a run of one stream whose points have some readings."""
    described = {key: NUMBER for row in rows for key in row} | (keys or {})
    descriptor = {
        "uid": "descriptor",
        "run_start": "uid-of-run",
        "name": stream,
        "time": 0.0,
        "data_keys": described,
        "object_keys": devices or {},
        "configuration": {"device": {"data": configuration or {}, "timestamps": {}, "data_keys": {}}},
    }
    found: Documents = [("start", {"uid": "uid-of-run", "time": 0.0, **start}), ("descriptor", descriptor)]
    for number, row in zip(seq_nums or range(1, len(rows) + 1), rows, strict=True):
        event = {"uid": str(number), "descriptor": "descriptor", "seq_num": number, "time": float(number), "data": row}
        found.append(("event", event | {"timestamps": {}, "filled": {}}))
    return found


def of_plan(engine: Any, plan: Any) -> Documents:
    found: Documents = []
    engine(plan, lambda name, document: found.append((name, document)))
    return found


def test_positions_are_commanded_read_and_by_interferometer(seed: int) -> None:
    source = np.random.default_rng(seed)
    there = source.normal(size=(5, 4))
    names = ("sample_x_setpoint", "sample_x", "sample_x_mean", "sample_x_rms")
    rows: list[dict[str, Any]] = [dict(zip(names, one, strict=True)) | {"sample_y": 1.0} for one in there]
    rows[2]["sample_x_mean"] = float("nan")
    run = open_run(documents(rows, {"sample_x": NUMBER | {"units": "um"}}, motors=["sample_x"]))
    x = run.positions("sample_x")
    assert x.unit == "um"
    np.testing.assert_array_equal(x.commanded, there[:, 0])
    np.testing.assert_array_equal(x.read, there[:, 1])
    np.testing.assert_array_equal(x.rms, there[:, 3])
    np.testing.assert_array_equal(x.best, np.where(np.arange(5) == 2, there[:, 1], there[:, 2]))
    y = run.positions("sample_y")
    assert np.isnan([y.commanded, y.interferometer, y.rms]).all()
    assert run.axes == ("sample_x",)
    with pytest.raises(UnreadableRun, match="has no 'sample_z'; it has sample_x, sample_x_mean"):
        run.positions("sample_z")


def test_calibrations_and_magnification_come_with_the_run() -> None:
    calibration = EnergyCalibration(
        spacing=3.1356, offset=0.01, covariance=((0.0, 0.0), (0.0, 0.0)), version=3, date="2026-01-02", source="abc"
    )
    rows = [{"energy": 8300.0 + n, "energy_magnification": 40.0 + n, "energy_pixel": 16.0} for n in range(3)]
    configuration = {"mono_calibration": calibration.to_json(), "detector_table": "", "camera_roi": [0, 0, 4, 4]}
    run = open_run(documents(rows, configuration=configuration))
    assert run.calibrations == {"mono_calibration": calibration}
    np.testing.assert_array_equal(run.magnification, [40.0, 41.0, 42.0])
    np.testing.assert_array_equal(run.pixel_nm, [16.0] * 3)
    damaged = calibration.to_json().replace('"spacing"', '"spaceing"')
    with pytest.raises(UnreadableRun, match="mono_calibration in the configuration of stream 'primary'"):
        _ = open_run(documents(rows, configuration={"mono_calibration": damaged})).calibrations
    assert np.isnan(open_run(documents([{"energy": 8300.0}])).magnification).all()


def test_a_configuration_that_changed_within_the_run_is_the_newest() -> None:
    found = documents([{"energy": 8300.0}], configuration={"dwell": 1.0, "gain": 2.0})
    later = {**found[1][1], "uid": "later"}
    later["configuration"] = {"device": {"data": {"dwell": 3.0, "gain": 2.0}, "timestamps": {}, "data_keys": {}}}
    event = {**found[2][1], "descriptor": "later", "seq_num": 2}
    run = open_run([*found, ("descriptor", later), ("event", event)])
    assert run.points.configuration == {"dwell": 3.0, "gain": 2.0}
    assert len(run.energies) == 2


@pytest.mark.parametrize(
    ("rows", "keys", "more", "found"),
    [
        ([{"energy": 8300.0, "other": 1.0}], {}, {}, 8300.0),
        ([{"mono": 8300.0, "mono_setpoint": 1.0}], {"mono": NUMBER | {"units": "eV"}}, {}, 8300.0),
        ([{"a": 8300.0, "b": 1.0}], {key: NUMBER | {"units": "eV"} for key in "ab"}, {"motors": ["a"]}, 8300.0),
        ([{"energy": 1.0, "b": 8300.0}], {}, {"roles": {"energy": "b"}}, 8300.0),
        ([{"a": 8300.0, "b": 1.0}], {key: NUMBER | {"units": "eV"} for key in "ab"}, {}, None),
        ([{"a": 8300.0}], {}, {}, None),
    ],
)
def test_the_energy_is_found_or_said_to_be_missing(rows: Any, keys: Any, more: Any, found: float | None) -> None:
    run = open_run(documents(rows, keys, **more))
    if found is None:
        with pytest.raises(UnreadableRun, match=r"records no energy; it records a"):
            _ = run.energies
    else:
        assert run.energies.tolist() == [found]


def test_what_is_missing_is_counted_against_what_was_planned(engine: Any) -> None:
    import bluesky.plans as bp
    from ophyd.sim import SynAxis, det

    energy, x = SynAxis(name="energy"), SynAxis(name="x")
    wanted = [8300.0, 8300.5, 8301.0, 8310.0, 8300.0]
    plans = {
        "list": (bp.list_scan([det], energy, wanted), 5, wanted),
        "scan": (bp.scan([det], energy, 8300, 8310, 5), 5, np.linspace(8300, 8310, 5)),
        "grid": (bp.grid_scan([det], energy, 8300, 8310, 3, x, 0, 1, 4), 12, np.linspace(8300, 8310, 3)),
        "list grid": (bp.list_grid_scan([det], energy, [8300, 8333], x, [0, 1, 2]), 6, [8300, 8333]),
        "other": (bp.scan([det], x, 0, 1, 3), 3, None),
        "count": (bp.count([det, energy], 2), 2, None),
    }
    for name, (plan, points, energies) in plans.items():
        found = of_plan(engine, plan)
        whole = open_run(found).completeness
        assert (whole.planned, whole.points, whole.whole) == (points, points, True), name
        if energies is None:
            assert whole.planned_energies is None
            continue
        assert whole.planned_energies == np.unique(energies).size, name
        for kept in range(points):
            events = [one for one in found if one[0] == "event"]
            partial = open_run([one for one in found if one[0] not in ("event", "stop")] + events[:kept])
            part = partial.completeness
            assert part.missing.tolist() == list(range(kept + 1, points + 1)), name
            sent = [document["data"]["energy_setpoint"] for _, document in events[:kept]]
            np.testing.assert_allclose(part.missing_energies, np.setdiff1d(np.unique(energies), sent), err_msg=name)
            assert part.fraction == kept / points
            assert not part.whole
            assert f"{kept} of {points} points" in str(part)


def test_points_in_the_middle_may_be_missing_too() -> None:
    wanted = [8300.0, 8310.0, 8320.0, 8330.0]
    rows = [{"energy": 8300.02}, {"energy": 8329.97}]
    run = open_run(documents(rows, seq_nums=[1, 4], energies=wanted, num_points=4))
    assert run.completeness.missing.tolist() == [2, 3]
    assert run.completeness.missing_energies.tolist() == [8310.0, 8320.0]
    # without a number of points the readings themselves say which energies there are, in any order
    run = open_run(documents(rows[::-1], energies=wanted))
    assert run.completeness.missing_energies.tolist() == [8310.0, 8320.0]
    np.testing.assert_array_equal(run.planned_energies, wanted)


numbers = st.lists(st.sampled_from([8300.0, 8310.0, 8320.0, 8333.0, float("nan")]), min_size=1, max_size=8)


@given(frames=numbers, flats=numbers, seed=st.integers(0, 2**31))
def test_every_frame_has_the_flat_that_the_policy_names(frames: list[float], flats: list[float], seed: int) -> None:
    source = np.random.default_rng(seed)
    times, flat_times = source.permutation(100)[: len(frames)] * 1.0, source.permutation(100)[: len(flats)] + 0.25
    energies, flat_energies = np.array(frames), np.array(flats)
    arguments = (energies, times, flat_energies, flat_times, "run")
    same = groups_of_flats("same-energy", *arguments)
    nearest_energy = groups_of_flats("nearest-energy", *arguments)
    by_time = groups_of_flats("nearest-time", *arguments)
    assert groups_of_flats("all", *arguments) == (tuple(range(len(flats))),) * len(frames)
    for index, energy in enumerate(frames):
        apart = [abs(one - times[index]) for one in flat_times]
        candidates = [n for n, one in enumerate(flats) if one == energy] or list(range(len(flats)))
        assert same[index] == (min(candidates, key=lambda n: apart[n]),)
        assert by_time[index] == (int(np.argmin(apart)),)
        known = [one for one in flats if not np.isnan(one)]
        if np.isnan(energy) or not known:
            assert nearest_energy[index] == by_time[index]
        else:
            best = min(abs(one - energy) for one in known)
            assert nearest_energy[index] == tuple(n for n, one in enumerate(flats) if abs(one - energy) == best)


def test_flats_are_averaged_as_the_policy_says(take: Callable[..., Any]) -> None:
    taken = take((8300.0, 8310.0, 8300.0))
    for second, (name, document) in enumerate(taken.documents):
        if name == "event":
            document["time"] = float(second)  # as at a beamline: one after the other, however busy this machine is
    run = open_run(taken.documents)
    flats = taken.mean("flat")
    np.testing.assert_allclose(np.asarray(run.flats_for_frames()), flats, rtol=1e-6)
    both = np.asarray(run.flats_for_frames("nearest-energy"))
    np.testing.assert_allclose(both, [(flats[0] + flats[2]) / 2, flats[1], (flats[0] + flats[2]) / 2], rtol=1e-6)
    assert run.flats_for_frames("all").frames_per_point.tolist() == [9, 9, 9]
    with pytest.raises(ValueError, match="must be one of same-energy"):
        run.flat_groups("none")  # type: ignore[arg-type]
    without = open_run([one for one in taken.documents if one[1].get("name") != "flat"])
    with pytest.raises(UnreadableRun, match="no stream 'flat'"):
        without.flat_groups()


@pytest.mark.parametrize("snake", [True, False])
def test_points_of_a_raster_become_pixels_of_a_map(engine: Any, snake: bool) -> None:
    import bluesky.plans as bp
    from ophyd.sim import SynAxis

    axes = [SynAxis(name=name) for name in "zyx"]
    plan = bp.grid_scan(axes, axes[0], 0, 1, 2, axes[1], 0, 2, 3, axes[2], 0, 3, 4, snake_axes=snake)
    found = of_plan(engine, plan)
    run = open_run(found)
    assert run.raster_shape == (2, 3, 4)
    for name, truth in zip("zyx", np.indices((2, 3, 4)), strict=True):
        np.testing.assert_allclose(run.map_of(name), truth, err_msg=name)
    gone = {5, 9, 24}
    partial = open_run([one for one in found if one[0] != "event" or one[1]["seq_num"] not in gone])
    part = partial.map_of("x")
    assert np.isnan(part).sum() == 3
    np.testing.assert_allclose(part[~np.isnan(part)], run.map_of("x")[~np.isnan(part)])
    with pytest.raises(UnreadableRun, match="is no raster"):
        open_run(documents([{"x": 1.0}])).map_of("x")


def test_a_point_scan_is_a_spectrum(seed: int) -> None:
    source = np.random.default_rng(seed)
    energies = source.permutation(np.linspace(8200.0, 8600.0, 30))
    absorption, foil = source.uniform(0.1, 2, 30), source.uniform(0.1, 2, 30)
    beam = source.uniform(1e4, 1e6, 30)
    through = beam * np.exp(-absorption)
    behind = through * np.exp(-foil)
    line = beam * absorption
    keys = ["counters_incident_rate", "counters_transmitted_rate", "counters_reference_rate"]
    devices = {"counters": keys, "fluorescence": ["fluorescence_Ni_Ka", "fluorescence_Ni_Ka_counts"]}
    rows = [
        {
            "energy": e,
            keys[0]: i,
            keys[1]: t,
            keys[2]: r,
            "fluorescence_Ni_Ka": f,
            "fluorescence_Ni_Ka_counts": [f / 4] * 4,
        }
        for e, i, t, r, f in zip(energies, beam, through, behind, line, strict=True)
    ]
    rows[3][keys[1]] = 0.0
    order = np.argsort(energies)
    run = open_run(documents(rows, devices=devices))
    spectrum = run.spectrum()
    truth, truth_of_foil = absorption.copy(), foil.copy()
    truth[3] = truth_of_foil[3] = np.nan
    np.testing.assert_allclose(spectrum.energies, energies[order])
    np.testing.assert_allclose(spectrum.absorption, truth[order])
    assert spectrum.reference is not None
    np.testing.assert_allclose(spectrum.reference, truth_of_foil[order])
    assert spectrum.kind == "transmission"
    assert run.lines == ("fluorescence_Ni_Ka",)
    by_line = run.spectrum("fluorescence_Ni_Ka")
    assert by_line.kind == "fluorescence"
    np.testing.assert_allclose(by_line.absorption, absorption[order])
    as_counted = run.spectrum("fluorescence_Ni_Ka_counts")  # element by element
    assert as_counted.kind == "fluorescence"
    np.testing.assert_allclose(as_counted.absorption, absorption[order])
    with pytest.raises(UnreadableRun, match="has no incident beam of its own accord; of its counts"):
        open_run(documents([{"energy": 8300.0, "det": 1.0}])).spectrum()
    # other names can be chosen
    named = open_run(documents([{"energy": 8300.0, "i0": np.e, "i1": 1.0}]))
    assert named.spectrum("i1", "i0").absorption.tolist() == [1.0]


def test_readings_that_are_missing_are_missing() -> None:
    rows: list[dict[str, Any]] = [{"a": 1.0, "b": [1.0, 2.0], "c": "word"}, {"a": None, "b": None, "c": None}]
    keys = {"b": {"dtype": "array", "shape": [2]}, "c": {"dtype": "string", "shape": []}}
    stream = open_run(documents(rows, keys)).points
    np.testing.assert_array_equal(stream.read("a"), [1.0, np.nan])
    np.testing.assert_array_equal(stream.read("b"), [[1.0, 2.0], [np.nan, np.nan]])
    assert stream.read("c").tolist() == ["word", ""]
    ragged = open_run(documents([{"b": [1.0]}, {"b": [1.0, 2.0]}], keys)).points
    with pytest.raises(UnreadableRun, match=r"'b' in stream 'primary' of run uid-of-r changes its shape"):
        ragged.read("b")


def test_a_dataset_holds_roles_units_and_unread_frames(take: Callable[..., Any]) -> None:
    from whiteline.analysis.runs.datasets import stack_dataset

    taken = take(again=[("primary", 2)], md={"scan_id": 12})
    run = open_run(taken.documents)
    dataset = run.to_xarray()
    assert dict(dataset.sizes) == {"energy": 4, "y": 6, "x": 7}
    assert dataset.attrs["exit_status"] == "success"
    assert dataset.attrs["discarded"] == 1
    assert dataset.attrs["completeness"] == "4 points, 4 of 4 energies"
    np.testing.assert_array_equal(dataset.energy, run.energies)
    picked = dataset.camera_image.isel(energy=[3, 1], y=slice(1, 3))
    np.testing.assert_allclose(picked.values, taken.mean("primary")[[3, 1], 1:3], rtol=1e-7)
    whole = stack_dataset(run)
    np.testing.assert_allclose(whole.flats.values, taken.mean("flat"), rtol=1e-7)
    np.testing.assert_allclose(whole.dark.values, taken.mean("dark").mean(axis=0), rtol=1e-6)
    taken.camera.paths[0].unlink()
    assert run.to_xarray().energy.size == 4, "frames are not read before they are needed"


def test_streams_of_assets_say_the_same_as_datums(take: Callable[..., Any]) -> None:
    """Detectors of ophyd-async, and what flies, tell of frames by StreamResource and StreamDatum."""
    taken = take()
    path = str(taken.camera.paths[0])
    builder, primary = RunBuilder(), 0
    for name, document in taken.documents:
        if name in ("resource", "datum"):
            continue
        if name == "descriptor" and document["name"] == "primary":
            resource = {"uid": "frames", "data_key": "camera_image", "mimetype": "application/x-hdf5"}
            resource |= {"uri": f"file://localhost{path}", "parameters": {"dataset": "/entry/data/data"}}
            builder.feed("stream_resource", resource)
        if name == "event":
            document = {**document, "data": {k: v for k, v in document["data"].items() if k != "camera_image"}}
        builder.feed(name, document)
        descriptors = builder.streams["primary"].descriptors if "primary" in builder.streams else []
        if name == "event" and descriptors and document["descriptor"] == descriptors[0]["uid"]:
            index = 3 + 2 * primary  # two darks, then flat and sample in turns
            primary += 1
            datum = {"uid": str(index), "stream_resource": "frames", "descriptor": document["descriptor"]}
            datum |= {
                "indices": {"start": index, "stop": index + 1},
                "seq_nums": {"start": primary, "stop": primary + 1},
            }
            builder.feed("stream_datum", datum)
    np.testing.assert_allclose(np.asarray(builder.run().frames), taken.mean("primary"), rtol=1e-7)


def test_fluorescence_spectra_are_read_by_point(take: Callable[..., Any]) -> None:
    """A detector of several elements writes its spectra as a camera its frames."""
    taken = take()
    renamed: Documents = []
    for name, document in taken.documents:
        text = dict(document)
        if name == "descriptor":
            keys = {key.replace("camera_image", "fluorescence_spectra"): v for key, v in text["data_keys"].items()}
            text |= {"data_keys": keys}
        if name == "event":
            text["data"] = {k.replace("camera_image", "fluorescence_spectra"): v for k, v in text["data"].items()}
        renamed.append((name, text))
    run = open_run(renamed)
    assert run.fluorescence.shape == (4, 6, 7)
    np.testing.assert_allclose(run.fluorescence[2], taken.mean("primary")[2], rtol=1e-7)
    assert run.to_xarray().fluorescence_spectra.dims == ("energy", "element", "channel")
    with pytest.raises(UnreadableRun, match="no frames of a camera"):
        _ = run.frames
    with pytest.raises(UnreadableRun, match="no fluorescence spectra"):
        _ = open_run(taken.documents).fluorescence
