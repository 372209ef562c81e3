"""A way round a trap of ophyd: a put to a channel that is lost in that very moment waits for ten years.

ophyd 1.11.2 looks whether a channel is connected, and then hands the put to pyepics 3.5.10 with a limit of ten years,
which it means for the completion of the put. pyepics takes it for the connection, too: if the channel was lost in
between, it waits until it is back.
"""

from typing import Any

from epics import ca

from whiteline.devices.errors import Lost

PUT_S = 1.0
"""How long a put may wait for a channel that was lost just now [s]."""


def put(signal: Any, value: Any, *, seconds: float = PUT_S, **how: Any) -> None:
    """Put a value, and do not wait for what the record makes of it.

    Parameters
    ----------
    signal : EpicsSignal
        That is written.
    value : object
        To be put.
    seconds : float
        How long its channel may be lost meanwhile [s].
    **how
        As `EpicsSignal.put` has it, such as `use_complete` and `callback`.

    Raises
    ------
    Lost
        If the channel is lost.
    """
    try:
        signal.put(value, timeout=seconds, connection_timeout=seconds, **how)
    except (TimeoutError, ca.ChannelAccessException, ca.CASeverityException) as error:
        raise Lost(f"{signal.setpoint_pvname} is lost: its IOC has gone; start it again") from error
