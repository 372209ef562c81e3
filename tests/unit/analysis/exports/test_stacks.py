"""A stack as NXstxm, FXI, TIFF and CSV: opened by their readers, with values, axes and units against the raw frames."""

import json
import os
import secrets
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas
import pytest
import tifffile
from making_runs import Document, Made, references, usual_energies
from making_scans import Peer
from numpy.typing import NDArray

from whiteline.analysis.exports import export
from whiteline.analysis.live import LiveXanes, analyse
from whiteline.analysis.runs import UnreadableRun, open_run

NAME = "fraction of LiNiO2"
MD = {"sample": {"name": "particles", "lot": 7}, "plan_name": "xanes_stack", "proposal": "P-1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="module")
def made(folder: Path) -> Made:
    """A stack whose energies were visited out of order."""
    seed = int(os.environ.get("WHITELINE_SEED") or secrets.randbelow(2**31))
    print(f"WHITELINE_SEED={seed}")
    return Made(folder, usual_energies(), seed, md=MD)


@pytest.fixture(scope="module")
def order(made: Made) -> NDArray[np.int64]:
    return np.random.default_rng(made.seed).permutation(len(made.energies))


@pytest.fixture(scope="module")
def documents(made: Made, order: NDArray[np.int64]) -> list[Document]:
    return list(made.whole(order=[int(one) for one in order]))


@pytest.fixture(scope="module")
def truth(made: Made, order: NDArray[np.int64], documents: list[Document]) -> dict[str, NDArray[np.float64]]:
    """Transmission, flats and dark by ascending energy, from the file itself: four darks, then frame and flat."""
    with h5py.File(made.path) as file:
        raw = file["entry/data/data"][:].reshape(-1, made.frames, *made.shape).mean(axis=1, dtype=float)
    dark, frames, flats = raw[:4].mean(axis=0), raw[4::2], raw[5::2]
    ascending = np.argsort(order)
    transmission = (frames - dark) / (flats - dark)
    return {"transmission": transmission[ascending], "flat": flats[ascending], "dark": dark}


def test_mantis_reads_a_stack_and_its_fit_is_ours(
    made: Made, documents: list[Document], truth: dict[str, NDArray[np.float64]], tmp_path: Path, peer: Peer
) -> None:
    (path,) = export(documents, "nxstxm", tmp_path / "stack.nxs")
    first, second = references()
    np.save(tmp_path / "references.npy", np.stack([first.energy, first.absorption, second.absorption]))
    found = peer("read_by_mantis.py", path, tmp_path / "mantis.npz", tmp_path / "references.npy")
    assert found == {
        "channels": ["transmission"], "definition": "NXstxm", "kind": "sample image stack", "plugin": "NXstxm",
        "axes": ["energy", "sample_y", "sample_x"], "shape": [len(made.energies), *made.shape],
    }  # fmt: skip
    read = np.load(tmp_path / "mantis.npz")
    # Mantis has x first and energy last
    np.testing.assert_allclose(read["data"], truth["transmission"].transpose(2, 1, 0), rtol=1e-5)
    np.testing.assert_array_equal(read["energy"], np.sort(made.energies))
    # 20 nm, binned twice
    for name, size in (("y", made.shape[0]), ("x", made.shape[1])):
        np.testing.assert_allclose(read[name], 0.04 * (np.arange(size) - (size - 1) / 2), atol=1e-12)
    with h5py.File(path) as file:
        data = file["entry/transmission"]
        assert [data[one].attrs["units"] for one in ("energy", "sample_y", "sample_x")] == ["eV", "um", "um"]

    ours = analyse(documents, references=references(), maps=False, register=False).map(NAME)
    weights = read["weights"].transpose(1, 0, 2)
    theirs = weights[..., 1] / (weights[..., 0] + weights[..., 1])
    pulls = ((theirs - ours.value) / ours.error)[ours.valid]
    print(f"fraction by Mantis less ours: median {np.median(pulls):+.2f} σ, RMS {np.sqrt(np.mean(pulls**2)):.2f} σ")
    assert ours.valid.mean() > 0.95
    # the same data, but its fit weighs all energies alike
    assert abs(np.median(pulls)) < 0.1
    assert np.sqrt(np.mean(pulls**2)) < 0.6
    assert np.abs(theirs - made.fraction())[ours.valid].mean() < 0.05


def test_nxstxm_is_valid_and_says_where_it_is_from(documents: list[Document], tmp_path: Path, peer: Peer) -> None:
    (path,) = export(documents, "nxstxm", tmp_path, instrument="Nickel microscope")
    assert path.name == f"xanes_stack_1_{documents[0][1]['uid'][:8]}.nxs"
    for way, told in peer("validate_nexus.py", path).items():
        assert told == {"totals": [0, 0], "found": []}, way
    with h5py.File(path) as file:
        entry = file["entry"]
        provenance = json.loads(entry["process/provenance/data"][()])
        assert entry["sample/name"][()] == b"particles"
        assert entry["instrument/name"][()] == b"Nickel microscope"
    assert provenance["run"] == documents[0][1]["uid"]
    assert provenance["plan"] == "xanes_stack"
    assert provenance["sample"] == {"name": "particles", "lot": 7}
    assert provenance["proposal"] == "P-1"
    assert provenance["exit_status"] == "success"
    assert provenance["processing"][0].startswith("transmission is (I − D) / (F − D)")
    assert set(provenance["versions"]) >= {"whiteline", "numpy", "h5py"}


def test_fxi_has_the_datasets_and_types_of_its_readers(
    made: Made, documents: list[Document], truth: dict[str, NDArray[np.float64]], tmp_path: Path
) -> None:
    (path,) = export(documents, "fxi", tmp_path / "xanes.h5")
    with h5py.File(path) as file:
        names = {
            "img_xanes", "img_bkg", "img_dark", "X_eng", "uid", "scan_id", "note", "scan_time", "Magnification",
            "Pixel Size", "provenance",
        }  # fmt: skip
        assert set(file) == names
        assert all(isinstance(one, h5py.Dataset) for one in file.values())
        assert {name: file[name].dtype for name in ("img_xanes", "img_bkg", "img_dark")} == dict.fromkeys(
            ("img_xanes", "img_bkg", "img_dark"), np.dtype(np.float32)
        )
        # not its logarithm
        np.testing.assert_allclose(file["img_xanes"][:], truth["transmission"], rtol=1e-5)
        np.testing.assert_allclose(file["img_bkg"][:], truth["flat"], rtol=1e-6)
        np.testing.assert_allclose(file["img_dark"][:], truth["dark"][None], rtol=1e-6)
        np.testing.assert_allclose(file["X_eng"][:], np.sort(made.energies) / 1000, rtol=1e-12)
        assert file["uid"][()].decode() == documents[0][1]["uid"]
        assert (file["scan_id"][()], file["scan_id"].dtype.kind) == (1, "i")
        assert file["note"][()] == b"particles, xanes_stack, scan 1"
        assert file["scan_time"][()] == documents[0][1]["time"]
        assert file["Pixel Size"][()] == b"40nm"
        assert 6500 / file["Magnification"][()] == pytest.approx(40)
        assert json.loads(file["provenance"][()])["run"] == documents[0][1]["uid"]


def test_imagej_has_stack_and_saved_maps_with_their_units(
    made: Made, documents: list[Document], truth: dict[str, NDArray[np.float64]], tmp_path: Path
) -> None:
    live = LiveXanes(references=references(), folder=tmp_path)
    for pair in documents:
        live(*pair)
    results = live.wait(60)
    live.close()
    paths = export(documents, "tiff", tmp_path / "stack.tif", results=tmp_path)
    assert {path.name for path in paths} >= {"stack.tif", "stack_fraction_of_LiNiO2.tif", "stack_edge_energy.tif"}
    with tifffile.TiffFile(tmp_path / "stack.tif") as file:
        assert file.is_imagej
        about = file.imagej_metadata
        np.testing.assert_allclose(file.asarray(), truth["transmission"], rtol=1e-5)
        across, down = file.pages[0].tags["XResolution"].value
    assert (about["unit"], across / down) == ("um", 25.0)
    assert about["Labels"] == [f"{energy:.3f} eV" for energy in np.sort(made.energies)]
    info = json.loads(about["Info"])
    assert (info["quantity"], info["run"]) == ("transmission", documents[0][1]["uid"])
    np.testing.assert_array_equal(info["energies_eV"], np.sort(made.energies))
    for name, unit in ((NAME, ""), ("edge energy", "eV")):
        one = results.map(name)
        with tifffile.TiffFile(tmp_path / f"stack_{name.replace(' ', '_')}.tif") as file:
            np.testing.assert_array_equal(file.asarray(), np.stack([one.value, one.error]).astype(np.float32))
            about = file.imagej_metadata
        assert json.loads(about["Info"])["unit"] == unit
        assert about["Labels"] == [
            name + (f" [{unit}]" if unit else ""),
            "standard error" + (f" [{unit}]" if unit else ""),
        ]


def test_maps_that_were_saved_are_not_taken_for_others(documents: list[Document], tmp_path: Path) -> None:
    live = LiveXanes(references=references(), folder=tmp_path)
    for pair in documents:
        live(*pair)
    live.wait(60)
    live.close()
    (only,) = export(documents, "tiff", tmp_path / "stack.tif", results=tmp_path, flats="nearest-time")
    assert only.name == "stack.tif", "what was saved is of flats of the same energy"


def test_a_large_tiff_says_its_slices_only_in_words(
    documents: list[Document], truth: dict[str, NDArray[np.float64]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whiteline.analysis.exports.tiff.PAGED_BYTES", 1000)
    (path,) = export(documents, "tiff", tmp_path / "stack.tif")
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1
        np.testing.assert_allclose(file.asarray(), truth["transmission"], rtol=1e-5)


def test_tables_have_energies_and_units_and_the_spectrum(made: Made, documents: list[Document], tmp_path: Path) -> None:
    points, spectrum = export(documents, "csv", tmp_path / "table.csv", references=references())
    table = pandas.read_csv(points, comment="#")
    assert list(table)[:3] == ["seq_num", "time [s since 1970]", "energy [eV]"]
    assert "energy_pixel [nm]" in table
    assert sorted(table["energy [eV]"]) == sorted(made.energies)
    assert f"# run: {documents[0][1]['uid']}\n" in points.read_text()
    found = analyse(documents, references=references()).spectrum
    assert found is not None
    table = pandas.read_csv(spectrum, comment="#")
    assert list(table)[:3] == ["energy [eV]", "absorption", "absorption error"]
    np.testing.assert_allclose(table["absorption"], found.absorption, rtol=1e-9)


def test_an_interrupted_run_has_the_energies_that_were_reached(seed: int, tmp_path: Path, peer: Peer) -> None:
    made = Made(tmp_path, usual_energies(), seed, md=MD)
    reached = made.energies[:7]
    documents = [*made.begin(), *made.point("dark")]
    for index in range(7):
        documents += [*made.point("flat", index), *made.point("sample", index)]
    documents += made.point("flat", 6)
    documents.append(("stop", made.bundle.compose_stop(exit_status="abort")))
    made.handle.close()
    (path,) = export(documents, "nxstxm", tmp_path / "part.nxs")
    with h5py.File(path) as file:
        energies = file["entry/transmission/energy"][:]
        provenance = json.loads(file["entry/process/provenance/data"][()])
    np.testing.assert_array_equal(energies, reached)
    assert provenance["exit_status"] == "abort"
    assert provenance["completeness"].startswith("7 points, 7 of 32 energies")
    assert provenance["missing_energies_eV"] == made.energies[7:]
    for told in peer("validate_nexus.py", path).values():
        assert told["totals"] == [0, 0]


def test_a_run_that_was_resumed_is_exported_as_one(seed: int, tmp_path: Path) -> None:
    energies = usual_energies()[:8]
    first = Made(tmp_path, energies, seed, md=MD)
    documents = [*first.begin(), *first.point("dark")]
    for index in range(5):
        documents += [*first.point("sample", index), *first.point("flat", index)]
    documents.append(("stop", first.bundle.compose_stop(exit_status="abort")))
    second = Made(tmp_path, energies, seed + 1, md={**MD, "resumes": first.start["uid"]})
    second.clock += 3600
    more = [*second.begin(), *second.point("dark")]
    for index in range(5, 8):
        more += [*second.point("sample", index, seq_num=index + 1), *second.point("flat", index, seq_num=index + 1)]
    more += second.end()
    first.handle.close()
    # what was saved of the first part is not of the whole
    live = LiveXanes(references=references(), folder=tmp_path)
    for pair in documents:
        live(*pair)
    live.wait(60)
    live.close()
    assert (tmp_path / f"{first.start['uid']}_xanes.h5").exists()
    (path,) = export([documents, more], "tiff", tmp_path / "whole.tif", results=tmp_path)
    with tifffile.TiffFile(path) as file:
        info = json.loads(file.imagej_metadata["Info"])
        found = file.asarray()
    assert info["energies_eV"] == energies
    assert info["parts"] == [first.start["uid"], second.start["uid"]]
    raw = []
    for made in (first, second):
        with h5py.File(made.path) as file:
            raw.append(file["entry/data/data"][:].reshape(-1, made.frames, *made.shape).mean(axis=1, dtype=float))
    # the dark is the one that was taken before all frames
    frames, flats = (np.concatenate([one[first::2] for one in raw]) - raw[0][0] for first in (1, 2))
    np.testing.assert_allclose(found, frames / flats, rtol=1e-5)


def test_frames_that_are_in_no_file_are_left_out(seed: int, tmp_path: Path) -> None:
    made = Made(tmp_path, usual_energies()[:6], seed)
    documents = list(made.whole(flats="before"))
    with h5py.File(made.path, "r+") as file:
        file["entry/data/data"].resize(made.taken - made.frames, axis=0)
    (path,) = export(documents, "fxi", tmp_path / "part.h5")
    with h5py.File(path) as file:
        np.testing.assert_allclose(file["X_eng"][:], np.array(made.energies[:5]) / 1000)
        assert (
            "point 6 is left out: its frames are not in their file" in json.loads(file["provenance"][()])["processing"]
        )
    made.path.unlink()
    with pytest.raises(UnreadableRun, match=made.path.name):
        export(documents, "fxi", tmp_path / "none.h5")
    assert not list(tmp_path.glob("*none*"))


def test_each_place_of_the_sample_is_a_file(seed: int, tmp_path: Path) -> None:
    made = Made(tmp_path, usual_energies()[::8], seed, positions=2)
    paths = export(list(made.whole()), "fxi", tmp_path / "out.h5")
    assert [path.name for path in paths] == ["out_position_0.h5", "out_position_1.h5"]
    with h5py.File(paths[0]) as first, h5py.File(paths[1]) as second:
        assert first["img_xanes"].shape == second["img_xanes"].shape == (len(made.energies), *made.shape)
        assert np.abs(first["img_xanes"][:] - second["img_xanes"][:]).mean() > 0.02


def test_maps_of_one_place_of_a_resumed_run_are_not_those_of_its_first_part(seed: int, tmp_path: Path) -> None:
    energies = usual_energies()[::4]
    half = len(energies) // 2
    first = Made(tmp_path, energies, seed, positions=2, md=MD)
    second = Made(tmp_path, energies, seed, positions=2, md={**MD, "resumes": first.start["uid"]})
    second.clock += 3600
    documents: list[list[Any]] = []
    for made, part in ((first, range(half)), (second, range(half, len(energies)))):
        told = [*made.begin(), *made.point("dark")]
        for index in part:
            for place in range(2):
                made.position = place
                told += made.point("sample", index, seq_num=2 * index + place + 1)
            told += made.point("flat", index, seq_num=index + 1)
        documents.append([*told, *made.end()])
    live = LiveXanes(references=references(), folder=tmp_path)
    for pair in documents[0]:
        live(*pair)
    live.wait(60)
    live.close()
    assert (tmp_path / f"{first.start['uid']}_xanes.h5").exists()
    whole = open_run([open_run(one) for one in documents])
    assert len(whole.at_position(1).points) == len(energies)
    for path in export(documents, "tiff", tmp_path / "whole.tif", results=tmp_path):
        with tifffile.TiffFile(path) as file:
            info = json.loads(file.imagej_metadata["Info"])
        assert info["parts"] == [one.start["uid"] for one in (first, second)]


def with_exposures(made: Made, exposure_of: Callable[[str], float]) -> list[Document]:
    """Return the documents of a whole run, with the exposure of each point by its stream [s]."""
    streams = {one["uid"]: name for name, one in made.descriptors.items()}
    documents: list[Document] = []
    for name, document in made.whole():
        changed = dict(document)
        if name == "descriptor":
            exposure = {"camera_exposure": {"source": "x", "dtype": "number", "shape": [], "units": "s"}}
            changed["data_keys"] = document["data_keys"] | exposure
            changed["object_keys"] = {**document["object_keys"], "camera": ["camera_image", "camera_exposure"]}
        if name == "event":
            exposed = {"camera_exposure": exposure_of(streams[document["descriptor"]])}
            changed["data"] = document["data"] | exposed
        documents.append((name, changed))
    return documents


def test_frames_without_flats_are_less_the_darks_of_their_exposure(seed: int, tmp_path: Path) -> None:
    made = Made(tmp_path, usual_energies()[::8], seed)
    darks, flat = iter([0.5, 0.1, 0.5, 0.1]), made.descriptors["flat"]["uid"]
    exposed = with_exposures(made, lambda stream: next(darks) if stream == "dark" else 0.5)
    documents = [pair for pair in exposed if pair[1].get("descriptor") != flat]
    (path,) = export(documents, "nxstxm", tmp_path / "stack.nxs")
    with h5py.File(made.path) as file:
        raw = file["entry/data/data"][:].reshape(-1, made.frames, *made.shape).mean(axis=1, dtype=float)
    with h5py.File(path) as file:
        np.testing.assert_allclose(file["entry/counts/data"][:], raw[4::2] - raw[[0, 2]].mean(axis=0), rtol=1e-4)


def test_memory_does_not_grow_with_the_stack(seed: int, tmp_path: Path) -> None:
    peaks: dict[int, list[int]] = {}
    for number in (8, 32):
        shape = (128, 160)
        made = Made(
            tmp_path, list(np.linspace(8300.0, 8400.0, number)), seed, shape=shape, frames=1, similar_frames=True
        )
        documents = list(made.whole())
        for form in ("nxstxm", "fxi", "tiff"):
            tracemalloc.start()
            export(documents, form, tmp_path / f"out_{form}", force=True)
            peaks.setdefault(number, []).append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    print(f"peaks of 8 and 32 frames of 80 kB [kB]: {[[one // 1000 for one in peak] for peak in peaks.values()]}")
    for few, many in zip(peaks[8], peaks[32], strict=True):
        # 24 more frames of float32 are 2 MB
        assert many - few < 500_000


def test_flats_of_another_exposure_are_scaled(seed: int, tmp_path: Path) -> None:
    made = Made(tmp_path, usual_energies()[::8], seed)
    documents = with_exposures(made, lambda stream: 0.25 if stream == "flat" else 0.5)
    (path,) = export(documents, "nxstxm", tmp_path / "stack.nxs")
    (plain,) = export(
        list(zip([n for n, _ in documents], [d for _, d in documents], strict=True)), "fxi", tmp_path / "a.h5"
    )
    with h5py.File(made.path) as file:
        raw = file["entry/data/data"][:].reshape(-1, made.frames, *made.shape).mean(axis=1, dtype=float)
    dark = raw[:4].mean(axis=0)
    half = (raw[4::2] - dark) / (raw[5::2] - dark) / 2
    with h5py.File(path) as file, h5py.File(plain) as other:
        np.testing.assert_allclose(file["entry/transmission/data"][:], half, rtol=1e-5)
        np.testing.assert_allclose(other["img_xanes"][:], half, rtol=1e-5)
        np.testing.assert_allclose(file["entry/transmission/count_time"][:], 0.5 * made.frames)
        assert file["entry/transmission/count_time"].attrs["units"] == "s"
