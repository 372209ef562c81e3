"""What a device raises when it did not do what it was told; every message is one sentence that says what to do."""


class DeviceError(RuntimeError):
    """A device that did not do what it was told."""


class Lost(DeviceError):
    """A process variable whose IOC has gone, or does not answer."""


class Overdue(DeviceError, TimeoutError):
    """Something that should have happened by now."""


class Stopped(DeviceError):
    """Something that was stopped before it was done."""


class MoveFailed(DeviceError):
    """An axis that ended its move somewhere else."""


class NotClosed(DeviceError):
    """A shutter that was not proven to be closed."""


class Refused(DeviceError):
    """Something that a device may not do as things stand, as to open a shutter without its permit."""
