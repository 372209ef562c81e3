"""Maps of a sample that drifts, brought back onto the first one: what came is right, and known as well as it says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fly_runs import FlyRun
from flying import Flown
from test_fly_runs import UNITS, line_of, md_of

from whiteline.analysis.live import LiveXanes, analyse
from whiteline.analysis.live.map_drift import drift_of_map
from whiteline.analysis.live.planes import Planes

ROWS, COLUMNS = 36, 40


@dataclass
class Drifted(Flown):
    """A sample that has drifted, though nobody has measured it."""

    drift_px: tuple[float, float] = (0.0, 0.0)

    def sample(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        return super().sample(y - self.drift_px[0] * self.step_um, x - self.drift_px[1] * self.step_um)


def drifting(seed: int, folder: Path, drifts: Sequence[Sequence[float]], counts: Sequence[float]) -> Iterator[Any]:
    """Yield the documents of a run of several maps, each as it comes."""
    number = len(drifts)
    md = md_of(Flown(seed, lines=ROWS, pulses=COLUMNS))
    ends = [8300.0, 8300.0 + 10 * (number - 1)]
    md |= {"shape": [number, ROWS, COLUMNS], "extents": [ends, *md["extents"]], "snaking": [False, False, True]}
    run, row = FlyRun(folder, md, UNITS, COLUMNS), 0
    yield from run.begin()
    for plane, (drift, bright) in enumerate(zip(drifts, counts, strict=True)):
        yield from run.energy(8300.0 + 10 * plane)
        flown = Drifted(
            seed + plane, lines=ROWS, pulses=COLUMNS, lag_s=0.0, vibration_um=0.0, counts=bright,
            drift_px=(float(drift[0]), float(drift[1])),
        )  # fmt: skip
        for line in range(ROWS):
            yield from run.fly(line_of(flown, line, row=row))
            row += 1
    yield from run.end()


def planes_of(documents: list[Any], **options: Any) -> Planes:
    found = analyse(documents, **options).planes
    assert found is not None
    return found


def test_what_a_sample_has_drifted_while_a_map_was_flown_is_taken_out_of_it(seed: int, tmp_path: Path) -> None:
    drifts = [(0.0, 0.0), (0.2, -0.25), (-0.3, 0.15)]
    documents = list(drifting(seed, tmp_path, drifts, [2e4] * 3))
    results, as_taken = analyse(documents), planes_of(documents, register=False)
    found = results.planes
    assert found is not None
    np.testing.assert_allclose(found.back_px, drifts, atol=0.04)
    np.testing.assert_array_equal(as_taken.back_px, 0.0)
    assert results.look is not None
    assert (results.look.shift_y, results.look.shift_x) == pytest.approx(drifts[2], abs=0.04)
    inside = (slice(3, -3), slice(3, -3))

    def chi2(planes: Planes, plane: int) -> float:
        off = (planes.value[plane] - planes.value[0])[inside]
        return float(np.nanmean(off**2 / (planes.variance[plane] + planes.variance[0])[inside]))

    for plane in (1, 2):
        assert chi2(found, plane) < 1.5
        assert chi2(as_taken, plane) > 3 * chi2(found, plane)


def walking(seed: int, number: int) -> np.ndarray:
    steps = 0.02 * np.random.default_rng(seed).standard_normal((number - 1, 2))
    return np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])


def test_maps_before_the_edge_which_show_little_are_brought_back_by_those_beyond_it(seed: int, tmp_path: Path) -> None:
    alone_off, off, errors = [], [], []
    for repeat in range(3):
        drifts, counts = walking(seed + 100 * repeat, 12), [60.0] * 5 + [2e4] * 7
        (folder := tmp_path / str(repeat)).mkdir()
        documents = list(drifting(seed + 100 * repeat, folder, drifts, counts))
        results, as_taken = analyse(documents), planes_of(documents, register=False)
        assert results.planes is not None
        assert results.look is not None
        maps = {"Ni_Ka": (as_taken.value.astype(float), as_taken.variance.astype(float))}
        alone = [one for plane in range(1, 12) if (one := drift_of_map(maps, plane, 8300.0, 0.0)) is not None]
        assert len(alone) == 11
        alone_off.append(np.array([(one.shift_y, one.shift_x) for one in alone]) - drifts[1:])
        off.append((results.planes.back_px - drifts)[1:])
        assert abs(results.look.shift_x - drifts[-1, 1]) < 5 * results.look.shift_error_x
        errors.append(results.look.shift_error_x / np.median([one.shift_error_x for one in alone]))
    assert np.sqrt(np.mean(np.square(off))) < 0.75 * np.sqrt(np.mean(np.square(alone_off)))
    assert np.mean(errors) < 0.8


def test_maps_are_found_where_they_were_as_they_came_and_afterwards(seed: int, tmp_path: Path) -> None:
    drifts, documents, watching = 15 * walking(seed, 5), [], LiveXanes()
    followed = 0
    try:
        for document in drifting(seed, tmp_path, drifts, [60.0, 60.0, 2e4, 2e4, 2e4]):
            if document[0] == "event" and document[1]["seq_num"] == 5:  # the fourth map is whole
                found = watching.wait().planes
                assert found is not None
                assert len(found.back_px) == 4
                apart = (found.back_px - drifts[:4])[2:]
                # by up to a pixel from map to map, which the slope of a map follows to a part
                np.testing.assert_allclose(apart[1], apart[0], atol=0.15)
                followed += 1
            documents.append(document)
            watching(*document)
        found, later = watching.wait().planes, planes_of(documents)
    finally:
        watching.close()
    assert followed == 1
    assert found is not None
    np.testing.assert_allclose(found.back_px, later.back_px, atol=1e-9)
    np.testing.assert_allclose(found.value, later.value, rtol=1e-6)
    np.testing.assert_allclose(found.variance, later.variance, rtol=1e-6)


def test_a_box_that_counts_the_beam_alone_has_no_map_to_bring_back(seed: int, tmp_path: Path) -> None:
    md = md_of(Flown(seed, lines=ROWS, pulses=COLUMNS))
    md |= {"shape": [2, ROWS, COLUMNS], "extents": [[8300.0, 8310.0], *md["extents"]], "snaking": [False, False, True]}
    units = {key: unit for key, unit in UNITS.items() if not key.startswith(("Ni_Ka", "transmitted"))}
    run, row = FlyRun(tmp_path, md, units, COLUMNS), 0
    documents = list(run.begin())
    flown = Flown(seed, lines=ROWS, pulses=COLUMNS)
    for plane in range(2):
        documents += run.energy(8300.0 + 10 * plane)
        for line in range(ROWS):
            columns = line_of(flown, line, row=row)
            documents += run.fly({key: value for key, value in columns.items() if key in units})
            row += 1
    documents += run.end()
    results = analyse(documents)
    assert set(results.maps) == {"coverage"}
