"""The fluorescence detector as a device: lines by element, corrected for dead time, against what the twin emits."""

import os
from typing import Any

import h5py
import numpy as np
import pytest

from whiteline.analysis import tables
from whiteline.beamline import twin as physics
from whiteline.beamline.simulation import Simulated

LONG_S = 60.0
DEAD_TIME_S = 2e-4
"""Long, so that the few photons of a particle are many: at the middle of it about a third of them are lost."""

ENERGY = 8360.0


@pytest.fixture(scope="module")
def twin(simulate) -> Simulated:  # type: ignore[no-untyped-def]
    return simulate("nanoprobe", [("dead_time_s = 0.25e-6", f"dead_time_s = {DEAD_TIME_S}")], speed=20.0)


@pytest.fixture(scope="module")
def built(twin: Simulated, tag: str, keep) -> Any:  # type: ignore[no-untyped-def]
    from whiteline.devices.fluorescence import Fluorescence

    table = twin.beamline.fluorescence
    assert table is not None
    return keep(
        Fluorescence(
            table.prefix,
            name="fluorescence",
            elements=table.elements,
            bins=table.bins,
            bin_eV=table.bin_eV,
            dead_time_s=table.dead_time_s,
            write=twin.folder,
            read=twin.folder,
        )
    )


@pytest.fixture(scope="module")
def on_a_particle(twin: Simulated, ca) -> None:  # type: ignore[no-untyped-def]
    """Beam on the middle of the largest particle, above the Ni edge."""
    for prefix in ("FE:shutter:", "NANO:shutter:"):
        ca.put(f"{prefix}command", "Open")
    x, y, _ = physics.nanoprobe(twin.beamline).sample.bodies[0].outline.centre
    ca.put("NANO:sample:fine:x", -x)
    ca.put("NANO:sample:fine:y", -y)
    angle = np.degrees(np.arcsin(np.sin(np.radians(ca.get("MONO:bragg.VAL"))) * 8333 / ENERGY))
    ca.put("MONO:bragg", float(angle))


@pytest.fixture
def detector(built: Any, on_a_particle: None) -> Any:
    built.unstage()
    built.dead_time.put(DEAD_TIME_S)
    built.configure({"dwell": 1.0, "lines": ["Ni_Ka"], "checked_energy": ENERGY, "region_width": 2.0})
    yield built
    built.unstage()


@pytest.fixture(scope="module")
def engine(twin: Simulated) -> Any:
    from bluesky import RunEngine

    return RunEngine()


def run(engine, plan) -> dict[str, list[dict[str, Any]]]:  # type: ignore[no-untyped-def]
    documents: dict[str, list[dict[str, Any]]] = {}
    engine(plan, lambda name, document: documents.setdefault(name, []).append(document))
    return documents


def test_a_run_records_the_sums_of_the_very_spectra_that_it_files(detector, engine) -> None:  # type: ignore[no-untyped-def]
    from bluesky import plan_stubs as bps
    from bluesky.plans import count

    def plan():  # type: ignore[no-untyped-def]
        settings = {"lines": [("Ni", "Ka"), ["Ni", "Kb"]], "checked_energy": ENERGY}
        yield from bps.configure(detector, settings)
        yield from bps.mv(detector.dwell, 0.5)
        yield from count([detector], 6)

    documents = run(engine, plan())
    (descriptor,) = documents["descriptor"]
    assert descriptor["data_keys"]["fluorescence_spectra"]["shape"] == [1, 4, 4096]
    assert descriptor["data_keys"]["fluorescence_Ni_Ka_counts"]["shape"] == [4]
    assert descriptor["hints"]["fluorescence"]["fields"] == ["fluorescence_Ni_Ka", "fluorescence_Ni_Kb"]
    assert descriptor["configuration"]["fluorescence"]["data"]["fluorescence_lines"] == "Ni_Ka Ni_Kb"
    (resource,) = documents["resource"]
    with h5py.File(os.path.join(resource["root"], resource["resource_path"])) as file:  # noqa: PTH118
        spectra = file["entry/data/data"][:].astype(float)
    assert spectra.shape == (6, 4, 4096)
    for event, point in zip(documents["event"], spectra, strict=True):
        for region in detector.line_regions:
            sums = point[:, region.first : region.beyond].sum(axis=1)
            assert np.array_equal(event["data"][f"fluorescence_{region.label}_counts"], sums)
            live = event["data"]["fluorescence_live_fraction"]
            assert event["data"][f"fluorescence_{region.label}"] == pytest.approx((sums / live).sum())
            assert sums.sum() > 0
        # n exp(-n tau) is what was counted, with n from the share that was counted
        n = -np.log(live) / DEAD_TIME_S
        assert n * live == pytest.approx(point.sum(axis=1) / 0.5, rel=1e-6)
        assert list(event["data"]["fluorescence_missing"]) == [0, 0, 0, 0]
        assert event["data"]["fluorescence_dwell"] == 0.5


def test_corrected_sums_follow_the_flux_that_counted_ones_do_not(detector, twin: Simulated, ca) -> None:  # type: ignore[no-untyped-def]
    """Behind a filter the rate is so low that next to nothing is lost: times its transmission it tells the truth.

    About 20 000 photons of the line are counted in the weaker of the two, 0.8 %; what is lost without it is a third.
    """
    filters = twin.beamline.filters
    assert filters is not None
    number, thick = next((n, one) for n, one in enumerate(filters.foils, 1) if one.thickness_um == 200)
    passed = float(np.exp(-tables.absorption(thick.formula, thick.density, ENERGY) * thick.thickness_um))
    detector.stage()
    bright, raw_bright = counted_rate(detector, 20.0)
    ca.put(f"NANO:filters:{number}:insert", "In")
    try:
        weak, raw_weak = counted_rate(detector, 100.0)
    finally:
        ca.put(f"NANO:filters:{number}:insert", "Out")
    assert weak == pytest.approx(passed * bright, rel=0.06)
    assert raw_weak > 1.25 * passed * raw_bright


