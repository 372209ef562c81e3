"""What a camera is set to, and what of it is possible."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from whiteline.analysis.checks import OutOfRange, require_between, require_finite, require_positive

LONGEST_EXPOSURE_S = 3600.0
"""Nobody exposes longer; a number beyond is a slip, such as milliseconds [s]."""


@dataclass(frozen=True)
class CameraSettings:
    """Settings of a camera.

    Parameters
    ----------
    exposure : float
        Of a frame [s].
    readout : float
        Dead time after each frame [s], for estimates of time; it is not put to the camera.
    frames : int
        Frames that a trigger takes.
    roi : tuple of int
        Region of the sensor that is read (x, y, width, height), in its unbinned pixels.
    binning : int
        Pixels that are added along each side.
    trigger_mode : str
        By what a frame is started, in the words of the IOC.
    pulse_wait : float
        How long each frame waits for its pulse at most, if it is not started by the camera itself [s].
    """

    exposure: float
    readout: float
    frames: int
    roi: tuple[int, int, int, int]
    binning: int
    trigger_mode: str
    pulse_wait: float

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the settings."""
        return tuple(field.name for field in fields(cls))

    def changed(self, values: Mapping[str, Any]) -> Self:
        """Return these settings with some others."""
        return replace(self, **values)

    def require(self, name: str, sensor: tuple[int, int], trigger_modes: Sequence[str]) -> None:
        """Refuse what is not possible.

        Parameters
        ----------
        name : str
            Of the camera.
        sensor : tuple of int
            Rows and columns.
        trigger_modes : sequence of str
            That the IOC lists.

        Raises
        ------
        OutOfRange, ValueError
            With name, value, limit, unit and remedy.
        """
        require_positive(self.exposure, f"exposure of {name}", "s")
        require_between(
            self.exposure,
            0.0,
            LONGEST_EXPOSURE_S,
            f"exposure of {name}",
            "s",
            "give it in seconds, or take more frames",
        )
        for what in ("readout", "pulse_wait"):
            value = getattr(self, what)
            require_finite(value, f"{what} of {name}", "s")
            if value < 0:
                raise OutOfRange(f"{what} of {name}", value, "must not be negative", "s")
        for what in ("frames", "binning"):
            _require_count(getattr(self, what), f"{what} of {name}")
        if self.trigger_mode not in trigger_modes:
            words = ", ".join(trigger_modes)
            raise ValueError(f"trigger_mode of {name} {self.trigger_mode!r} is not one of those of its IOC: {words}")
        self._require_region(name, sensor)

    def _require_region(self, name: str, sensor: tuple[int, int]) -> None:
        if len(self.roi) != 4:
            raise ValueError(f"roi of {name} {self.roi} must be (x, y, width, height) in unbinned pixels of the sensor")
        x, y, width, height = self.roi
        for what, first, count, most in (("x", x, width, sensor[1]), ("y", y, height, sensor[0])):
            side = {"x": "width", "y": "height"}[what]
            _require_count(first, f"roi {what} of {name}", least=0)
            _require_count(count, f"roi {side} of {name}")
            if first + count > most:
                raise OutOfRange(
                    f"roi {side} of {name}",
                    count,
                    f"from {what} = {first} leaves the sensor, which ends at {most}",
                    "pixels",
                    f"take at most {max(most - first, 0)}, or begin nearer to 0",
                )
            if count % self.binning:
                raise OutOfRange(
                    f"roi {side} of {name}",
                    count,
                    f"must be a multiple of the binning {self.binning}",
                    "pixels",
                    f"take {max(count // self.binning, 1) * self.binning}, or set roi and binning together",
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the data of one trigger: frames, rows, columns."""
        return self.frames, self.roi[3] // self.binning, self.roi[2] // self.binning

    @property
    def shape_on_sensor(self) -> tuple[tuple[int, int, int, int], int]:
        """Region and binning, which are put together."""
        return self.roi, self.binning

    def duration(self, internal: bool, period: float = 0.0) -> float:
        """Return how long a trigger takes [s].

        Parameters
        ----------
        internal : bool
            Whether the camera starts its frames itself.
        period : float
            From the start of a frame to that of the next, at least [s].
        """
        frame = max(self.exposure + self.readout, period)
        return self.frames * (frame if internal else frame + self.pulse_wait)


def _require_count(value: Any, what: str, least: int = 1) -> None:
    """Refuse what is no whole number, or too small."""
    if isinstance(value, bool) or int(value) != value or value < least:
        raise OutOfRange(what, float(value), f"must be a whole number from {least} on")
