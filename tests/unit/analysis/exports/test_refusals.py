"""What makes no sense is refused in a sentence, and what is cut short leaves no half file."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making_runs import Document, Made, usual_energies
from making_scans import PointScan, Raster
from test_runs import flown

from whiteline.analysis.exports import FORMATS, UnsuitableRun, export
from whiteline.analysis.runs import UnreadableRun

ENERGIES = usual_energies()[::8]


def stack(folder: Path, seed: int) -> list[Document]:
    return list(Made(folder, ENERGIES, seed).whole())


RUNS: dict[str, tuple[Callable[[Path, int], list[Document]], str]] = {
    "stack": (stack, "nxstxm fxi tiff csv"),
    "points": (lambda folder, seed: PointScan(seed).documents(), "xdi nxxas csv"),
    "raster": (lambda folder, seed: Raster(seed).documents(), "nxstxm tiff csv"),
    "tomography": (lambda folder, seed: flown(seed, folder)[0], "nxtomo tiff csv"),
}


@pytest.mark.parametrize("kind", RUNS)
def test_a_run_that_does_not_fit_is_refused_with_those_formats_that_do(kind: str, seed: int, tmp_path: Path) -> None:
    make, fitting = RUNS[kind]
    documents = make(tmp_path, seed)
    out = tmp_path / "out"
    out.mkdir()
    for form in FORMATS:
        if form in fitting.split():
            assert export(documents, form, out, force=True)
            continue
        before = set(out.iterdir())
        with pytest.raises(UnsuitableRun, match=r"^run \w+ .*is an? .*; export it as ") as refused:
            export(documents, form, out)
        remedy = str(refused.value).partition("export it as ")[2]
        assert remedy.replace(",", "").replace(" or", "").split() == fitting.split()
        assert set(out.iterdir()) == before


@pytest.mark.parametrize("what", ["flat", "dark"])
def test_fxi_needs_flats_and_darks_and_nxstxm_does_not(what: str, seed: int, tmp_path: Path) -> None:
    documents = stack(tmp_path, seed)
    (descriptor,) = [one["uid"] for name, one in documents if name == "descriptor" and one["name"] == what]
    without = [
        (name, one)
        for name, one in documents
        if not (name == "descriptor" and one["uid"] == descriptor) and one.get("descriptor") != descriptor
    ]
    with pytest.raises(UnsuitableRun, match=rf"has no {what}s, and fxi holds frames .*; export it as tiff or nxstxm"):
        export(without, "fxi", tmp_path / "a.h5")
    (path,) = export(without, "nxstxm", tmp_path / "a.nxs")
    import h5py

    with h5py.File(path) as file:
        assert ("counts" if what == "flat" else "transmission") in file["entry"]
        assert f"no {what}" in file["entry/process/provenance/description"][()].decode()
        if what == "flat":
            assert np.median(file["entry/counts/data"][:]) > 1000


def test_what_is_no_run_no_format_or_there_already(seed: int, tmp_path: Path) -> None:
    documents = stack(tmp_path, seed)
    with pytest.raises(ValueError, match="format 'zip' is not known; take one of xdi, nxxas"):
        export(documents, "zip", tmp_path)
    with pytest.raises(UnreadableRun, match="no start document"):
        export(documents[1:3], "fxi", tmp_path)
    with pytest.raises(UnsuitableRun, match="has no points"):
        export(documents[:1], "fxi", tmp_path)
    path = tmp_path / "there.h5"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match=r"there.h5 is there already; let it be replaced by --force"):
        export(documents, "fxi", path)
    assert path.read_text() == "precious"
    assert export(documents, "fxi", path, force=True) == (path,)
    assert path.stat().st_size > 1000


def test_an_export_that_fails_leaves_nothing(seed: int, tmp_path: Path) -> None:
    documents = stack(tmp_path, seed)
    out = tmp_path / "out"
    (old,) = export(documents, "fxi", out / "a.h5")
    before = old.read_bytes()

    def broken(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    for form in ("fxi", "nxstxm", "tiff"):
        with pytest.raises(KeyboardInterrupt):
            export(documents, form, old, force=True, progress=broken)
        assert list(out.iterdir()) == [old]
        assert old.read_bytes() == before


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from making_runs import Made, usual_energies
from whiteline.analysis.exports import export

def kill(done, of):
    if done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
export(list(Made(folder, usual_energies()[::8], 1).whole()), "fxi", folder / "a.h5", progress=kill)
"""


def test_an_export_that_is_killed_leaves_no_half_file(tmp_path: Path) -> None:
    done: Any = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), *sys.path], env=os.environ, timeout=120, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "a.h5").exists()
