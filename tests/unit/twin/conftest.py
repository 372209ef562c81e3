"""Twins with their own fresh seeds, and where their axes stand in focus."""

from collections.abc import Callable

import pytest

from whiteline.beamline import twin
from whiteline.beamline.description import Beamline, load
from whiteline.beamline.in_focus import readings_in_focus
from whiteline.sim import nanoprobe
from whiteline.sim.full_field import FullFieldMicroscope, Readings


@pytest.fixture(scope="session")
def txm() -> Beamline:
    return load("txm")


@pytest.fixture(scope="session")
def nano() -> Beamline:
    return load("nanoprobe")


@pytest.fixture
def microscope(txm: Beamline, seed: int) -> FullFieldMicroscope:
    return twin.full_field(txm, seed=seed)


@pytest.fixture
def probe(nano: Beamline, seed: int) -> nanoprobe.Nanoprobe:
    return twin.nanoprobe(nano, seed=seed)


@pytest.fixture
def in_focus(txm: Beamline) -> Callable[[float], Readings]:
    return lambda energy: readings_in_focus(txm, energy, 5)
