"""Devices of the simulated beamline in classes of ophyd as they come: what any client of EPICS would use."""

from ophyd import Component, EpicsSignal, EpicsSignalRO, PVPositioner
from ophyd.areadetector import DetectorBase, HDF5Plugin, SingleTrigger
from ophyd.areadetector.cam import AreaDetectorCam
from ophyd.areadetector.filestore_mixins import FileStoreHDF5IterativeWrite


class FramesFile(FileStoreHDF5IterativeWrite, HDF5Plugin):
    """The file plugin of a camera."""


class Camera(SingleTrigger, DetectorBase):
    """A camera with its file plugin."""

    cam = Component(AreaDetectorCam, "cam1:")
    hdf1 = Component(FramesFile, "HDF1:", write_path_template="", read_path_template="")


class UndulatorGap(PVPositioner):
    """An undulator gap."""

    setpoint = Component(EpicsSignal, ":set")
    readback = Component(EpicsSignalRO, ":readback")
    actuate = Component(EpicsSignal, ":start")
    stop_signal = Component(EpicsSignal, ":stop")
    done = Component(EpicsSignalRO, ":busy")
    done_value = 0
