"""`whiteline export`: the run is found in a catalog by whatever names it, and each refusal is one sentence and a 1."""

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from whiteline.beamline.cli import main
from whiteline.beamline.simulation.options import Options

sys.path.append(str(Path(__file__).parent.parent / "analysis" / "live"))

Command = Callable[..., str | int | None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A catalog with two stacks, the second of which was aborted."""
    from making_runs import Made, usual_energies

    from whiteline.beamline.store.writing import open_store

    data = tmp_path_factory.mktemp("data")
    beamline = Options(beamline="txm", data=data).description()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_store(beamline) as store:
            for number, cut in ((21, None), (22, -3)):
                made = Made(data, usual_energies()[::6], number, md={"scan_id": number, "plan_name": "xanes_stack"})
                for descriptor in made.descriptors.values():
                    descriptor["object_keys"].pop("position_index", None)  # which a catalog would look for
                *taken, (_, stop) = made.whole()
                for pair in taken[:cut]:
                    store(*pair)
                store("stop", stop if cut is None else stop | {"exit_status": "abort"})
            assert store.wait()
            assert not store.troubles
        yield data / "catalog"


@pytest.fixture(scope="module")
def opened_once() -> Callable[[Any], Any]:
    """Open a catalog as the command does, once: it takes seconds."""
    from whiteline.beamline.store.catalog import open_catalog

    found: dict[Path, Any] = {}

    def once(beamline: Any) -> Any:
        store = beamline.store.folder
        if store not in found:
            found[store] = open_catalog(beamline)
        return found[store]

    return once


@pytest.fixture
def command(folder: Path, opened_once: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command in an empty folder; return what the process would end with."""
    monkeypatch.setattr("whiteline.beamline.cli.export.silence_libraries", lambda: None)
    monkeypatch.setattr("whiteline.beamline.store.catalog.open_catalog", opened_once)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, catalog: Path | None = folder) -> str | int | None:
        there = [] if catalog is None else ["--catalog", str(catalog)]
        monkeypatch.setattr(sys, "argv", ["whiteline", "export", *arguments, *there])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(SystemExit) as ended:
                main()
        return ended.value.code

    return run


def test_a_run_is_found_by_number_by_uid_and_from_the_end(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert command("21", "--as", "fxi", "--out", "first.h5") == 0
    assert capsys.readouterr().out.split() == ["first.h5"]
    with h5py.File("first.h5") as file:
        assert file["scan_id"][()] == 21
        uid, energies = file["uid"][()].decode(), file["X_eng"][:]
        assert energies.size == 6
        whole = file["img_xanes"][:]
    assert command("-1", "--as", "fxi") == 0
    (newest,) = tmp_path.glob("xanes_stack_22_*.h5")
    with h5py.File(newest) as file:
        # of the one that was aborted, as far as it went
        np.testing.assert_array_equal(file["X_eng"][:], energies[:5])
    assert command(uid[:9], "--as", "nxstxm", "--out", "again.nxs") == 0
    with h5py.File("again.nxs") as file:
        np.testing.assert_array_equal(file["entry/transmission/data"][:], whole)
        assert file["entry/instrument/name"][()].decode().startswith("Simulated")


def test_maps_are_fitted_with_references_that_are_named(command: Command, tmp_path: Path) -> None:
    from making_runs import references

    named = []
    for one in references():
        np.savetxt(tmp_path / f"{one.name}.txt", np.column_stack([one.energy, one.absorption]))
        named += ["--reference", f"{one.name}={one.name}.txt:eV"]
    assert command("21", "--as", "tiff", "--out", "a.tif", *named) == 0
    assert (tmp_path / "a_fraction_of_LiNiO2.tif").exists()


def test_each_refusal_is_a_sentence(command: Command, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "there.h5").write_text("precious")
    refusals = {
        ("21", "--as", "zip"): "format 'zip' is not known; take one of xdi, nxxas, nxstxm, nxtomo, fxi, tiff, csv",
        ("21", "--as", "xdi"): "is a stack of frames over the energy, and xdi holds a point scan; export it as nxstxm",
        ("21", "--as", "fxi", "--out", "there.h5"): "there.h5 is there already; let it be replaced by --force",
        ("99", "--as", "fxi"): "the catalog has no run '99'",
        ("nothing", "--as", "fxi"): "the catalog has no run 'nothing'",
        ("21", "--as", "tiff", "--reference", "NiO"): "reference 'NiO' must be NAME=FILE",
        ("21", "--as", "xdi", "--edge", "Ni"): "edge 'Ni' must be ELEMENT-EDGE, such as Ni-K",
    }
    for arguments, sentence in refusals.items():
        told = command(*arguments)
        assert isinstance(told, str), arguments  # which ends a process with 1
        assert told.startswith("whiteline: ")
        assert sentence in told
        assert "\n" not in told
    told = command("-1", "--as", "fxi", catalog=tmp_path / "elsewhere")
    assert str(told) == (
        f"whiteline: {tmp_path / 'elsewhere'} holds no catalog; name the folder of one by --catalog, or --beamline"
    )
    assert not (tmp_path / "elsewhere").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["there.h5"]
