"""Several places of a sample in one run: a map of each, by itself, from the same flats."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from making_runs import Made, references, usual_energies
from test_live_stack import followed, pulls, require_same, walk

from whiteline.analysis.live import LiveXanes, Results, analyse, save
from whiteline.analysis.live.saving import load_map
from whiteline.analysis.runs import UnreadableRun, open_run

PLACES = (0, 1, 2)


@pytest.fixture
def made(tmp_path: Path, seed: int) -> Iterator[Made]:
    drift = walk(seed, len(usual_energies()))
    run = Made(tmp_path, usual_energies(), seed, shape=(160, 170), drift=drift, positions=len(PLACES))
    yield run
    run.handle.close()


def test_each_place_has_its_own_map_live_and_offline(made: Made, tmp_path: Path) -> None:
    documents = list(made.whole())
    live, _ = followed(documents)
    batch = analyse(documents, references=references())
    assert set(live.positions) == set(batch.positions) == set(PLACES)
    for made.position in PLACES:
        here = live.at(made.position)
        assert here.position == made.position
        assert here.over
        assert here.energies.size == len(made.energies)
        require_same(here, batch.at(made.position))
        assert pulls(here, made).std() == pytest.approx(1, abs=0.12)
    # the truth of another place is not what was found
    made.position = 1
    assert pulls(live.at(0), made).std() > 2
    with pytest.raises(KeyError, match="nothing of position 7 yet; there is of 0, 1, 2"):
        live.at(7)
    assert live.position == PLACES[-1], "the newest frame leads"
    link = save(live, tmp_path)
    assert link["positions"] == list(PLACES)
    for place in PLACES:
        kept = load_map(link["path"], "fraction of LiNiO2", place)
        np.testing.assert_array_equal(kept.value, live.at(place).map("fraction of LiNiO2").value)
    kept = load_map(link["path"], "fraction of LiNiO2")
    np.testing.assert_array_equal(kept.value, live.map("fraction of LiNiO2").value)
    with h5py.File(link["path"]) as file:
        assert file["entry_1/position"][()] == 1


def test_what_a_plan_learns_is_of_the_place_of_the_newest_frame(made: Made) -> None:
    with_live = LiveXanes(references=references(), wait_for_file_s=0.05)
    for pair in (*made.begin(), *made.point("dark"), *made.point("flat", 0)):
        with_live(*pair)
    number = 0
    for index in range(3):
        for made.position in PLACES:
            for pair in (*made.point("flat", index), *made.point("sample", index)):
                with_live(*pair)
            number += 1
            assert with_live.shift.trigger().exception(60) is None
            assert with_live.shift.read()["live_shift_frame"]["value"] == number
            # against the first frame of the same place: no jump from one place to the next
            assert with_live.shift.read()["live_shift_y"]["value"] == pytest.approx(made.drift[index, 0], abs=0.2)
            results = with_live.results
            assert isinstance(results, Results)
            assert results.position == made.position
    with_live.close()


def test_a_run_is_opened_place_by_place(made: Made) -> None:
    documents = list(made.whole())
    run = open_run(documents)
    assert run.position_indices == PLACES
    for place in PLACES:
        here = run.at_position(place)
        np.testing.assert_array_equal(here.energies, made.energies)
        np.testing.assert_array_equal(here.points.seq_nums, np.arange(len(made.energies)) * len(PLACES) + place + 1)
        np.testing.assert_array_equal(here.frames[4], run.frames[4 * len(PLACES) + place])
        np.testing.assert_array_equal(here.flats_for_frames()[4], run.flats[4])
        assert here.completeness.missing_energies.size == 0
        assert here.position_indices == (place,)
    with pytest.raises(UnreadableRun, match="has no points at position 5 yet; it has those at 0, 1, 2"):
        run.at_position(5)


def test_a_run_at_one_place_says_nothing_of_places(tmp_path: Path, seed: int) -> None:
    run = Made(tmp_path, usual_energies(), seed)
    opened = open_run(list(run.whole()))
    assert opened.position_indices == ()
    results = analyse(opened, maps=False)
    assert results.position is None
    assert not results.positions
