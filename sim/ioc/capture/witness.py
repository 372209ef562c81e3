"""Where everything was a moment ago: the motions of the axes as courses in time, and what else was looked at."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whiteline.sim.course import Course, sample_times
from whiteline.sim.gates import Gates
from whiteline.sim.ioc.capture.settings import INTERFEROMETER
from whiteline.sim.ioc.clock import Clock
from whiteline.sim.ioc.instrument import COARSE, FINE, ROTATION, Instrument, Readings
from whiteline.sim.ioc.motor_record.drive import Drive, Past
from whiteline.sim.ioc.motor_record.motor import Motor
from whiteline.sim.servo import Servo
from whiteline.sim.stages import StageErrors

BRAGG = "monochromator.bragg"

MOMENTS_KEPT = 20_000


@dataclass(frozen=True, eq=False)
class Scene:
    """What is known of the axes until now; nothing of it changes, so another thread may work on it.

    Parameters
    ----------
    motions : mapping of str to (Drive, Past)
        Of the axes that matter, by their paths.
    moments_s : ndarray of float64, shape (moments,)
        When everything was looked at, in the time by which axes move, ascending [s].
    moments : sequence of Readings
        What the axes read then.
    errors : StageErrors
        How stages shake and wobble.
    servo : Servo
        How the fine stage follows.
    landed_nm : tuple of float
        How far the coarse axes have landed from where they were sent [nm].
    later_s : float
        What is added to the time by which axes move, for the time since the start [s].
    """

    motions: Mapping[str, tuple[Drive, Past]]
    moments_s: NDArray[np.float64]
    moments: Sequence[Readings]
    errors: StageErrors
    servo: Servo
    landed_nm: tuple[float, ...]
    later_s: float

    def course(self, source: str, start_s: float, end_s: float) -> Course:
        """Return where a source of positions truly was from one time to another [s], in its unit.

        Parameters
        ----------
        source : str
            An axis by its path, or "sample.interferometer.x".
        start_s, end_s : float
            The end not yet to come [s].
        """
        if not source.startswith(INTERFEROMETER):
            times = sample_times(start_s, end_s)
            return Course(times, self._at(source, times))
        number = "xyz".index(source[-1])
        times = sample_times(start_s - self.servo.before_s, end_s)
        fine = self.servo.followed(Course(times, self._at(FINE[number], times)))
        first = max(int(np.searchsorted(times, start_s, "right")) - 1, 0)
        times, fine = times[first:], fine[first:]
        wobble_x, wobble_z = self.errors.wobbles_nm(self._at(ROTATION, times))
        errors_nm = self.landed_nm[number] + self.errors.vibrated_nm(number, times + self.later_s)
        errors_nm = errors_nm + (wobble_x, 0.0, wobble_z)[number]
        return Course(times, 1e3 * self._at(COARSE[number], times) + fine + 1e-3 * errors_nm)

    def gates(self, starts_s: NDArray[np.float64], lengths_s: NDArray[np.float64]) -> Gates:
        """Return what truly was so during gates, each of some length [s]; the last is over."""
        ends = starts_s + lengths_s
        span = float(starts_s[0]), float(ends.max())
        places = [self.course(f"{INTERFEROMETER}{axis}", *span) for axis in "xy"]
        rotation = self.course(ROTATION, *span)
        near = slice(
            max(int(np.searchsorted(self.moments_s, span[0], "right")) - 1, 0),
            int(np.searchsorted(self.moments_s, span[1], "left")) + 1,
        )
        return Gates(
            start_s=starts_s,
            length_s=lengths_s,
            sample_um=np.stack([one.mean(starts_s, ends) for one in places], axis=1),
            path_um=np.stack([one.at(ends) - one.at(starts_s) for one in places], axis=1),
            bragg=self.course(BRAGG, *span).mean(starts_s, ends),
            rotation_deg=rotation.mean(starts_s, ends),
            turn_deg=rotation.at(ends) - rotation.at(starts_s),
            moments_s=self.moments_s[near],
            moments=self.moments[near],
        )

    def _at(self, axis: str, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where an axis was at times [s]; one that there is not stands at 0."""
        if axis not in self.motions:
            return np.zeros(times_s.shape)
        drive, past = self.motions[axis]
        return drive.positions(past, times_s)


class Witness:
    """Looks at the beamline, and remembers.

    Parameters
    ----------
    motors : mapping of str to Motor
        By their paths.
    instrument : Instrument
        Where everything stands.
    errors : StageErrors
        How stages shake and wobble.
    servo : Servo
        How the fine stage follows.
    clock : Clock
        Its time.
    """

    def __init__(
        self,
        motors: Mapping[str, Motor],
        instrument: Instrument,
        errors: StageErrors,
        servo: Servo,
        clock: Clock,
    ) -> None:
        self._motors, self._instrument, self._clock = motors, instrument, clock
        self.errors, self._servo = errors, servo
        self._moments: deque[tuple[float, Readings]] = deque(maxlen=MOMENTS_KEPT)

    @property
    def speed(self) -> float:
        """How much faster axes move than wall time goes."""
        return self._clock.speed

    def now(self) -> float:
        """Return the time by which axes move [s]."""
        return time.monotonic() * self._clock.speed

    def look(self) -> None:
        """Look at everything, and remember it."""
        self._moments.append((self.now(), self._instrument.readings()))

    def scene(self, sources: Sequence[str] = (), since_s: float = float("-inf")) -> Scene:
        """Return what is known now.

        Parameters
        ----------
        sources : sequence of str
            Axes that matter beside those of the sample and the Bragg axis.
        since_s : float
            What was looked at longer ago does not matter, but for the last of it [s].
        """
        if not self._moments:
            self.look()
        kept: list[tuple[float, Readings]] = []
        for moment in reversed(self._moments):
            kept.append(moment)
            if moment[0] < since_s:
                break
        kept.reverse()
        axes = {*COARSE, *FINE, ROTATION, BRAGG, *sources} & set(self._motors)
        return Scene(
            motions={axis: (self._motors[axis].drive, self._motors[axis].drive.past) for axis in axes},
            moments_s=np.array([when for when, _ in kept]),
            moments=[readings for _, readings in kept],
            errors=self.errors,
            servo=self._servo,
            landed_nm=tuple(self._instrument.landed_nm(axis) for axis in COARSE),
            later_s=self._clock.now() - self.now(),
        )
