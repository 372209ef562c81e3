"""Fly runs as documents and files: what a capture box and a triggered detector write, and what a flyer tells of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import h5py
import numpy as np
from event_model import StreamRange, compose_run, compose_stream_resource
from numpy.typing import NDArray

Document = tuple[str, dict[str, Any]]
Numbers = NDArray[np.float64]

MOVED = "region_y", "region_x"

FRAME = (4, 16)
"""Elements and channels of the triggered detector."""


@dataclass
class FlyRun:
    """A run that is told document by document; columns are added line by line."""

    folder: Path
    md: dict[str, Any]
    units: dict[str, str]
    pulses: int
    noise: float = 0.0005
    detector: str = ""
    numbered: bool = False
    frame: tuple[int, int] = FRAME
    key: str = "spectra"
    configuration: dict[str, Any] = field(default_factory=dict)
    moved: bool = False
    columns: list[str] = field(init=False)
    row: int = 0
    line: int = 0
    frames: int = 0

    def __post_init__(self) -> None:
        self.columns = list(self.units)
        path = self.folder / f"{uuid4()}.h5"
        self.file = h5py.File(path, "w", libver="latest", locking=False)
        group = self.file.create_group("entry/capture")
        for column, unit in self.units.items():
            one = group.create_dataset(
                column, (0, self.pulses), "f8", maxshape=(None, self.pulses), chunks=(1, self.pulses)
            )
            one.attrs["unit"] = unit
            if column.endswith("_mean"):
                one.attrs["noise"] = self.noise
        self.file.swmr_mode = True
        self.bundle = compose_run(metadata={"plan_name": "fly_raster", "scan_id": 3, **self.md})
        keys = {
            f"capture_{column}": {
                "source": "CA:capture",
                "dtype": "array",
                "shape": [self.pulses],
                "dtype_numpy": "<f8",
                "external": "STREAM:",
                "units": unit,
            }
            for column, unit in self.units.items()
        }
        self.descriptor = self._descriptor("fly", keys, "capture")
        self.resources = {
            column: self._resource(path, f"/entry/capture/{column}", f"capture_{column}", (1, self.pulses))
            for column in self.columns
        }
        if self.detector:
            own = self.folder / f"{uuid4()}.h5"
            self.frames_file = h5py.File(own, "w", libver="latest", locking=False)
            self.frames_data = self.frames_file.create_dataset(
                "entry/data/data", (0, *self.frame), "u4", maxshape=(None, *self.frame), chunks=(1, *self.frame)
            )
            if self.numbered:
                self.numbers = self.frames_file.create_dataset(
                    "entry/instrument/NDAttributes/NDArrayUniqueId", (0,), "i4", maxshape=(None,), chunks=(1000,)
                )
            self.frames_file.swmr_mode = True
            key = f"{self.detector}_{self.key}"
            about = {
                "source": "CA:det",
                "dtype": "array",
                "shape": list(self.frame),
                "dtype_numpy": "<u4",
                "external": "STREAM:",
            }
            self.frames_descriptor = self._descriptor(f"fly_{self.detector}", {key: about}, self.detector)
            self.frames_resource = self._resource(own, "/entry/data/data", key, (1, *self.frame))
        self.maps = self.bundle.compose_descriptor(
            name="primary",
            data_keys={
                key: {"source": "x", "dtype": "number", "shape": [], "units": "eV" if key == "energy" else "um"}
                for key in ("energy", *MOVED[: 2 * self.moved])
            },
            object_keys={"energy": ["energy"], **({"region": list(MOVED)} if self.moved else {})},
            configuration={},
        )

    def _descriptor(self, name: str, keys: dict[str, Any], device: str) -> Any:
        return self.bundle.compose_descriptor(
            name=name,
            data_keys=keys,
            object_keys={device: list(keys)},
            configuration={device: {"data": self.configuration, "timestamps": {}, "data_keys": {}}},
        ).descriptor_doc

    def _resource(self, path: Path, dataset: str, key: str, chunk: tuple[int, ...]) -> Any:
        return compose_stream_resource(
            mimetype="application/x-hdf5", uri=f"file://localhost{path}", data_key=key,
            parameters={"dataset": dataset, "chunk_shape": chunk, "swmr": True}, start=self.bundle.start_doc,
        )  # fmt: skip

    def begin(self) -> Iterator[Document]:
        yield "start", self.bundle.start_doc
        yield "descriptor", self.descriptor
        if self.detector:
            yield "descriptor", self.frames_descriptor
        for one in self.resources.values():
            yield "stream_resource", one.stream_resource_doc
        if self.detector:
            yield "stream_resource", self.frames_resource.stream_resource_doc

    def energy(self, energy: float, moved: tuple[float, float] | None = None) -> Iterator[Document]:
        data = {"energy": energy, **({} if moved is None else dict(zip(MOVED, moved, strict=True)))}
        if not self.maps.compose_event.event_counters.get("primary", 1) > 1:
            yield "descriptor", self.maps.descriptor_doc
        yield "event", self.maps.compose_event(data=data, timestamps=dict.fromkeys(data, 0.0))

    def fly(self, values: dict[str, Numbers], *, told: bool = True) -> Iterator[Document]:
        """Write a line; one that is not told of was taken again."""
        for column in self.columns:
            data = self.file[f"entry/capture/{column}"]
            data.resize(self.row + 1, axis=0)
            data[self.row] = values[column]
            data.flush()
        if told:
            for one in self.resources.values():
                yield (
                    "stream_datum",
                    one.compose_stream_datum(
                        indices=StreamRange(start=self.row, stop=self.row + 1),
                        seq_nums=StreamRange(start=self.line + 1, stop=self.line + 2),
                        descriptor=self.descriptor,
                    ),
                )
            self.line += 1
        self.row += 1

    def take(self, frames: NDArray[np.uint32], exposures: Sequence[int] = ()) -> Iterator[Document]:
        """Write frames of the detector."""
        first, self.frames = self.frames, self.frames + len(frames)
        self.frames_data.resize(self.frames, axis=0)
        self.frames_data[first:] = frames
        if self.numbered:
            self.numbers.resize(self.frames, axis=0)
            self.numbers[first:] = exposures
            self.numbers.flush()
        self.frames_data.flush()
        yield (
            "stream_datum",
            self.frames_resource.compose_stream_datum(
                indices=StreamRange(start=first, stop=self.frames),
                seq_nums=StreamRange(start=first + 1, stop=self.frames + 1),
                descriptor=self.frames_descriptor,
            ),
        )

    def end(self) -> Iterator[Document]:
        self.close()
        yield "stop", self.bundle.compose_stop()

    def close(self) -> None:
        self.file.close()
        if self.detector:
            self.frames_file.close()
