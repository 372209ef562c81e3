"""Fixtures that run the simulated beamline for anyone's own tests.

Installing whiteline makes them known to pytest. A test that names `simulated_beamline` gets one that runs; a project
chooses how it runs by a fixture `simulated_beamline_options` of its own.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from whiteline.beamline.simulation.options import Options
    from whiteline.beamline.simulation.running import Simulated


@pytest.fixture(scope="session")
def simulated_beamline_options(tmp_path_factory: pytest.TempPathFactory) -> "Options":
    """Choose the TXM, twenty times faster than a floor, with files in a temporary folder."""
    from whiteline.beamline.simulation.options import Options

    return Options(beamline="txm", speed=20.0, data=tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def simulated_beamline(simulated_beamline_options: "Options") -> "Iterator[Simulated]":
    """Run a simulated beamline until the last test; import ophyd and epics inside tests and fixtures."""
    from whiteline.beamline.simulation.running import simulated

    with simulated(simulated_beamline_options) as twin:
        yield twin
