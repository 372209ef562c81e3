"""The file plugin of a detector, as areaDetector's HDF5 plugin behaves: a file that grows while others read it."""

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from caproto import AlarmSeverity, AlarmStatus, SkipWrite

from whiteline.sim.ioc.area_detector.arrays import Array, Arrays, port_name
from whiteline.sim.ioc.area_detector.driver import Driver
from whiteline.sim.ioc.area_detector.hdf5_file import FramesFile
from whiteline.sim.ioc.area_detector.hdf5_folder import as_folder, file_in, ready
from whiteline.sim.ioc.area_detector.hdf5_records import HDF5Records
from whiteline.sim.ioc.area_detector.records import from_record, to_record, unhindered

FAILURES = (OSError, RuntimeError, ValueError)
"""What h5py raises when it cannot write."""

FIXED = (
    "DataType",
    "ColorMode",
    "NDimensions",
    "Dimensions",
    "NumRowChunks",
    "NumColChunks",
    "NumFramesChunks",
    "NumFramesFlush",
    "NumExtraDims",
    "PositionMode",
    "DimAttDatasets",
    "StoreAttr",
    "StorePerform",
)
"""Settings that have one value only: a frame is a chunk, and it is flushed."""


class HDF5Plugin(HDF5Records):
    """Records of the plugin, and how it writes.

    Modes are Single, where each array has its own file, and Stream. Capture writes as Stream does, at once and not when
    its buffer is full.

    Parameters
    ----------
    prefix : str
        Of the records, such as "TXM:camera:HDF1:".
    driver : Driver
        Whose arrays it gets.
    """

    def __init__(self, prefix: str, driver: Driver) -> None:
        super().__init__(prefix=prefix)
        self.fail_writes = False
        self._driver = driver
        self._file: FramesFile | None = None
        self._last: Arrays | None = None
        self._queued: set[asyncio.Task[None]] = set()
        # who captures, writes or ends waits for its turn, in the order of coming
        self._turn = asyncio.Lock()
        self._ended = asyncio.Event()
        self._writer = ThreadPoolExecutor(1, "hdf5")
        self._begin()
        driver.plugins.append(self)

    def _begin(self) -> None:
        """Set the records that depend on the driver, so that nobody needs a first array to know the size."""
        first = {
            "PortName_RBV": port_name(self.prefix),
            "NDArrayPort": self._driver.port,
            "NDArrayPort_RBV": self._driver.port,
            "DataType": self._driver["DataType_RBV"],
            "DataType_RBV": self._driver["DataType_RBV"],
            **self._sizes(self._driver.array_shape),
        }
        for name, value in first.items():
            self.attr_pvdb[name]._data["value"] = value
        self.attr_pvdb["Capture"].server_shutdown = self._shut_down

    async def accept(self, name: str, value: Any) -> Any:
        """Take what a client has put."""
        match name:
            case "Capture":
                await unhindered(self._capture() if value == "Capture" else self._end_capture())
                raise SkipWrite
            case "WriteFile":
                if value == "Write":
                    await unhindered(self._write_last())
                raise SkipWrite
            case "ReadFile":
                if value == "Read":
                    self.attr_pvdb[name].refuse()
                raise SkipWrite
            case "FilePath":
                value = as_folder(value)
            case "QueueSize":
                value = max(value, 1)
            case "NumCapture" | "FileNumber":
                value = max(value, 0)
        value = await super().accept(name, self[f"{name}_RBV"] if name in FIXED else value)
        if name == "FilePath":
            await self._check_folder()
        return value

    async def take(self, array: Array) -> None:
        """Take an array; with BlockingCallbacks it is processed on return, else it is queued."""
        if not self._listening:
            return
        if self["BlockingCallbacks_RBV"] == "Yes":
            await self._process(array.alone())
        elif len(self._queued) >= self["QueueSize_RBV"]:
            await self.lose()
        else:
            task = asyncio.create_task(self._process(array.alone()))
            self._queued.add(task)
            task.add_done_callback(self._queued.discard)

    async def take_many(self, arrays: Arrays) -> None:
        """Take many arrays, and return when they are processed."""
        if not self._listening:
            return
        await self._process(arrays)

    async def lose(self) -> None:
        """Count an array that never came."""
        if self._listening:
            await self.show_both("DroppedArrays", self["DroppedArrays_RBV"] + 1)

    async def drained(self) -> None:
        """Return when every array that was queued so far is processed."""
        if self._queued:
            await asyncio.wait(set(self._queued))

    @property
    def _listening(self) -> bool:
        return bool(self["EnableCallbacks_RBV"] == "Enable" and self["NDArrayPort_RBV"] == self._driver.port)

    async def _process(self, arrays: Arrays) -> None:
        async with self._turn:
            await self._show_last(arrays)
            if self["Capture_RBV"] == "Capture":
                await self._append(arrays)
            elif self["FileWriteMode_RBV"] == "Single" and self["AutoSave_RBV"] == "Yes":
                for number in range(len(arrays.pixels)):
                    await self._write_alone(arrays.part(number, number + 1))

    async def _show_last(self, arrays: Arrays) -> None:
        """Publish the last of the arrays that came."""
        self._last = arrays.part(len(arrays.pixels) - 1, len(arrays.pixels))
        for name, value in self._sizes(arrays.pixels.shape[1:]).items():
            await self.show(name, value)
        await self.show_both("ArrayCounter", self["ArrayCounter_RBV"] + len(arrays.pixels))
        await self.show("UniqueId_RBV", self._last.number)
        await self.show("TimeStamp_RBV", float(self._last.times_s[0]))

    async def _capture(self) -> None:
        """Start to capture, and return when it has ended, as the record's put completes."""
        async with self._turn:
            if self["Capture_RBV"] == "Done":
                if self["FileWriteMode_RBV"] == "Single":
                    await self._fail("files of single arrays need no capture: set FileWriteMode to Stream")
                    return
                await self.show("NumCaptured_RBV", 0)
                if self["LazyOpen_RBV"] == "No" and not await self._open(self._driver.array_shape):
                    return
                self._ended.clear()
                await self.show_both("Capture", "Capture")
        await self._ended.wait()

    async def _end_capture(self) -> None:
        async with self._turn:
            await self._end()

    async def _append(self, arrays: Arrays) -> None:
        wanted, captured = self["NumCapture_RBV"], self._file.count if self._file else 0
        # what comes beyond the wanted number is not written
        if await self._write(arrays.part(0, wanted - captured) if wanted > 0 else arrays):
            assert self._file is not None
            await self.show("NumCaptured_RBV", self._file.count)
            if not 0 < wanted <= self._file.count:
                return
        await self._end()

    async def _write_alone(self, arrays: Arrays) -> None:
        await self._write(arrays)
        await self._close()

    async def _write_last(self) -> None:
        """Write the array that came last into a file of its own."""
        async with self._turn:
            if self["Capture_RBV"] == "Capture":
                await self._fail("a capture is running: its arrays are written already")
            elif self._last is None:
                await self._fail("no array has come yet")
            else:
                await self.show_both("WriteFile", "Write")
                await self._write_alone(self._last)
                await self.show_both("WriteFile", "Done")

    async def _write(self, arrays: Arrays) -> bool:
        """Write arrays; False if that failed."""
        if self._file is None and not await self._open(arrays.pixels.shape[1:]):
            return False
        file = self._file
        assert file is not None

        def append() -> None:
            if self.fail_writes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            file.append(arrays)

        return await self._try(file.path, append)

    async def _open(self, shape: Sequence[int]) -> bool:
        """Open the next file; False if that failed."""
        if not await self._check_folder(tell=True):
            return False
        folder, name, template = (from_record(self[f"{one}_RBV"]) for one in ("FilePath", "FileName", "FileTemplate"))
        try:
            path = file_in(folder, name, self["FileNumber_RBV"], template)
        except ValueError as error:
            await self._fail(str(error))
            return False
        names = tuple(self._driver.attributes())
        swmr = self["SWMRMode_RBV"] == "On"
        suffix, dtype = from_record(self["TempSuffix_RBV"]), self._driver.source.dtype

        def create() -> None:
            self._file = FramesFile(path, suffix, shape, dtype, names, swmr)

        if not await self._try(path, create):
            return False
        if self["AutoIncrement_RBV"] == "Yes":
            await self.show_both("FileNumber", self["FileNumber_RBV"] + 1)
        await self.show("FullFileName_RBV", to_record(str(path)))
        await self.show("SWMRActive_RBV", "Active" if swmr else "Off")
        await self._tell("", failed=False)
        return True

    async def _end(self) -> None:
        """End the capture, if there is one."""
        await self._close()
        if self["Capture_RBV"] == "Capture":
            await self.show_both("Capture", "Done")
            self._ended.set()

    async def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            await self._try(file.path, file.close)
            await self.show("SWMRActive_RBV", "Off")

    async def _try(self, path: Path, work: Callable[[], None]) -> bool:
        """Work on a file in the thread of the writer; False if that failed, which is told."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, work)
        except FAILURES as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            await self._fail(f"{path.name} cannot be written: {why}")
            return False
        return True

    async def _check_folder(self, tell: bool = False) -> bool:
        """Show whether the folder is there, after making it if that is allowed."""
        why = ready(from_record(self["FilePath_RBV"]), self["CreateDirectory_RBV"])
        await self.show("FilePathExists_RBV", "No" if why else "Yes")
        if why and tell:
            await self._fail(why)
        return not why

    async def _fail(self, why: str) -> None:
        await self._tell(why, failed=True)

    async def _tell(self, message: str, failed: bool) -> None:
        await self.show("WriteMessage", to_record(message))
        await self.attr_pvdb["WriteStatus"].write(
            "Write error" if failed else "Write OK",
            verify_value=False,
            status=AlarmStatus.WRITE if failed else AlarmStatus.NO_ALARM,
            severity=AlarmSeverity.MAJOR_ALARM if failed else AlarmSeverity.NO_ALARM,
        )

    async def _shut_down(self, _: object) -> None:
        """Close the file, so that it can be read without repair."""
        await self._end_capture()

    def _sizes(self, shape: Sequence[int]) -> dict[str, int]:
        """Return what the records tell of arrays of a shape: there, the fastest axis is the first."""
        axes = dict(enumerate(reversed(shape)))
        sizes = {f"ArraySize{axis}{end}": axes.get(axis, 0) for axis in range(10) for end in ("", "_RBV")}
        sizes |= {f"ArraySize{letter}_RBV": axes.get(axis, 0) for axis, letter in enumerate("XYZ")}
        return sizes | {"NDimensions": len(shape), "NDimensions_RBV": len(shape)}
