"""The position-capture box, which triggers detectors while axes move."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from whiteline.beamline.description.base import PV, Count, Device, NotNegative, Positive, Table
from whiteline.beamline.description.detectors import Files


class CaptureChannel(Table):
    """A position that the box reads.

    `source` is the path of an axis, whose encoder is wired to the box, or "sample.interferometer.x". `noise` is that of
    a reading at a bandwidth of 1 kHz, root mean square, in the unit of the source: for a gate of length T the mean
    position has noise · √(1 ms / T).
    """

    source: str = Field(min_length=1)
    noise: NotNegative

    def unit_in(self, units: Mapping[str, str]) -> str:
        """Return the unit of the channel, if units of axes are given by their paths."""
        return "um" if self.source.startswith("sample.interferometer.") else units[self.source]


class Capture(Device):
    """A box that compares a position with where pulses should be, triggers a detector, and writes a table by line.

    It writes `most_per_s` pulses per second for good, and holds `buffer` more. Counters are channels of [counters],
    which it counts during each gate.
    """

    prefix: PV
    channels: dict[str, CaptureChannel] = Field(min_length=1)
    counters: tuple[str, ...]
    detector: Literal["camera", "fluorescence"]
    most_per_s: Positive
    buffer: Count
    files: Files

    @model_validator(mode="after")
    def _once(self) -> Self:
        sources = [channel.source for channel in self.channels.values()]
        for source in sources:
            if sources.count(source) > 1:
                raise ValueError(f"{source!r} is read by two channels; one is enough")
        return self
