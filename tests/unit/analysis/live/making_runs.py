"""Runs with their documents and files, made for the tests: a stack with a known map, drift and magnification."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import h5py
import numpy as np
from event_model import compose_run
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter, map_coordinates

from whiteline.analysis.energies import by_regions
from whiteline.analysis.spectrum_files import Spectrum

EDGE = 8333.0
DARK = 100.0
Document = tuple[str, dict[str, Any]]


def references() -> tuple[Spectrum, Spectrum]:
    """Two species whose edges and white lines differ."""
    energy = np.arange(8180.0, 8640.0, 0.5)

    def one(name: str, shift: float, height: float, width: float) -> Spectrum:
        offset = energy - EDGE - shift
        step = 0.5 + np.arctan(offset / 1.5) / np.pi
        return Spectrum(name, energy, step + height / (1 + ((offset - 14) / width) ** 2) * 1.0)

    return one("NiO", 0.0, 1.2, 4.0), one("LiNiO2", 2.0, 0.7, 5.0)


def usual_energies() -> list[float]:
    return list(by_regions([(-120, -30, 30), (-10, 30, 2), (40, 70, 10), (90, 190, 50)], relative_to=EDGE).energies)


@dataclass
class Made:
    """A run as it is taken: documents in their order, files on the disk, and the truth."""

    folder: Path
    energies: Sequence[float]
    seed: int
    shape: tuple[int, int] = (64, 72)
    counts: float = 20_000.0
    frames: int = 2
    drift: NDArray[np.float64] | None = None
    magnification: NDArray[np.float64] | None = None
    third: bool = False
    md: dict[str, Any] = field(default_factory=dict)
    jump: float = 1.0
    similar_frames: bool = False
    positions: int = 1

    def __post_init__(self) -> None:
        self.source = np.random.default_rng(self.seed)
        self.position = 0
        rows, columns = (length + 64 for length in self.shape)
        first, second = references()

        def smooth(sigma: float, low: float, high: float) -> NDArray[np.float64]:
            noise = gaussian_filter(self.source.standard_normal((rows, columns)), sigma, mode="wrap")
            return low + (high - low) * (noise - noise.min()) / np.ptp(noise)

        self.wide_fraction = smooth(6, 0, 1)
        self.wide_jump = self.jump * smooth(3, 0.3, 1.2)
        # as of one sample: what is thick has a large jump, and absorbs more before the edge
        self.wide_background = smooth(4, 0.0, 0.1) + 0.6 * self.wide_jump
        spot = np.zeros((rows, columns))
        if self.third:
            spot[40:60, 44:70] = 1
        self.spot = spot
        self.absorption = [
            CubicSpline(one.energy, one.absorption)(np.asarray(self.energies)) for one in (first, second)
        ]
        self.hot = (5, 7)
        self.one_noise = self.source.standard_normal(self.shape, np.float32)
        self.handle = h5py.File(self.folder / f"{uuid4()}.h5", "w", libver="latest", locking=False)
        data = self.handle.create_group("entry/data")
        self.dataset = data.create_dataset(
            "data", (0, *self.shape), np.uint16, maxshape=(None, *self.shape), chunks=(1, *self.shape)
        )
        self.handle.swmr_mode = True
        self.path = Path(self.handle.filename)
        self.taken = 0
        self.clock = 1e9
        self.bundle = compose_run(
            metadata={"plan_name": "test", "scan_id": 1, "energies": list(self.energies), **self.md}
        )
        self.start = self.bundle.start_doc
        keys = {
            "camera_image": {
                "source": "x",
                "dtype": "array",
                "shape": [self.frames, *self.shape],
                "dtype_numpy": "<u2",
                "external": "FILESTORE:",
            },
            "energy": {"source": "x", "dtype": "number", "shape": [], "units": "eV"},
            "energy_magnification": {"source": "x", "dtype": "number", "shape": []},
            "energy_pixel": {"source": "x", "dtype": "number", "shape": [], "units": "nm"},
        }
        objects = {"camera": ["camera_image"], "energy": ["energy", "energy_magnification", "energy_pixel"]}
        label = {"position_index": {"source": "PLAN", "dtype": "integer", "shape": []}}
        self.streams = {}
        self.descriptors = {}
        for name in ("dark", "flat", "primary"):
            self.streams[name] = self.bundle.compose_descriptor(
                name=name,
                data_keys=keys | (label if name == "primary" and self.positions > 1 else {}),
                object_keys=objects | ({"position_index": ["position_index"]} if name == "primary" else {}),
                configuration={"camera": {"data": {"camera_binning": 2}, "timestamps": {}, "data_keys": {}}},
            )
            self.descriptors[name] = self.streams[name].descriptor_doc
        self.resource = self.bundle.compose_resource(
            spec="AD_HDF5_SWMR_STREAM",
            root=str(self.folder),
            resource_path=self.path.name,
            resource_kwargs={"frame_per_point": self.frames, "dataset": "entry/data/data"},
        )

    # truth

    def fraction(self) -> NDArray[np.float64]:
        return self._placed(self.wide_fraction, (0.0, 0.0), 1.0)

    def _placed(self, wide: NDArray[np.float64], shift: tuple[float, float], scale: float) -> NDArray[np.float64]:
        """The part of a wide map that the camera sees, its content moved and enlarged about the middle."""
        wide = np.roll(wide, 37 * self.position, axis=1)  # another place of the sample
        rows, columns = (np.arange(length) - (length - 1) / 2 for length in self.shape)
        y, x = (
            (one / scale - moved + (length - 1) / 2)
            for one, moved, length in zip((rows, columns), shift, wide.shape, strict=True)
        )
        return map_coordinates(
            wide, np.meshgrid(y, x, indexing="ij"), order=1 if self.similar_frames else 5, mode="nearest"
        )

    # documents

    def begin(self) -> Iterator[Document]:
        yield "start", self.start
        for name in ("dark", "flat", "primary"):
            yield "descriptor", self.descriptors[name]
        yield "resource", self.resource.resource_doc

    def frame(self, index: int | None, kind: str) -> NDArray[np.uint16]:
        beam = self.counts * (1 + 0.2 * np.sin(np.arange(self.shape[1]) / 9))[None] * np.ones(self.shape)
        if kind == "dark":
            mean = np.zeros(self.shape)
        elif kind == "flat":
            mean = beam
        else:
            shift = (0.0, 0.0) if self.drift is None else tuple(self.drift[index])
            scale = 1.0 if self.magnification is None else self.magnification[index] / self.magnification[0]
            first, second = (one[index] for one in self.absorption)
            fraction, jump = self.wide_fraction, self.wide_jump
            density = self.wide_background + jump * ((1 - fraction) * first + fraction * second)
            density = density + self.spot * 0.25 * np.exp(-(((self.energies[index] - EDGE - 14) / 5) ** 2))
            mean = beam * np.exp(-self._placed(density, shift, scale))
        if self.similar_frames:  # for speed: one normal noise, moved about
            noise = np.stack(
                [np.roll(self.one_noise, 7 * step + self.taken, axis=(0, 1)) for step in range(self.frames)]
            )
            raw = mean + noise * np.sqrt(mean + 1) + DARK
        else:
            raw = self.source.poisson(mean, (self.frames, *self.shape)) + self.source.normal(
                DARK, 1.0, (self.frames, *self.shape)
            )
        raw[:, self.hot[0], self.hot[1]] += 3000
        return np.clip(np.rint(raw), 0, 65535).astype(np.uint16)

    def point(
        self,
        kind: str,
        index: int = 0,
        seq_num: int | None = None,
        *,
        written: bool = True,
        spoilt: bool = False,
    ) -> Iterator[Document]:
        """One point: frames into the file, then its documents. With a number it is measured anew."""
        name = "primary" if kind == "sample" else kind
        if written:
            frames = self.frame(index, kind)
            if spoilt:
                frames = self.frame(index, "flat")
            self.dataset.resize(self.taken + self.frames, axis=0)
            self.dataset[self.taken :] = frames
            self.dataset.flush()
        datum = self.resource.compose_datum(datum_kwargs={"point_number": self.taken // self.frames})
        self.taken += self.frames
        self.clock += 1.0
        yield "datum", datum
        magnification = 30.0 if self.magnification is None else float(self.magnification[index])
        data = {
            "camera_image": datum["datum_id"],
            "energy": float(self.energies[index]),
            "energy_magnification": magnification,
            "energy_pixel": 20.0,
        }
        if name == "primary" and self.positions > 1:
            data["position_index"] = self.position
        event = self.streams[name].compose_event(
            data=data, timestamps=dict.fromkeys(data, self.clock), filled={"camera_image": False}, time=self.clock
        )
        if seq_num is not None:
            event = {**event, "seq_num": seq_num}
            self.streams[name].compose_event.event_counters[name] -= 1
        yield "event", event

    def end(self) -> Iterator[Document]:
        self.handle.close()
        yield "stop", self.bundle.compose_stop()

    def whole(self, order: Sequence[int] | None = None, flats: str = "after") -> Iterator[Document]:
        """A whole run, in some order of the energies, flats before or after each frame, or at the end."""
        yield from self.begin()
        for _ in range(4):
            yield from self.point("dark")
        chosen = list(range(len(self.energies))) if order is None else list(order)
        if flats == "once":
            yield from self.point("flat", chosen[0])
        for index in chosen:
            if flats == "before":
                yield from self.point("flat", index)
            for place in range(self.positions):
                self.position = place
                yield from self.point("sample", index)
            if flats == "after":
                yield from self.point("flat", index)
        if flats == "once":
            yield from self.point("flat", chosen[-1])
        yield from self.end()
