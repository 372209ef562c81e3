"""The live analysis of a stack: the truth within its errors, and the same as offline, whatever happens on the way."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making_runs import DARK, EDGE, Document, Made, references, usual_energies

from whiteline.analysis.live import LiveXanes, Results, analyse
from whiteline.analysis.runs import open_run

SHAPE = (160, 170)
PULL = 0.08
"""Of the scatter over 4000 pixels: five standard errors, and the approximation of first order."""

ROUNDING = 2e-5
"""Of sums over the frames in float32, relative to fractions of order 1; standard errors are a thousand times larger."""


@pytest.fixture
def made(tmp_path: Path, seed: int) -> Iterator[Callable[..., Made]]:
    runs = []

    def one(**options: Any) -> Made:
        runs.append(Made(tmp_path, **({"energies": usual_energies(), "seed": seed} | options)))
        return runs[-1]

    yield one
    for run in runs:
        run.handle.close()


def followed(documents: Sequence[Document], **options: Any) -> tuple[Results, LiveXanes]:
    live = LiveXanes(references=references(), wait_for_file_s=0.05, **options)
    for name, document in documents:
        live(name, document)
    results = live.wait(120)
    live.close()
    return results, live


def require_same(live: Results, batch: Results) -> None:
    for name, one in batch.maps.items():
        other = live.maps[name]
        np.testing.assert_array_equal(other.valid, one.valid, err_msg=name)
        scale = 1 if name not in ("edge energy", "white line") else 1e3
        np.testing.assert_allclose(other.value, one.value, atol=ROUNDING * scale, err_msg=name)
        np.testing.assert_allclose(other.error, one.error, rtol=1e-4, atol=1e-7, err_msg=name)
    assert [frame.number for frame in live.frames] == [frame.number for frame in batch.frames]
    for frame, same in zip(live.frames, batch.frames, strict=True):
        assert (frame.shift_y, frame.used_x, frame.energy) == (same.shift_y, same.used_x, same.energy)
    assert live.error.fit == batch.error.fit
    assert live.energy_shift == pytest.approx(batch.energy_shift, abs=1e-4)
    assert live.spectrum is not None
    assert batch.spectrum is not None
    np.testing.assert_allclose(live.spectrum.absorption, batch.spectrum.absorption, rtol=1e-6)


def pulls(results: Results, made: Made, *, but: tuple[slice, slice] | None = None) -> np.ndarray:
    found = results.map("fraction of LiNiO2")
    valid = found.valid.copy()
    if but is not None:
        valid[but] = False
    return ((found.value - made.fraction()) / found.error)[valid]


def expected_pull(made: Made, documents: Sequence[Document]) -> float:
    """The scatter over the error that the noise of frames and flats must give, where energies may share a flat.

    Errors take the noise of a flat for one of its own at each energy. What energies share adds up, with the signs that
    they have in the fraction: more than that, or less.
    """
    jump, background = (made._placed(wide, (0.0, 0.0), 1.0).ravel() for wide in (made.wide_jump, made.wide_background))
    fraction = made.fraction().ravel()
    first, second = (one[:, None] for one in made.absorption)
    noise = np.exp(background + jump * ((1 - fraction) * first + fraction * second))  # in units of that of a flat
    matrix = np.hstack([first, second, np.ones_like(first), np.asarray(made.energies)[:, None] - EDGE])
    root = 1 / np.sqrt(noise.mean(axis=1) + 1)
    of_first, of_second = np.linalg.pinv(matrix * root[:, None])[:2] * root
    # how the fraction follows each energy, in the order in which they were taken
    taken = [int(np.argmin(np.abs(one - np.asarray(made.energies)))) for one in open_run(documents).energies]
    slope = ((of_second[:, None] * (1 - fraction) - of_first[:, None] * fraction) / jump)[taken]
    flats = np.array([one for (one,) in open_run(documents).flat_groups()])
    shared = sum(slope[flats == one].sum(axis=0) ** 2 for one in np.unique(flats))
    alone = (slope**2 * noise[taken]).sum(axis=0)
    return float(np.sqrt(np.mean((alone + shared) / (alone + (slope**2).sum(axis=0)))))


def walk(seed: int, number: int) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(0, 0.5, (number, 2))
    steps[0] = 0
    return np.cumsum(steps, axis=0)


def test_fractions_are_right_within_their_errors_without_drift(made: Callable[..., Made]) -> None:
    run = made()
    documents = list(run.whole())
    live, _ = followed(documents, register=False)
    require_same(live, analyse(documents, references=references(), register=False))
    assert live.map("fraction of LiNiO2").valid.mean() > 0.8
    pull = pulls(live, run)
    assert pull.std() == pytest.approx(1, abs=PULL)
    assert live.error.fit == "clean"
    assert live.over
    assert not live.troubles
    assert not live.map("fraction of NiO").valid[run.hot]
    assert live.spectrum is not None
    assert live.spectrum.combination is not None
    assert live.pixel_um == pytest.approx(0.04)
    assert {"edge jump", "edge energy", "white line", "optical density"} < set(live.maps)


def test_with_drift_and_a_changing_magnification_frames_come_to_lie_on_the_first(
    made: Callable[..., Made], seed: int
) -> None:
    energies = usual_energies()
    drift = walk(seed, len(energies))
    run = made(shape=SHAPE, drift=drift, magnification=30 * (1 - 4e-4 * np.arange(len(energies))))
    documents = list(run.whole())
    live, _ = followed(documents)
    require_same(live, analyse(documents, references=references()))
    assert all(frame.trusted for frame in live.frames)
    scales = np.array([frame.scale for frame in live.frames])
    found = np.array([(frame.shift_y, frame.shift_x) for frame in live.frames])
    assert np.sqrt(np.mean((found - drift) ** 2)) < 0.05
    np.testing.assert_allclose(scales, 1 - 4e-4 * np.arange(len(energies)))
    assert pulls(live, run).std() == pytest.approx(1, abs=0.12)
    # without, the map is wrong
    off = analyse(documents, references=references(), register=False, maps=False)
    assert pulls(off, run).std() > 1.5


@pytest.mark.parametrize("flats", ["before", "after", "once"])
def test_any_order_of_energies_and_any_policy_of_flats(made: Callable[..., Made], seed: int, flats: str) -> None:
    run = made()
    order = np.random.default_rng(seed).permutation(len(run.energies))
    documents = list(run.whole([int(one) for one in order], flats))
    live, _ = followed(documents, register=False)
    require_same(live, analyse(documents, references=references(), register=False))
    assert pulls(live, run).std() == pytest.approx(expected_pull(run, documents), abs=PULL)


def redone(run: Made, at: Sequence[int]) -> list[Document]:
    """A run in which some energies are spoilt, and taken again with their number, as after a pause."""
    documents = [*run.begin(), *run.point("dark")]
    for index in range(len(run.energies)):
        documents += run.point("flat", index)
        if index in at:
            documents += run.point("sample", index, spoilt=True)
            documents += run.point("sample", index, seq_num=index + 1)
        else:
            documents += run.point("sample", index)
    return [*documents, *run.end()]


@pytest.mark.parametrize("slowly", [False, True])
def test_an_energy_that_is_taken_again_replaces_the_first(made: Callable[..., Made], seed: int, slowly: bool) -> None:
    drift = walk(seed, len(usual_energies()))
    run = made(shape=SHAPE, drift=drift)
    documents = redone(run, (0, 9, 31))
    live = LiveXanes(references=references(), wait_for_file_s=0.05)
    for name, document in documents:
        live(name, document)
        if slowly and name == "event":
            live.shift.trigger().exception(60)
    results = live.wait(120)
    live.close()
    require_same(results, analyse(documents, references=references()))
    assert pulls(results, run).std() == pytest.approx(1, abs=0.12)
    assert np.isfinite([frame.shift_y for frame in results.frames]).all()


def test_missing_frames_are_named_and_the_rest_is_analysed(made: Callable[..., Made]) -> None:
    run = made()
    documents = [*run.begin(), *run.point("dark")]
    for index in range(len(run.energies)):
        documents += run.point("flat", index)
        # what is not written at the end never comes
        documents += run.point("sample", index, written=index < len(run.energies) - 2)
        if index == len(run.energies) - 3:
            for late in (index + 1, index + 2):
                documents += run.point("sample", late, written=False)
            break
    documents += run.end()
    live, _ = followed(documents, register=False)
    batch = analyse(documents, references=references(), register=False)
    require_same(live, batch)
    assert live.energies.size == len(run.energies) - 2
    assert any("was not written to its end" in one for one in live.troubles)
    assert len(batch.troubles) == 2


def test_a_start_in_the_middle_says_so_and_is_healed_by_joining(made: Callable[..., Made]) -> None:
    run = made()
    documents = list(run.whole())
    half = len(documents) // 2
    live = LiveXanes(references=references(), register=False)
    for name, document in documents[half:-1]:
        live(name, document)
    live.join(documents[: half + 5])
    for name, document in documents[half:]:
        live(name, document)
    results = live.wait(60)
    live.close()
    require_same(results, analyse(documents, references=references(), register=False))
    # what came by both ways is one point, and none that was taken again
    assert live._analysis is not None
    assert not live._analysis.builder.discarded
    late = LiveXanes(references=references(), register=False)
    for name, document in documents[10:]:  # no start, no descriptor, no resource
        late(name, document)
    assert late.results is None
    status = late.shift.trigger()
    assert "no run has begun" in str(status.exception(30))
    late.close()


def test_passes_over_the_same_energies_all_count(made: Callable[..., Made]) -> None:
    run = made()
    twice = [*range(len(run.energies)), *range(len(run.energies))]
    documents = list(run.whole(twice))
    live, _ = followed(documents, register=False)
    batch = analyse(documents, references=references(), register=False)
    require_same(live, batch)
    assert live.energies.size == 2 * len(run.energies)
    assert pulls(live, run).std() == pytest.approx(1, abs=PULL)
    assert live.spectrum is not None
    assert live.spectrum.energy.size == len(run.energies)


def test_references_on_another_scale_of_energy_are_told(made: Callable[..., Made]) -> None:
    documents = list(made().whole())
    live, _ = followed(documents, register=False)
    assert live.energy_shift is not None
    value, error = live.energy_shift
    assert abs(value) < 5 * error + 0.005
    assert error < 0.05
    off = [type(one)(one.name, one.energy + 0.4, one.absorption) for one in references()]
    shifted = analyse(documents, references=off, register=False, maps=False)
    assert shifted.energy_shift is not None
    assert shifted.energy_shift[0] == pytest.approx(-0.4, abs=5 * error + 0.005)
    assert "references off by -0.4" in shifted.line


def test_a_species_that_was_left_out_is_seen(made: Callable[..., Made]) -> None:
    run = made(third=True)
    live, _ = followed(list(run.whole()), register=False)
    assert live.error.fit == "lacking"
    assert live.error.lacking > 0.02


def test_energies_beyond_the_references_stay_out_of_the_fit(made: Callable[..., Made]) -> None:
    run = made(energies=[*usual_energies(), EDGE + 300])
    live, _ = followed(list(run.whole()), register=False)
    assert live.error.energies == len(run.energies)
    short = tuple(
        type(one)(one.name, one.energy[one.energy < EDGE + 100], one.absorption[one.energy < EDGE + 100])
        for one in references()
    )
    documents = list(made(energies=[*usual_energies(), EDGE + 300]).whole())
    results = analyse(documents, references=short, register=False, maps=False)
    assert results.error.energies == len([one for one in run.energies if one < EDGE + 100])
    wrong = tuple(type(one)(one.name, one.energy - 1200, one.absorption) for one in references())
    with pytest.raises(ValueError, match=r"the references cover 6980 to 7439\.5 eV, and none of the 33 energies"):
        analyse(documents, references=wrong)


def test_without_darks_or_references_it_gives_what_it_can(made: Callable[..., Made]) -> None:
    run = made()
    documents = [*run.begin()]
    for index in range(len(run.energies)):
        documents += [*run.point("sample", index), *run.point("flat", index)]
    documents += run.end()
    live = LiveXanes(dark_level=DARK, edge=EDGE, register=False)
    for name, document in documents:
        live(name, document)
    results = live.wait(60)
    live.close()
    assert {"optical density", "edge energy"} <= set(results.maps)
    assert np.isfinite(results.map("edge energy").value).mean() > 0.8
    assert not any(name.startswith("fraction") for name in results.maps)


def test_a_run_without_flats_says_so(made: Callable[..., Made]) -> None:
    run = made()
    documents = [*run.begin(), *run.point("sample", 0), *run.end()]
    live = LiveXanes(references=references())
    for name, document in documents:
        live(name, document)
    results = live.wait(60)
    live.close()
    assert results.energies.size == 0
    assert any("has no flats" in one for one in results.troubles)
