"""Camera, fluorescence detector, counters, optical spectrometer, and the bias source."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from whiteline.beamline.description.base import PV, Count, Device, NotNegative, Positive, Share, Table


def _absolute_folder(folder: Path) -> Path:
    expanded = folder.expanduser()
    if not expanded.is_absolute():
        raise ValueError("must be an absolute folder, or begin with ~: IOC and client may start in different ones")
    return expanded


Folder = Annotated[Path, AfterValidator(_absolute_folder)]


class Files(Table):
    """Where a detector's files lie: as its IOC writes them, and as the client reads them."""

    write: Folder
    read: Folder


class Camera(Device):
    """An areaDetector camera behind a scintillator and a visible-light objective.

    Triggered faster than it hands frames on, `most_per_s`, it holds `buffer` of them; beyond that it misses triggers.
    """

    prefix: PV
    sensor: tuple[Count, Count]
    pixel_um: Positive
    objective: Positive
    bits: Annotated[int, Field(ge=8, le=16)]
    efficiency: Share
    dark: NotNegative
    readout_s: NotNegative
    buffer: Count = 256
    most_per_s: Positive = 50.0
    files: Files


class Fluorescence(Device):
    """A fluorescence detector of several elements.

    Between two triggered spectra it is blind for `readout_s`. Triggered faster than it hands spectra on, `most_per_s`,
    it holds `buffer` of them; beyond that it misses triggers.
    """

    prefix: PV
    elements: Count
    bins: Count
    bin_eV: Positive
    dead_time_s: Positive
    solid_angle: Share
    readout_s: NotNegative = 0.0
    buffer: Count = 4096
    most_per_s: Positive = 2000.0
    files: Files


class Channel(Table):
    """One channel of the scaler with the amplifier before it."""

    number: Count
    amplifier: PV
    gains_V_per_A: tuple[Positive, ...] = Field(min_length=1)
    absorbed: Share

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if list(self.gains_V_per_A) != sorted(set(self.gains_V_per_A)):
            raise ValueError("gains_V_per_A must ascend, each once")
        return self


class Counters(Device):
    """A scaler and its channels, by name."""

    prefix: PV
    hz_per_V: Positive
    largest_V: Positive
    channels: dict[str, Channel] = Field(min_length=1)

    @model_validator(mode="after")
    def _numbers(self) -> Self:
        numbers = [channel.number for channel in self.channels.values()]
        for number in numbers:
            if numbers.count(number) > 1:
                raise ValueError(f"channel number {number} is used twice; each counter has its own")
        return self


class Spectrometer(Device):
    """An optical spectrometer for the light of the sample."""

    prefix: PV
    pixels: Count
    range_nm: tuple[Positive, Positive]

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if self.range_nm[0] >= self.range_nm[1]:
            raise ValueError(f"range_nm {list(self.range_nm)} must ascend; swap the two wavelengths")
        return self


class Bias(Device):
    """A voltage source for the sample."""

    prefix: PV
    low_V: FiniteFloat
    high_V: FiniteFloat

    @model_validator(mode="after")
    def _limits(self) -> Self:
        if self.low_V >= self.high_V:
            raise ValueError(f"low_V {self.low_V:g} must be below high_V {self.high_V:g}; swap the two limits")
        return self
