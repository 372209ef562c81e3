"""`whiteline export` on a stack that was taken over Channel Access: the newest run, by the command as it is typed."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import Simulate

from whiteline.beamline.simulation import Simulated

ENERGIES = [8325.0, 8345.0, 8365.0]
COMMAND = "from whiteline.beamline.cli import main; main()"


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("txm", speed=20.0)


def test_the_newest_run_is_exported(twin: Simulated, tmp_path: Path) -> None:
    from whiteline.analysis.runs import open_run
    from whiteline.beamline.session import open_session
    from whiteline.plans import xanes_stack

    session = open_session(twin.beamline, connect_s=60.0)
    devices = session.devices
    assert not session.missing
    devices.photon_shutter.set("Open").wait(60.0)
    devices.camera.change({"roi": (960, 960, 128, 128), "binning": 2}).wait(60.0)
    session.engine.md["sample"] = "particles"
    (uid,) = session.engine(
        xanes_stack(
            devices.camera, devices.energy, ENERGIES, sample=devices.sample, shutter=devices.fast_shutter,
            exposure_s=0.1,
        )
    )  # fmt: skip
    assert session.store.wait(60.0)
    run = open_run(session.store.catalog[uid])
    energies, pixel = run.energies, run.pixel_nm
    frames, flats, dark = np.asarray(run.frames, float), np.asarray(run.flats_for_frames(), float), run.dark()
    session.close()

    arguments = ["export", "-1", "--as", "fxi", "--out", "stack.h5", "--catalog", str(twin.beamline.store.folder)]
    command = [sys.executable, "-c", COMMAND, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "stack.h5\n", "")
    with h5py.File(tmp_path / "stack.h5") as file:
        assert file["uid"][()].decode() == uid
        np.testing.assert_array_equal(file["X_eng"][:], energies / 1000)
        assert (energies != ENERGIES).any(), "what was reached"
        with np.errstate(divide="ignore", invalid="ignore"):
            truth = (frames - dark) / (flats - dark)
        found = file["img_xanes"][:]
        np.testing.assert_allclose(found, np.where(flats > dark, truth, np.nan), rtol=1e-4, atol=1e-6)
        assert 0.1 < np.nanmedian(found) < 1.1
        assert float(file["Pixel Size"][()].decode().removesuffix("nm")) == pytest.approx(2 * pixel[0])
        provenance = json.loads(file["provenance"][()])
    assert provenance["sample"] == "particles"
    assert "mono_calibration" in provenance["calibrations"]
    assert provenance["start"]["plan_args"]["exposure_s"]
