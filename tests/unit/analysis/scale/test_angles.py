"""Tomograms over an edge as slices: each angle has its own frames of all energies, also where the sample turned."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from event_model import compose_run

from whiteline.analysis.live.settings import Settings
from whiteline.analysis.runs import Run, UnreadableRun, open_run
from whiteline.analysis.scale import slices_of_tomograms

SHAPE = (6, 7)
ANGLES = np.linspace(0.0, 180.0, 7)


def tomogram(folder: Path, energy: float, angles: np.ndarray[Any, Any], flats: int = 2, **more: Any) -> Run:
    """A tomogram whose frames hold the angle that they were taken at, and the energy in tens of eV."""
    bundle = compose_run(time=energy, metadata={"plan_name": "xanes_tomography", "group": "g"} | more)
    path = folder / f"{energy:g}.h5"
    counts = {"dark": 2, "flat": flats, "primary": angles.size}
    with h5py.File(path, "w") as file:
        data = file.create_dataset("entry/data/data", (sum(counts.values()), *SHAPE), np.uint16, chunks=(1, *SHAPE))
        data[2 : 2 + flats] = 1000
        for at, angle in enumerate(angles):
            data[2 + flats + at] = 200 + round(float(angle))
            data[2 + flats + at, 0, 0] = round(energy / 10)
    number = {"source": "x", "dtype": "number", "shape": []}
    image = {"source": "x", "dtype": "array", "shape": [1, *SHAPE], "dtype_numpy": "<u2", "external": "FILESTORE:"}
    keys = {"camera_image": image, "energy": number, "rotation": number | {"units": "deg"}}
    documents: list[tuple[str, dict[str, Any]]] = [("start", dict(bundle.start_doc))]
    resource = bundle.compose_resource(
        spec="AD_HDF5", root=str(folder), resource_path=path.name,
        resource_kwargs={"frame_per_point": 1, "dataset": "entry/data/data"},
    )  # fmt: skip
    streams = {}
    for name in counts:
        streams[name] = bundle.compose_descriptor(name=name, data_keys=keys)
        documents.append(("descriptor", dict(streams[name].descriptor_doc)))
    documents.append(("resource", dict(resource.resource_doc)))
    frame = 0
    for name, count in counts.items():
        for at in range(count):
            datum = resource.compose_datum(datum_kwargs={"point_number": frame})
            frame += 1
            rotation = float(angles[at]) if name == "primary" else 0.0
            read = {"camera_image": datum["datum_id"], "energy": energy, "rotation": rotation}
            event = streams[name].compose_event(
                data=read, timestamps=dict.fromkeys(read, energy), filled={"camera_image": False}
            )
            documents += [("datum", dict(datum)), ("event", dict(event))]
    documents.append(("stop", dict(bundle.compose_stop())))
    return open_run(documents)


def test_each_angle_has_its_frames_of_all_energies_in_order(tmp_path: Path, seed: int) -> None:
    source = np.random.default_rng(seed)
    energies = [8300.0, 8340.0, 8380.0]
    runs = []
    for number, energy in enumerate(energies):
        turned = ANGLES[::-1] if number % 2 else ANGLES
        runs.append(tomogram(tmp_path, energy, turned + source.uniform(-3, 3, ANGLES.size) * (number > 0)))
    slices = slices_of_tomograms(runs[::-1], Settings())
    assert [one.angle for one in slices] == pytest.approx(ANGLES)
    for one in slices:
        assert [recipe.energy for recipe in one.recipes] == energies
        assert not one.troubles
        for recipe in one.recipes:
            (place,) = recipe.frames
            with h5py.File(one.developing.path_map.find(place.file.path)) as file:
                frame = file["entry/data/data"][place.first]
            assert abs(float(frame[3, 3]) - 200 - one.angle) <= 3.5
            assert frame[0, 0] == round(recipe.energy / 10)  # of its own energy
            assert len(recipe.flats) == 2
            assert f"{recipe.energy:g}.h5" in recipe.flats[0].file.path
            assert recipe.darks == slices[0].recipes[0].darks


def test_an_angle_that_was_missed_lacks_that_energy_alone(tmp_path: Path) -> None:
    whole, short = tomogram(tmp_path, 8300.0, ANGLES), tomogram(tmp_path, 8340.0, ANGLES[:-1])
    slices = slices_of_tomograms([whole, short], Settings())
    assert [len(one.recipes) for one in slices] == [2] * 6 + [1]
    assert slices[-1].troubles == (f"{short.name} has no frame at 180°",)


def test_a_group_that_lacks_energies_is_not_called_complete(tmp_path: Path) -> None:
    runs = [tomogram(tmp_path, energy, ANGLES, group_size=5) for energy in (8300.0, 8340.0)]
    for one in slices_of_tomograms(runs, Settings()):
        assert one.planned == 5
        assert one.troubles == ("2 of 5 energies of the group are here",)


def test_a_tomogram_without_flats_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableRun, match="has no flats: an optical density needs one"):
        slices_of_tomograms([tomogram(tmp_path, 8300.0, ANGLES, flats=0)], Settings())
