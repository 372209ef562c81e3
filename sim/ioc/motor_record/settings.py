"""What an axis is like, and what the fields of its motor record say at the start."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

SHARE_OF_A_JOG = 0.1
"""Part of the travel that an axis jogs in a second at most, unless it is told otherwise."""

SHARE_OF_A_TWEAK = 0.01
"""Part of the travel of a tweak, unless it is told otherwise."""


class Status(IntEnum):
    """Bits of MSTA."""

    UP = 0x1
    DONE = 0x2
    AT_HIGH = 0x4
    STALLED = 0x40
    AT_HOME = 0x80
    ENCODER = 0x100
    MOVING = 0x400
    AT_LOW = 0x2000
    HOMED = 0x4000


@dataclass(frozen=True)
class AxisSettings:
    """An axis that is moved by a motor.

    Parameters
    ----------
    name : str
        Its path in the description, as "monochromator.bragg".
    pv : str
        Name of its record.
    unit : str
        Of its positions.
    low, high : float
        Soft limits, in dial positions [unit].
    velocity : float
        [unit/s]
    acceleration_s : float
        Time to that velocity [s].
    settle_s : float
        How long it takes to settle after a move [s].
    backlash : float
        It approaches a target from this side [unit]; 0 for any side.
    precision : int
        Digits that are shown.
    start : float
        Where it stands at the start [unit].
    """

    name: str
    pv: str
    unit: str
    low: float
    high: float
    velocity: float
    acceleration_s: float
    settle_s: float
    backlash: float
    precision: int
    start: float


def first_values(settings: AxisSettings) -> dict[str, Any]:
    """Return the fields of a motor record at the start that differ from what the record has by itself."""
    travel = settings.high - settings.low
    jog = min(settings.velocity, SHARE_OF_A_JOG * travel)
    resolution = 10.0 ** -(settings.precision + 1)
    return {
        "DVAL": settings.start,
        **dict.fromkeys(("MRES", "ERES", "RDBD"), resolution),
        "RTRY": 0,
        **dict.fromkeys(("VELO", "BVEL", "HVEL"), settings.velocity),
        "JVEL": jog,
        **dict.fromkeys(("ACCL", "BACC"), settings.acceleration_s),
        "JAR": jog / settings.acceleration_s if settings.acceleration_s else 0.0,
        "BDST": settings.backlash,
        "DLY": settings.settle_s,
        "TWV": SHARE_OF_A_TWEAK * travel,
        **dict.fromkeys(("DLLM", "LLM"), settings.low),
        **dict.fromkeys(("DHLM", "HLM"), settings.high),
        "OFF": 0.0,
        "EGU": settings.unit,
        "PREC": settings.precision,
        "DESC": settings.name,
        "DIR": "Pos",
        "FOFF": "Variable",
        "SET": "Use",
        "SPMG": "Go",
        "CNEN": "Enable",
        "UEIP": "Yes",
        "HLSV": "MAJOR",
        "LVIO": 0,
        "MSTA": Status.UP | Status.DONE | Status.ENCODER,
        "TDIR": 1,
        "DMOV": 1,
        "VERS": 7.2,
        "UDF": b"\0",
    }
