"""A way round a defect of ophyd: a signal that stays read-only after its IOC had not answered for a while.

When an IOC is silent for longer than the connection timeout and then answers again, libca gives the access rights back,
but ophyd 1.11.2 keeps `write_access = False` for ever: it is told of the rights before it knows that it is connected.
"""

from typing import Any

from ophyd.signal import EpicsSignal


def restore_write_access(signal: Any) -> None:
    """Give a connected signal the write access that its process variable has."""
    if not isinstance(signal, EpicsSignal) or not signal.connected or signal.write_access:
        return
    # EpicsSignalRO is an EpicsSignalBase and has no process variable to write to
    # what the channel was told last may be older than the connection: ask the library, which answers at once
    signal._write_pv.force_read_access_rights()
    if signal._write_pv.write_access:
        signal._metadata["write_access"] = True