def counted_rate(detector: Any, dwell_s: float) -> tuple[float, float]:
    """Return the rates of Ni Ka, corrected and as it was counted [1/s]."""
    detector.dwell.set(dwell_s).wait(LONG_S)
    detector.trigger().wait(LONG_S)
    reading = detector.read()
    raw = reading["fluorescence_Ni_Ka_counts"]["value"].sum()
    return reading["fluorescence_Ni_Ka"]["value"] / dwell_s, raw / dwell_s


def test_a_rate_that_no_such_detector_counts_is_missing_and_marked(detector) -> None:  # type: ignore[no-untyped-def]
    detector.dead_time.put(10 * DEAD_TIME_S)  # as if it were slower than it is
    detector.stage()
    detector.trigger().wait(LONG_S)
    reading = {name: one["value"] for name, one in detector.read().items()}
    assert np.isnan(reading["fluorescence_Ni_Ka"])
    assert list(reading["fluorescence_missing"]) == [1, 1, 1, 1]
    assert np.all(np.isnan(reading["fluorescence_live_fraction"]))
    assert reading["fluorescence_Ni_Ka_counts"].sum() > 0


def regions_at_the_ioc(ca) -> list[float]:  # type: ignore[no-untyped-def]
    return [ca.get(f"NANO:fluorescence:C{e}_ROI{r}_{end}") for e in (1, 4) for r in (1, 2) for end in ("LLM", "HLM")]


@pytest.mark.parametrize(
    ("lines", "energy", "says"),
    [
        (["Ni_Ka"], 8300.0, "cannot excite Ni Ka1: its K edge is at 8333 eV"),
        (["Ni_Ka"], 8.36, "looks like keV"),
        (["Fe_Ka", "Cu_Ka"], ENERGY, "its K edge is at 8979 eV"),
        (["Xx_Ka"], ENERGY, "element 'Xx' is not known"),
        (["Ni_Kq"], ENERGY, "Ni has no line 'Kq'"),
        (["Ti_Ka", "V_Ka", "Cr_Ka", "Mn_Ka", "Fe_Ka", "Co_Ka", "Ni_Ka", "Ni_Kb", "S_Ka"], ENERGY, "more than the 8"),
    ],
)
def test_lines_that_cannot_be_counted_are_refused_before_anything_is_put(  # type: ignore[no-untyped-def]
    detector, ca, lines: list[str], energy: float, says: str
) -> None:
    before = regions_at_the_ioc(ca)
    with pytest.raises(ValueError, match=says):
        detector.set_regions(lines, energy=energy)
    with pytest.raises(ValueError, match=says):
        detector.configure({"lines": lines, "checked_energy": energy})
    assert regions_at_the_ioc(ca) == before
    assert detector.hints == {"fields": ["fluorescence_Ni_Ka"]}


def test_an_energy_below_an_edge_is_refused_before_a_scan(detector) -> None:  # type: ignore[no-untyped-def]
    detector.set_regions([("Fe", "Ka"), ("Ni", "Ka")], energy=ENERGY).wait(LONG_S)
    detector.check_energy(8333.5)
    with pytest.raises(ValueError, match="energy 8332 eV cannot excite Ni Ka1: its K edge is at 8333 eV"):
        detector.check_energy(8332.0)


def test_lines_are_fixed_while_staged_and_old_sums_never_pass_for_new_ones(detector) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Refused

    detector.stage()
    detector.trigger().wait(LONG_S)
    with pytest.raises(Refused, match="lines of fluorescence cannot change while it is staged"):
        detector.lines.set("Fe_Ka")
    detector.unstage()
    assert detector.read()["fluorescence_Ni_Ka"]["value"] > 0
    detector.lines.set("Fe_Ka").wait(LONG_S)
    reading = detector.read()
    assert "fluorescence_Ni_Ka" not in reading
    assert np.isnan(reading["fluorescence_Fe_Ka"]["value"])


def test_a_wider_region_holds_more_of_the_line(detector, ca) -> None:  # type: ignore[no-untyped-def]
    narrow = detector.line_regions[0]
    detector.region_width.set(3.0).wait(LONG_S)
    wide = detector.line_regions[0]
    assert wide.first < narrow.first < narrow.beyond < wide.beyond
    assert regions_at_the_ioc(ca)[:2] == [wide.first, wide.beyond]


def test_table_of_a_scan_shows_the_line(detector, engine, capsys) -> None:  # type: ignore[no-untyped-def]
    from bluesky.callbacks.best_effort import BestEffortCallback
    from bluesky.plans import count

    best = BestEffortCallback()
    best.disable_plots()
    token = engine.subscribe(best)
    try:
        engine(count([detector]))
    finally:
        engine.unsubscribe(token)
    assert "fluorescence_Ni_Ka" in capsys.readouterr().out


def test_the_loss_of_the_ioc_fails_a_point_at_once(detector, ca) -> None:  # type: ignore[no-untyped-def]
    """This is the last test of this module: it ends an IOC."""
    from whiteline.devices.errors import Lost

    detector.configure({"dwell": 3000.0})
    detector.stage()
    status = detector.trigger()
    ca.wait("NANO:fluorescence:det1:Acquire_RBV", lambda value: value == 1)
    ca.start("SIM:fault:exit", 1)
    with pytest.raises(Lost, match="its IOC has gone"):
        status.wait(LONG_S)
    detector.unstage()
    assert not detector.is_staged
