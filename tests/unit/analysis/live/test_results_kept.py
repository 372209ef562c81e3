"""Results are saved with units and provenance, drawn from the main thread, and rasters and point scans have theirs."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from event_model import compose_run
from making_rasters import raster
from making_runs import EDGE, Document, Made, references, usual_energies
from matplotlib.image import imread

from whiteline.analysis.live import LiveFigure, LiveXanes, Results, Settings, analyse
from whiteline.analysis.live.saving import load_map
from whiteline.analysis.spectra.reference import on_energies


def test_a_run_that_has_ended_is_saved_and_linked(tmp_path: Path, seed: int) -> None:
    run = Made(tmp_path, usual_energies(), seed)
    kept: list[tuple[Results, dict[str, Any]]] = []
    live = LiveXanes(
        references=references(),
        register=False,
        folder=tmp_path / "results",
        on_result=lambda results, link: kept.append((results, link)),
    )
    for name, document in run.whole():
        live(name, document)
    results = live.wait(60)
    live.close()
    ((final, link),) = kept
    assert final.over
    assert link["run"] == run.start["uid"]
    assert json.loads(json.dumps(link)) == link
    assert link["references"] == Settings(references=references()).reference_hashes()
    name = "fraction of LiNiO2"
    again = load_map(link["path"], name)
    np.testing.assert_array_equal(again.value, results.map(name).value)
    with h5py.File(link["path"]) as held:
        assert held["entry"].attrs["NX_class"] == "NXentry"
        assert held["entry/maps/edge energy/value"].attrs["units"] == "eV"
        assert held["entry/frames/shift_y"].attrs["units"] == "px"
        parameters = json.loads(held["entry/process/parameters"][()])
        assert parameters["references"] == ["NiO", "LiNiO2"]
        assert json.loads(held["entry/process/versions"][()])["numpy"] == np.__version__
        assert held["entry/energies"].shape == (len(run.energies),)
    assert sorted(one.name for one in (tmp_path / "results").iterdir()) == [Path(link["path"]).name]
    with pytest.raises(KeyError, match="it has edge energy, edge jump"):
        load_map(link["path"], "oxygen")


def test_a_folder_that_cannot_be_written_is_told_and_harms_nothing(tmp_path: Path, seed: int) -> None:
    (tmp_path / "taken").write_text("a file")
    run = Made(tmp_path, usual_energies(), seed)
    live = LiveXanes(references=references(), register=False, folder=tmp_path / "taken")
    for name, document in run.whole():
        live(name, document)
    assert live.wait(60).over
    assert any("was not saved" in one for one in live.troubles)
    live.close()


def test_settings_that_differ_have_another_hash() -> None:
    one = Settings(references=references())
    assert one.digest() == Settings(references=references()).digest()
    assert one.digest() != Settings(references=references(), gain=2.0).digest()
    assert one.digest() != Settings(references=references()[:1]).digest()
    with pytest.raises(ValueError, match="reference 'NiO' is there twice"):
        Settings(references=[references()[0]] * 2)
    with pytest.raises(ValueError, match="looks like keV"):
        Settings(edge=8.333)


def test_the_figure_is_drawn_before_and_after_there_is_something(tmp_path: Path, seed: int) -> None:
    live = LiveXanes(references=references(), register=False)
    figure = LiveFigure(live)
    figure.save(tmp_path / "empty.png")
    run = Made(tmp_path, usual_energies(), seed)
    for name, document in run.whole():
        live(name, document)
    live.wait(60)
    figure.save(tmp_path / "whole.png")
    live.close()
    empty, whole = (imread(tmp_path / f"{one}.png") for one in ("empty", "whole"))
    assert len(np.unique(whole.reshape(-1, 4), axis=0)) > 10 * len(np.unique(empty.reshape(-1, 4), axis=0))
    labels = {one.get_xlabel() for one in figure.figure.axes} | {one.get_ylabel() for one in figure.figure.axes}
    assert {"energy / eV", "mean optical density", "shift / px", "fraction of LiNiO2", "standard error"} <= labels
    assert any("µm" in text.get_text() for axes in figure.figure.axes for text in axes.texts)
    figure.name = "edge energy"
    figure.draw()
    assert any("edge energy / eV" in one.get_ylabel() for one in figure.figure.axes)


def point_scan(seed: int, noise: float = 1e-3) -> Iterator[Document]:
    energies = np.array(usual_energies())
    nio, linio2 = (on_energies(one, energies) for one in references())
    absorption = 0.3 + 1.1 * (0.3 * nio + 0.7 * linio2)
    source = np.random.default_rng(seed)
    bundle = compose_run(metadata={"energies": energies.tolist(), "motors": ["energy"]})
    number: dict[str, Any] = {"source": "x", "dtype": "number", "shape": []}
    names = ["counters_incident_rate", "counters_transmitted_rate"]
    stream = bundle.compose_descriptor(
        name="primary",
        data_keys={"energy": {**number, "units": "eV"}, **dict.fromkeys(names, number)},
        object_keys={"energy": ["energy"], "counters": names},
    )
    yield "start", bundle.start_doc
    yield "descriptor", stream.descriptor_doc
    for index in source.permutation(energies.size):
        passed = np.exp(-absorption[index] + noise * source.standard_normal())
        data = {"energy": float(energies[index]), names[0]: 1e6, names[1]: 1e6 * float(passed)}
        yield "event", stream.compose_event(data=data, timestamps=dict.fromkeys(data, 0.0))
    yield "stop", bundle.compose_stop()


def test_a_point_scan_gives_its_spectrum_with_fits(seed: int) -> None:
    live = LiveXanes(references=references())
    documents = list(point_scan(seed))
    for pair in documents:
        live(*pair)
    results = live.wait(60)
    live.close()
    spectrum = results.spectrum
    assert results.kind == "points"
    assert spectrum is not None
    assert spectrum.normalised is not None
    assert spectrum.e0 is not None
    assert abs(spectrum.e0[0] - EDGE) < 6
    assert spectrum.combination is not None
    off = (spectrum.combination.fractions - [0.3, 0.7]) / spectrum.combination.fraction_errors
    assert np.abs(off).max() < 6
    assert spectrum.model is not None
    assert spectrum.model.errors["e0"] > 0
    offline = analyse(documents, references=references())
    assert offline.spectrum is not None
    np.testing.assert_array_equal(offline.spectrum.absorption, spectrum.absorption)
    LiveFigure(SimpleNamespace(results=results, progress="")).draw()


def test_a_raster_at_several_energies_gives_elements_and_chemistry(seed: int) -> None:
    live = LiveXanes(references=references())
    documents = list(raster(seed))
    for pair in documents:
        live(*pair)
    results = live.wait(60)
    live.close()
    assert results.kind == "raster"
    assert results.pixel_um == pytest.approx(0.5)
    found = results.map("fraction of LiNiO2")
    truth = np.linspace(0, 1, 14)[None] * np.ones((12, 1))
    assert found.valid.all()
    assert ((found.value - truth) / found.error).std() == pytest.approx(1, abs=0.35)
    assert results.map("fluorescence_Ni_Ka").value.shape == (12, 14)
    assert results.spectrum is not None
    LiveFigure(SimpleNamespace(results=results, progress="")).draw()


def test_pixels_that_are_missing_are_missing(seed: int) -> None:
    results = analyse(list(raster(seed, missing=20)), references=references())
    assert results.exit_status == "abort"
    assert np.count_nonzero(~results.map("fluorescence_Ni_Ka").valid) == 20
    assert np.count_nonzero(~results.map("fraction of NiO").valid) == 20
    assert np.isnan(results.map("fraction of NiO").value).sum() == 20


def test_a_beam_that_is_not_known_is_told_and_no_map_is_made(seed: int) -> None:
    documents = [
        (name, {**one, "data": {**one["data"], "counters_incident_rate": float("nan")}} if name == "event" else one)
        for name, one in raster(seed)
    ]
    results = analyse(documents, references=references())
    assert "fluorescence_Ni_Ka" not in results.maps
    assert "fraction of LiNiO2" not in results.maps
    (told,) = results.troubles
    assert "counters_incident_rate, is known at no point" in told
    assert "measure_dark_rates" in told
