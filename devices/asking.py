"""Ask an IOC so that only its own answers count: fresh values of many signals at once, and puts that are verified.

A signal that is written and read under one name tells its listeners what was put as if the IOC had said so, and a
monitor may bring an older value after the completion of a put. So what was put is asked back.
"""

import math
from collections.abc import Sequence
from typing import Any

from epics import ca

from whiteline.devices.errands import ANSWER_S, Errand
from whiteline.devices.errors import Lost, Refused
from whiteline.devices.unanswered import forget_unanswered

NO_ANSWER = TimeoutError, ca.ChannelAccessException, ca.ChannelAccessGetFailure, ca.CASeverityException
"""What ophyd and pyepics 3.5.10 raise where an IOC is lost between question and answer."""

SETTLE_S = 5.0
"""How long an IOC may take to put a setting in force [s]."""


def ask_together(errand: Errand, name: str, signals: Sequence[Any]) -> list[Any]:
    """Return fresh values of several signals; choices by their numbers.

    All are asked for before the first answer is awaited.

    Parameters
    ----------
    errand : Errand
        That asks.
    name : str
        Of the device, for messages.
    signals : sequence of EpicsSignal
        What is asked.

    Raises
    ------
    Lost
        If an IOC does not answer within a second.
    """
    errand.require_possible()
    channels, values = [signal._read_pv.chid for signal in signals], list[Any]()
    try:
        for channel in channels:
            ca.get_with_metadata(channel, wait=False)
        for channel in channels:
            answer = ca.get_complete_with_metadata(channel, timeout=ANSWER_S)
            if answer is None:
                raise TimeoutError("no answer in time")
            values.append(answer["value"])
    except Exception as error:
        # pyepics has several words for no answer: None, a warning of it, and a get on a circuit that just broke
        for signal in signals:
            forget_unanswered(signal._read_pv)
        errand.require_possible()
        silent = signals[len(values)].pvname
        raise Lost(
            f"{silent} of {name} does not answer within {ANSWER_S:g} s: its IOC may hang; look whether it runs"
        ) from error
    return values


def put_and_ask(errand: Errand, signal: Any, value: float | str, seconds: float = SETTLE_S) -> None:
    """Put a value, and return when the IOC says that it has it.

    Parameters
    ----------
    errand : Errand
        To wait by.
    signal : EpicsSignal
        That is written and read under one name.
    value : float or str
        To be put; a choice by its word.
    seconds : float
        How long the put may take to complete [s].

    Raises
    ------
    Refused
        If the IOC has completed the put, but has another value.
    Lost, Overdue
        If the IOC is lost, or does not complete it in time.
    """
    pv = signal.setpoint_pvname
    errand.until(errand.put(signal, value), seconds, f"{pv} to take {value}")
    taken = errand.ask(signal)
    same = taken == value if isinstance(value, str) else math.isclose(float(taken), value, rel_tol=1e-6, abs_tol=1e-12)
    if not same:
        raise Refused(
            f"{pv} was to be {value} and is {taken}: its IOC has refused it, or somebody else sets it; look at the "
            "limits of the record"
        )
