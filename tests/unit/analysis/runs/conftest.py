"""Runs made by the RunEngine with a camera that writes true files, and an embedded catalog in a temporary folder."""

import json
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

# the maker of fly scans, though tests are no package; behind what others look for
sys.path.append(str(Path(__file__).parent.parent / "fly"))

Documents = list[tuple[str, dict[str, Any]]]


class FileCamera:
    """Triggers, and writes frames of random counts into a file of its own at each staging, as areaDetector does."""

    parent = None

    def __init__(
        self, folder: Path, source: np.random.Generator, *, shape: tuple[int, int] = (6, 7), frames: int = 3
    ) -> None:
        self.name = "camera"
        self.folder, self.source, self.shape, self.frames = folder, source, shape, frames
        self.taken: list[NDArray[np.uint16]] = []
        self.documents: list[tuple[str, dict[str, Any]]] = []
        self.paths: list[Path] = []

    def stage(self) -> list[Any]:
        from event_model import compose_resource

        path = self.folder / f"{uuid.uuid4()}.h5"
        self.paths.append(path)
        self.file = h5py.File(path, "w", libver="latest")
        self.data = self.file.create_dataset(
            "entry/data/data", (0, *self.shape), "<u2", maxshape=(None, *self.shape), chunks=(1, *self.shape)
        )
        self.file.swmr_mode = True
        self.points = 0
        bundle = compose_resource(
            spec="AD_HDF5_SWMR_STREAM",
            root="/",
            resource_path=str(path).lstrip("/"),
            resource_kwargs={
                "frame_per_point": self.frames,
                "dataset": "entry/data/data",
                "chunk_shape": [1, *self.shape],
                "swmr": True,
            },
            path_semantics="posix",
        )
        resource = dict(bundle.resource_doc)
        resource.pop("run_start", None)
        self.compose_datum = bundle.compose_datum
        self.documents.append(("resource", resource))
        return [self]

    def unstage(self) -> list[Any]:
        self.file.close()
        return [self]

    def trigger(self) -> Any:
        from ophyd.status import StatusBase

        raw = self.source.integers(0, 2**16, (self.frames, *self.shape), np.uint16)
        self.taken.append(raw)
        held = self.data.shape[0]
        self.data.resize(held + self.frames, axis=0)
        self.data[held:] = raw
        self.data.flush()
        datum = dict(self.compose_datum(datum_kwargs={"point_number": self.points}))
        self.documents.append(("datum", datum))
        self.last, self.points = datum["datum_id"], self.points + 1
        status = StatusBase()
        status.set_finished()
        return status

    def read(self) -> dict[str, Any]:
        return {"camera_image": {"value": self.last, "timestamp": time.time()}}

    def describe(self) -> dict[str, Any]:
        described = {"source": "PV:camera", "dtype": "array", "shape": [self.frames, *self.shape]}
        return {"camera_image": described | {"dtype_numpy": "<u2", "external": "FILESTORE:"}}

    def collect_asset_docs(self) -> Iterator[tuple[str, dict[str, Any]]]:
        ready, self.documents = self.documents, []
        yield from ready

    def read_configuration(self) -> dict[str, Any]:
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        return {}


@dataclass
class Taken:
    """A run, and the truth about it."""

    camera: FileCamera
    energies: list[float]
    documents: Documents = field(default_factory=list)
    raw: dict[str, list[NDArray[np.uint16]]] = field(default_factory=lambda: {"dark": [], "flat": [], "primary": []})
    discarded: list[NDArray[np.uint16]] = field(default_factory=list)

    def mean(self, stream: str) -> NDArray[np.float64]:
        return np.array([one.mean(axis=0, dtype=float) for one in self.raw[stream]])


@pytest.fixture
def source(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture
def camera(tmp_path: Path, source: np.random.Generator) -> FileCamera:
    return FileCamera(tmp_path, source)


@pytest.fixture(scope="session")
def engine() -> Any:
    from bluesky import RunEngine

    return RunEngine(context_managers=[])


Take = Callable[..., Taken]


@pytest.fixture
def take(camera: FileCamera, engine: Any) -> Take:
    """Take a stack: darks, then a flat and the sample at each energy, all in one file of one staging.

    `again` names points (stream, seq_num) that are taken again after a pause; `stray` energies before whose sample a
    trigger comes to nothing.
    """

    def one(
        energies: Sequence[float] = (8300.0, 8310.0, 8320.0, 8330.0),
        *,
        again: Sequence[tuple[str, int]] = (),
        stray: Sequence[float] = (),
        subscribers: Sequence[Any] = (),
        md: dict[str, Any] | None = None,
    ) -> Taken:
        import bluesky.plan_stubs as bps
        from bluesky.utils import Msg, RunEngineInterrupted
        from ophyd.sim import SynAxis

        energy = SynAxis(name="energy", readback_func=lambda value: value + 0.01)
        taken, paused = Taken(camera, list(energies)), set[tuple[str, int]]()
        counts = dict.fromkeys(taken.raw, 0)

        def point(stream: str, *others: Any) -> Generator[Msg, Any, None]:
            counts[stream] += 1
            yield from bps.checkpoint()
            yield from bps.trigger_and_read([camera, *others], name=stream)
            me = stream, counts[stream]
            if me in again and me not in paused:
                paused.add(me)
                taken.discarded.append(camera.taken[-1])
                yield from bps.pause()
            # what the RunEngine does again lies behind this line, too
            yield Msg("null")
            taken.raw[stream].append(camera.taken[-1])

        def plan() -> Generator[Msg, Any, None]:
            yield from bps.stage(camera)
            yield from bps.open_run({"plan_name": "xanes_stack", "energies": list(energies), **(md or {})})
            for _ in range(2):
                yield from point("dark")
            for value in energies:
                yield from bps.checkpoint()
                yield from bps.mv(energy, value)
                yield from point("flat", energy)
                if value in stray:
                    yield from bps.trigger(camera, wait=True)
                    taken.discarded.append(camera.taken[-1])
                yield from point("primary", energy)
            yield from bps.checkpoint()
            yield from bps.close_run()
            yield from bps.unstage(camera)

        tokens = [engine.subscribe(one) for one in subscribers]
        tokens.append(
            engine.subscribe(lambda name, document: taken.documents.append((name, json.loads(json.dumps(document)))))
        )
        try:
            try:
                engine(plan())
            except RunEngineInterrupted:
                while engine.state == "paused":
                    try:
                        engine.resume()
                    except RunEngineInterrupted:
                        continue
        finally:
            for token in tokens:
                engine.unsubscribe(token)
        return taken

    return one


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An embedded catalog that may read all files of this session's tests."""
    folder = tmp_path_factory.mktemp("catalog")
    (folder / "arrays").mkdir()
    settings = {
        "catalog": {
            "uri": f"sqlite:///{folder}/catalog.db",
            "writable_storage": [f"file://localhost{folder}/arrays", f"sqlite:///{folder}/tables.db"],
            "readable_storage": [str(tmp_path_factory.getbasetemp())],
            "init_if_not_exists": True,
            "specs": [{"name": "CatalogOfBlueskyRuns", "version": "3.0"}],
        }
    }
    (folder / "profile.yml").write_text(json.dumps({folder.name: {"direct": settings}}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import databroker
        from tiled import profiles

        profiles.paths.append(folder)
        profiles.load_profiles.cache_clear()
        yield databroker.catalog[folder.name]
        profiles.paths.remove(folder)
