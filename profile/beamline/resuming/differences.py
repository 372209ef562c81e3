"""What is not any more as it was when a run was begun: calibrations, settings of its detectors."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from whiteline.analysis.calibration import Calibration, EnergyCalibration, FocusCalibration, calibration_from_json
from whiteline.analysis.runs import Run
from whiteline.beamline.resuming.missing import CannotResume

SHAPING = "_roi", "_binning"
"""Endings of settings without which the pixels of two runs are not the same."""

SET_BY_PLANS = "_exposure", "_frames", "_dwell", "_trigger_mode", "_exposures_before", "_energies", "_harmonic"
"""Endings of settings that a plan brings to where they must be."""


def differences(run: Run, devices: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is not as it was, a sentence each.

    Parameters
    ----------
    run : Run
        In question.
    devices : mapping of str to device
        Of the beamline, as they are now.

    Raises
    ------
    CannotResume
        If the pixels would not be the same, as region or binning of a camera have changed.
    """
    now = configuration_now(devices)
    return (*_calibrations(run, now), *_settings(run, now))


def configuration_now(devices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of all devices as it is now, by key."""
    found: dict[str, Any] = {}
    for device in devices.values():
        found |= {key: reading["value"] for key, reading in device.read_configuration().items()}
    return found


def _calibrations(run: Run, now: Mapping[str, Any]) -> Iterator[str]:
    energies = run.planned_energies
    energy = float(np.median(energies)) if energies is not None and energies.size else None
    for key, then in run.calibrations.items():
        if key not in now:
            continue
        today = calibration_from_json(now[key])
        if today != then:
            effect = "" if energy is None else _effect(then, today, energy)
            yield (
                f"{key} was version {then.version} of {then.date}, and is version {today.version} of {today.date} now"
                + effect
            )


def _effect(then: Calibration, today: Calibration, energy: float) -> str:
    """Return what the change of a calibration does at an energy [eV]."""
    try:
        if isinstance(then, EnergyCalibration) and isinstance(today, EnergyCalibration):
            off = float(today.energy(then.angle(energy))) - energy
            return f": what is now called {energy:.6g} eV was {energy - off:.6g} eV then, {off:+.3f} eV apart"
        if isinstance(then, FocusCalibration) and isinstance(today, FocusCalibration):
            moved = 1000 * float(today.focal_length(energy) - then.focal_length(energy))
            depth = float(today.zone_plate.depth_of_focus(energy))
            return f": focal length at {energy:.6g} eV is {moved:+.3g} um from before, depth of focus {depth:.3g} um"
    except ValueError as error:  # one of them does not reach so far
        return f"; what that does is not known: {error}"
    return ""


def _settings(run: Run, now: Mapping[str, Any]) -> Iterator[str]:
    detectors = [str(one) for one in run.start.get("detectors", ())]
    then: dict[str, Any] = {}
    for stream in run.streams.values():
        for descriptor in stream.descriptors:
            for device, about in descriptor.get("configuration", {}).items():
                if device in detectors:
                    then |= about.get("data", {})
    for key, before in then.items():
        if key not in now or key in run.calibrations or key.endswith(SET_BY_PLANS) or _same(before, now[key]):
            continue
        if _unknown(now[key]):  # such as the zero of an axis that was not flown yet since the session began
            continue
        if key.endswith(SHAPING):
            raise CannotResume(
                f"{key} was {_shown(before)} in {run.name}, and is {_shown(now[key])}: its pixels would not be "
                f"those of the run; set {key} back first"
            )
        yield f"{key} was {_shown(before)}, and is {_shown(now[key])} now"


def _unknown(value: Any) -> bool:
    return isinstance(value, float) and bool(np.isnan(value))


def _same(before: Any, after: Any) -> bool:
    try:  # JSON knows no NaN: what was not known is None there
        one, other = np.asarray(before, float), np.asarray(after, float)
    except (TypeError, ValueError):
        return bool(np.array_equal(np.asarray(before), np.asarray(after)))
    return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-6, equal_nan=True))


def _shown(value: Any) -> str:
    text = str(value.tolist() if isinstance(value, np.ndarray) else value)
    return text if len(text) <= 60 else f"{text[:57]}…"
