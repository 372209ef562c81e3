"""The simulated TXM in classes of ophyd as they come: what any client of EPICS would use.

Import this only when the simulated beamline is to be found, see `simulated`: with ophyd comes the client library.
"""

from ophyd import Component, Device, EpicsMotor, EpicsSignal, EpicsSignalRO, PVPositioner
from ophyd.areadetector import DetectorBase, HDF5Plugin, SingleTrigger
from ophyd.areadetector.cam import AreaDetectorCam
from ophyd.areadetector.filestore_mixins import FileStoreHDF5IterativeWrite

from whiteline.beamline.simulation.running import Simulated

MOVE_TIMEOUT_S = 60.0
"""A move that takes longer has failed [s]."""


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


class Shutter(Device):
    """A shutter: what it is told, and where it is."""

    command = Component(EpicsSignal, "command", put_complete=True)
    status = Component(EpicsSignalRO, "status")


class FullFieldMicroscope:
    """What a scan of energies moves and reads.

    Parameters
    ----------
    twin : Simulated
        A simulated full-field microscope that runs.
    """

    def __init__(self, twin: Simulated) -> None:
        beamline = twin.beamline
        assert beamline.camera is not None
        assert beamline.zone_plate is not None
        assert beamline.detector is not None
        self.bragg, self.crystal_gap, self.zone_plate_x, self.zone_plate_y, self.zone_plate_z, self.detector_z = (
            EpicsMotor(axis.pv, name=name, timeout=MOVE_TIMEOUT_S)
            for name, axis in (
                ("bragg", beamline.monochromator.bragg),
                ("crystal_gap", beamline.monochromator.crystal_gap),
                ("zone_plate_x", beamline.zone_plate.x),
                ("zone_plate_y", beamline.zone_plate.y),
                ("zone_plate_z", beamline.zone_plate.z),
                ("detector_z", beamline.detector.z),
            )
        )
        self.sample_x = EpicsMotor(beamline.sample.coarse.x.pv, name="sample_x", timeout=MOVE_TIMEOUT_S)
        self.undulator_gap = UndulatorGap(beamline.undulator.gap.pv, name="undulator_gap", timeout=MOVE_TIMEOUT_S)
        self.photon_shutter = Shutter(beamline.shutters.photon.prefix, name="photon_shutter")
        self.fast_shutter = Shutter(beamline.shutters.fast.prefix, name="fast_shutter")
        self.camera = Camera(beamline.camera.prefix, name="camera")
        for template in ("write_path_template", "read_path_template"):
            setattr(self.camera.hdf1, template, f"{twin.folder}/")
        self.camera.read_attrs = ["hdf1"]
        assert beamline.simulation is not None
        truth = f"{beamline.simulation.prefix}truth:"
        self.truth_write = EpicsSignal(f"{truth}write", name="truth_write", put_complete=True)
        self.truth_file = EpicsSignalRO(f"{truth}file", name="truth_file", string=True)
        for device in vars(self).values():
            device.wait_for_connection(timeout=30)
