"""What detectors see when the crystals reflect nothing, and which exposure the truth is told for."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from whiteline.beamline.description import Beamline
from whiteline.sim.camera import Region
from whiteline.sim.full_field import FullFieldMicroscope, Readings
from whiteline.sim.ioc.exposures import LONGEST, Exposure, Exposures
from whiteline.sim.ioc.measuring import Measuring
from whiteline.sim.ioc.second_crystal import LARGEST_URAD, Feedback
from whiteline.sim.ioc.state import state_of
from whiteline.sim.nanoprobe import Nanoprobe
from whiteline.sim.nanoprobe import Readings as ScanReadings

REGION = Region.centred((2048, 2048), (32, 32))


class Still:
    """An instrument that stands where it is told."""

    scanning = False
    clock: Any = None

    def __init__(self, readings: Any) -> None:
        self.stands = readings
        self.scanning = isinstance(readings, ScanReadings)

    def expose(self, clock: object) -> Any:
        return self.stands

    def foil(self) -> str:
        return ""


def seen(microscope: object, readings: object, ask: Callable[[Measuring], Any]) -> Any:
    async def run() -> Any:
        measuring = Measuring(lambda: microscope, Still(readings), [lambda: 1e6] * 3)  # type: ignore[arg-type,return-value]
        try:
            return await ask(measuring)
        finally:
            measuring.close()

    return asyncio.run(run())


def test_no_reflection_gives_a_dark_frame_and_dark_counts(
    microscope: FullFieldMicroscope, in_focus: Callable[[float], Readings]
) -> None:
    bright = in_focus(8350.0)
    dark = replace(bright, bragg=-1.0)
    frames = [
        seen(microscope, one, lambda measuring: measuring.frame(0.2, 0, REGION)).astype(float) for one in (bright, dark)
    ]
    assert frames[0].mean() > 300
    assert np.median(frames[1]) == pytest.approx(100, abs=1)  # a hot pixel is bright without any beam
    counts = [seen(microscope, one, lambda measuring: measuring.monitors(None, 1.0, 0)) for one in (bright, dark)]
    assert counts[0][0] > 1e5
    assert max(counts[1]) <= 1


def test_a_detector_within_the_focal_length_sees_nothing(
    microscope: FullFieldMicroscope, in_focus: Callable[[float], Readings]
) -> None:
    near = replace(in_focus(8350.0), detector=60.0)
    assert seen(microscope, near, lambda measuring: measuring.frame(0.2, 0, REGION)).mean() < 110


def test_no_reflection_on_a_nanoprobe_gives_empty_spectra(probe: Nanoprobe, nano: Beamline) -> None:
    assert nano.zone_plate is not None
    readings = ScanReadings(bragg=100.0, crystal_gap=12.9, undulator_gap=5.0, zone_plate=-97.0, aperture=-10.0)
    point = seen(probe, readings, lambda measuring: measuring.point(None, 1.0, 0))
    assert point.fluorescence.sum() == 0
    assert point.incident <= 1
    assert seen(probe, readings, lambda measuring: measuring.monitors(None, 1.0, 0))[2] <= 1


def test_an_error_of_the_physics_reaches_who_asked() -> None:
    class Broken(FullFieldMicroscope):
        def __init__(self) -> None:
            pass

        def frame(self, *_: object) -> Any:
            raise MemoryError("no memory")

    readings = Readings(bragg=13.7, crystal_gap=12.9, undulator_gap=5.0, zone_plate=50.0, detector=1600.0)
    with pytest.raises(MemoryError):
        seen(Broken(), readings, lambda measuring: measuring.frame(0.2, 0, REGION))


def test_the_state_is_not_a_number_where_there_is_no_beam(
    microscope: FullFieldMicroscope, in_focus: Callable[[float], Readings]
) -> None:
    believed = microscope.beam.monochromator
    there = state_of(microscope, in_focus(8350.0), 3, believed)
    assert there.energy == pytest.approx(8350, abs=0.05)
    assert there.energy_offset == pytest.approx(0, abs=0.05)
    assert abs(there.defocus) < 0.05 * there.depth_of_focus
    assert there.magnification == pytest.approx(32.5, rel=1e-3)
    off = state_of(microscope, replace(in_focus(8350.0), zone_plate=in_focus(8350.0).zone_plate + 0.1), 3, believed)
    assert off.defocus == pytest.approx(0.1, rel=0.2)
    assert off.best_focus == pytest.approx(there.best_focus, abs=0.002)
    gone = state_of(microscope, replace(in_focus(8350.0), bragg=-1.0), 3, believed)
    assert np.isnan([gone.energy, gone.energy_offset, gone.best_focus, gone.defocus]).all()
    assert np.isfinite([gone.drift_x, gone.drift_y]).all()


def exposure(number: int, **readings: Any) -> Exposure:
    standing = {"bragg": 13.7, "crystal_gap": 12.9, "undulator_gap": 5.0, "zone_plate": 50.0, "detector": 1600.0}
    return Exposure(number, Readings(**standing | readings), 0.2, None)


def test_the_reference_is_the_first_with_beam_and_sample() -> None:
    exposures = Exposures()
    assert exposures.reference() is None
    for number, readings in enumerate(
        ({"open": False}, {"sample_um": (5000.0, 0.0)}, {"sample_um": (3.0, -2.0)}, {"sample_um": (0.0, 0.0)})
    ):
        exposures.add(exposure(number, **readings))
    assert exposures.reference() is exposures.taken[2]
    assert exposures.reference(3) is exposures.taken[3]
    assert exposures.reference(0) is exposures.taken[0]
    assert exposures.reference(9) is None


def test_very_many_exposures_are_not_all_kept() -> None:
    exposures = Exposures()
    one = exposure(0)
    for number in range(LONGEST + 10):
        exposures.add(replace(one, number=number))
    assert 0.8 * LONGEST < len(exposures.taken) <= LONGEST
    assert exposures.taken[-1].number == LONGEST + 9


def feedback(error_urad: float) -> tuple[Feedback, list[float]]:
    now = [0.0]
    return Feedback("F:", lambda: error_urad, lambda: now[0]), now


def test_the_feedback_takes_an_error_back_as_time_passes() -> None:
    loop, _ = feedback(-30.0)
    assert loop.correction_urad(0.0) == 0.0
    assert loop.correction_urad(1.0) == pytest.approx(30 * (1 - np.exp(-1)))
    assert loop.correction_urad(20.0) == pytest.approx(30.0, abs=1e-6)


def test_the_correction_does_not_depend_on_how_often_it_is_asked_for() -> None:
    often, _ = feedback(-30.0)
    for time_s in np.linspace(0, 2, 101):
        often.correction_urad(float(time_s))
        often.correction_urad(float(time_s))
    once, _ = feedback(-30.0)
    assert often.correction_urad(2.0) == pytest.approx(once.correction_urad(2.0), rel=1e-9)


def test_switched_off_the_correction_stays_and_it_has_a_limit() -> None:
    async def run() -> None:
        loop, now = feedback(-1000.0)
        now[0] = 50.0
        assert loop.correction_urad(50.0) == pytest.approx(LARGEST_URAD)
        await loop.show()
        assert loop.status.value == "At limit"
        await loop.enable.write("Off")
        now[0] = 100.0
        assert loop.correction_urad(100.0) == pytest.approx(LARGEST_URAD)
        await loop.show()
        assert loop.status.value == "Off"

    asyncio.run(run())
