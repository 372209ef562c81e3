"""A point scan as XDI and NXxas: larch reads its energies, counts, absorption, units and where they are from."""

import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas
import pytest
from making_scans import CALIBRATION, EDGE, Peer, PointScan, documents

from whiteline.analysis.exports import UnsuitableRun, export
from whiteline.analysis.spectrum_files import read_xdi


@pytest.fixture(scope="module")
def scans() -> dict[str, PointScan]:
    """By the name of their files."""
    seed = int(os.environ.get("WHITELINE_SEED") or secrets.randbelow(2**31))
    print(f"WHITELINE_SEED={seed}")
    thin, thick = PointScan(seed, fluorescence=True), PointScan(seed + 1)
    return {"line.xdi": thin, "line.nxs": thin, "chambers.xdi": thick, "chambers.nxs": thick}


@pytest.fixture(scope="module")
def paths(scans: dict[str, PointScan], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("spectra")
    found: list[Path] = []
    for name, scan in scans.items():
        form = "xdi" if name.endswith(".xdi") else "nxxas"
        found += export(scan.documents(), form, folder / name, instrument="Nickel microscope")
    return found


@pytest.fixture(scope="module")
def larch(paths: list[Path], peer: Peer) -> dict[str, Any]:
    """What larch reads, by the name of the file."""
    found: dict[str, Any] = peer("read_by_larch.py", *paths)
    return found


def test_larch_reads_xdi(scans: dict[str, PointScan], larch: dict[str, Any], paths: list[Path]) -> None:
    scan, found = scans["chambers.xdi"], larch["chambers.xdi"]
    order = np.argsort(scan.reached)
    assert found["labels"] == ["energy", "i0", "itrans", "mutrans", "irefer"]
    assert found["units"][:3] == ["eV", "counts/s", "counts/s"]
    # those that were reached, not those that were asked for
    np.testing.assert_allclose(found["energy"], scan.reached[order], rtol=1e-11)
    for name, truth in (("i0", scan.incident), ("itrans", scan.transmitted), ("irefer", scan.reference)):
        np.testing.assert_allclose(found[name], truth[order], rtol=1e-10)
    np.testing.assert_allclose(found["mutrans"], np.log(scan.incident / scan.transmitted)[order], rtol=1e-9)
    assert (found["element"], found["edge"]) == ("Ni", "K")
    assert abs(found["e0"] - EDGE) < 2
    assert found["edge_step"] == pytest.approx(1.1, abs=0.1)

    header = found["header"]
    assert float(header["mono"]["d_spacing"]) == CALIBRATION.spacing
    assert header["beamline"]["name"] == "Nickel microscope"
    assert header["sample"]["name"] == "NiO pellet"
    assert header["scan"]["start_time"].startswith("2027-01-15T08:00:00")
    ours = header["whiteline"]
    assert (ours["uid"], ours["plan"], ours["scan_id"]) == ("12345678-aaaa-bbbb", "xanes", "17")
    assert json.loads(ours["mono_calibration"])["version"] == 3
    assert "numpy" in json.loads(ours["versions"])
    assert "read back from the Bragg angle" in found["comments"]

    again = read_xdi(next(path for path in paths if path.name == "chambers.xdi"))
    np.testing.assert_allclose(again.absorption, found["mutrans"], rtol=1e-11)
    assert again.name == "NiO pellet"


def test_larch_reads_fluorescence(scans: dict[str, PointScan], larch: dict[str, Any]) -> None:
    scan = scans["line.xdi"]
    order = np.argsort(scan.reached)
    found = larch["line.xdi"]
    assert found["labels"] == ["energy", "i0", "ifluor", "mufluor"]
    np.testing.assert_allclose(found["ifluor"], scan.line[order], rtol=1e-10)
    np.testing.assert_allclose(found["mufluor"], (scan.line / scan.incident)[order], rtol=1e-9)
    found = larch["line.nxs"]
    assert found["mode"] == "Fluorescence Yield"
    np.testing.assert_allclose(found["mu"], (scan.line / scan.incident)[order], rtol=1e-12)


def test_larch_reads_nxxas(scans: dict[str, PointScan], larch: dict[str, Any]) -> None:
    scan, found = scans["chambers.nxs"], larch["chambers.nxs"]
    order = np.argsort(scan.reached)
    assert found["groups"] == ["entry"]
    assert found["description"] == "NiO pellet, xanes, scan 17"
    assert sorted(found["labels"]) == ["absorbed_beam", "energy", "incoming_beam", "reference_beam"]
    np.testing.assert_array_equal(found["energy"], scan.reached[order])
    np.testing.assert_array_equal(found["incoming_beam"], scan.incident[order])
    np.testing.assert_array_equal(found["absorbed_beam"], scan.transmitted[order])
    np.testing.assert_array_equal(found["reference_beam"], scan.reference[order])
    np.testing.assert_allclose(found["mu"], np.log(scan.incident / scan.transmitted)[order], rtol=1e-12)
    assert (found["element"], found["edge"], found["mode"]) == ("Ni", "K", "Transmission")
    assert abs(found["e0"] - EDGE) < 2


def test_nxxas_is_valid_and_the_validator_sees_what_is_not(paths: list[Path], peer: Peer, tmp_path: Path) -> None:
    ours = [path for path in paths if path.suffix == ".nxs"]
    broken = tmp_path / "broken.nxs"
    shutil.copy(ours[0], broken)
    with h5py.File(broken, "r+") as file:
        del file["entry/monitor/mode"]
        file["entry/instrument/monochromator/energy"].attrs["units"] = "eV"
        file["entry/sample/wrong"] = 1.0
    found = peer("validate_nexus.py", *ours, broken)
    for which, told in found.items():
        if "broken" not in which:
            assert told == {"totals": [0, 0], "found": []}, which
    assert found[f"{broken} validate_application"]["totals"][1] == 1
    assert found[f"{broken} validate_file"]["totals"][0] == 1
    with h5py.File(ours[1]) as file:
        assert file["entry/instrument/monochromator/energy"].attrs["units"] == "eV"
        assert file["entry/instrument/incoming_beam/data"].attrs["units"] == "counts/s"
        assert file["entry/monitor/preset"][()] == 0.5
        provenance = json.loads(file["entry/process/provenance/data"][()])
    assert provenance["calibrations"]["mono_calibration"]["offset"] == CALIBRATION.offset
    assert provenance["start"]["plan_name"] == "xanes"


def test_repeats_are_averaged_and_what_is_missing_is_left_out(seed: int, tmp_path: Path) -> None:
    scan = PointScan(seed, repeats=2, missing=(4, 9))
    (path,) = export(scan.documents(), "xdi", tmp_path / "nio.xdi")
    found = read_xdi(path)
    single = scan.wanted.size // 2
    assert found.energy.size == single
    # where one of two is missing, the other counts alone
    for index, others in ((4, [4 + single]), (0, [0, single])):
        at = np.abs(found.energy - scan.wanted[index]).argmin()
        assert found.energy[at] == pytest.approx(scan.reached[others].mean(), abs=1e-6)
        mean = [one[others].mean() for one in (scan.incident, scan.transmitted)]
        assert found.absorption[at] == pytest.approx(np.log(mean[0] / mean[1]), rel=1e-9)
    text = path.read_text()
    assert "2 points are left out" in text
    assert f"points are averaged at {single} energies" in text


def test_the_edge_is_told_by_whoever_exports_where_the_run_does_not(seed: int, tmp_path: Path) -> None:
    scan = PointScan(seed, start={"element": None})
    with pytest.raises(UnsuitableRun, match=r"does not say which edge it crosses.*--edge Ni-K"):
        export(scan.documents(), "xdi", tmp_path / "a.xdi")
    (path,) = export(scan.documents(), "xdi", tmp_path / "a.xdi", edge=("Ni", "K"))
    assert "# Element.symbol: Ni\n" in path.read_text()


def test_tables_of_a_point_scan_and_of_one_that_is_no_spectrum(seed: int, tmp_path: Path) -> None:
    scan = PointScan(seed, missing=(3,))
    points, spectrum = export(scan.documents(), "csv", tmp_path / "nio.csv")
    table = pandas.read_csv(points, comment="#")
    np.testing.assert_array_equal(table["energy [eV]"], scan.reached)
    np.testing.assert_array_equal(table["energy_setpoint [eV]"], scan.wanted)
    np.testing.assert_array_equal(table["counters_incident_rate [counts/s]"], scan.incident)
    missing = table["counters_transmitted_rate [counts/s]"].isna().to_numpy()
    assert np.flatnonzero(missing).tolist() == [3]
    order = np.argsort(scan.reached)
    truth = np.log(scan.incident / scan.transmitted)
    truth[3] = np.nan
    np.testing.assert_allclose(pandas.read_csv(spectrum, comment="#")["absorption"], truth[order], rtol=1e-12)
    header = dict(line[2:].split(": ", 1) for line in points.read_text().splitlines() if line.startswith("# "))
    assert header["sample"] == "NiO pellet"
    assert json.loads(header["calibrations"])["mono_calibration"]["version"] == 3

    rows = [{"pitch": float(one), "diode": float(one**2)} for one in range(5)]
    tuned = documents(rows, {"pitch": "urad"}, {"pitch": ["pitch"]}, start={"motors": ["pitch"], "plan_name": "tune"})
    (path,) = export(tuned, "csv", tmp_path / "tune.csv")
    assert list(pandas.read_csv(path, comment="#"))[2:] == ["pitch [urad]", "diode"]
