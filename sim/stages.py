"""How stages miss, shake and wobble, and what an interferometer and an encoder say of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whiteline.sim.noise import Stream, generator, stream


@dataclass(frozen=True)
class StageErrors:
    """Errors of the sample stages.

    Parameters
    ----------
    repeatability_nm : float
        Of the coarse stage: root mean square of where it lands around where it was sent [nm].
    wobble_nm : float
        Of the rotation: largest distance of its axis from the mean one [nm].
    vibration_nm : float
        Of the fine stage, root mean square [nm].
    vibration_Hz : tuple of float
        Frequencies that share the vibration [1/s].
    interferometer_nm : float
        Noise of one reading of the interferometer, root mean square [nm].
    interferometer_Hz : float
        Readings per second [1/s].
    encoder_urad : float
        Noise of the encoder of the Bragg axis, root mean square [µrad].
    seed : int
        Of the beamline.
    """

    repeatability_nm: float
    wobble_nm: float
    vibration_nm: float
    vibration_Hz: tuple[float, ...]
    interferometer_nm: float
    interferometer_Hz: float
    encoder_urad: float
    seed: int

    def landed_nm(self, axis: int, move: int) -> float:
        """Return how far the coarse stage lands from where it was sent, for a move of an axis [nm]."""
        return float(self.repeatability_nm * generator(stream(self.seed, Stream.LANDING, axis, move)).standard_normal())

    def wobbled_nm(self, rotation_deg: float) -> tuple[float, float]:
        """Return how far the axis of rotation stands beside its mean place (x, z) at an angle [deg] [nm]."""
        x, z = self.wobbles_nm(np.array(rotation_deg))
        return float(x), float(z)

    def wobbles_nm(self, rotations_deg: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the same at many angles [deg]: x and z [nm], each of their shape."""
        phase = np.deg2rad(rotations_deg)
        return np.asarray(self.wobble_nm * np.cos(phase)), np.asarray(self.wobble_nm * np.sin(2 * phase))

    def vibrated_nm(self, axis: int, time_s: ArrayLike) -> NDArray[np.float64]:
        """Return how far the fine stage is shaken off, along an axis at times [s] [nm], shape of the times."""
        phases = generator(stream(self.seed, Stream.VIBRATION, axis)).uniform(0, 2 * np.pi, len(self.vibration_Hz))
        # sines of equal amplitude: each has the square A²/2, and together that of the whole
        amplitude = self.vibration_nm * np.sqrt(2 / len(self.vibration_Hz))
        angles = 2 * np.pi * np.multiply.outer(time_s, self.vibration_Hz) + phases
        return np.asarray(amplitude * np.sin(angles).sum(axis=-1))

    def interferometer(self, axis: int, position_nm: float, time_s: float, dwell_s: float) -> tuple[float, float]:
        """Return mean and root mean square of the interferometer's readings over a dwell [nm].

        Parameters
        ----------
        axis : int
            Number of its channel.
        position_nm : float
            Where the stage stands without vibration [nm].
        time_s, dwell_s : float
            When the dwell begins, and how long it is [s].
        """
        readings = max(1, round(dwell_s * self.interferometer_Hz))
        times = time_s + np.arange(readings) / self.interferometer_Hz
        source = generator(stream(self.seed, Stream.INTERFEROMETER, axis, round(time_s * self.interferometer_Hz)))
        values = position_nm + self.vibrated_nm(axis, times) + self.interferometer_nm * source.standard_normal(readings)
        return float(values.mean()), float(values.std())

    def encoder_urad_of(self, reading: int) -> float:
        """Return the error of a reading of the Bragg encoder, by its number [µrad]."""
        return float(self.encoder_urad * generator(stream(self.seed, Stream.ENCODER, reading)).standard_normal())
