"""The files of the capture box: its own, and beside it the truth of it; both are written in a thread of their own."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import h5py

from whiteline.sim.full_field import FullFieldMicroscope
from whiteline.sim.ioc.capture.columns import Captured, Columns, attributes_of, attributes_of_truth, columns_of
from whiteline.sim.ioc.capture.lines_file import LinesFile
from whiteline.sim.ioc.capture.settings import CaptureSettings
from whiteline.sim.ioc.truth_file import write_species
from whiteline.sim.nanoprobe import Nanoprobe

FAILURES = (OSError, RuntimeError, ValueError)
"""What h5py raises when it cannot write."""

MEASURED, TRUTH = "entry/capture", "entry/truth"

Result = TypeVar("Result")


class Files:
    """The two files, open or not.

    Parameters
    ----------
    settings : CaptureSettings
        The box.
    truth : Path
        Beside which the truth is written.
    """

    def __init__(self, settings: CaptureSettings, truth: Path) -> None:
        self._settings, self._truth = settings, truth
        self._open: tuple[LinesFile, LinesFile] | None = None
        self._working = ThreadPoolExecutor(1, "capture")

    @property
    def pulses(self) -> int | None:
        """Pulses of each line of the open file; None if none is open."""
        return self._open[0].pulses if self._open else None

    def truth_of(self, path: Path) -> Path:
        """Return where the truth of a file is written."""
        return self._truth.with_name(f"{self._truth.stem}-{path.stem}.h5")

    async def create(
        self, path: Path, pulses: int, microscope: FullFieldMicroscope | Nanoprobe, windows: Iterable[str] = ()
    ) -> None:
        """Open both, with columns for windows of these names, and the sample in the truth; errors as in `LinesFile`."""

        def sample(file: h5py.File) -> None:
            file.attrs["seed"] = microscope.beam.seed
            write_species(file, microscope)

        def both() -> tuple[LinesFile, LinesFile]:
            measured = LinesFile(path, MEASURED, attributes_of(self._settings, windows), pulses)
            columns = attributes_of_truth(self._settings, isinstance(microscope, Nanoprobe))
            return measured, LinesFile(self.truth_of(path), TRUTH, columns, pulses, sample)

        self._open = await self._outside(both)

    async def append(self, captured: Captured, microscope: FullFieldMicroscope | Nanoprobe) -> int:
        """Append a line to both, and return how many there are.

        Raises
        ------
        OSError, RuntimeError, ValueError
            If it cannot be written.
        """
        assert self._open is not None
        measured, truth = self._open

        def write() -> int:
            nothing: tuple[Columns, Columns] = {}, {}
            line = columns_of(captured, self._settings, microscope) if captured.starts_s.size else nothing
            # the truth first: whoever sees a line finds it there
            truth.append(line[1])
            measured.append(line[0])
            return measured.lines

        return await self._outside(write)

    async def close(self) -> None:
        """Close both, if they are open."""
        if self._open:
            files, self._open = self._open, None
            for one in files:
                await self._outside(one.close)

    async def _outside(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._working, work)
