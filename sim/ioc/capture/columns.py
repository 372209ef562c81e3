"""What the columns of a line hold: what the box measured at each pulse, and what truly was so."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.full_field import FullFieldMicroscope
from whiteline.sim.gated_counts import gated_monitors, gated_points, lit
from whiteline.sim.gated_spectra import gated_windows, lines_of
from whiteline.sim.gates import Gates
from whiteline.sim.ioc.capture.settings import CaptureSettings
from whiteline.sim.ioc.capture.witness import Scene
from whiteline.sim.nanoprobe import Lens, Nanoprobe
from whiteline.sim.noise import Stream, generator, stream

BANDWIDTH_S = 1e-3
"""Over this time a reading has the noise that a channel is told to have [s]."""

Columns = dict[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Captured:
    """What is known of a line when it is over, or of some rows of one that is under way.

    Parameters
    ----------
    number : int
        Of the line, or of these rows, since the IOC started: the noise depends on it.
    opened_s : float
        When the file was opened: there the clock of the box begins [s].
    starts_s, gates_s : ndarray of float64, shape (pulses,)
        When each pulse came, and how long its gate was [s].
    frames : ndarray of float64, shape (pulses,)
        Exposures that the detector had begun by the end of each gate, since the file was opened.
    taken : ndarray of bool, shape (pulses,)
        Whether each pulse started one.
    scene : Scene
        What is known of the axes.
    gains : sequence of float
        Of the amplifiers of the ion chambers [V/A].
    foil : str
        That in the beam of the reference chamber.
    windows : mapping of str to (int, int)
        First channel, and the first one behind it, of each window of the fluorescence detector that is counted.
    """

    number: int
    opened_s: float
    starts_s: NDArray[np.float64]
    gates_s: NDArray[np.float64]
    frames: NDArray[np.float64]
    taken: NDArray[np.bool_]
    scene: Scene
    gains: Sequence[float]
    foil: str
    windows: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def attributes_of(settings: CaptureSettings, windows: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the columns of what is measured, those of windows by name among them, each with its attributes."""
    found: dict[str, dict[str, Any]] = {name: {"unit": "s"} for name in ("time_start", "time_end")}
    for channel in settings.channels:
        for part in ("mean", "start", "end"):
            found[f"{channel.name}_{part}"] = {"unit": channel.unit, "noise": channel.noise}
    named = tuple(windows)
    found |= {f"{name}_counts": {"unit": "counts"} for name in (*settings.counters, *named)}
    found |= {f"{settings.detector}_events": {"unit": "counts"}} if named else {}
    found[f"{settings.detector}_frames"] = {"unit": "frames"}
    return found


def attributes_of_truth(settings: CaptureSettings, scanning: bool) -> dict[str, dict[str, Any]]:
    """Return the columns of the truth, each with its attributes."""
    found: dict[str, dict[str, Any]] = {"time_start": {"unit": "s"}, "time_end": {"unit": "s"}}
    found |= {f"{channel.name}_mean": {"unit": channel.unit} for channel in settings.channels}
    found |= {"energy": {"unit": "eV"}, f"{settings.detector}_taken": {"unit": ""}}
    if scanning:
        found |= {"place_x": {"unit": "um"}, "place_y": {"unit": "um"}, "flux": {"unit": "1/s"}}
        found |= {"defocus": {"unit": "depths of focus"}}
    return found


def columns_of(
    captured: Captured, settings: CaptureSettings, microscope: FullFieldMicroscope | Nanoprobe
) -> tuple[Columns, Columns]:
    """Return the columns of a line: as they are measured, and the truth.

    Parameters
    ----------
    captured : Captured
        The line, with at least one pulse.
    settings : CaptureSettings
        The box.
    microscope : FullFieldMicroscope or Nanoprobe
        The instrument with its sample.
    """
    starts, gates_s = captured.starts_s, captured.gates_s
    ends = starts + gates_s
    source = generator(stream(microscope.beam.seed, Stream.CAPTURE, captured.number))
    clock = {"time_start": starts - captured.opened_s, "time_end": ends - captured.opened_s}
    measured, truth = dict(clock), dict(clock)
    noise = source.standard_normal((len(settings.channels), 3, starts.size))
    for channel, errors in zip(settings.channels, noise, strict=True):
        course = captured.scene.course(channel.source, float(starts[0]), float(ends.max()))
        of_mean, of_start, of_end = channel.noise * errors
        truth[f"{channel.name}_mean"] = mean = course.mean(starts, ends)
        measured[f"{channel.name}_mean"] = mean + of_mean * np.sqrt(BANDWIDTH_S / gates_s)
        measured[f"{channel.name}_start"] = course.at(starts) + of_start
        measured[f"{channel.name}_end"] = course.at(ends) + of_end
    gates = captured.scene.gates(starts, gates_s)
    counts, light = _counts(captured, gates, microscope, source)
    named = [f"{name}_counts" for name in (*settings.counters, *captured.windows)]
    named += [f"{settings.detector}_events"] if captured.windows else []
    measured |= {name: one.astype(float) for name, one in zip(named, counts, strict=True)}
    measured[f"{settings.detector}_frames"] = captured.frames
    truth[f"{settings.detector}_taken"] = captured.taken.astype(float)
    return measured, truth | light


def _counts(
    captured: Captured, gates: Gates, microscope: FullFieldMicroscope | Nanoprobe, source: np.random.Generator
) -> tuple[tuple[NDArray[np.int64], ...], Columns]:
    """Return what the chambers and the windows counted, all of the detector behind them, and what of it is truth."""
    if isinstance(microscope, FullFieldMicroscope):
        energy = gates.energies(microscope.beam, source)
        return gated_monitors(microscope, gates, energy, captured.gains, captured.foil, source), {"energy": energy}
    light = lit(microscope, gates, gates.energies(microscope.beam, source))
    counts = gated_points(microscope, light, gates.length_s, captured.gains, captured.foil, source)
    if captured.windows:
        lines, windows = lines_of(microscope, light), tuple(captured.windows.values())
        found, events = gated_windows(microscope.fluorescence, lines, gates.length_s, windows, source)
        counts = (*counts, *found, events)
    place_x, place_y = light.place_um.T
    truth = {"energy": light.energy, "place_x": place_x, "place_y": place_y, "flux": light.photons_per_s}
    return counts, truth | {"defocus": _in_depths(microscope, light.defocus_mm, light.energy)}


def _in_depths(
    microscope: Nanoprobe, defocus_mm: NDArray[np.float64], energy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a defocus [mm] in depths of focus; NaN for mirrors, which have none that is told."""
    if not isinstance(microscope.optic, Lens):
        return np.full(energy.shape, np.nan)
    depth = microscope.optic.zone_plate.depth_of_focus(float(energy.mean()))
    return defocus_mm / depth * float(energy.mean()) / energy
