"""A catalog that all tests of the store share, and a detector that writes frames as an areaDetector IOC lets it."""

import itertools
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import pytest

from whiteline.beamline.description import Beamline, load
from whiteline.beamline.store.catalog import open_catalog
from whiteline.beamline.store.writing import Store


class FrameWriter:
    """A detector that writes points of frames into one HDF5 file a staging, in SWMR mode; frame n is full of n."""

    parent = None

    def __init__(self, name: str, folder: Path, frames: int = 2, shape: tuple[int, int] = (4, 6)) -> None:
        self.name, self.folder, self.frames, self.shape = name, folder, frames, shape
        self.key = f"{name}_image"
        self.files: list[Path] = []
        self._documents: deque[tuple[str, dict[str, Any]]] = deque()
        self._open: Any = None

    def stage(self) -> list[Any]:
        self._resource = str(uuid.uuid4())
        path = self.folder / f"{uuid.uuid4()}.h5"
        self.files.append(path)
        self._open = h5py.File(path, "w", libver="latest")
        chunk = (1, *self.shape)
        self._data = self._open.create_dataset(
            "entry/data/data", (0, *self.shape), "<u2", maxshape=(None, *self.shape), chunks=chunk
        )
        self._open.swmr_mode = True
        kwargs = {
            "frame_per_point": self.frames,
            "dataset": "entry/data/data",
            "chunk_shape": list(chunk),
            "swmr": True,
        }
        resource = {"uid": self._resource, "spec": "AD_HDF5_SWMR_STREAM", "root": "/", "resource_path": str(path)[1:]}
        self._documents.append(("resource", resource | {"resource_kwargs": kwargs, "path_semantics": "posix"}))
        self._numbers = itertools.count()
        return [self]

    def unstage(self) -> list[Any]:
        self._open.close()
        return [self]

    def trigger(self) -> Any:
        from ophyd.sim import NullStatus

        held = self._data.shape[0]
        self._data.resize(held + self.frames, axis=0)
        for frame in range(held, held + self.frames):
            self._data[frame] = frame
        self._data.flush()
        number = next(self._numbers)
        self._datum = f"{self._resource}/{number}"
        datum = {"datum_id": self._datum, "resource": self._resource, "datum_kwargs": {"point_number": number}}
        self._documents.append(("datum", datum))
        return NullStatus()

    def read(self) -> dict[str, Any]:
        return {self.key: {"value": self._datum, "timestamp": 1.0}}

    def describe(self) -> dict[str, Any]:
        described = {"source": self.name, "dtype": "array", "dtype_numpy": "<u2", "external": "FILESTORE:"}
        return {self.key: described | {"shape": [self.frames, *self.shape]}}

    def read_configuration(self) -> dict[str, Any]:
        return {}

    describe_configuration = read_configuration

    def collect_asset_docs(self) -> Iterator[Any]:
        while self._documents:
            yield self._documents.popleft()


@pytest.fixture
def detector(tmp_path: Path) -> Callable[..., FrameWriter]:
    """Make a detector that writes frames."""
    return lambda name="camera", **how: FrameWriter(name, tmp_path, **how)


@pytest.fixture(scope="session")
def beamline(tmp_path_factory: pytest.TempPathFactory) -> Beamline:
    """A beamline whose catalog lies in a folder of this session, and whose files may lie in any of its folders."""
    shipped, folder = load("txm"), tmp_path_factory.mktemp("catalog")
    assert shipped.camera is not None
    files = shipped.camera.files.model_copy(update={"write": folder.parent, "read": folder.parent})
    table = shipped.store.model_copy(update={"folder": folder})
    return shipped.model_copy(update={"store": table, "camera": shipped.camera.model_copy(update={"files": files})})


@pytest.fixture(scope="session")
def catalog(beamline: Beamline) -> Any:
    """The embedded catalog."""
    return open_catalog(beamline)


@pytest.fixture
def store(catalog: Any, tmp_path: Path) -> Iterator[Store]:
    """A store with a journal of its own."""
    with Store(catalog, tmp_path, events_per_write=3, folders=[tmp_path]) as one:
        yield one


@pytest.fixture
def engine() -> Any:
    """A RunEngine that handles no signals."""
    from bluesky import RunEngine

    return RunEngine(context_managers=[])
