"""A tomography that was flown: its projections with measured angles, and a slice when it is over."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fly_runs import Document, FlyRun
from numpy.typing import NDArray
from phantom import Spheres

from whiteline.analysis.live import LiveXanes, analyse
from whiteline.analysis.runs import UnreadableRun, open_run
from whiteline.analysis.runs.projections import projections_of

SHAPE, CENTRE, PULSES = (48, 120), 62.3, 121
UNITS = {"time_start": "s", "time_end": "s", "camera_frames": "", "incident_counts": ""}
UNITS |= {f"rotation_{which}": "deg" for which in ("mean", "start", "end")}


def still_frames(run: FlyRun, folder: Path, name: str, frames: NDArray[np.uint16]) -> Iterator[Document]:
    """A stream of flats or darks, one event, as a camera writes it."""
    path = folder / f"{name}.h5"
    with h5py.File(path, "w") as file:
        file["entry/data/data"] = frames
    image = {
        "source": "x",
        "dtype": "array",
        "shape": list(frames.shape),
        "dtype_numpy": "<u2",
        "external": "FILESTORE:",
    }
    pixel = {"source": "x", "dtype": "number", "shape": [], "units": "nm"}
    bundle = run.bundle.compose_descriptor(
        name=name,
        data_keys={"camera_image": image, "energy_pixel": pixel},
        object_keys={"camera": ["camera_image"], "energy": ["energy_pixel"]},
        configuration={"camera": {"data": {"camera_binning": 2}, "timestamps": {}, "data_keys": {}}},
    )
    options = {"frame_per_point": len(frames), "dataset": "entry/data/data"}
    resource = run.bundle.compose_resource(
        spec="AD_HDF5", root=str(folder), resource_path=path.name, resource_kwargs=options
    )
    datum = resource.compose_datum(datum_kwargs={"point_number": 0})
    data = {"camera_image": datum["datum_id"], "energy_pixel": 20.0}
    event = bundle.compose_event(data=data, timestamps=dict.fromkeys(data, 1.0), filled={"camera_image": False})
    yield from (("descriptor", bundle.descriptor_doc), ("resource", resource.resource_doc), ("datum", datum))
    yield "event", event


def flown(seed: int, folder: Path) -> tuple[list[Document], NDArray[np.float64], NDArray[np.bool_], Spheres]:
    """A turn of 180 degrees at an uneven speed, of which the camera has missed some triggers."""
    source = np.random.default_rng(seed)
    angles = np.linspace(0, 181, PULSES) + np.cumsum(source.normal(0, 0.02, PULSES))
    took = source.random(PULSES) > 0.04
    took[[0, -1]] = True
    spheres = Spheres.random(source, 30, 40, 40)
    density = spheres.projections(angles, SHAPE, CENTRE)
    run = FlyRun(
        folder,
        {
            "plan_name": "fly_tomography", "motors": ["sample_rotation"], "shape": [PULSES],
            "roles": {"rotation": "sample_rotation"},
        }, UNITS, PULSES,
        noise=0.001, detector="camera", frame=SHAPE, key="image",
    )  # fmt: skip
    documents = list(run.begin())
    documents += still_frames(run, folder, "dark", np.full((4, *SHAPE), 100, np.uint16))
    documents += still_frames(run, folder, "flat", source.poisson(2e4, (10, *SHAPE)).astype(np.uint16) + 100)
    time = 0.07 * np.arange(PULSES)
    columns: dict[str, Any] = {"time_start": time, "time_end": time + 0.07, "camera_frames": np.cumsum(took)}
    columns |= {"incident_counts": source.poisson(1e6, PULSES)}  # a capture box has counters, whatever it is for
    columns |= {"rotation_mean": angles, "rotation_start": angles - 0.7, "rotation_end": angles + 0.7}
    documents += run.fly(columns)
    frames = source.poisson(2e4 * np.exp(-density[took])) + 100
    documents += run.take(frames.astype(np.uint16))
    documents += run.end()
    return documents, angles, took, spheres


def test_projections_have_the_angles_of_their_own_pulses(seed: int, tmp_path: Path) -> None:
    documents, angles, took, _ = flown(seed, tmp_path)
    run = open_run(documents)
    found = projections_of(run)
    np.testing.assert_array_equal(found.angles, angles[took])
    assert found.frames.shape == (took.sum(), *SHAPE)
    assert found.flat.mean() == pytest.approx(20100, rel=1e-3)
    assert (found.dark == 100).all()
    np.testing.assert_array_equal(run.positions("sample_rotation").best, angles)
    assert run.completeness.whole
    with pytest.raises(UnreadableRun, match="none of 'other'"):
        projections_of(run, camera="other")
    without = [document for document in documents if document[1].get("name") != "dark"]
    with pytest.raises(UnreadableRun, match="has no stream 'dark'"):
        projections_of(open_run(without))


def test_a_slice_is_there_when_the_turn_is_over(seed: int, tmp_path: Path) -> None:
    documents, _, took, spheres = flown(seed, tmp_path)
    live = LiveXanes()
    for document in documents[:-1]:
        live(*document)
    assert not live.wait().maps
    live(*documents[-1])
    results = live.wait()
    live.close()
    assert results.kind == "tomography"
    assert results.pixel_um == pytest.approx(0.04)
    if not took.all():
        assert results.troubles[0].startswith(f"camera missed {(~took).sum()} of {PULSES} triggers")
    found = results.map("slice")
    assert found.unit == "1/um"
    z, x = np.mgrid[: SHAPE[1], : SHAPE[1]] - (SHAPE[1] - 1) / 2
    truth = np.zeros_like(x)
    for one in zip(spheres.x, spheres.y, spheres.z, spheres.radius, spheres.absorption, strict=True):
        # row 24 of 48 is half a pixel below the middle
        truth += one[4] / 0.04 * (np.hypot(np.hypot(x - one[0], z - one[2]), one[1] - 0.5) < one[3])
    correlation = np.corrcoef(found.value[found.valid], truth[found.valid])[0, 1]
    assert correlation > 0.85
    np.testing.assert_allclose(analyse(documents).map("slice").value, found.value)
