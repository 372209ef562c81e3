"""Where larch computes the same thing: how far the two differ on measured spectra.

larch runs in an environment of its own, `make peers`.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whiteline.analysis.spectra import edge_by_derivative, normalise
from whiteline.analysis.spectrum_files import Spectrum, read_columns, read_xdi

NAMES = ("ni_k_foil.xdi", "fe_k_FeO.xdi", "fe_k_Fe2O3.xmu", "ni_k_NiO.txt", "ni_k_LiNiO2.txt")


def read(path: Path) -> Spectrum:
    return read_xdi(path) if path.suffix == ".xdi" else read_columns(path, "keV" if path.suffix == ".txt" else "eV")


@pytest.fixture(scope="module")
def larch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What larch makes of each file: figures by name, and spectra."""
    root = Path(__file__).resolve().parents[4]
    python = root / ".venv-peers" / "bin" / "python"
    if not python.exists():
        pytest.skip("larch is not installed in .venv-peers; `make peers` installs it")
    folder = measured_folder(root)
    out = tmp_path_factory.mktemp("larch") / "spectra.npz"
    script = root / "tests" / "benchmarks" / "peers" / "larch_spectra.py"
    files = [str(folder / name) for name in NAMES]
    run = subprocess.run([python, script, *files, "--out", out], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    figures = json.loads(run.stdout.splitlines()[-1])
    arrays = np.load(out)
    return {
        name: figures[name] | {kind: arrays[f"{kind}_{number}"] for kind in ("energy", "mu", "norm", "flat")}
        for number, name in enumerate(NAMES)
    }


def measured_folder(root: Path) -> Path:
    folder = Path(os.environ.get("WHITELINE_SPECTRA") or root.parent / "shared" / "data" / "xanes")
    if not folder.is_dir():
        pytest.skip(f"no measured spectra at {folder}; WHITELINE_SPECTRA names another folder")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_read_alike(larch: dict[str, Any], measured: Path, name: str) -> None:
    ours = read(measured / name)
    assert ours.energy == pytest.approx(larch[name]["energy"], abs=1e-6)
    assert ours.absorption == pytest.approx(larch[name]["mu"], abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_e0_differs_by_less_than_half_a_step(larch: dict[str, Any], measured: Path, name: str) -> None:
    ours = read(measured / name)
    found = edge_by_derivative(ours.energy, ours.absorption)
    difference = found.energy - larch[name]["e0"]
    print(f"{name}: E0 {found.energy:.3f} eV, larch {larch[name]['e0']:.3f}, difference {difference:+.3f} eV")
    # larch names the point next to the maximum of its smoothed derivative, so half of a step (0.3 to 0.5 eV) is its
    # own rounding.
    assert abs(difference) < 0.25


@pytest.mark.parametrize("name", NAMES)
def test_step_and_spectrum_are_the_same_if_both_fit_the_same_points(
    larch: dict[str, Any], measured: Path, name: str
) -> None:
    ours, theirs = read(measured / name), larch[name]
    pre, post = (
        np.array(theirs[one]) - theirs["e0"] + [-1e-6, 1e-6] for one in ("pre_edge_points", "post_edge_points")
    )
    found = normalise(
        ours.energy,
        ours.absorption,
        edge=theirs["e0"],
        pre_edge=(pre[0], pre[1]),
        post_edge=(post[0], post[1]),
        degree=int(theirs["nnorm"]),
    )
    step = found.edge_step / theirs["edge_step"] - 1
    norm = np.abs(found.normalised - theirs["norm"]).max()
    flat = np.abs(found.flattened - theirs["flat"]).max()
    print(f"{name}: edge step {step:+.1e}, normalised {norm:.1e}, flattened {flat:.1e} from larch")
    # The same least squares: what is left is the rounding of larch's polynomials in absolute energy.
    assert abs(step) < 1e-6
    assert norm < 1e-6
    assert flat < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_own_defaults_give_nearly_the_same_step(larch: dict[str, Any], measured: Path, name: str) -> None:
    ours, theirs = read(measured / name), larch[name]
    found = normalise(ours.energy, ours.absorption)
    step = found.edge_step / theirs["edge_step"] - 1
    norm = np.abs(found.normalised - theirs["norm"]).max()
    print(f"{name}: edge step {step:+.1%}, normalised {norm:.3f} from larch, each with its own ranges")
    # larch's post-edge begins at 25 eV, in the dip behind the white line; ours at 100 eV.
    assert abs(step) < 0.06
    assert norm < 0.12
