"""Maps by a cluster are those of the analysis in memory, in all digits that float32 has; the copy is made once."""

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whiteline.analysis.live import analyse
from whiteline.analysis.live.saving import load_map
from whiteline.analysis.live.settings import Settings
from whiteline.analysis.runs import Run, UnreadableRun, open_run
from whiteline.analysis.scale import map_slices, slices_of
from whiteline.analysis.scale.parts import bands_of, require_room

sys.path.append(str(Path(__file__).parent.parent / "live"))


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A cluster of threads in this process: what is sent to a worker is the same."""
    from distributed import Client

    with Client(
        processes=False, n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
    ) as client:
        yield client


def made(folder: Path, seed: int, **options: Any) -> Run:
    from making_runs import Made, usual_energies

    energies = usual_energies()[::2]
    made = Made(folder, energies, seed, shape=(100, 90), similar_frames=True, **options)
    return open_run(list(made.whole(flats="before")))


def walk(seed: int, count: int) -> np.ndarray[Any, Any]:
    steps = np.cumsum(np.random.default_rng(seed).normal(0, 0.6, (count, 2)), axis=0)
    return np.asarray(steps - steps[0])


def settings(**options: Any) -> Settings:
    from making_runs import references

    return Settings(references=references(), read_noise=1.0, **options)


def test_every_map_is_that_of_the_analysis_in_memory(
    client: Any, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from making_runs import usual_energies

    # small parts, so that there are several, whose borders lie within the map
    monkeypatch.setattr("whiteline.analysis.scale.parts.PART_BYTES", 2**20)
    number = len(usual_energies()[::2])
    run = made(tmp_path, seed, drift=walk(seed, number), magnification=30.0 * np.linspace(1, 1.004, number))
    assert len(bands_of(number, (100, 90))) > 1
    said: list[tuple[int, int]] = []
    given = settings()
    path = tmp_path / "out" / "maps.h5"
    mapped = map_slices(
        slices_of([run], given), given, client, path, tmp_path / "copy", progress=lambda d, o, _: said.append((d, o))
    )
    truth = analyse(run, references=given.references, read_noise=1.0)
    assert truth.frames[-1].used_y != 0  # frames were brought back, so bands have borders
    assert set(truth.maps) == {"fraction of NiO", "fraction of LiNiO2", "edge jump", "edge energy", "white line"}
    for name, one in truth.maps.items():
        found = load_map(path, name)
        assert found.unit == one.unit
        np.testing.assert_array_equal(found.valid, one.valid)
        assert one.valid.any()
        for part in ("value", "error"):
            np.testing.assert_allclose(getattr(found, part), getattr(one, part), rtol=2e-6, atol=2e-6, err_msg=name)
    (error,) = mapped.errors
    assert error.median == pytest.approx(truth.error.median, rel=1e-5)
    assert (error.valid, error.fit, error.energies) == (truth.error.valid, truth.error.fit, truth.error.energies)
    assert said[-1] == (9000, 9000)
    assert mapped.spectra == 9000


def test_the_copy_is_made_once_and_read_by_another_fit(
    client: Any, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(tmp_path, seed)
    given = settings()
    slices = slices_of([run], given)
    one, other = tmp_path / "one.h5", tmp_path / "other.h5"
    map_slices(slices, given, client, one, tmp_path / "copy", what="fractions")

    (folder,) = (tmp_path / "copy").iterdir()
    killed, written = folder / ".old.part", folder / ".new.part"
    for part, age in ((killed, 7200), (written, 0)):
        part.touch()
        os.utime(part, (time.time() - age,) * 2)

    def never(*_: Any) -> Any:
        raise AssertionError("frames were read again")

    monkeypatch.setattr("whiteline.analysis.live.density.Developer.whole", never)
    monkeypatch.setattr("whiteline.analysis.live.density.Developer.rows", never)
    swapped = Settings(references=given.references[::-1], read_noise=1.0)
    map_slices(slices, swapped, client, other, tmp_path / "copy")
    for name in ("fraction of NiO", "edge jump"):
        np.testing.assert_allclose(load_map(other, name).value, load_map(one, name).value, rtol=1e-5, atol=1e-5)
    assert load_map(other, "edge energy").valid.any()
    assert not killed.exists()
    assert written.exists()
    # other counting is another optical density, and is not taken from there
    louder = Settings(references=given.references, read_noise=2.0)
    with pytest.raises((AssertionError, UnreadableRun), match="read again"):
        map_slices(slices_of([run], louder), louder, client, other, tmp_path / "copy")
    assert not list(tmp_path.glob(".*.part"))


def test_places_are_slices_each_with_its_own_map(client: Any, tmp_path: Path, seed: int) -> None:
    run = made(tmp_path, seed, positions=2)
    given = settings(register=False)
    slices = slices_of([run], given)
    path = tmp_path / "maps.h5"
    mapped = map_slices(slices, given, client, path, tmp_path / "copy", what="fractions")
    assert [one.position for one in slices] == [0, 1]
    assert mapped.spectra == 2 * 9000
    truth = analyse(run, references=given.references, read_noise=1.0, register=False, maps=False)
    for position in (0, 1):
        found = load_map(path, "fraction of NiO", position)
        np.testing.assert_allclose(found.value, truth.at(position).map("fraction of NiO").value, rtol=2e-6, atol=2e-6)
    first, second = (load_map(path, "fraction of NiO", one).value for one in (0, 1))
    assert np.nanmedian(abs(first - second)) > 0.05
    with pytest.raises(KeyError, match="no position 2"):
        load_map(path, "fraction of NiO", 2)


def test_the_code_of_the_page_runs(
    client: Any,
    root: Path,
    tmp_path: Path,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (root / "docs" / "maps-larger-than-memory.md").read_text(), re.DOTALL)
    exec(code, {"client": client, "run": made(tmp_path, seed), "references": settings().references})
    assert re.search(r"^9000 spectra, ± 0\.0\d\d$", capsys.readouterr().out, re.MULTILINE)


def test_what_cannot_be_is_refused_before_anything_is_written(
    client: Any, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = made(tmp_path, seed)
    given = settings()
    slices = slices_of([run], given)
    where = tmp_path / "maps.h5", tmp_path / "copy"
    bare = Settings(read_noise=1.0)
    with pytest.raises(ValueError, match="give --reference NAME=FILE"):
        map_slices(slices, bare, client, *where)
    with pytest.raises(ValueError, match="give --edge such as Ni-K"):
        map_slices(slices, bare, client, *where, what="edge")
    with pytest.raises(OSError, match=r"the copy needs 1e\+09 GB in .* make room"):
        require_room([(tmp_path / "not" / "yet", 10**18, "the copy")])
    for path in slices[0].files:
        path.rename(path.with_suffix(".away"))
    with pytest.raises(UnreadableRun, match=r"is not there .* files\.read"):
        map_slices(slices, given, client, *where)
    assert not any(one.exists() for one in where)
