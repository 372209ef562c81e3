"""What takes part in lines, as fakes: in the right order or not at all; a triggered detector, documents of files."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import h5py
import numpy as np
from fakes import Broken, Fake, FakeDetector, World, finished
from ophyd.status import Status

from whiteline.analysis.checks import OutOfRange
from whiteline.analysis.laws.fly_line import FlyLine

NUMBERS = "entry/instrument/NDAttributes/NDArrayUniqueId"
"""Which exposure each frame is, counted from 1, as areaDetector writes it."""

Document = tuple[str, dict[str, Any]]


class LineForecast(NamedTuple):
    """What a line takes and leaves."""

    seconds: float
    frames: int
    bytes: int


class Failing(Status):
    """A status of a device that says of which."""

    def __init__(self, device: Any, sentence: str) -> None:
        super().__init__()
        self.device = device
        self.set_exception(Broken(sentence))


class Told:
    """What of a file was told of: a batch is told again until something new belongs to it."""

    def __init__(self, path: Path, datasets: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
        self._path, self._datasets = path, datasets
        self._uids: dict[str, str] = {}
        self.documents = 0

    def documents_of(self, first: int, stop: int) -> Iterator[Document]:
        """Yield the documents of a batch, those of the file before the first."""
        for key, (dataset, chunk) in self._datasets.items():
            if key not in self._uids:
                self._uids[key] = str(uuid4())
                parameters = {"dataset": dataset, "chunk_shape": list(chunk), "swmr": True}
                if chunk[1:] == (1,):
                    parameters |= {"chunk_shape": list(chunk[:1]), "squeeze": True}
                yield (
                    "stream_resource",
                    {
                        "uid": self._uids[key], "data_key": key, "mimetype": "application/x-hdf5", "run_start": "",
                        "uri": f"file://localhost{self._path}", "parameters": parameters,
                    },
                )  # fmt: skip
        for uid in self._uids.values():
            self.documents += 1
            yield (
                "stream_datum",
                {
                    "uid": str(uuid4()), "stream_resource": uid, "descriptor": "",
                    "indices": {"start": first, "stop": stop}, "seq_nums": {"start": 0, "stop": 0},
                },
            )  # fmt: skip


class FakePart(Fake):
    """What takes part in lines; it must be asked in the right order."""

    def __init__(self, name: str, world: World) -> None:
        super().__init__(name, world)
        self.staged, self.state = False, "idle"
        self.line_under_way: FlyLine | None = None

    def check_value(self, value: FlyLine) -> None:
        """Refuse what is no line."""
        if not isinstance(value, FlyLine):
            raise TypeError(f"{self.name} takes a FlyLine, not {value!r}")

    def forecast_line(self, line: FlyLine) -> LineForecast:
        """Say that it takes no time of its own."""
        return LineForecast(0.0, 0, 0)

    def stage(self) -> list[Any]:
        """Begin a run."""
        self.note("stage")
        if self.staged:
            raise Broken(f"{self.name} is staged already")
        self.staged = True
        return [self]

    def unstage(self) -> list[Any]:
        """End a run, and what is under way."""
        self.note("unstage")
        self.staged, self.state = False, "idle"
        return [self]

    def prepare(self, value: FlyLine) -> Any:
        """Be ready for a line."""
        self.note("prepare")
        self.check_value(value)
        if not self.staged:
            raise Broken(f"{self.name} is not staged")
        self.line_under_way, self.state = value, "prepared"
        return finished()

    def kickoff(self) -> Any:
        """Begin the line."""
        self.note("kickoff")
        if self.state != "prepared":
            raise Broken(f"{self.name} is {self.state}, and has no line to begin")
        self.state = "running"
        return finished()

    def complete(self) -> Any:
        """End it."""
        self.note("complete")
        if self.state != "running":
            raise Broken(f"{self.name} is {self.state}, and has no line to complete")
        self.state = "idle"
        return finished()

    def stop(self, *, success: bool = False) -> None:
        """End what is under way."""
        self.note("stop")
        self.state = "idle"

    def pause(self) -> None:
        """End what is under way: it is taken anew."""
        self.state = "idle"

    def resume(self) -> None:
        """Do nothing."""


class FakeTriggered(FakePart):
    """A detector that takes a frame at each pulse, but for those that it is told to miss."""

    SHAPE = (4, 6)
    SHARE = 0.9

    def __init__(self, detector: FakeDetector, *, readout_s: float = 0.0, folder: Path | None = None) -> None:
        super().__init__(f"{detector.name}", detector.world)
        self.detector, self.readout_s, self._folder = detector, readout_s, folder
        self.key = f"{detector.name}_{'image' if hasattr(detector, 'exposure') else 'spectra'}"
        self.mode = "software"
        self.most_per_s = 2000.0
        self._file: Any = None
        self._forget()

    def _forget(self) -> None:
        self.frames, self._batch, self._fresh = 0, (0, 0), False
        self._told: Told | None = None

    def gate_s(self, exposure_s: float) -> float:
        """Return the gate of an exposure."""
        return (exposure_s + self.readout_s) / self.SHARE if self.readout_s else exposure_s

    def check_value(self, value: FlyLine) -> None:
        """Refuse what is too fast for it."""
        super().check_value(value)
        if value.rate > self.most_per_s:
            raise OutOfRange(f"rate of {self.name}", value.rate, f"must be at most {self.most_per_s:g} 1/s", "1/s")

    def forecast_line(self, line: FlyLine) -> LineForecast:
        """Say how many frames it takes."""
        return LineForecast(0.0, line.pulses, line.pulses * 4 * int(np.prod(self.SHAPE)))

    def stage(self) -> list[Any]:
        """Begin a file."""
        super().stage()
        self._forget()
        path = Path("/nowhere") / f"{uuid4()}.h5"
        if self._folder is not None:
            path = self._folder / path.name
            self._file = h5py.File(path, "w", libver="latest", locking=False)
            self._file.create_dataset(
                "entry/data/data", (0, *self.SHAPE), "u4", maxshape=(None, *self.SHAPE), chunks=(1, *self.SHAPE)
            )
            self._file.create_dataset(NUMBERS, (0,), "i4", maxshape=(None,), chunks=(1000,))
            self._file.swmr_mode = True
        self._told = Told(path, {self.key: ("/entry/data/data", (1, *self.SHAPE))})
        return [self]

    def unstage(self) -> list[Any]:
        """End it, and put the mode back."""
        super().unstage()
        self.mode = "software"
        if self._file is not None:
            self._file.close()
            self._file = None
        return [self]

    def prepare(self, value: FlyLine) -> Any:
        """Wait for triggers."""
        self.mode = "external"
        return super().prepare(value)

    def kickoff(self) -> Any:
        """A new batch begins if the last was told of."""
        if not self._fresh:
            self._batch, self._fresh = (self._batch[1], self._batch[1]), True
        return super().kickoff()

    def take(self, number: int) -> int:
        """Take a frame at a pulse of the line, and return how many there are; the pixel says which one it is of."""
        if self._file is not None:
            data = self._file["entry/data/data"]
            data.resize(self.frames + 1, axis=0)
            data[self.frames] = number
            data.flush()
            numbers = self._file[NUMBERS]
            numbers.resize(self.frames + 1, axis=0)
            numbers[self.frames] = self.frames + 1
            numbers.flush()
        self.frames += 1
        return self.frames

    def describe_collect(self) -> dict[str, Any]:
        """Describe a frame."""
        return {
            self.key: {
                "source": "FAKE", "dtype": "array", "shape": list(self.SHAPE), "dtype_numpy": "<u4",
                "external": "STREAM:",
            }
        }  # fmt: skip

    def get_index(self) -> int:
        """Return how many frames there are."""
        return self.frames

    def collect_asset_docs(self, index: int | None = None) -> Iterator[Document]:
        """Tell of the frames of the batch."""
        self.note("collect")
        self._fresh, self._batch = False, (self._batch[0], self.frames)
        if self._told is not None and self._batch[1] > self._batch[0]:
            yield from self._told.documents_of(*self._batch)
