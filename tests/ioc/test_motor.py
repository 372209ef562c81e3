"""Motor records of the twin behave on Channel Access as those of EPICS do."""

import itertools
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

LONG_S = 20
"""Time in which whatever is waited for has happened on any machine [s]."""

NO_ALARM, MINOR, MAJOR = 0, 1, 2
POS, NEG = 0, 1
STOP, PAUSE, MOVE, GO = 0, 1, 2, 3
STALLED, AT_HIGH, AT_LOW, HOMED = 0x40, 0x4, 0x2000, 0x4000

used: dict[str, Iterator[int]] = defaultdict(itertools.count)
"""How many motors of each kind have been touched."""

kept: list[Any] = []
"""Channels, until the process ends: closing one while another thread works for it may crash pyepics."""


class Log:
    """What monitors have brought, in its order."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.seen: list[tuple[str, Any, int]] = []

    def note(self, field: str, value: Any, severity: int) -> None:
        with self.changed:
            self.seen.append((field, value, severity))
            self.changed.notify_all()

    def wait(self, condition: Callable[[list[tuple[str, Any, int]]], bool]) -> list[tuple[str, Any, int]]:
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.seen), LONG_S), self.seen
            return list(self.seen)

    def values(self, field: str) -> list[Any]:
        with self.changed:
            return [value for name, value, _ in self.seen if name == field]

    def wait_for(self, field: str, *values: Any) -> None:
        """Wait until a field has had these values one after the other, with others in between or not."""

        def had(seen: list[tuple[str, Any, int]]) -> bool:
            rest = (value for name, value, _ in seen if name == field)
            return all(value in rest for value in values)

        self.wait(had)


class Record:
    """A motor record as a client sees it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pvs: dict[str, Any] = {}

    def pv(self, field: str) -> Any:
        import epics

        if field not in self.pvs:
            name = self.name + (field if field.startswith(":") else f".{field}")
            self.pvs[field] = epics.PV(name, auto_monitor=False)
            assert self.pvs[field].wait_for_connection(LONG_S), name
        return self.pvs[field]

    def get(self, field: str) -> Any:
        value = self.pv(field).get(timeout=LONG_S, use_monitor=False)
        assert value is not None, field
        return value

    def put(self, field: str, value: Any) -> None:
        assert self.pv(field).put(value, wait=True, timeout=LONG_S) == 1, (field, value)

    def begin(self, field: str, value: Any) -> threading.Event:
        """Put, and return what is set when that completes."""
        done = threading.Event()
        self.pv(field).put(value, callback=lambda **_: done.set())
        return done

    def status_of_put(self, field: str, value: Any) -> int:
        from caproto import ChannelType
        from caproto.sync.client import write

        form = ChannelType.STRING if isinstance(value, str) else None
        name = f"{self.name}.{field}"
        return write(name, value, notify=True, repeater=False, timeout=LONG_S, data_type=form).status.code

    def monitor(self, *fields: str) -> Log:
        import epics

        log = Log()
        for field in fields:
            # the first value of a channel that is already connected can come before the constructor returns
            def note(value: Any, severity: int, field: str = field, **_: Any) -> None:
                log.note(field, value, severity)

            pv = epics.PV(f"{self.name}.{field}", auto_monitor=True, form="time", callback=note)
            self.pvs[f"monitor {field} {id(log)}"] = pv
            assert pv.wait_for_connection(LONG_S)
        log.wait(lambda seen: {name for name, _, _ in seen} >= set(fields))
        return log


@pytest.fixture(scope="module")
def tag() -> str:
    """No tag: this module serves names of its own."""
    return ""


@pytest.fixture(scope="module")
def ioc(serve):
    return serve(Path(__file__).with_name("motors_ioc.py"), "T:slow0")


@pytest.fixture
def motor(ioc) -> Callable[[str], Record]:
    """Return a motor of a kind that no test has touched before."""

    def fresh(kind: str = "slow") -> Record:
        record = Record(f"T:{kind}{next(used[kind])}")
        kept.append(record)
        return record

    return fresh


@dataclass
class Case:
    """Puts, each of which completes, and what the fields say then."""

    name: str
    puts: list[tuple[str, Any]]
    expected: dict[str, Any]
    kind: str = "instant"


