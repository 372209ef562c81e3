"""Scans that are interrupted and gone on with: each plan of both beamlines with arguments of its own, and small."""

from collections.abc import Callable
from typing import Any

import numpy as np

ENERGIES = [8310.0, 8345.0, 8352.0, 8375.0, 8400.0]
WIDE, HIGH = (-1.0, 1.0, 12), (-1.0, 1.0, 8)


def xanes_stack(session: Any) -> Any:
    """Return a stack with flats at each energy."""
    from whiteline.plans import xanes_stack

    devices = session.devices
    return xanes_stack(
        devices.camera, devices.energy, ENERGIES, sample=devices.sample, shutter=devices.fast_shutter, exposure_s=0.3,
        frames=4, flat_frames=4,
    )  # fmt: skip


def mosaic(session: Any) -> Any:
    """Return six tiles."""
    from whiteline.plans import mosaic

    devices = session.devices
    return mosaic(
        devices.camera, sample=devices.sample, area=((-6.0, 6.0), (-4.0, 4.0)), tile_um=(5.0, 5.0),
        shutter=devices.fast_shutter, exposure_s=0.3, energy=devices.energy,
    )  # fmt: skip


def fly_tomography(session: Any) -> Any:
    """Return a turn with flats on both sides."""
    from whiteline.plans import fly_tomography

    devices = session.devices
    return fly_tomography(
        devices.camera_triggered, devices.sample.rotation, capture=devices.capture, energy=devices.energy,
        sample=devices.sample, shutter=devices.fast_shutter, exposure_s=0.1, stop=60.0, projections=50,
        flat_frames=3, dark_frames=3,
    )  # fmt: skip


def xanes_tomography(session: Any) -> Any:
    """Return a turn at each of two energies, each a run of its own."""
    from whiteline.plans import xanes_tomography

    devices = session.devices
    return xanes_tomography(
        devices.camera_triggered, devices.energy, ENERGIES[1:3], devices.sample.rotation, capture=devices.capture,
        sample=devices.sample, shutter=devices.fast_shutter, exposure_s=0.1, stop=60.0, projections=50,
        flat_frames=3, dark_frames=3,
    )  # fmt: skip


def xanes(session: Any) -> Any:
    """Return a spectrum, point by point."""
    from whiteline.plans import xanes

    devices = session.devices
    energies = np.linspace(ENERGIES[0], ENERGIES[3], 12).tolist()
    return xanes([devices.counters], devices.energy, energies, dwell_s=0.3, shutter=devices.fast_shutter)


def fly_xanes(session: Any) -> Any:
    """Return a spectrum that is flown four times, up and down."""
    from whiteline.plans import fly_xanes

    devices = session.devices
    return fly_xanes(
        [], devices.energy, (8335.0, 8355.0, 100), capture=devices.capture, sweep=devices.energy_sweep, dwell_s=0.05,
        repeats=4, both_ways=True, shutter=devices.fast_shutter,
    )  # fmt: skip


def raster(session: Any) -> Any:
    """Return a step map."""
    from whiteline.plans import raster

    devices = session.devices
    return raster(
        [devices.fluorescence], devices.sample.x, devices.sample.y, fast_range=WIDE,
        slow_range=HIGH, dwell_s=0.2, snake=True, energy=devices.energy, shutter=devices.fast_shutter,
    )  # fmt: skip


def raster_stack(session: Any) -> Any:
    """Return step maps at three energies."""
    from whiteline.plans import raster_stack

    devices = session.devices
    return raster_stack(
        [devices.fluorescence], devices.energy, ENERGIES[1:4], devices.sample.x, devices.sample.y,
        fast_range=(-1.0, 1.0, 6), slow_range=(-1.0, 1.0, 5), dwell_s=0.2, snake=True, shutter=devices.fast_shutter,
    )  # fmt: skip


def fly_raster(session: Any) -> Any:
    """Return a map that is flown."""
    from whiteline.plans import fly_raster

    devices = session.devices
    return fly_raster(
        [], devices.sample.x, devices.sample.y, capture=devices.capture, fast_range=(-2.0, 2.0, 40),
        slow_range=(-1.0, 1.0, 20), dwell_s=0.02, snake=True, energy=devices.energy, shutter=devices.fast_shutter,
    )  # fmt: skip


def fly_raster_stack(session: Any) -> Any:
    """Return maps that are flown at three energies."""
    from whiteline.plans import fly_raster_stack

    devices = session.devices
    return fly_raster_stack(
        [devices.fluorescence_triggered], devices.energy, ENERGIES[1:4], devices.sample.x, devices.sample.y,
        capture=devices.capture, fast_range=(-2.0, 2.0, 40), slow_range=(-1.0, 1.0, 8), dwell_s=0.02, snake=True,
        shutter=devices.fast_shutter,
    )  # fmt: skip


FULL_FIELD: dict[str, Callable[[Any], Any]] = {
    "xanes_stack": xanes_stack, "mosaic": mosaic, "fly_tomography": fly_tomography,
    "xanes_tomography": xanes_tomography,
}  # fmt: skip
SCANNING: dict[str, Callable[[Any], Any]] = {
    "raster": raster, "raster_stack": raster_stack, "fly_raster": fly_raster, "fly_raster_stack": fly_raster_stack,
    "xanes": xanes, "fly_xanes": fly_xanes,
}  # fmt: skip
PLANS = FULL_FIELD | SCANNING
