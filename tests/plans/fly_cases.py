"""The plans that fly, as short as they can be."""

from typing import Any

from bluesky.utils import MsgGenerator

import whiteline.plans as plans
from whiteline.analysis.live.fake import FakeLive

ENERGIES = [8330.0, 8350.0]
HOME = 8200.0
"""Where the energy of the fakes is at first [eV]."""

TWO_BY_TWO: dict[str, Any] = {"fast_range": (0.0, 1.0, 2), "slow_range": (5.0, 6.0, 2)}


def fly_raster(line: Any) -> MsgGenerator[Any]:
    """One rectangle."""
    return plans.fly_raster(
        [line.fly_fluorescence], line.sample.x, line.sample.y, capture=line.capture, dwell_s=0.1, snake=True,
        energy=line.energy, shutter=line.shutter, **TWO_BY_TWO,
    )  # fmt: skip


def strict_regions(line: Any) -> MsgGenerator[Any]:
    """Two rectangles, the second line of which must be taken again."""
    line.capture.fault = lambda attempt: "triggers" if attempt == 1 else ""
    return plans.fly_raster(
        [line.fly_fluorescence], line.sample.x, line.sample.y, capture=line.capture, dwell_s=0.1, strict=True,
        shutter=line.shutter, regions=[((0.0, 1.0, 2), (5.0, 6.0, 2)), ((7.0, 8.0, 3), (5.0, 5.0, 1))],
    )  # fmt: skip


def fly_raster_stack(line: Any) -> MsgGenerator[Any]:
    """Two energies."""
    return plans.fly_raster_stack(
        [line.fly_fluorescence], line.energy, ENERGIES, line.sample.x, line.sample.y, capture=line.capture,
        dwell_s=[0.1, 0.2], shutter=line.shutter, return_to=HOME, **TWO_BY_TWO,
    )  # fmt: skip


def followed_stack(line: Any) -> MsgGenerator[Any]:
    """Two energies, the sample followed from one to the other."""
    live = FakeLive(shift=[{"y": 5.0, "y_um": 0.1, "x": 0.0, "x_um": 0.0}])
    return plans.fly_raster_stack(
        [], line.energy, ENERGIES, line.sample.x, line.sample.y, capture=line.capture, dwell_s=0.1, snake=True,
        shutter=line.shutter, shift=live.shift, return_to=HOME, **TWO_BY_TWO,
    )  # fmt: skip


def fly_xanes(line: Any) -> MsgGenerator[Any]:
    """Forth and back."""
    return plans.fly_xanes(
        [], line.energy, (8330.0, 8350.0, 3), capture=line.capture, sweep=line.sweep, dwell_s=0.1, repeats=2,
        both_ways=True, shutter=line.shutter,
    )  # fmt: skip


def fly_tomography(line: Any) -> MsgGenerator[Any]:
    """With flats and darks on both sides."""
    return plans.fly_tomography(
        line.fly_camera, line.sample.rotation, capture=line.turning, energy=line.energy, sample=line.sample,
        shutter=line.shutter, exposure_s=0.1, projections=20, darks="before and after", flat_frames=1, dark_frames=1,
    )  # fmt: skip


def xanes_tomography(line: Any) -> MsgGenerator[Any]:
    """Two energies."""
    return plans.xanes_tomography(
        line.fly_camera, line.energy, ENERGIES, line.sample.rotation, capture=line.turning, sample=line.sample,
        shutter=line.shutter, exposure_s=0.1, velocity=60.0, flat_frames=1, dark_frames=1, return_to=HOME,
    )  # fmt: skip
