"""Filters and the wheel of foils: what is in the beam is what was asked for, and is known by name."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from whiteline.beamline.simulation import Simulated

LONG_S = 60
NAMES = ("Al 50", "Al 100", "Al 200")
OUT, IN, MOVING = 0, 1, 2
ENERGY = 8333.0
MU_AL_PER_UM = 0.01222
"""Photoabsorption of aluminium at 8333 eV [1/µm]: 45.3 cm²/g in the tables of Elam, times 2.70 g/cm³."""


@pytest.fixture(scope="module")
def twin(simulate) -> Simulated:  # type: ignore[no-untyped-def]
    return simulate("txm", speed=20.0)


@pytest.fixture(scope="module")
def filters(twin: Simulated, keep):  # type: ignore[no-untyped-def]
    from whiteline.devices.filters import Filters, Layer

    table = twin.beamline.filters
    layers = [Layer(one.name, one.formula, one.density, one.thickness_um) for one in table.foils]
    return keep(Filters(table.prefix, name="filters", layers=layers))


@pytest.fixture(scope="module")
def wheel(twin: Simulated, keep):  # type: ignore[no-untyped-def]
    from whiteline.devices.filters import Layer
    from whiteline.devices.foil_wheel import FoilWheel

    table = twin.beamline.foil_wheel
    foils = [Layer(one.name, one.formula, one.density, one.thickness_um) for one in table.foils]
    return keep(FoilWheel(table.pv, name="foil", foils=foils))


@pytest.fixture(autouse=True)
def _as_it_was(twin: Simulated, ca) -> Iterator[None]:  # type: ignore[no-untyped-def]
    yield
    if twin.processes["beamline"].poll() is None:
        for number in range(1, 4):
            ca.put(f"TXM:filters:{number}:insert", "Out")
        ca.put("TXM:foils", "None")


def inside(ca) -> set[str]:  # type: ignore[no-untyped-def]
    return {
        name for number, name in enumerate(NAMES, 1) if ca.get(f"TXM:filters:{number}:status", as_string=True) == "In"
    }


def test_a_set_of_filters_is_there_when_its_status_is_done(ca, filters) -> None:  # type: ignore[no-untyped-def]
    assert filters.names == NAMES
    for wanted in ({"Al 50"}, {"Al 100", "Al 200"}, set(NAMES), set()):
        filters.set(wanted).wait(LONG_S)
        assert inside(ca) == filters.inserted == wanted
        assert filters.locate() == {key: [name for name in NAMES if name in wanted] for key in ("setpoint", "readback")}


def test_one_filter_by_its_name(ca, filters) -> None:  # type: ignore[no-untyped-def]
    one = filters["Al 100"]
    assert one is filters.al_100
    one.set("In").wait(LONG_S)
    assert inside(ca) == {"Al 100"}
    assert filters.read()["filters_al_100"]["value"] == "In"
    one.set("Out").wait(LONG_S)
    assert inside(ca) == set()


def test_the_sample_never_sees_more_light_than_before_and_after(ca, filters) -> None:  # type: ignore[no-untyped-def]
    """While one filter is exchanged for another, both are in for a moment: no instant without."""
    filters.set({"Al 50"}).wait(LONG_S)
    order: list[tuple[int, int]] = []
    both = threading.Event()

    def watch(number: int):  # type: ignore[no-untyped-def]
        def look(value: int, **_: object) -> None:
            order.append((number, value))
            if {(1, OUT), (3, IN)} <= set(order):
                both.set()

        return look

    channels = {number: ca(f"TXM:filters:{number}:status") for number in (1, 3)}
    indices = {number: channel.add_callback(watch(number), run_now=False) for number, channel in channels.items()}
    try:
        filters.set({"Al 200"}).wait(LONG_S)
        assert both.wait(LONG_S)
    finally:
        for number, channel in channels.items():
            channel.remove_callback(indices[number])
    assert order.index((3, IN)) < order.index((1, MOVING))


@pytest.mark.parametrize("names", [{"Al 50", "Al 51"}, "al 50", ["Al 50", "Cu"], {1}])
def test_unknown_names_are_refused_before_anything_moves(ca, filters, names) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"filters has no filter .*; it has 'Al 50', 'Al 100', 'Al 200'"):
        filters.set(names)
    for number in range(1, 4):
        assert ca.get(f"TXM:filters:{number}:insert") == 0
    with pytest.raises(ValueError, match="'Half' must be one of 'In', 'Out'"):
        filters["Al 50"].set("Half")


def test_transmission_is_that_of_the_material(filters) -> None:  # type: ignore[no-untyped-def]
    assert filters.transmission(ENERGY, ()) == 1.0
    assert filters.transmission(ENERGY, {"Al 50"}) == pytest.approx(np.exp(-MU_AL_PER_UM * 50), rel=0.03)
    thick, parts = filters.transmission(ENERGY, NAMES), [filters.transmission(ENERGY, {name}) for name in NAMES]
    assert thick == pytest.approx(np.prod(parts))
    assert -np.log(parts) == pytest.approx(-np.log(parts[0]) * np.array([1, 2, 4]))
    # absorption falls about with the third power of the energy
    assert np.log(filters.transmission(2 * ENERGY, {"Al 50"})) == pytest.approx(np.log(parts[0]) / 8, rel=0.1)
    with pytest.raises(ValueError, match="looks like keV"):
        filters.transmission(8.333)
    filters.set({"Al 50", "Al 100"}).wait(LONG_S)
    assert filters.transmission(ENERGY) == pytest.approx(parts[0] ** 3)


def test_a_layer_that_cannot_be_is_refused(twin: Simulated) -> None:
    from whiteline.devices.filters import Filters, Layer

    with pytest.raises(ValueError, match=r"thickness of Al 0 um must be a finite number above 0"):
        Layer("Al", "Al", 2.7, 0.0)
    with pytest.raises(ValueError, match="density of Al -1 g/cm³"):
        Layer("Al", "Al", -1.0, 5.0)
    with pytest.raises(ValueError, match="'al-50' is there twice"):
        Filters("X:", name="filters", layers=[Layer(name, "Al", 2.7, 50.0) for name in ("Al 50", "al-50")])


def test_a_filter_that_the_ioc_calls_otherwise_stays_where_it_is(ca, twin: Simulated, keep) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Refused
    from whiteline.devices.filters import Filters, Layer

    wrong = [Layer("Al 50", "Al", 2.7, 50.0), Layer("Al 200", "Al", 2.7, 200.0)]
    filters = keep(Filters(twin.beamline.filters.prefix, name="filters", layers=wrong))
    with pytest.raises(Refused, match="filters:2:name says 'Al 100', and the description 'Al 200'"):
        filters.set({"Al 200"}).wait(LONG_S)
    assert inside(ca) == set()


@pytest.mark.parametrize("name", ["Fe", "Cu", "Mn", None])
def test_the_wheel_turns_to_a_foil_by_name(ca, wheel, name: str | None) -> None:  # type: ignore[no-untyped-def]
    wheel.set("Ni").wait(LONG_S)
    assert wheel.read()["foil"]["value"] == ca.get("TXM:foils:readback", as_string=True) == "Ni"
    wheel.set(name).wait(LONG_S)
    assert wheel.read()["foil"]["value"] == ca.get("TXM:foils:readback", as_string=True) == str(name)
    assert wheel.locate() == {"setpoint": str(name), "readback": str(name)}


@pytest.mark.parametrize("name", ["Pt", "ni", "", 3])
def test_an_unknown_foil_is_refused_before_the_wheel_turns(ca, wheel, name) -> None:  # type: ignore[no-untyped-def]
    wheel.set("Ni").wait(LONG_S)
    with pytest.raises(ValueError, match=r"foil = .* must be one of 'None', 'Mn', 'Fe', 'Co', 'Ni', 'Cu'"):
        wheel.set(name)
    assert ca.get("TXM:foils", as_string=True) == ca.get("TXM:foils:readback", as_string=True) == "Ni"


def test_a_foil_that_the_ioc_does_not_know_is_refused(ca, twin: Simulated, keep) -> None:  # type: ignore[no-untyped-def]
    from whiteline.devices.errors import Refused
    from whiteline.devices.filters import Layer
    from whiteline.devices.foil_wheel import FoilWheel

    wheel = keep(FoilWheel(twin.beamline.foil_wheel.pv, name="foil", foils=[Layer("Pt", "Pt", 21.4, 5.0)]))
    with pytest.raises(Refused, match=r"not turned to 'Pt': .*TXM:foils has None, Mn, Fe, Co, Ni, Cu; let it"):
        wheel.set("Pt").wait(LONG_S)
    assert ca.get("TXM:foils", as_string=True) == "None"
    with pytest.raises(ValueError, match="each foil of foil needs a name of its own"):
        FoilWheel("X:", name="foil", foils=[Layer("None", "Pt", 21.4, 5.0)])


def test_the_baseline_shows_what_is_in_the_beam(filters, wheel) -> None:  # type: ignore[no-untyped-def]
    import bluesky.plan_stubs as bps
    from bluesky import RunEngine
    from bluesky.preprocessors import baseline_decorator, run_decorator

    documents = []

    @baseline_decorator([filters, wheel])
    @run_decorator()
    def plan():  # type: ignore[no-untyped-def]
        yield from bps.mv(filters, ["Al 100"], wheel, "Co")

    RunEngine()(plan(), lambda name, document: documents.append((name, document)))
    described = next(one for name, one in documents if name == "descriptor")
    before, after = (one["data"] for name, one in documents if name == "event")
    columns = [f"filters_al_{thickness}" for thickness in (50, 100, 200)]
    assert described["hints"] == {"filters": {"fields": columns}, "foil": {"fields": ["foil"]}}
    assert [before[key] for key in (*columns, "foil")] == ["Out", "Out", "Out", "None"]
    assert [after[key] for key in (*columns, "foil")] == ["Out", "In", "Out", "Co"]
    assert all(described["data_keys"][key]["dtype"] == "string" for key in (*columns, "foil"))


def test_a_lost_ioc_is_told_at_once(twin: Simulated, filters, wheel) -> None:  # type: ignore[no-untyped-def]
    """Last, as it ends the beamline IOC."""
    from whiteline.devices.errors import Lost

    twin.kill("beamline")
    for work in (lambda: filters.set({"Al 50"}), lambda: wheel.set("Ni"), filters.trigger, wheel.trigger):
        with pytest.raises(Lost, match="its IOC has gone"):
            work().wait(LONG_S)
