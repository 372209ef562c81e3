"""The HDF5 file of a detector: areaDetector's file plugin as ophyd has it, that neither stalls nor loses in silence.

The stock class waits for ever where the file cannot be opened, and after the loss of its IOC it can be neither unstaged
nor staged. Here its settings are put by the errands of the detector, one by one, each with a limit of time. The
documents are those of the stock class.
"""

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from ophyd import EpicsSignalRO
from ophyd.areadetector.filestore_mixins import FileStoreHDF5IterativeWrite
from ophyd.areadetector.paths import EpicsPathSignal
from ophyd.areadetector.plugins import HDF5Plugin_V34

from whiteline.devices.asking import SETTLE_S
from whiteline.devices.detector_parts import Part, monitored
from whiteline.devices.errands import Errand
from whiteline.devices.errors import DeviceError
from whiteline.devices.lost_puts import put
from whiteline.devices.settings import settle

DATASET = "entry/data/data"
"""Where the frames lie in a file, as areaDetector lays it out."""

SUFFIX = "_000000.h5"
"""End of the name of a file: one file a staging, so its number is always the first."""


class FramesLost(DeviceError):
    """Frames that were asked for and did not reach the file."""


class FramesFile(Part, FileStoreHDF5IterativeWrite, HDF5Plugin_V34):
    """The file plugin of a detector.

    Parameters
    ----------
    write_path_template, read_path_template : str
        The folder as the IOC writes into it, and as a client reads from it; both may hold the marks of `strftime`.
    """

    woken_by = ("capture", "num_captured", "write_status", "dropped_arrays", "full_file_name")

    enable = monitored("EnableCallbacks", string=True)
    blocking_callbacks = monitored("BlockingCallbacks", string=True)
    nd_array_port = monitored("NDArrayPort", string=True)
    array_counter = monitored("ArrayCounter")
    dropped_arrays = monitored("DroppedArrays")
    width = monitored("ArraySize0_RBV", EpicsSignalRO)
    height = monitored("ArraySize1_RBV", EpicsSignalRO)
    create_directory = monitored("CreateDirectory")
    auto_increment = monitored("AutoIncrement", string=True)
    auto_save = monitored("AutoSave", string=True)
    lazy_open = monitored("LazyOpen", string=True)
    swmr_mode = monitored("SWMRMode", string=True)
    num_frames_chunks = monitored("NumFramesChunks")
    num_frames_flush = monitored("NumFramesFlush")
    file_path = monitored("FilePath", EpicsPathSignal, path_semantics="posix")
    file_path_exists = monitored("FilePathExists_RBV", EpicsSignalRO)
    file_name = monitored("FileName", string=True)
    file_number = monitored("FileNumber")
    file_template = monitored("FileTemplate", string=True)
    file_write_mode = monitored("FileWriteMode", string=True)
    full_file_name = monitored("FullFileName_RBV", EpicsSignalRO, string=True)
    num_capture = monitored("NumCapture")
    num_captured = monitored("NumCaptured_RBV", EpicsSignalRO)
    capture = monitored("Capture")
    write_status = monitored("WriteStatus", EpicsSignalRO, string=True)
    write_message = monitored("WriteMessage", EpicsSignalRO, string=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._errors = self._errors_before = 0
        super().__init__(*args, **kwargs)
        self.filestore_spec = "AD_HDF5_SWMR_STREAM"
        self.stage_sigs = OrderedDict(
            enable="Enable",
            blocking_callbacks="Yes",
            create_directory=-3,
            auto_increment="Yes",
            auto_save="Yes",
            array_counter=0,
            num_capture=0,
            num_frames_chunks=1,
            num_frames_flush=1,
            # a plugin learns the size of frames when one comes: opened before, the file would take that of the last one
            lazy_open="Yes",
            swmr_mode="On",
            file_write_mode="Stream",
            file_template="%s%s_%6.6d.h5",
        )

    def place(self, write: str, read: str) -> None:
        """Say where the files of the next stagings lie.

        Parameters
        ----------
        write, read : str
            The folder as the IOC sees it, and as clients do.
        """
        windows = PureWindowsPath(write).drive != ""
        self.path_semantics = "windows" if windows else "posix"
        self.file_path.path_semantics = "nt" if windows else "posix"
        self.read_path_template, self.write_path_template = read, write

    @write_status.sub_value
    def _count_errors(self, value: Any = None, **_: Any) -> None:
        # the record keeps the error of an earlier file until the next one is opened
        self._errors += value == "Write error"

    @property
    def failed(self) -> bool:
        """Whether the plugin has met an error since its file was made ready."""
        return self._errors > self._errors_before

    @property
    def path(self) -> str:
        """Where clients read the file of this staging."""
        return str(self._fn)

    @property
    def ended(self) -> bool:
        """Whether the file takes no more frames."""
        return self.failed or self.capture.get() != 1

    @property
    def needed_signals(self) -> Sequence[Any]:
        """Signals without which no file can be written."""
        return self.capture, self.num_captured, self.write_status

    def open(self, errand: Errand, shape: Sequence[int]) -> None:
        """Make the next file ready to take frames; its settings are in force already.

        Parameters
        ----------
        errand : Errand
            To wait by.
        shape : sequence of int
            Of the data of one point: frames first.

        Raises
        ------
        DeviceError
            If its folder does not exist, or the capture does not start.
        """
        name, read, write = self.make_filename()
        separator = "\\" if self.path_semantics == "windows" else "/"
        folder = write if write.endswith(separator) else write + separator
        settle(errand, self.file_path, folder, self.wake)
        settle(errand, self.file_name, name, self.wake)
        settle(errand, self.file_number, 0, self.wake)
        if not errand.ask(self.file_path_exists, SETTLE_S):
            raise DeviceError(
                f"{self.name} cannot write into {folder}: its IOC says that the folder does not exist or may not be "
                "written into; make it, or correct the path"
            )
        self._errors_before = self._errors
        # the record completes a capture when it ends, so this put must not wait for that
        put(self.capture, 1, force=True)
        errand.until(
            lambda: self.capture.get() == 1 or self.failed,
            SETTLE_S,
            lambda: f"{self.capture.pvname} to start: {self.trouble()}",
        )
        if self.capture.get() != 1:
            raise DeviceError(f"{self.name} could not start a file in {folder}: {self.trouble()}")
        self._fp, self._fn = read, f"{read}{name}{SUFFIX}"
        self._locked_key_list = False
        self._point_counter = itertools.count()
        self._datum_uids.clear()
        self._generate_resource(
            {"frame_per_point": shape[0], "dataset": DATASET, "chunk_shape": [1, *shape[1:]], "swmr": True}
        )

    def close(self, errand: Errand) -> None:
        """End the capture, and wait until the file is closed."""
        if self.capture.get() == 0:
            return
        put(self.capture, 0, force=True)
        errand.until(lambda: self.capture.get() == 0, SETTLE_S, f"{self.capture.pvname} to end")

    def require_opened(self, errand: Errand) -> None:
        """Raise unless the file that the plugin writes is the one that the documents name."""
        wanted = PurePosixPath(self._fn).name
        errand.until(
            lambda: str(self.full_file_name.get()).endswith(wanted),
            SETTLE_S,
            lambda: f"{self.full_file_name.pvname} to name the file {wanted}; it is {self.full_file_name.get()!r}",
        )

    def trouble(self) -> str:
        """Return what the plugin says of its last error."""
        return str(self.write_message.get()) or "it does not say why"

    def forget(self) -> None:
        """Forget the file of a staging that has ended."""
        self._locked_key_list, self._resource_uid = False, None
        self._asset_docs_cache.clear()

    def read_configuration(self) -> dict[str, dict[str, Any]]:
        """Return nothing: its settings are the same at each staging."""
        return {}

    def describe_configuration(self) -> dict[str, dict[str, Any]]:
        """Return nothing, as `read_configuration`."""
        return {}

    def stage(self) -> list[object]:
        """Do nothing: the detector stages its file in its own errand."""
        return [self]

    def unstage(self) -> list[object]:
        """Do nothing: the detector unstages its file in its own errand."""
        return [self]
