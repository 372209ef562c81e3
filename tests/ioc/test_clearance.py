"""Zone plate, order-sorting aperture and sample keep clear of each other, however quick each axis is."""

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

CLEARANCE = 0.5


@pytest.fixture(autouse=True)
def _ports(ca_ports: list[int]) -> None:
    """Let no import search elsewhere."""


places = st.floats(-60, -20)
pinholes = st.floats(-40, -0.1)


def least(first: list[float], second: list[float]) -> float:
    """Return the least distance of two that wait or move at any pace, by trying all pairs of places."""
    return min(b - a for a in first for b in second)


def on_the_way(points: list[float]) -> list[float]:
    return [start + (end - start) * step / 20 for start, end in itertools.pairwise(points) for step in range(21)]


@settings(max_examples=3000, deadline=None)
@given(st.lists(places, min_size=1, max_size=3), st.lists(pinholes, min_size=1, max_size=3))
def test_the_order_that_is_chosen_keeps_clear(zone_plate: list[float], aperture: list[float]) -> None:
    from whiteline.devices.scanning_energy import aperture_goes_first

    lens_way, way = on_the_way(zone_plate) or zone_plate, on_the_way(aperture) or aperture
    orders = {
        False: min(least(lens_way, aperture[:1]), least(zone_plate[-1:], way)),
        True: min(least(zone_plate[:1], way), least(lens_way, aperture[-1:])),
    }
    assume(all(abs(found - CLEARANCE) > 1e-9 for found in (*orders.values(), -max(aperture))))
    possible = -max(aperture) >= CLEARANCE and max(orders.values()) >= CLEARANCE
    if possible:
        assert orders[aperture_goes_first(zone_plate, aperture, CLEARANCE)] >= CLEARANCE
    else:
        with pytest.raises(ValueError, match=r"would fall below the clearance, 0\.5 mm, on the way"):
            aperture_goes_first(zone_plate, aperture, CLEARANCE)


@pytest.mark.parametrize(
    ("zone_plate", "aperture", "first"),
    [
        ((-50.0, -30.0), (-10.0, -10.0), False),
        ((-50.0, -30.0), (-40.0, -10.0), True),  # the aperture gives way
        ((-30.0, -50.0), (-10.0, -40.0), False),  # the zone plate gives way
        ((-50.0, -39.0, -45.0), (-40.0, -10.0), True),  # by its backlash it would have met
    ],
)
def test_who_gives_way_goes_first(zone_plate: tuple[float, ...], aperture: tuple[float, ...], first: bool) -> None:
    from whiteline.devices.scanning_energy import aperture_goes_first

    assert aperture_goes_first(zone_plate, aperture, CLEARANCE) is first


@pytest.mark.parametrize(
    ("zone_plate", "aperture", "pair"),
    [
        ((-50.0, -30.0), (-40.0, -40.0), "zone plate and order-sorting aperture"),
        ((-50.0, -50.0), (-10.0, -0.2), "order-sorting aperture and sample"),
        ((-50.0, -50.0), (-10.0, -0.2, -5.0), "order-sorting aperture and sample"),
    ],
)
def test_a_way_that_does_not_exist_is_refused(
    zone_plate: tuple[float, ...], aperture: tuple[float, ...], pair: str
) -> None:
    from whiteline.devices.scanning_energy import aperture_goes_first

    with pytest.raises(ValueError, match=pair):
        aperture_goes_first(zone_plate, aperture, CLEARANCE)
