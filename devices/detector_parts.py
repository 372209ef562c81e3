"""Parts of a detector of areaDetector: its driver, with monitors on what a scan depends on, and a trigger's status."""

from typing import Any

from ophyd import Component, EpicsSignalRO
from ophyd.areadetector.base import EpicsSignalWithRBV
from ophyd.areadetector.cam import AreaDetectorCam
from ophyd.areadetector.trigger_mixins import ADTriggerStatus

from whiteline.devices.errands import Watchful


class Part(Watchful):
    """A part of a detector: whatever wakes it wakes the errands of the detector."""

    def wake(self, **_: Any) -> None:
        """Let errands look again."""
        super().wake()
        owner = self.parent
        while owner is not None and not isinstance(owner, Watchful):
            owner = owner.parent
        if owner is not None:
            owner.wake()


def monitored(suffix: str, cls: type = EpicsSignalWithRBV, **kwargs: Any) -> Component:
    """Return a component that is connected from the start and always up to date; stock ones are made when asked."""
    return Component(cls, suffix, kind="omitted", auto_monitor=True, **kwargs)


INTERNAL = "Internal"
"""Areadetector's word for a detector that starts its frames itself."""

CONTINUOUS, MULTIPLE = "Continuous", "Multiple"
"""Areadetector's words for a detector that goes on until it is ended, and for one that takes a number of frames."""


class Driver(Part, AreaDetectorCam):
    """The driver of a detector, with monitors on what a scan depends on."""

    _default_configuration_attrs = ()

    woken_by = ("acquire",)

    acquire = monitored("Acquire")
    acquire_time = monitored("AcquireTime")
    acquire_period = monitored("AcquirePeriod")
    num_images = monitored("NumImages")
    image_mode = monitored("ImageMode", string=True)
    trigger_mode = monitored("TriggerMode", string=True)
    array_callbacks = monitored("ArrayCallbacks", string=True)
    array_counter = monitored("ArrayCounter")
    data_type = monitored("DataType", string=True)
    min_x = monitored("MinX")
    min_y = monitored("MinY")
    size_x = monitored("SizeX")
    size_y = monitored("SizeY")
    bin_x = monitored("BinX")
    bin_y = monitored("BinY")
    max_size_x = monitored("MaxSizeX_RBV", EpicsSignalRO)
    max_size_y = monitored("MaxSizeY_RBV", EpicsSignalRO)
    port_name = monitored("PortName_RBV", EpicsSignalRO, string=True)
    status_message = monitored("StatusMessage_RBV", EpicsSignalRO, string=True)


class TriggerStatus(ADTriggerStatus):
    """The status of a trigger, which shows how many frames have come."""

    def __init__(self, device: Any, **kwargs: Any) -> None:
        super().__init__(device, **kwargs)
        self.add_callback(self._unwatch)

    def _unwatch(self, _: Any) -> None:
        self.tracking_signal.clear_sub(self._notify_watchers)