CASES = [
    Case(
        "at the start",
        [],
        {"VAL": 0, "RBV": 0, "DMOV": 1, "MOVN": 0, "HLM": 10, "LLM": -10, "DHLM": 10, "DLLM": -10, "EGU": "mm"}
        | {"PREC": 4, "VELO": 10, "ACCL": 0.05, "SPMG": GO, "LVIO": 0, "HLS": 0, "LLS": 0, "SEVR": NO_ALARM}
        | {"DIR": POS, "OFF": 0, "SET": 0, "FOFF": 0, "RTRY": 0, "CNEN": 1, "DESC": "slow", "RTYP": "motor"},
        "slow",
    ),
    Case(
        "a move arrives",
        [("VAL", 2.5)],
        {"VAL": 2.5, "RBV": 2.5, "DVAL": 2.5, "DRBV": 2.5, "RVAL": 250_000, "RRBV": 250_000}
        | {"DMOV": 1, "MOVN": 0, "TDIR": 1, "MSTA": 0x103, ":dial": 2.5, ":position": 2.5, ":completed": 1},
        "slow",
    ),
    Case("back it goes the other way", [("VAL", 2), ("VAL", 1)], {"RBV": 1, "TDIR": 0, "MSTA": 0x102}),
    Case("a dial position", [("DVAL", 2)], {"VAL": 2, "RBV": 2, "DRBV": 2}),
    Case("a raw position", [("RVAL", 100_000)], {"VAL": 1, "RBV": 1, "RRBV": 100_000}),
    Case("a relative position", [("VAL", 1), ("RLV", 2), ("RLV", -0.5)], {"VAL": 2.5, "RBV": 2.5, "RLV": 0}),
    Case(
        "a tweak forward",
        [("TWV", 0.3), ("TWF", 1), ("TWF", 1), ("TWR", 1)],
        {"VAL": 0.3, "RBV": 0.3, "TWF": 0, "TWR": 0, "TWV": 0.3},
    ),
    Case("a null move", [("VAL", 0)], {"RBV": 0, "DMOV": 1, ":completed": 0}),
    Case("less than RDBD is a null move", [("RDBD", 0.1), ("VAL", 0.05)], {"VAL": 0.05, "RBV": 0, ":completed": 0}),
    Case(
        "VELO and ACCL say how long it takes",
        [("VELO", 50), ("ACCL", 0.02), ("VAL", 5)],
        {":duration": 0.12, ":told": "0.000 5.000 0.120"},
        "slow",
    ),
    Case("ACCL = 0 is at once", [("ACCL", 0), ("VAL", 1)], {":duration": 0.1}, "slow"),
    Case("VELO is kept under VMAX", [("VMAX", 20), ("VELO", 30)], {"VELO": 20}, "slow"),
    Case("VELO is kept above VBAS", [("VBAS", 2), ("VELO", 1)], {"VELO": 2}, "slow"),
    Case(
        "backlash: a second leg from the preferred side, and the settling, take their time",
        [("BVEL", 5), ("BACC", 0), ("ACCL", 0), ("VAL", -1)],
        {"RBV": -1, "TDIR": 1, ":duration": 0.15 + 0.1 + 0.02, ":completed": 1},
        "lash",
    ),
    Case(
        "backlash: no second leg from the preferred side",
        [("ACCL", 0), ("BACC", 0), ("VAL", 1)],
        {":duration": 0.12},
        "lash",
    ),
    Case("backlash: a short way at BVEL", [("BVEL", 1), ("BACC", 0), ("VAL", 0.1)], {":duration": 0.12}, "lash"),
    Case("backlash: from the other side", [("BDST", -0.5), ("VAL", -1), ("VAL", 1)], {"TDIR": 0, "RBV": 1}, "lash"),
    Case(
        "a target beyond HLM is refused",
        [("VAL", 1), ("VAL", 10.5)],
        {"VAL": 1, "DVAL": 1, "RBV": 1, "LVIO": 1, "DMOV": 1, "SEVR": MINOR, "STAT": 15, ":completed": 1},
    ),
    Case("a target below LLM is refused", [("VAL", -10.5)], {"VAL": 0, "LVIO": 1, "SEVR": MINOR}),
    Case("a good target ends the violation", [("VAL", 11), ("VAL", 1)], {"RBV": 1, "LVIO": 0, "SEVR": NO_ALARM}),
    Case("the way of a backlash must lie within the limits, too", [("VAL", -9.7)], {"LVIO": 1, "RBV": 0}, "lash"),
    Case("the limits themselves are within", [("VAL", 10), ("VAL", -10)], {"RBV": -10, "LVIO": 0}),
    Case("limits that move", [("HLM", 3), ("LLM", -4)], {"HLM": 3, "LLM": -4, "DHLM": 3, "DLLM": -4}),
    Case("dial limits that move", [("DHLM", 3), ("DLLM", -4)], {"HLM": 3, "LLM": -4, "DHLM": 3, "DLLM": -4}),
    Case("limits of the user follow OFF", [("OFF", 2)], {"HLM": 12, "LLM": -8, "DHLM": 10, "VAL": 2, "RBV": 2}),
    Case("and HLM is set with OFF", [("OFF", 2), ("HLM", 6)], {"HLM": 6, "DHLM": 4}),
    Case(
        "DIR turns the user's coordinates around",
        [("VAL", 2), ("HLM", 5), ("DIR", NEG)],
        {"VAL": -2, "RBV": -2, "DVAL": 2, "DRBV": 2, "HLM": 10, "LLM": -5, "DHLM": 5, "DLLM": -10, ":dial": 2},
    ),
    Case("HLM is set against DIR", [("DIR", NEG), ("HLM", 6)], {"HLM": 6, "DLLM": -6, "DHLM": 10}),
    Case(
        "moves against DIR, with OFF",
        [("DIR", NEG), ("OFF", 1), ("VAL", 4)],
        {"RBV": 4, "DRBV": -3, "TDIR": 0, ":dial": -3, ":position": 4},
    ),
    Case("no limits when both are 0", [("HLM", 0), ("LLM", 0), ("VAL", 10.1)], {"RBV": 10.1, "LVIO": 0, "HLS": 0}),
    Case(
        "the high limit switch stops it",
        [("HLM", 0), ("LLM", 0), ("VAL", 30)],
        {"RBV": 10.2, "VAL": 10.2, "HLS": 1, "LLS": 0, "MSTA": 0x103 | AT_HIGH, "SEVR": MAJOR, "STAT": 4, "DMOV": 1},
    ),
    Case(
        "the low limit switch stops it",
        [("HLM", 0), ("LLM", 0), ("VAL", -30)],
        {"RBV": -10.2, "VAL": -10.2, "HLS": 0, "LLS": 1, "MSTA": 0x102 | AT_LOW, "SEVR": MAJOR, "STAT": 6},
    ),
    Case(
        "against DIR, the switches are those of the user",
        [("DIR", NEG), ("HLM", 0), ("LLM", 0), ("VAL", -30)],
        {"RBV": -10.2, "LLS": 1, "HLS": 0, "RHLS": 1, "DRBV": 10.2},
    ),
    Case(
        "off the switch the alarm ends",
        [("HLM", 0), ("LLM", 0), ("VAL", 30), ("VAL", 10)],
        {"RBV": 10, "HLS": 0, "SEVR": NO_ALARM},
    ),
    Case("HLSV says how bad that is", [("HLSV", 1), ("HLM", 0), ("LLM", 0), ("VAL", 30)], {"HLS": 1, "SEVR": MINOR}),
    Case(
        "SET: VAL redefines the offset",
        [("VAL", 2), ("SET", 1), ("VAL", 7), ("SET", 0)],
        {"VAL": 7, "RBV": 7, "OFF": 5, "DVAL": 2, "DRBV": 2, "HLM": 15, "LLM": -5, ":dial": 2, ":completed": 1},
    ),
    Case(
        "SET with a frozen offset: VAL redefines the dial, the axis stays",
        [("VAL", 2), ("FOFF", 1), ("SET", 1), ("VAL", 7), ("SET", 0)],
        {"VAL": 7, "RBV": 7, "OFF": 0, "DVAL": 7, "DRBV": 7, "HLM": 10, ":dial": 2, ":position": 7},
    ),
    Case(
        "and moves go by the new dial",
        [("VAL", 2), ("FOFF", 1), ("SET", 1), ("VAL", 7), ("SET", 0), ("VAL", 8)],
        {"RBV": 8, "DRBV": 8, ":dial": 3},
    ),
    Case(
        "SET: DVAL redefines the dial, the user's coordinates stay",
        [("VAL", 2), ("SET", 1), ("DVAL", 5), ("SET", 0)],
        {"VAL": 2, "RBV": 2, "OFF": -3, "DVAL": 5, "DRBV": 5, ":dial": 2},
    ),
    Case("SPMG = Move allows one move", [("SPMG", MOVE), ("VAL", 1)], {"RBV": 1, "SPMG": PAUSE, "DMOV": 1}),
    Case("at home forward", [("VAL", 3), ("HOMF", 1)], {"RBV": 0, "VAL": 0, "ATHM": 1, "HOMF": 0, "MSTA": 0x4182}),
    Case("at home reverse", [("VAL", 3), ("HOMR", 1)], {"RBV": 0, "ATHM": 1, "HOMR": 0}),
    Case("away from home", [("HOMF", 1), ("VAL", 1)], {"ATHM": 0, "MSTA": 0x103 | HOMED}),
    Case("home outside the travel is a limit", [("HOMF", 1)], {"RBV": 1, "VAL": 1, "ATHM": 1, "LLS": 0}, "above"),
    Case(
        "home beyond a limit switch",
        [("HLM", 0), ("LLM", 0), ("HOMR", 1)],
        {"RBV": 0.9, "VAL": 0.9, "LLS": 1, "SEVR": MAJOR},
        "above",
    ),
    Case(
        "jog to the soft limit, and stop a second before it",
        [("JVEL", 100), ("JAR", 0), ("HLM", 10), ("VAL", 0), ("JVEL", 1), ("VAL", 8.9), ("JOGF", 1)],
        {"RBV": 9, "VAL": 9, "JOGF": 0, "LVIO": 1, "SEVR": MINOR, "DMOV": 1, "MOVN": 0},
    ),
    Case("no jog from there", [("JVEL", 1), ("VAL", 9.5), ("JOGF", 1)], {"RBV": 9.5, "LVIO": 1, "JOGF": 0}),
    Case("a jog back", [("JVEL", 1), ("JAR", 0), ("VAL", -8.9), ("JOGR", 1)], {"RBV": -9, "LVIO": 1, "JOGR": 0}),
    Case(
        "a jog without limits goes to the switch",
        [("HLM", 0), ("LLM", 0), ("JVEL", 1000), ("JAR", 0), ("JOGF", 1)],
        {"RBV": 10.2, "VAL": 10.2, "HLS": 1, "JOGF": 0, "SEVR": MAJOR, "LVIO": 0},
    ),
    Case("a jog against DIR", [("DIR", NEG), ("JVEL", 1), ("VAL", 8.9), ("JOGF", 1)], {"RBV": 9, "DRBV": -9}),
    Case("EGU and PREC", [("EGU", "um"), ("PREC", 2)], {"EGU": "um", "PREC": 2}),
    Case("a stop at rest is nothing", [("VAL", 1), ("STOP", 1)], {"STOP": 0, "VAL": 1, "DMOV": 1}),
    Case(
        "a slip ends beside the target",
        [(":slipped", 0.25), ("VAL", 2)],
        {"VAL": 2, "RBV": 2.25, "DMOV": 1, ":dial": 2.25, "SEVR": NO_ALARM},
    ),
    Case("after it the next move is right", [(":slipped", 0.25), ("VAL", 2), (":slipped", 0), ("VAL", 2)], {"RBV": 2}),
    Case("SYNC", [(":slipped", 0.25), ("VAL", 2), ("SYNC", 1)], {"VAL": 2.25, "DVAL": 2.25, "SYNC": 0}),
    Case("the encoder's error is read, not made", [("VAL", 2)], {"RBV": 2.002, ":dial": 2, ":position": 2}, "noisy"),
    Case("the encoder's error at rest goes by moves", [("VAL", 2), ("VAL", 2), ("VAL", 0)], {"RBV": 0.003}, "noisy"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fields_follow_each_other(motor, case):
    record = motor(case.kind)
    for field, value in case.puts:
        record.put(field, value)
    got = {field: record.get(field) for field in case.expected}
    assert got == {
        field: pytest.approx(value, abs=1e-9) if isinstance(value, float | int) else value
        for field, value in case.expected.items()
    }


REFUSED = [
    ("VAL", float("nan")),
    ("VAL", float("inf")),
    ("DVAL", float("-inf")),
    ("VELO", 0.0),
    ("VELO", -1.0),
    ("JVEL", 0.0),
    ("HVEL", float("nan")),
    ("ACCL", -0.1),
    ("ACCL", float("inf")),
    ("HLM", float("nan")),
    ("OFF", float("inf")),
    ("MRES", 0.0),
    ("SPMG", 7),
    ("TWV", float("nan")),
    ("VELO", "fast"),
]


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_what_makes_no_sense_is_refused_and_changes_nothing(motor, field, value):
    from caproto import CAStatus

    record = motor("instant")
    before = record.get(field)
    assert record.status_of_put(field, value) == CAStatus.ECA_PUTFAIL.value.code
    assert record.get(field) == before
    assert record.get("SEVR") == NO_ALARM
    record.put("VAL", 1)
    assert record.get("RBV") == 1


@pytest.mark.parametrize("kind", ["slow", "instant"])
@pytest.mark.parametrize("target", [2.0, 0.0, 20.0], ids=["move", "null move", "violation"])
def test_done_goes_down_and_up_once_and_the_last_readback_comes_before(motor, kind, target):
    record = motor(kind)
    log = record.monitor("RBV", "DMOV", "MOVN")
    record.put("VAL", target)
    log.wait_for("DMOV", 1, 0, 1)
    assert log.values("DMOV") == [1, 0, 1]
    assert log.values("MOVN")[-1] == 0
    fields = [field for field, _, _ in log.wait(lambda seen: True)]
    assert fields[-1] == "DMOV", "nothing comes after it"
    began = len(fields) - 1 - fields[:-1][::-1].index("DMOV") - 1
    readbacks = [value for field, value, _ in log.seen[began:] if field == "RBV"]
    assert readbacks[-1] == (target if abs(target) < 10 else 0.0)


def test_a_slow_move_is_seen_in_motion(motor):
    record = motor("slow")
    log = record.monitor("RBV", "MOVN", "DMOV")
    record.put("VAL", 5)
    log.wait_for("DMOV", 0, 1)
    between = [value for value in log.values("RBV") if 0 < value < 5]
    assert len(between) >= 3
    assert between == sorted(between)
    assert 1 in log.values("MOVN")


@pytest.mark.parametrize("kind", ["slow", "instant", "lash"])
def test_a_put_completes_when_the_motion_is_done(motor, kind):
    record = motor(kind)
    log = record.monitor("DMOV")
    done = record.begin("VAL", 3.0)
    assert done.wait(LONG_S)
    assert record.get("DMOV") == 1
    assert record.get("RBV") == 3
    log.wait_for("DMOV", 1, 0, 1)


def test_a_new_target_in_flight(motor):
    record = motor("slow")
    record.put("VELO", 1)
    log = record.monitor("DMOV", "RBV")
    first = record.begin("VAL", 9)
    log.wait(lambda seen: any(value > 0.05 for field, value, _ in seen if field == "RBV"))
    record.put("VELO", 10)
    second = record.begin("VAL", -1)
    assert first.wait(LONG_S)
    assert second.wait(LONG_S)
    log.wait_for("DMOV", 1, 0, 1)
    assert log.values("DMOV") == [1, 0, 1]
    assert record.get("RBV") == record.get("VAL") == -1
    assert max(log.values("RBV")) < 9


def test_a_stop_in_flight(motor):
    record = motor("slow")
    record.put("VELO", 0.5)
    log = record.monitor("DMOV", "RBV")
    done = record.begin("VAL", 9)
    log.wait(lambda seen: any(value > 0.05 for field, value, _ in seen if field == "RBV"))
    record.put("STOP", 1)
    assert done.wait(LONG_S)
    assert 0.05 < record.get("RBV") < 9
    assert record.get("VAL") == record.get("RBV") == record.get("DVAL") == record.get(":dial")
    assert (record.get("DMOV"), record.get("MOVN"), record.get("STOP")) == (1, 0, 0)
    assert log.values("RBV") == sorted(log.values("RBV")), "it decelerates and does not turn around"
    assert record.get("SEVR") == NO_ALARM
    record.put("VELO", 10)
    record.put("VAL", 0)
    assert record.get("RBV") == 0


def test_a_violation_in_flight_leaves_the_move_alone(motor):
    record = motor("slow")
    log = record.monitor("DMOV", "RBV", "LVIO")
    done = record.begin("VAL", 5)
    log.wait(lambda seen: any(value > 0 for field, value, _ in seen if field == "RBV"))
    assert record.begin("VAL", 50).wait(LONG_S)
    assert done.wait(LONG_S)
    assert record.get("VAL") == record.get("RBV") == 5
    log.wait_for("LVIO", 0, 1)


@pytest.mark.parametrize(
    ("puts", "target", "severity"),
    [([], 11.0, MINOR), ([("HLM", 0), ("LLM", 0)], 12.0, MAJOR)],
    ids=["soft limit", "limit switch"],
)
@pytest.mark.parametrize("kind", ["instant", "slow"])
def test_a_limit_is_an_alarm_with_the_readback_before_it_is_done(motor, kind, puts, target, severity):
    record = motor(kind)
    for field, value in [*puts, ("VAL", 9.9)]:
        record.put(field, value)
    log = record.monitor("RBV", "DMOV")
    record.put("VAL", target)
    log.wait_for("DMOV", 1, 0, 1)
    assert [seen[2] for seen in log.seen if seen[0] == "RBV"][-1] == severity
    assert log.seen[-1][0] == "DMOV"
    log = record.monitor("RBV", "DMOV")
    record.put("VAL", 0)
    log.wait_for("DMOV", 1, 0, 1)
    assert [seen[2] for seen in log.seen if seen[0] == "RBV"][-1] == NO_ALARM


def test_pause_holds_and_go_resumes(motor):
    record = motor("slow")
    record.put("VELO", 1.5)
    log = record.monitor("DMOV", "RBV", "MOVN")
    done = record.begin("VAL", 4)
    log.wait(lambda seen: any(value > 0.05 for field, value, _ in seen if field == "RBV"))
    record.put("SPMG", PAUSE)
    log.wait_for("MOVN", 1, 0)
    held = record.get("RBV")
    assert 0.05 < held < 4
    assert (record.get("DMOV"), record.get("VAL")) == (0, 4)
    assert not done.is_set()
    record.put("SPMG", GO)
    assert done.wait(LONG_S)
    assert (record.get("DMOV"), record.get("RBV")) == (1, 4)
    log.wait_for("DMOV", 1, 0, 1)
    assert log.values("DMOV") == [1, 0, 1]


def test_stop_by_spmg_is_for_good(motor):
    record = motor("slow")
    record.put("VELO", 0.5)
    log = record.monitor("RBV")
    done = record.begin("VAL", 6)
    log.wait(lambda seen: any(value > 0.05 for field, value, _ in seen if field == "RBV"))
    record.put("SPMG", STOP)
    assert done.wait(LONG_S)
    stood = record.get("RBV")
    assert record.get("VAL") == stood < 6
    record.put("VELO", 10)
    waiting = record.begin("VAL", 1)
    record.monitor("DMOV").wait_for("DMOV", 0)
    assert record.get("RBV") == stood
    assert not waiting.is_set()
    record.put("SPMG", GO)
    assert waiting.wait(LONG_S)
    assert record.get("RBV") == 1


@pytest.mark.parametrize(("button", "sign"), [("JOGF", 1), ("JOGR", -1)])
def test_a_jog_lasts_as_long_as_its_button(motor, button, sign):
    record = motor("slow")
    record.put("JVEL", 0.5)
    log = record.monitor("RBV", "DMOV", button)
    done = record.begin(button, 1)
    log.wait(lambda seen: any(sign * value > 0.05 for field, value, _ in seen if field == "RBV"))
    assert record.get(button) == 1
    assert not done.is_set()
    record.put(button, 0)
    assert done.wait(LONG_S)
    log.wait_for("DMOV", 1, 0, 1)
    assert record.get(button) == 0
    assert record.get("VAL") == record.get("RBV")
    assert 0.05 < sign * record.get("RBV") < 8


def test_a_move_goes_on_when_its_client_is_killed(motor):
    record = motor("slow")
    record.put("VELO", 4)
    log = record.monitor("DMOV")
    script = (
        "import epics, sys\n"
        "pv = epics.PV(sys.argv[1])\n"
        "pv.wait_for_connection(20)\n"
        "pv.put(6, use_complete=True)\n"
        "epics.ca.flush_io()\n"
        "sys.stdin.read()\n"
    )
    client = subprocess.Popen([sys.executable, "-c", script, record.name], stdin=subprocess.PIPE)
    with client:
        log.wait_for("DMOV", 1, 0)
        client.kill()
    log.wait_for("DMOV", 1, 0, 1)
    assert record.get("RBV") == 6


@pytest.mark.parametrize("kind", ["slow", "instant"])
def test_lost_done(motor, kind):
    record = motor(kind)
    log = record.monitor("DMOV", "RBV")
    record.put(":lost_done", 1)
    done = record.begin("VAL", 2)
    log.wait_for("RBV", 2)
    assert (record.get("DMOV"), record.get("MOVN"), record.get("RBV")) == (0, 0, 2)
    assert not done.is_set()
    record.put(":lost_done", 0)
    assert done.wait(LONG_S)
    log.wait_for("DMOV", 1, 0, 1)
    assert log.values("DMOV") == [1, 0, 1]


def test_a_stall_in_flight_and_its_end(motor):
    record = motor("slow")
    record.put("VELO", 1.5)
    log = record.monitor("DMOV", "RBV", "MSTA")
    done = record.begin("VAL", 4)
    log.wait(lambda seen: any(value > 0.05 for field, value, _ in seen if field == "RBV"))
    record.put(":stalled", 1)
    log.wait(lambda seen: any(field == "MSTA" and int(value) & STALLED for field, value, _ in seen))
    assert (record.get("DMOV"), record.get("MOVN"), record.get("SEVR")) == (0, 1, MAJOR)
    stood = record.get(":dial")
    assert 0.05 < stood < 4
    assert record.get(":dial") == stood
    assert not done.is_set()
    record.put(":stalled", 0)
    assert done.wait(LONG_S)
    assert (record.get("RBV"), record.get("DMOV"), record.get("SEVR")) == (4, 1, NO_ALARM)
    assert not record.get("MSTA") & STALLED


@pytest.mark.parametrize("kind", ["slow", "instant"])
def test_a_stop_ends_a_stall(motor, kind):
    record = motor(kind)
    log = record.monitor("MSTA")
    record.put(":stalled", 1)
    done = record.begin("VAL", 4)
    log.wait(lambda seen: int(seen[-1][1]) & STALLED != 0)
    assert not done.is_set()
    record.put("STOP", 1)
    assert done.wait(LONG_S)
    assert (record.get("DMOV"), record.get("MOVN"), record.get("SEVR")) == (1, 0, MAJOR)
    assert record.get("VAL") == record.get("RBV") == 0
    record.put(":stalled", 0)
    record.put("VAL", 1)
    assert (record.get("RBV"), record.get("SEVR")) == (1, NO_ALARM)


def test_limits_units_and_digits_come_with_the_values(motor):
    record = motor()
    record.put("HLM", 7)
    for field in ("RBV", "VAL"):
        shown = record.pv(field).get_ctrlvars(timeout=LONG_S)
        assert (shown["units"], shown["precision"]) == ("mm", 4)
        assert (shown["lower_ctrl_limit"], shown["upper_ctrl_limit"]) == (-10, 7)
    record.put("EGU", "um")
    record.put("PREC", 1)
    shown = record.pv("RBV").get_ctrlvars(timeout=LONG_S)
    assert (shown["units"], shown["precision"]) == ("um", 1)


class TestOphyd:
    """A stock EpicsMotor."""

    @pytest.fixture
    def axis(self, motor) -> Callable[[str], Any]:
        import ophyd

        def make(kind: str) -> Any:
            axis = ophyd.EpicsMotor(motor(kind).name, name="axis")
            kept.append(axis)
            axis.wait_for_connection(timeout=LONG_S)
            return axis

        return make

    @staticmethod
    def drained(axis: Any) -> bool:
        """Whether ophyd has forgotten the last move: it would forget the next one too if that began before."""
        return not axis._callbacks[axis._SUB_REQ_DONE]

    @staticmethod
    def set_limit(limit: Any, wanted: float) -> None:
        """Set a limit, and wait until ophyd has read the control limits: its own callback does so, before this one."""
        changed = threading.Event()
        limit.subscribe(lambda value, **_: value == wanted and changed.set(), run=False)
        limit.put(wanted)
        assert changed.wait(LONG_S)

    def set(self, axis: Any, target: float) -> Any:
        poll = threading.Event()
        while not self.drained(axis):
            poll.wait(0.001)
        return axis.set(target)

    @pytest.mark.parametrize("kind", ["slow", "instant"])
    def test_it_moves(self, axis, kind):
        axis = axis(kind)
        for target in (1.0, 1.0, -2.0):
            status = self.set(axis, target)
            status.wait(LONG_S)
            assert status.success
            assert axis.user_readback.get() == target
            assert axis.position == target
        assert axis.egu == "mm"
        assert axis.precision == 4
        assert not axis.moving

    def test_it_knows_the_limits(self, axis):
        from ophyd.utils import LimitError

        axis = axis("instant")
        assert axis.limits == (-10, 10)
        with pytest.raises(LimitError):
            axis.check_value(10.5)
        with pytest.raises(LimitError):
            axis.set(10.5)
        self.set_limit(axis.high_limit_travel, 3)
        assert axis.limits == (-10, 3)
        with pytest.raises(LimitError):
            axis.check_value(5)

    def test_it_stops(self, axis):
        axis = axis("slow")
        axis.velocity.put(0.5, wait=True)
        moving = threading.Event()
        axis.user_readback.subscribe(lambda value, **_: value > 0.05 and moving.set())
        status = axis.set(9)
        assert moving.wait(LONG_S)
        done = threading.Event()
        axis.motor_done_move.subscribe(lambda value, **_: value == 1 and done.set(), run=False)
        axis.stop()
        status.wait(LONG_S)
        assert done.wait(LONG_S)
        assert 0.05 < axis.user_readback.get(use_monitor=False) < 9
        assert axis.user_setpoint.get(use_monitor=False) == axis.user_readback.get(use_monitor=False)

    def test_a_limit_switch_is_a_failure(self, axis):
        axis = axis("instant")
        self.set_limit(axis.high_limit_travel, 0)
        self.set_limit(axis.low_limit_travel, 0)
        status = self.set(axis, 20)
        with pytest.raises(Exception, match=r"status|failed|Unknown"):
            status.wait(LONG_S)
        assert axis.high_limit_switch.get(use_monitor=False) == 1

    def test_it_takes_a_new_position(self, axis):
        axis = axis("instant")
        self.set(axis, 1).wait(LONG_S)
        axis.set_current_position(4)
        assert axis.user_offset.get(use_monitor=False) == 3
        assert axis.user_readback.get(use_monitor=False) == 4

    @pytest.mark.parametrize("kind", ["slow", "instant"])
    def test_it_scans(self, axis, kind):
        import asyncio

        import bluesky.plan_stubs as bps
        from bluesky import RunEngine
        from bluesky.plans import list_scan

        axis = axis(kind)

        async def forgotten() -> None:
            while not self.drained(axis):
                await asyncio.sleep(0.001)

        def move_when_forgotten(detectors, step, pos_cache):
            for each, target in step.items():
                yield from bps.wait_for([forgotten])
                yield from bps.mv(each, target)
            yield from bps.trigger_and_read([*detectors, *step])

        engine = RunEngine(context_managers=[])
        targets = [0.5 * n for n in range(10)]
        events = []
        try:
            engine(
                list_scan([], axis, targets, per_step=move_when_forgotten),
                {"event": [lambda _, doc: events.append(doc["data"]["axis"])]},
            )
        finally:
            engine.loop.call_soon_threadsafe(engine.loop.stop)
            engine._th.join(LONG_S)
            engine.loop.close()
        assert events == targets
