"""A 2D XANES stack of the simulated TXM, by its devices and stock plans, and the truth about it."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from whiteline.analysis.energies import EnergyList
from whiteline.beamline.description import DescriptionError
from whiteline.beamline.simulation.running import Simulated
from whiteline.sim.camera import Region
from whiteline.sim.truth import Truth

MOST_SATURATED = 0.005
"""Share of the pixels that may be saturated: a camera always has some hot ones."""

CONNECTED_S = 60.0
"""How long the IOCs may take to answer for all devices, on a machine that is busy [s]."""

REST_S = 60.0
"""How long the sample rests after it was moved in, until its creep has died away; at speed 1 [s]."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Frames with their roles, and the truth about them.

    Parameters
    ----------
    energies : ndarray of float64, shape (n,)
        As reached, read back from the Bragg axis [eV].
    frames, flats : ndarray of float32, shape (n, rows, columns)
        Mean of the frames at each energy, with and without the sample [counts].
    dark : ndarray of float32, shape (rows, columns)
        Mean of the dark frames [counts].
    pixel_nm : float
        Size of a binned pixel at the sample [nm].
    counts : float
        Counts of a pixel in one flat, without its dark level; the median.
    frames_per_energy : int
        How many frames a mean is of.
    defocus_dof : ndarray of float64, shape (n,)
        True defocus, in depths of focus.
    drift_nm : ndarray of float64, shape (n, 2)
        True drift since the first frame (x, y) [nm].
    truth : Truth
        In the frame of the first image.
    files : tuple of Path
        Where the frames are: dark, flats, sample.
    """

    energies: NDArray[np.float64]
    frames: NDArray[np.float32]
    flats: NDArray[np.float32]
    dark: NDArray[np.float32]
    pixel_nm: float
    counts: float
    frames_per_energy: int
    defocus_dof: NDArray[np.float64]
    drift_nm: NDArray[np.float64]
    truth: Truth
    files: tuple[Path, Path, Path]


def take_stack(
    twin: Simulated,
    energies: EnergyList,
    *,
    size: int = 256,
    binning: int = 2,
    exposure_s: float = 0.2,
    frames_per_energy: int = 5,
    progress: Callable[[], None] = lambda: None,
) -> Stack:
    """Scan the energies twice, with the sample out for flats and with the sample in, after some darks.

    Parameters
    ----------
    twin : Simulated
        A full-field microscope that runs; this process must find it.
    energies : EnergyList
        Within the range of the beamline.
    size : int
        Rows and columns of a frame.
    binning : int
        Pixels of the camera added along each side.
    exposure_s : float
        Of one frame [s].
    frames_per_energy : int
        How many are averaged.
    progress : callable
        Called after each energy, of flats and of sample alike.

    Raises
    ------
    DescriptionError
        If the beamline is no full-field microscope.
    ValueError
        If an energy is out of reach, the frame does not fit on the sensor, or it is saturated.
    """
    beamline = twin.beamline
    if beamline.camera is None or beamline.simulation is None:
        raise DescriptionError("the demonstration takes frames: choose a simulated full-field microscope, as txm")
    sensor = beamline.camera.sensor
    if size < 16 or size * binning > min(sensor):
        largest = min(sensor) // binning
        raise ValueError(f"frame of {size} × {size} pixels must be 16 to {largest} a side with binning {binning}")
    region = Region.centred(sensor, (size, size), binning)
    settings = {
        "exposure": exposure_s,
        "frames": frames_per_energy,
        "binning": binning,
        "roi": (region.column, region.row, region.columns, region.rows),
    }

    # imported here: with ophyd comes the client library, which reads where to search but once
    from bluesky import RunEngine
    from ophyd import EpicsSignal, EpicsSignalRO

    from whiteline.beamline.build import build

    devices = build(beamline)
    truth_prefix = f"{beamline.simulation.prefix}truth:"
    truth_write = EpicsSignal(f"{truth_prefix}write", name="truth_write", put_complete=True)
    truth_file = EpicsSignalRO(f"{truth_prefix}file", name="truth_file", string=True)
    for part in (devices, truth_write, truth_file):
        part.wait_for_connection(timeout=CONNECTED_S)
    for energy in energies:
        devices.energy.check_value(energy)
    files: list[Path] = []
    reached: list[float] = []

    def note(name: str, document: Any) -> None:
        if name == "resource":
            files.append(Path(document["root"]) / document["resource_path"])
        if name == "event" and "energy" in document["data"]:
            reached.append(document["data"]["energy"])
            progress()

    engine = RunEngine(context_managers=[])
    engine(_plan(devices, truth_write, list(energies), settings, REST_S / twin.options.speed), note)
    darks, flats, frames = (_means(file, frames_per_energy) for file in files)
    if not np.mean(flats >= 0.99 * (2**beamline.camera.bits - 1)) < MOST_SATURATED:
        raise ValueError(
            f"frame is saturated at {2**beamline.camera.bits - 1} counts with an exposure of {exposure_s:g} s and "
            f"binning {binning}; shorten the exposure or bin less"
        )
    dark = darks.mean(axis=0)
    with h5py.File(truth_file.get()) as out:
        maps, states = out["truth"], out["exposures"]
        sample = slice(-len(energies) * frames_per_energy, None, frames_per_energy)
        drift = np.stack([states["drift_x"][:], states["drift_y"][:]], axis=1)[sample]
        defocus = (states["defocus"][:] / states["depth_of_focus"][:])[sample]
        pixel_nm = float(maps["pixel"][()])
        truth = Truth(
            names=tuple(str(name) for name in maps.attrs["species"]),
            thickness_um=maps["thickness_um"][:],
            fraction=maps["fraction"][:],
            half_height=maps["half_height"][:],
            white_line=maps["white_line"][:],
        )
    return Stack(
        energies=np.array(reached[len(energies) :]),
        frames=frames,
        flats=flats,
        dark=dark,
        pixel_nm=pixel_nm,
        counts=float(np.median(flats - dark)),
        frames_per_energy=frames_per_energy,
        defocus_dof=defocus,
        drift_nm=drift - drift[0],
        truth=truth,
        files=(files[0], files[1], files[2]),
    )


def _plan(
    devices: Any, truth_write: Any, energies: list[float], settings: dict[str, Any], rest_s: float
) -> Generator[Any, Any, None]:
    """Darks, flats with the sample out, and the sample; on every way out the shutters close and the sample is back."""
    import bluesky.plan_stubs as bps
    import bluesky.plans as bp
    import bluesky.preprocessors as bpp

    camera, energy, sample_x = devices.camera, devices.energy, devices.sample.coarse.x
    shutters = (devices.photon_shutter, devices.fast_shutter)
    there = sample_x.position
    scan: tuple[Any, ...] = (energy, energies)

    def left_in_order() -> Generator[Any, Any, None]:
        for shutter in shutters:
            yield from bps.mv(shutter, "Closed")
        yield from bps.mv(sample_x, there)

    def taken() -> Generator[Any, Any, None]:
        yield from bps.configure(camera, settings)
        yield from bp.count([camera], md={"role": "dark"})
        for shutter in shutters:
            yield from bps.mv(shutter, "Open")
        yield from bps.mv(sample_x, there + devices.sample.out.get())
        yield from bp.list_scan([camera], *scan, md={"role": "flat"})
        yield from bps.mv(sample_x, there)
        yield from bps.sleep(rest_s)
        yield from bp.list_scan([camera], *scan, md={"role": "sample"})
        yield from bps.abs_set(truth_write, "Write", wait=True)

    yield from bpp.finalize_wrapper(taken(), left_in_order())  # type: ignore[no-untyped-call]


def _means(file: Path, frames_per_energy: int) -> NDArray[np.float32]:
    """Return the means of the frames of each energy, shape (energies, rows, columns)."""
    with h5py.File(file) as out:
        frames = out["entry/data/data"]
        starts = range(0, frames.shape[0], frames_per_energy)
        return np.stack([frames[one : one + frames_per_energy].mean(axis=0, dtype=np.float32) for one in starts])
