"""How far a scan is: energies, points and the time that is left, from documents alone."""

import io
import re
import threading
from typing import Any

import bluesky.plan_stubs as bps
import pytest
from bluesky import RunEngine
from bluesky.utils import ProgressBarManager, TerminalProgressBar
from ophyd.positioner import SoftPositioner
from rich.console import Console

from whiteline.beamline.progress import ScanProgress, duration
from whiteline.devices.positioner import Arrival


class Scan:
    """Documents of a scan that takes ten seconds for a point, and what is shown of it."""

    def __init__(self, *, terminal: bool = True, seconds: float = 10.0, **start: Any) -> None:
        self.text = io.StringIO()
        self.shown = ScanProgress(Console(file=self.text, force_terminal=terminal, width=100, color_system=None))
        self.seconds, self.number = seconds, 0
        self.shown("start", {"uid": "run", "time": 1000.0, "plan_name": "xanes_stack", **start})
        self.shown("descriptor", {"uid": "points", "run_start": "run", "name": "primary"})
        self.shown("descriptor", {"uid": "flats", "run_start": "run", "name": "flat"})

    def point(self, number: int, descriptor: str = "points") -> None:
        """Record one; time goes on with each, taken anew or not."""
        self.number += 1
        when = 1000.0 + self.number * self.seconds
        self.shown("event", {"descriptor": descriptor, "seq_num": number, "time": when})

    def last(self) -> str:
        """Return the line as it stands now."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.text.getvalue()).replace("\r", "\n").split("\n")[-1]


def test_energies_and_time_left_are_told() -> None:
    scan = Scan(num_points=61, energies=list(range(61)))
    for number in range(1, 13):
        scan.point(number)
    line = scan.last()
    assert line.startswith("xanes_stack")
    assert "12 of 61 energies" in line
    assert "8 min left" in line  # 49 of 10 s


def test_an_energy_counts_when_all_its_places_are_taken() -> None:
    scan = Scan(num_points=8, energies=[1.0, 2.0, 3.0, 4.0])
    for number in (1, 2, 3):
        scan.point(number)
    assert "1 of 4 energies" in scan.last()
    assert "50 s left" in scan.last()


def test_a_map_counts_points_and_a_series_its_repeats() -> None:
    scan = Scan(num_points=6, plan_name="raster", group_index=2, group_size=12)
    scan.point(1)
    assert scan.last().startswith("raster 3 of 12")
    assert "1 of 6 points" in scan.last()


def test_a_point_that_is_redone_counts_once_and_flats_are_no_points() -> None:
    scan = Scan(num_points=4)
    for number in (1, 2, 2):
        scan.point(number)
    scan.point(1, "flats")
    assert "2 of 4 points" in scan.last()


def test_lines_that_come_by_pages_count_as_well() -> None:
    scan = Scan(num_points=4)
    scan.shown("event_page", {"descriptor": "points", "seq_num": [1, 2, 3], "time": [1010.0, 1020.0, 1030.0]})
    assert "3 of 4 points" in scan.last()
    assert "10 s left" in scan.last()


def flown(scan: Scan, lines: int) -> None:
    """Tell of the lines of a capture box up to one, column by column, as it does."""
    for _ in range(3):
        document = {"descriptor": "flown", "seq_nums": {"start": lines, "stop": lines + 1}}
        scan.shown("stream_datum", document)


def test_maps_that_are_flown_count_when_all_their_lines_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = Scan(
        plan_name="fly_raster_stack", num_points=30 * 48 * 48, energies=list(range(30)),
        planned={"fly": 30 * 48, "primary": 30},
    )  # fmt: skip
    scan.shown("descriptor", {"uid": "flown", "run_start": "run", "name": "fly"})
    monkeypatch.setattr("time.time", lambda: 1000.0 + 480.0)
    scan.point(1)  # the energy of each map
    flown(scan, 10 * 48 + 5)
    assert "10 of 30 energies" in scan.last()
    assert "16 min left" in scan.last()  # of a second a line
    single = Scan(plan_name="fly_raster", num_points=2000, planned={"fly": 50, "primary": 1})
    single.shown("descriptor", {"uid": "flown", "run_start": "run", "name": "fly"})
    flown(single, 20)
    assert "20 of 50 lines" in single.last()


def test_a_run_that_goes_on_counts_what_it_takes() -> None:
    scan = Scan(
        num_points=61, energies=list(range(61)), planned={"primary": 61, "flat": 61},
        only={"primary": [[41, 61]], "flat": [[41, 61]]},
    )  # fmt: skip
    for number in range(1, 21):
        scan.point(number)
    assert "20 of 21 energies" in scan.last()
    assert "10 s left" in scan.last()


@pytest.mark.parametrize(
    "quiet", [{"terminal": False, "num_points": 4}, {"seconds": 0.5, "num_points": 4}, {}], ids=str
)
def test_nothing_is_said_where_nobody_looks_of_short_scans_and_of_unknown_lengths(quiet: dict[str, Any]) -> None:
    scan = Scan(**quiet)
    for number in (1, 2, 3, 4):
        scan.point(number)
    scan.shown("stop", {"run_start": "run"})
    assert scan.text.getvalue() == ""


def test_after_one_scan_comes_the_next_and_no_thread_is_left() -> None:
    before = threading.active_count()
    scan = Scan(num_points=2)
    scan.point(2)
    scan.shown("stop", {"run_start": "run"})
    scan.shown("start", {"uid": "next", "time": 2000.0, "plan_name": "raster", "num_points": 10})
    scan.shown("descriptor", {"uid": "others", "run_start": "next", "name": "primary"})
    scan.shown("event", {"descriptor": "others", "seq_num": 1, "time": 2005.0})
    assert "1 of 10 points" in scan.last()
    scan.shown("stop", {"run_start": "next"})
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("seconds", "says"), [(45.2, "45 s"), (99.0, "99 s"), (700.0, "12 min"), (12000.0, "3 h 20 min"), (0.0, "0 s")]
)
def test_a_time_reads_as_one_says_it(seconds: float, says: str) -> None:
    assert duration(seconds) == says


class SlowAxis(SoftPositioner):  # type: ignore[misc]
    """An axis whose moves end by the status that real axes have, after its position was told on the way."""

    def move(self, position: float, wait: bool = False, **_: Any) -> Arrival:
        status = Arrival(self, position, call_stop_on_failure=False)
        start = self.position
        told = threading.Event()

        def go() -> None:
            for part in range(1, 6):
                told.wait(0.05)
                self._set_position(start + (position - start) * part / 5)
            status.set_finished()

        threading.Thread(target=go).start()
        return status


def test_the_bars_of_bluesky_follow_a_move_by_the_statuses_of_our_axes() -> None:
    axis, seen = SlowAxis(name="gap", egu="mm"), []
    axis._set_position(0.0)

    class Bar(TerminalProgressBar):
        def update(self, position: Any, **told: Any) -> None:
            seen.append(told)
            super().update(position, **told)

    engine = RunEngine(context_managers=[])
    engine.waiting_hook = ProgressBarManager(lambda statuses: Bar(statuses, delay_draw=0))
    engine(bps.mv(axis, 10.0))
    assert seen
    on_the_way = [one for one in seen if one.get("current") is not None]
    assert {one["name"] for one in on_the_way} == {"gap"}
    assert {one["target"] for one in on_the_way} == {10.0}
    assert {one["unit"] for one in on_the_way} == {"mm"}
    assert any(0.0 < one["current"] < 10.0 for one in on_the_way)


def test_a_search_that_takes_more_points_than_were_said_does_not_say_that_it_is_nearly_over() -> None:
    scan = Scan(num_points=3, plan_name="calibrate_focus")
    for number in range(1, 6):
        scan.point(number)
    assert "5 points" in scan.last()
    assert "of 3" not in scan.last()
    assert "left" not in scan.last()


def test_what_else_is_known_stands_in_the_line() -> None:
    text, errors = io.StringIO(), iter([0.2, 0.1, 0.05])
    console = Console(file=text, force_terminal=True, width=120, color_system=None)
    shown = ScanProgress(console, note=lambda: f"median error {next(errors):.2f}")
    shown("start", {"uid": "run", "time": 1000.0, "plan_name": "xanes_stack", "num_points": 3, "energies": [1, 2, 3]})
    shown("descriptor", {"uid": "points", "run_start": "run", "name": "primary"})
    for number in (1, 2, 3):
        shown("event", {"descriptor": "points", "seq_num": number, "time": 1000.0 + 10 * number})
    assert [text.getvalue().find(f"median error {one}") >= 0 for one in ("0.20", "0.10", "0.05")] == [True] * 3
