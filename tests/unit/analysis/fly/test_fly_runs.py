"""A fly raster is opened as a step raster is: energies, positions, counts, maps; and what is missing is missing."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fly_runs import FRAME, Document, FlyRun, Numbers
from flying import Flown

from whiteline.analysis.calibration import EnergyCalibration
from whiteline.analysis.runs import RunBuilder, UnreadableRun, open_run

UNITS = {
    "time_start": "s", "time_end": "s",
    "x_mean": "um", "x_start": "um", "x_end": "um", "y_mean": "um", "y_start": "um", "y_end": "um",
    "incident_counts": "counts", "transmitted_counts": "counts", "Ni_Ka_counts": "counts", "fluorescence_frames": "",
}  # fmt: skip


def md_of(flown: Flown, **more: Any) -> dict[str, Any]:
    return {
        "motors": ["sample_fine_y", "sample_fine_x"],
        "shape": [flown.lines, flown.pulses],
        "extents": [[0.0, (flown.lines - 1) * flown.step_um], [0.0, (flown.pulses - 1) * flown.step_um]],
        "snaking": [False, flown.snake],
        **more,
    }


def line_of(flown: Flown, line: int, begun: Any = np.nan, row: int | None = None) -> dict[str, Any]:
    """The columns of one line."""
    start = (line if row is None else row) * 1.3 * flown.pulses * flown.gate_s + flown.gate_s * np.arange(flown.pulses)
    half = (flown.x_end - flown.x_start)[line] / 2
    return {
        "time_start": start, "time_end": start + flown.gate_s,
        "x_mean": flown.x[line], "x_start": flown.x[line] - half, "x_end": flown.x[line] + half,
        "y_mean": flown.y[line], "y_start": flown.y[line], "y_end": flown.y[line],
        "incident_counts": flown.incident[line], "transmitted_counts": flown.incident[line] * 0.5,
        "Ni_Ka_counts": flown.signal[line], "fluorescence_frames": begun + 0 * start,
    }  # fmt: skip


@pytest.fixture
def flown(seed: int) -> Flown:
    return Flown(seed, lines=12, pulses=30, lag_s=0.0, vibration_um=0.001)


@pytest.fixture
def run(flown: Flown, tmp_path: Path) -> Iterator[FlyRun]:
    made = FlyRun(tmp_path, md_of(flown), UNITS, flown.pulses, detector="fluorescence")
    yield made
    made.close()


def simple(run: FlyRun, flown: Flown, lines: range | None = None) -> Iterator[Document]:
    yield from run.begin()
    for line in lines or range(flown.lines):
        yield from run.fly(line_of(flown, line))
    yield from run.end()


def test_it_reads_as_a_step_raster_does(flown: Flown, run: FlyRun) -> None:
    opened = open_run(list(simple(run, flown)))
    assert opened.raster_shape == (12, 30)
    assert opened.completeness.whole
    assert str(opened.completeness) == "360 of 360 points"
    # every second line was run backwards, and stands the right way round in the map
    at = opened.map_of("sample_fine_x")
    assert (np.diff(at, axis=1) > 0).all()
    np.testing.assert_array_equal(at[1], flown.x[1, ::-1])
    np.testing.assert_array_equal(opened.map_of("capture_Ni_Ka")[3], flown.signal[3, ::-1])
    positions = opened.positions("sample_fine_x")
    np.testing.assert_array_equal(positions.best, flown.x.ravel())
    assert positions.unit == "um"
    np.testing.assert_allclose(opened.map_of("capture_incident_rate")[0], flown.incident[0] / flown.gate_s, rtol=1e-9)
    assert opened.lines == ("capture_Ni_Ka",)
    assert opened.axes[:2] == ("sample_fine_y", "sample_fine_x")
    with pytest.raises(UnreadableRun, match="has no 'capture_Co_Ka'"):
        opened.map_of("capture_Co_Ka")
    assert dict(opened.to_xarray().sizes) == {"point": 360}


def test_positions_come_with_their_errors(flown: Flown, run: FlyRun) -> None:
    opened = open_run(list(simple(run, flown)))
    found = opened.fly.positions("x")
    np.testing.assert_allclose(found.error, 0.0005, rtol=1e-6)
    assert ((found.mean - flown.true_x) / found.error).std() == pytest.approx(1, abs=0.15)
    assert opened.fly.unit("x_mean") == "um"


def test_maps_are_binned_by_measured_positions(flown: Flown, run: FlyRun) -> None:
    opened = open_run(list(simple(run, flown)))
    binned = opened.binned("Ni_Ka", "incident")
    assert binned.grid.shape == (12, 30)
    found = binned.normalised(0, 1, reference=50.0)
    pulls = ((found.value - flown.truth(binned.grid.y, binned.grid.x, 0.02)) / found.error)[1:-1, 1:-1]
    assert np.nanstd(pulls) < 1.3
    np.testing.assert_allclose(np.nansum(binned.coverage), flown.lines * flown.pulses * flown.gate_s, rtol=0.02)
    with pytest.raises(UnreadableRun, match="has no 'Co_Ka_counts'"):
        opened.binned("Co_Ka")


def test_lines_and_pulses_that_are_missing_are_nan(flown: Flown, run: FlyRun) -> None:
    documents = list(run.begin())
    for line in range(8):
        values = line_of(flown, line)
        if line == 5:  # the trajectory stopped in the line
            values = {column: np.where(np.arange(30) < 11, one, np.nan) for column, one in values.items()}
        documents += run.fly(values)
    documents += run.end()
    opened = open_run(documents)
    assert str(opened.completeness) == f"{8 * 30 - 19} of 360 points"
    found = opened.map_of("capture_Ni_Ka")
    assert np.isnan(found[8:]).all()
    assert np.isnan(found[5, :19]).all()
    np.testing.assert_array_equal(found[5, 19:], flown.signal[5, :11][::-1])
    binned = opened.binned("Ni_Ka")
    assert binned.unknown == 19
    assert not binned.visited[9:].any()


def test_frames_keep_to_their_pulses_through_missed_triggers_and_lines_taken_again(
    flown: Flown, run: FlyRun, seed: int
) -> None:
    source = np.random.default_rng(seed)
    documents, begun, true = list(run.begin()), 0, np.full((12, 30), np.nan)
    for line in range(12):
        for attempt in range(2 if line in (4, 9) else 1):
            took = source.random(30) > 0.05
            counts = begun + np.cumsum(took)
            begun = int(counts[-1])
            told = attempt == 1 or line not in (4, 9)
            documents += run.fly(line_of(flown, line, counts, run.row), told=told)
            labels = source.integers(0, 2**31, int(took.sum()))
            documents += run.take(np.broadcast_to(labels[:, None, None], (labels.size, *FRAME)).astype(np.uint32))
            if told:
                true[line, took] = labels
    documents += run.end()
    opened = open_run(documents)
    triggers = opened.fly.triggers("fluorescence")
    np.testing.assert_array_equal(triggers.taken, ~np.isnan(true))
    frames, pulses = opened.fly.taken_frames("fluorescence")
    assert frames.shape == (pulses.size, *FRAME)
    np.testing.assert_array_equal(frames[:, 0, 0], true.ravel()[pulses])
    everything = np.asarray(opened.fly.frames("fluorescence"))[:, 0, 0]
    np.testing.assert_array_equal(triggers.align(everything), true)
    missed = int(np.isnan(true).sum())
    assert f"fluorescence missed {missed} of 360 triggers" in opened.fly.troubles[0]
    with pytest.raises(UnreadableRun, match=f"{missed} of 360 pulses of .* have no frame of 'fluorescence'"):
        _ = opened.fluorescence
    # the numbers of points are those of lines, not of rows in the file
    assert opened.completeness.whole


def test_frames_of_all_pulses_are_read_as_those_of_points(flown: Flown, run: FlyRun) -> None:
    documents = list(run.begin())
    for line in range(12):
        documents += run.fly(line_of(flown, line, 30 * line + 1 + np.arange(30)))
    labels = np.arange(360, dtype=np.uint32)
    documents += run.take(np.broadcast_to(labels[:, None, None], (360, *FRAME)))
    documents += run.end()
    np.testing.assert_array_equal(open_run(documents).fluorescence[:, 2, 3], labels)


def test_several_energies_are_read_from_what_is_recorded_once_for_each_map(seed: int, tmp_path: Path) -> None:
    maps = [Flown(seed + number, lines=6, pulses=10) for number in range(3)]
    extents = [[8300.0, 8340.0], *md_of(maps[0])["extents"]]
    more = {
        "shape": [3, 6, 10],
        "snaking": [False, False, True],
        "extents": extents,
        "energies": [8300.0, 8320.0, 8340.0],
    }
    run = FlyRun(tmp_path, md_of(maps[0], **more), UNITS, 10)
    documents = list(run.begin())
    for number, one in enumerate(maps[:2]):
        documents += run.energy(8300.03 + 20 * number)
        for line in range(6):
            documents += run.fly(line_of(one, line, row=6 * number + line))
    documents += run.end()
    opened = open_run(documents)
    np.testing.assert_allclose(opened.energies, np.repeat([8300.03, 8320.03], 60))
    assert str(opened.completeness) == "120 of 180 points, 2 of 3 energies; missing 8340 eV"
    found = opened.map_of("capture_Ni_Ka")
    np.testing.assert_array_equal(found[1, 2], maps[1].signal[2])
    np.testing.assert_array_equal(found[1, 3], maps[1].signal[3, ::-1])
    assert np.isnan(found[2]).all()
    second = opened.binned("Ni_Ka", plane=1)
    assert second.sums[0].sum() <= maps[1].signal.sum()
    assert second.sums[0].sum() > 0.6 * maps[1].signal.sum()
    assert not opened.binned("Ni_Ka", plane=2).visited.any()


def test_energy_is_found_from_the_bragg_angle_of_each_pulse(tmp_path: Path) -> None:
    calibration = EnergyCalibration(
        spacing=3.135601,
        offset=0.01,
        covariance=((1e-10, 0.0), (0.0, 1e-12)),
        version=1,
        date="2025-01-01",
        source="foils",
    )
    units = {
        "time_start": "s",
        "time_end": "s",
        "bragg_mean": "deg",
        "incident_counts": "counts",
        "transmitted_counts": "counts",
    }
    run = FlyRun(tmp_path, {"motors": ["energy"], "shape": [50]}, units, 50)
    run.descriptor["configuration"]["capture"]["data"]["mono_calibration"] = calibration.to_json()
    energies = np.linspace(8300, 8400, 50)
    angle = calibration.angle(energies)
    angle[7] = np.nan
    columns = {"time_start": np.arange(50) * 0.1, "time_end": np.arange(1, 51) * 0.1, "bragg_mean": angle}
    beam = np.full(50, 1e5)
    columns |= {"incident_counts": beam, "transmitted_counts": beam * np.exp(-np.linspace(1, 2, 50))}
    opened = open_run([*run.begin(), *run.fly(columns), *run.end()])
    there = np.arange(50) != 7
    np.testing.assert_allclose(opened.energies[there], energies[there], atol=1e-6)
    assert np.isnan(opened.energies[7])
    spectrum = opened.spectrum()
    np.testing.assert_allclose(spectrum.absorption[:49], np.linspace(1, 2, 50)[there], atol=1e-9)


def spectra_of(folder: Path, energies: Numbers, lines: list[int], offset: float, **md: Any) -> tuple[FlyRun, Any]:
    """Return a run that has flown some of four spectra, by a calibration of its own, and the columns of a line."""
    calibration = EnergyCalibration(
        spacing=3.135601, offset=offset, covariance=((1e-10, 0.0), (0.0, 1e-12)), version=1, date="2025-01-01",
        source="foils",
    )  # fmt: skip
    units = {"time_start": "s", "time_end": "s", "bragg_mean": "deg", "incident_counts": "counts"}
    about = {"plan_name": "fly_xanes", "motors": ["energy"], "planned": {"fly": 4}, **md}
    run = FlyRun(folder, about, units, energies.size)
    run.descriptor["configuration"]["capture"]["data"]["mono_calibration"] = calibration.to_json()
    gates = np.arange(energies.size) * 0.1
    columns = {
        "time_start": gates, "time_end": gates + 0.1, "bragg_mean": calibration.angle(energies),
        "incident_counts": np.full(energies.size, 1e5),
    }  # fmt: skip
    return run, [run.begin(), *(run.fly(columns) for _ in lines)]


def test_spectra_of_an_interrupted_run_keep_their_own_calibration(tmp_path: Path) -> None:
    energies = np.linspace(8300, 8400, 20)
    first, begun = spectra_of(tmp_path, energies, [1, 2], 0.010)
    documents = [*itertools.chain(*begun), *first.end()]
    # it was calibrated anew before it was gone on with: by 0.002 deg, which is 0.7 eV
    links = {"resumes": first.bundle.start_doc["uid"], "only": {"fly": [[3, 4]]}}
    second, gone_on = spectra_of(tmp_path, energies, [3, 4], 0.012, **links)
    whole = open_run([open_run(documents), open_run([*itertools.chain(*gone_on), *second.end()])])
    np.testing.assert_allclose(whole.energies.reshape(4, 20), np.tile(energies, (4, 1)), atol=1e-6)


def test_a_resumed_run_is_readable_while_its_newest_line_is_told_of_in_part(tmp_path: Path) -> None:
    energies = np.linspace(8300, 8400, 20)
    first, begun = spectra_of(tmp_path, energies, [1, 2], 0.01)
    links = {"resumes": first.bundle.start_doc["uid"], "only": {"fly": [[3, 4]]}}
    second, gone_on = spectra_of(tmp_path, energies, [3, 4], 0.01, **links)
    told = list(itertools.chain(*gone_on))
    going = open_run([*told[:-1]])
    assert len(going.stream("fly")) == 2
    whole = open_run([open_run([*itertools.chain(*begun), *first.end()]), going])
    assert whole.fly.lines.tolist() == [1, 2, 3]
    assert np.isfinite(whole.energies).sum() == 60
    second.close()


def test_a_run_is_readable_line_by_line_while_it_goes_on(flown: Flown, run: FlyRun) -> None:
    builder = RunBuilder()
    for document in run.begin():
        builder.feed(*document)
    assert builder.run().completeness.missing.size == 360
    for line in range(3):
        for document in run.fly(line_of(flown, line)):
            builder.feed(*document)
        going = builder.run()
        assert going.going
        assert np.isfinite(going.map_of("capture_Ni_Ka")).any(axis=1).sum() == line + 1
        assert going.binned("Ni_Ka").visited.sum() >= 30 * line


def test_a_table_whose_end_was_never_written_keeps_what_is_there(flown: Flown, run: FlyRun) -> None:
    documents = list(run.begin())
    for line in range(4):
        documents += run.fly(line_of(flown, line))
    # documents of a fifth line whose row never came into the file
    last = [document for document in documents if document[0] == "stream_datum"][-len(run.columns) :]
    for name, document in last:
        again = {**document, "uid": "x", "indices": {"start": 4, "stop": 5}, "seq_nums": {"start": 5, "stop": 6}}
        documents.append((name, again))
    documents += run.end()
    opened = open_run(documents)
    found = opened.map_of("capture_Ni_Ka")
    np.testing.assert_array_equal(found[2], flown.signal[2])
    assert np.isnan(found[4]).all()
    assert str(opened.completeness) == "120 of 360 points"


def test_a_step_run_is_no_fly_run() -> None:
    start = {"uid": "a", "time": 0.0, "shape": [2, 2]}
    with pytest.raises(UnreadableRun, match="has no stream 'fly'"):
        _ = open_run([("start", start)]).fly
