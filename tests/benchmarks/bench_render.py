"""How long a frame of the twin takes: every frame with its own noise, jitter, drift and defocus.

The reference beside it is the least that a frame with noise of its own can cost in NumPy: as many normal random
numbers, by one thread. What moves the figure: with every pixel below 1000 counts the noise is drawn as Poisson
(`_poisson`), and with one thread the work is not shared (`_one_thread`).
"""

import dataclasses
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np

from whiteline.beamline import twin
from whiteline.beamline.description import load
from whiteline.beamline.in_focus import readings_in_focus
from whiteline.sim.camera import Region
from whiteline.sim.full_field import FullFieldMicroscope
from whiteline.sim.sample import particles

GOALS = {"render_ms_512": ("<=", 15.0), "render_ms_2048": ("<=", 200.0)}

ROUNDS = 5
FRAMES_A_ROUND = 8


def median_ms(once: Callable[[int], object]) -> float:
    """Median over rounds of the mean time of a call [ms]; one round before is not counted."""
    means = []
    for number in range(ROUNDS + 1):
        start = time.perf_counter()
        for call in range(FRAMES_A_ROUND):
            once(number * FRAMES_A_ROUND + call)
        means.append((time.perf_counter() - start) / FRAMES_A_ROUND)
    return 1e3 * float(np.median(means[1:]))


def full_of_particles(microscope: FullFieldMicroscope) -> FullFieldMicroscope:
    """The microscope with particles all over the field of its sensor."""
    sample = particles(
        microscope.sample.species, count=130, field_um=40.0, radius_um=(0.6, 2.0), core_size=(0.5, 0.8), seed=1
    )
    return dataclasses.replace(microscope, sample=sample)


def measure(*, long: bool) -> dict[str, float]:
    """Measure; there is no longer series of this."""
    beamline = load("txm")
    small = twin.full_field(beamline)
    sensor = small.camera.sensor
    source = np.random.default_rng()
    depth = small.optics(readings_in_focus(beamline, 8350.0, 5)).depth_of_focus

    def rendering(
        microscope: FullFieldMicroscope, side: int, executor: Executor | None, exposure_s: float = 0.2
    ) -> Callable[[int], object]:
        region = Region.centred(sensor, (side, side))

        def once(number: int) -> object:
            readings = readings_in_focus(beamline, 8300.0 + number, 5)
            off = readings.zone_plate + depth * source.uniform(-1, 1)
            moved = dataclasses.replace(readings, zone_plate=off, time_s=4.6 * number, moves_s=(0.0, 2.3))
            return microscope.frame(moved, exposure_s, number, region, executor)

        return once

    def noise(side: int) -> Callable[[int], object]:
        generator = np.random.Generator(np.random.SFC64(1))
        return lambda _: generator.standard_normal((side, side), np.float32)

    large = full_of_particles(small)
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        return {
            "render_ms_512": median_ms(rendering(small, 512, executor)),
            "render_ms_512_numpy_normal": median_ms(noise(512)),
            "render_ms_2048": median_ms(rendering(large, 2048, executor)),
            "render_ms_2048_one_thread": median_ms(rendering(large, 2048, None)),
            "render_ms_2048_poisson": median_ms(rendering(large, 2048, executor, exposure_s=0.01)),
            "render_ms_2048_numpy_normal": median_ms(noise(2048)),
        }
