"""A tomography as NXtomo: raw frames in their roles, measured angles, valid by its definition."""

import json
from pathlib import Path

import h5py
import numpy as np
import tifffile
from making_scans import Peer
from test_runs import SHAPE, flown

from whiteline.analysis.exports import export
from whiteline.analysis.runs import open_run


def test_nxtomo_has_frames_angles_and_roles_and_is_valid(seed: int, tmp_path: Path, peer: Peer) -> None:
    documents, angles, took, _ = flown(seed, tmp_path)
    run = open_run(documents)
    (path,) = export(run, "nxtomo", tmp_path / "turn.nxs")
    for way, told in peer("validate_nexus.py", path).items():
        assert told == {"totals": [0, 0], "found": []}, way
    with h5py.File(path) as file:
        entry = file["entry"]
        data, key = entry["instrument/detector/data"], entry["instrument/detector/image_key"][:]
        turned = entry["sample/rotation_angle"]
        assert entry["definition"][()] == b"NXtomo"
        assert data.dtype == run.fly.frames("camera").raw_dtype  # as it was taken
        assert data.shape == (4 + 10 + took.sum(), *SHAPE)
        np.testing.assert_array_equal(key, [2] * 4 + [1] * 10 + [0] * int(took.sum()))
        np.testing.assert_array_equal(turned[:][key == 0], angles[took])
        assert np.isnan(turned[:][key != 0]).all()
        assert turned.attrs["units"] == "deg"
        np.testing.assert_array_equal(data[:4], run.darks.raw(0))
        np.testing.assert_array_equal(data[4:14], run.flats.raw(0))
        frames, _ = run.fly.taken_frames("camera")
        np.testing.assert_array_equal(data[14:], frames[:])
        # 20 nm, binned twice
        assert entry["instrument/detector/x_pixel_size"][()] == 0.04
        assert entry["instrument/detector/x_pixel_size"].attrs["units"] == "um"
        np.testing.assert_array_equal(entry["data/rotation_angle"][:], turned[:])
        provenance = json.loads(entry["process/provenance/data"][()])
    assert provenance["plan"] == "fly_tomography"
    assert any("raw" in sentence for sentence in provenance["processing"])


def test_its_slice_is_a_picture(seed: int, tmp_path: Path) -> None:
    documents, *_ = flown(seed, tmp_path)
    (path,) = export(documents, "tiff", tmp_path / "turn.tif")
    assert path.name == "turn_slice.tif"
    with tifffile.TiffFile(path) as file:
        assert json.loads(file.imagej_metadata["Info"])["unit"] == "1/um"
        assert file.asarray().shape == (2, SHAPE[1], SHAPE[1])
