"""Rasters, stepped and flown, as NXstxm, TIFF and CSV: maps per incident beam on the axes that were measured."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas
import pytest
import tifffile
from fly_runs import FlyRun
from flying import Flown
from making_scans import Peer, Raster, absorption

from whiteline.analysis.exports import export
from whiteline.analysis.live import batch
from whiteline.analysis.runs import open_run
from whiteline.beamline.description import load
from whiteline.beamline.page.given import Given

FLY_UNITS = {
    "time_start": "s", "time_end": "s", "x_mean": "um", "x_start": "um", "x_end": "um", "y_mean": "um",
    "y_start": "um", "y_end": "um", "incident_counts": "counts", "Ni_Ka_counts": "counts",
}  # fmt: skip


def test_mantis_reads_maps_at_several_energies(seed: int, tmp_path: Path, peer: Peer) -> None:
    raster = Raster(seed, missing=9)
    (path,) = export(raster.documents(), "nxstxm", tmp_path / "maps.nxs")
    found = peer("read_by_mantis.py", path, tmp_path / "mantis.npz", "", 1)
    assert found["channels"] == ["counters_transmitted_rate", "xrf_Ni_Ka"]
    assert (found["kind"], found["shape"]) == ("sample image stack", [5, 5, 7])
    read = np.load(tmp_path / "mantis.npz")
    truth = raster.normalised(raster.line)
    assert np.isnan(truth).sum() == 9
    np.testing.assert_allclose(read["data"], truth.transpose(2, 1, 0), rtol=1e-9)
    np.testing.assert_allclose(read["energy"], raster.reached, rtol=1e-12)
    np.testing.assert_allclose(read["x"], raster.x, atol=1e-12)
    np.testing.assert_allclose(read["y"], raster.y, atol=1e-12)
    for way, told in peer("validate_nexus.py", path).items():
        assert told == {"totals": [0, 0], "found": []}, way
    with h5py.File(path) as file:
        # the points as they were taken, without loss
        line = file["entry/instrument/xrf_Ni_Ka/data"][:]
        np.testing.assert_array_equal(line, [raster.line[at] for at in raster.places()])
        place = file["entry/instrument/sample_x/data"]
        np.testing.assert_array_equal(place[:], [raster.x[column] for _, _, column in raster.places()])
        assert place.attrs["units"] == "um"
        assert file["entry/instrument/monochromator/energy"].shape == line.shape
        assert "divided by counters_incident_rate" in file["entry/process/provenance/description"][()].decode()


def test_mantis_reads_a_map_at_one_energy(seed: int, tmp_path: Path, peer: Peer) -> None:
    raster = Raster(seed, energies=np.array([8350.0]))
    (path,) = export(raster.documents(), "nxstxm", tmp_path / "map.nxs", signal="xrf_Ni_Ka")
    found = peer("read_by_mantis.py", path, tmp_path / "mantis.npz")
    assert (found["channels"], found["kind"]) == (["xrf_Ni_Ka"], "sample image")
    read = np.load(tmp_path / "mantis.npz")
    np.testing.assert_allclose(read["data"][..., 0], raster.normalised(raster.line)[0].T, rtol=1e-9)
    np.testing.assert_allclose(read["energy"], raster.reached)
    for way, told in peer("validate_nexus.py", path).items():
        assert told == {"totals": [0, 0], "found": []}, way


def resolution(file: Any) -> tuple[float, float]:
    """Return pixels per unit, across and down."""
    across, down = (file.pages[0].tags[f"{axis}Resolution"].value for axis in "XY")
    return across[0] / across[1], down[0] / down[1]


def test_tables_and_pictures_of_a_raster(seed: int, tmp_path: Path) -> None:
    raster = Raster(seed, missing=3)
    paths = export(raster.documents(), "csv", tmp_path / "raster.csv")
    assert [path.name for path in paths] == ["raster.csv", "raster_spectrum.csv", "raster_maps.csv"]
    table = pandas.read_csv(paths[0], comment="#")
    assert len(table) == len(raster.places())
    at = tuple(table[name].to_numpy() for name in ("map", "row", "column"))
    np.testing.assert_array_equal(table["xrf_Ni_Ka"], raster.line[at])
    np.testing.assert_array_equal(table["sample_x [um]"], raster.x[at[2]])
    np.testing.assert_array_equal(table["energy [eV]"], raster.reached[at[0]])
    maps = pandas.read_csv(paths[2], comment="#")
    np.testing.assert_allclose(maps["y [um]"].to_numpy().reshape(5, 7), raster.y[:, None] * np.ones(7), rtol=1e-12)
    newest = raster.normalised(raster.line)[-1].ravel()
    np.testing.assert_allclose(maps["xrf_Ni_Ka [counts]"], newest, rtol=1e-9)
    assert np.isnan(newest).sum() == 3

    paths = export(raster.documents(), "tiff", tmp_path / "raster.tif")
    assert {path.name for path in paths} >= {"raster_xrf_Ni_Ka_stack.tif", "raster_xrf_Ni_Ka.tif"}
    with tifffile.TiffFile(tmp_path / "raster_xrf_Ni_Ka_stack.tif") as file:
        np.testing.assert_allclose(file.asarray(), raster.normalised(raster.line), rtol=1e-6)
        assert file.imagej_metadata["unit"] == "um"
        assert json.loads(file.imagej_metadata["Info"])["unit"] == "counts"
        assert resolution(file) == (4.0, pytest.approx(1 / abs(np.diff(raster.y).mean()), rel=1e-6))
        wanted = resolution(file)
    with tifffile.TiffFile(tmp_path / "raster_xrf_Ni_Ka.tif") as file:
        assert resolution(file) == wanted


def test_fractions_are_made_of_photons_as_the_session_makes_them(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chamber that counts the incident beam gives a current: a photon of more energy gives more of it."""
    options: dict[str, Any] = {}

    def noted(run: Any, **given: Any) -> Any:
        options.update(given)
        return analyse(run, **given)

    analyse = batch.analyse
    monkeypatch.setattr(batch, "analyse", noted)
    export(Raster(seed).documents(), "tiff", tmp_path / "raster.tif")
    assert options["incident_current"] is True
    assert Given(load("nanoprobe")).settings({})[0].incident_current is True


