"""A stack by the plan that scientists run, on the simulated TXM: the right frames, in focus, and tidy."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ca_client import Channels
from conftest import Simulate
from instrument_truth import exposures, true_calibrations

from whiteline.analysis.runs import Run, open_run
from whiteline.beamline.simulation import Simulated

ENERGIES = [8320.0, 8345.0, 8370.0]
ROI = (896, 896, 256, 256)


@pytest.fixture(scope="module")
def twin(simulate: Simulate) -> Simulated:
    return simulate("txm", speed=20.0)


@pytest.fixture(scope="module")
def devices(twin: Simulated, keep: Callable[[Any], Any]) -> Any:
    from whiteline.beamline.build import build

    made = keep(build(twin.beamline, calibrations=true_calibrations(twin.beamline)))
    made.photon_shutter.set("Open").wait(60.0)
    made.camera.change({"roi": ROI, "binning": 2}).wait(60.0)
    return made


def take(devices: Any, **options: Any) -> tuple[Run, list[tuple[str, dict[str, Any]]]]:
    """Take a stack, and open it from its documents."""
    from bluesky import RunEngine

    from whiteline.plans.xanes_stack import xanes_stack

    documents: list[tuple[str, dict[str, Any]]] = []
    engine = RunEngine(context_managers=[])
    engine(
        xanes_stack(
            devices.camera,
            devices.energy,
            ENERGIES,
            sample=devices.sample,
            shutter=devices.fast_shutter,
            exposure_s=0.2,
            **options,
        ),
        lambda name, document: documents.append((name, json.loads(json.dumps(document, default=list)))),
    )
    return open_run(documents), documents


def test_each_stream_holds_what_its_name_says(twin: Simulated, devices: Any, ca: Channels) -> None:
    home = devices.sample.coarse.x.position
    run, _ = take(devices, frames=2, flat_frames=1, filters=devices.filters, filter_names=["Al 50"])
    assert run.completeness.whole
    np.testing.assert_allclose(run.energies, np.repeat(ENERGIES, 2), atol=0.02)
    assert len(run.frames) == 6
    assert len(run.flats) == 3
    assert len(run.darks) == 2

    # without a sample nothing is left but light, which is the same at every energy but for the source
    dark = run.dark()
    assert np.median(dark) == pytest.approx(twin.beamline.camera.dark, abs=5)  # type: ignore[union-attr]
    frames, flats = (np.stack([stack[one] for one in range(len(stack))]) - dark for stack in (run.frames, run.flats))
    assert np.median(flats) > 20 * np.median(dark) / 10
    density = np.log(flats.mean(axis=0)[None] / np.maximum(frames, 1.0))
    jump = density[-2:].mean(axis=0) - density[:2].mean(axis=0)
    assert np.quantile(jump, 0.9) > 0.1
    flat_ratio = flats[0] / flats[-1]
    assert np.std(flat_ratio) / np.mean(flat_ratio) < 3 * np.sqrt(2 / np.median(flats))

    truth = exposures(ca)
    assert len(truth["energy"]) == 2 + 6 + 3
    defocus = np.abs(truth["defocus"] / truth["depth_of_focus"])[2:]
    assert defocus.max() < 0.05
    assert devices.sample.coarse.x.position == pytest.approx(home, abs=1e-4)
    assert ca.get("TXM:shutter:status", as_string=True) == "Closed"
    assert not devices.filters.inserted
    assert devices.mono.feedback.is_on


def test_several_places_are_taken_at_each_energy(devices: Any) -> None:
    places = [(0.0, 0.0), (4.0, -2.0)]
    here = devices.sample.x.position, devices.sample.y.position
    run, documents = take(devices, positions=places, flats="before and after", darks="none")
    events = [document for name, document in documents if name == "event" and "position_index" in document["data"]]
    assert [one["data"]["position_index"] for one in events] == [0, 1] * len(ENERGIES)
    for event in events:
        x, y = places[event["data"]["position_index"]]
        assert event["data"]["sample_x"] == pytest.approx(x, abs=0.1)
        assert event["data"]["sample_y"] == pytest.approx(y, abs=0.1)
    np.testing.assert_allclose(run.energies_of("flat"), [ENERGIES[0], ENERGIES[-1]], atol=0.02)
    assert (devices.sample.x.position, devices.sample.y.position) == pytest.approx(here, abs=0.1)


def test_a_nanoprobe_is_told_what_to_run_instead(devices: Any) -> None:
    from whiteline.plans.xanes_stack import xanes_stack

    plan = xanes_stack(
        devices.counters, devices.energy, ENERGIES, sample=devices.sample, shutter=devices.fast_shutter, exposure_s=0.2
    )
    with pytest.raises(TypeError, match="camera = counters cannot play this part: it has no exposure, frames"):
        next(plan)


def test_each_place_of_a_stack_is_scored_by_itself(twin: Simulated, devices: Any) -> None:
    from bluesky import RunEngine

    from whiteline.analysis import energies
    from whiteline.analysis.runs import RunBuilder
    from whiteline.beamline.score.asking import keep_truth
    from whiteline.beamline.score.scoring import places_of, score_run
    from whiteline.plans.xanes_stack import xanes_stack

    wanted = energies.by_regions([(-100, -20, 40), (-15, 30, 4), (40, 200, 40)], relative_to=8333.0)
    x, y = devices.sample.x.position, devices.sample.y.position
    builder, engine = RunBuilder(), RunEngine(context_managers=[])
    engine.subscribe(builder)
    engine(
        xanes_stack(
            devices.camera, devices.energy, wanted, sample=devices.sample, shutter=devices.fast_shutter,
            exposure_s=0.2, positions=[(x, y), (x + 4.0, y + 1.0)],
        )
    )  # fmt: skip
    run = builder.run()
    places = places_of(run)
    assert len(places) == 2
    found = [score_run(place, keep_truth(twin.beamline, place)) for place in places]
    for scored in found:
        card = scored.card
        print(card)
        assert (card.energies, card.frames_lost) == (len(wanted), 0)
        # nobody holds this sample, which drifts by pixels before its edge shows it
        assert card.fraction_rms <= 2 * card.fraction_bound
    first, second = (scored.truth.jumps.sum(axis=0) for scored in found)
    assert np.abs(first - second).max() > 0.1 * first.max(), "the truth of one place was taken for that of the other"
    short = Run(
        places[1].start, run.stop,
        {**places[1].streams, "primary": replace(places[1].points, points=places[1].points.points[:-1])},
        (), run.path_map,
    )  # fmt: skip
    assert score_run(short, keep_truth(twin.beamline, places[1])).card.frames_lost == 1
