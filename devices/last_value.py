"""The value that a monitor brought last, without asking anybody, in a microsecond.

`get` of a signal of ophyd takes twenty times as long, though it returns the same where a monitor is at work: it waits
for connections, copies what it knows of the signal, and sees to the context of the client library. An energy asks for
fifty such numbers before it moves, a preflight for those of every energy of a scan.
"""

from typing import Any


def last_value(signal: Any) -> Any:
    """Return the value of a monitored number as its monitor had it; of any other signal what `get` returns.

    Parameters
    ----------
    signal : Signal
        Of one number.
    """
    try:
        pv = signal._read_pv
        if pv.connected and pv._auto_monitor and not signal._string and (value := pv._args["value"]) is not None:
            return value
    except AttributeError:  # it is none of Channel Access
        pass
    return signal.get()


def forget_last_value(signal: Any) -> None:
    """Let the next question be answered by the IOC, as what a monitor brought before the loss may not be so any more.

    pyepics keeps the value of a lost process variable and shows it again as soon as it is connected, until the first
    monitor comes: an axis would be taken to stand where it was before its IOC was started anew.

    Parameters
    ----------
    signal : EpicsSignalBase
        That is lost.
    """
    signal._read_pv._args["value"] = None