def test_a_flown_raster_lies_on_its_measured_positions(seed: int, tmp_path: Path) -> None:
    energies = (8300.0, 8350.0)
    flown = [Flown(seed + number, lines=10, pulses=24, lag_s=0.0, vibration_um=0.0) for number in range(2)]
    one = flown[0]
    extents = [[0.0, (one.lines - 1) * one.step_um], [0.0, (one.pulses - 1) * one.step_um]]
    md = {
        "motors": ["energy", "sample_fine_y", "sample_fine_x"], "shape": [2, one.lines, one.pulses],
        "extents": [[8300.0, 8350.0], *extents], "snaking": [False, False, True], "energies": list(energies),
        "plan_name": "fly_raster_stack",
    }  # fmt: skip
    run = FlyRun(tmp_path, md, FLY_UNITS, one.pulses)
    documents = list(run.begin())
    for energy, plane in zip(energies, flown, strict=True):
        documents += run.energy(energy + 0.1)
        for line in range(one.lines):
            start = (run.row * 1.3 * one.pulses + np.arange(one.pulses)) * one.gate_s
            values = {"time_start": start, "time_end": start + one.gate_s, "Ni_Ka_counts": plane.signal[line]}
            values |= {"incident_counts": plane.incident[line]}
            values |= {f"x_{which}": plane.x[line] for which in ("mean", "start", "end")}
            values |= {f"y_{which}": plane.y[line] for which in ("mean", "start", "end")}
            documents += run.fly(values)
    documents += run.end()
    opened = open_run(documents)
    (path,) = export(opened, "nxstxm", tmp_path / "flown.nxs")
    with h5py.File(path) as file:
        data = file["entry/capture_Ni_Ka"]
        np.testing.assert_allclose(data["energy"][:], [8300.1, 8350.1])
        grid = opened.binned("Ni_Ka", "incident", plane=0).grid
        np.testing.assert_allclose(data["sample_x"][:], grid.x)
        np.testing.assert_allclose(data["sample_y"][:], grid.y)
        for number, plane in enumerate(flown):
            found = data["data"][number]
            truth = plane.truth(grid.y, grid.x, one.step_um)
            # to the scale of the incident beam, which is the median of both maps
            off = found / np.nanmedian(found) - truth / np.median(truth)
            assert np.nanstd(off[1:-1, 1:-1]) < 0.05
    with h5py.File(path) as file:
        assert file["entry/instrument/capture_Ni_Ka/data"].shape == (2 * one.lines * one.pulses,)


def test_the_truth_of_these_tests_has_an_edge() -> None:
    below, above = absorption(np.array([8300.0, 8380.0]))
    assert above - below > 1
