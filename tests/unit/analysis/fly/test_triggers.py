"""Frames stay with their pulses, whatever a detector has missed."""

import numpy as np
import pytest
from numpy.typing import NDArray

from whiteline.analysis.fly import before_lines, read_triggers


def driven(
    seed: int, lines: int = 7, pulses: int = 50, share: float = 0.1
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """A detector that misses a share of its triggers: which it took, and the counts that the box has written."""
    took = np.random.default_rng(seed).random((lines, pulses)) > share
    return took, np.cumsum(took).reshape(took.shape).astype(float)


def test_missed_triggers_are_found_counted_and_leave_holes(seed: int) -> None:
    took, begun = driven(seed)
    pulses = np.arange(took.size, dtype=float).reshape(took.shape)
    frames = pulses[took]  # each frame holds the number of the pulse that it is of
    found = read_triggers(begun, before_lines(begun, range(7)), detector="camera", written=len(frames))
    np.testing.assert_array_equal(found.missed, ~took)
    aligned = found.align(frames)
    np.testing.assert_array_equal(aligned[took], pulses[took])
    assert np.isnan(aligned[~took]).all()
    line, pulse = np.argwhere(~took)[0]
    assert found.troubles[0].startswith(
        f"camera missed {(~took).sum()} of 350 triggers: line {line + 1} pulse {pulse + 1}"
    )
    np.testing.assert_array_equal(found.lines_to_repeat, np.flatnonzero((~took).any(axis=1)))


def test_lines_that_were_taken_again_count_from_the_row_before_them_in_the_file(seed: int) -> None:
    took, begun = driven(seed)
    rows = [0, 1, 3, 4, 6]  # rows 2 and 5 were discarded
    found = read_triggers(
        begun[rows], before_lines(begun, rows), detector="camera", written=int(took.sum()), lines=[1, 2, 3, 4, 5]
    )
    pulses = np.arange(took.size, dtype=float).reshape(took.shape)
    aligned = found.align(pulses[took])
    np.testing.assert_array_equal(aligned[took[rows]], pulses[rows][took[rows]])
    np.testing.assert_array_equal(found.missed, ~took[rows])


def test_pulses_that_did_not_come_are_absent_and_not_missed() -> None:
    begun = np.array([[1, 2, np.nan, np.nan], [3, np.nan, 4, 4]])
    found = read_triggers(begun, before_lines(begun, [0, 1]), detector="camera", written=4)
    np.testing.assert_array_equal(found.frame, [[0, 1, -1, -1], [2, -1, 3, -1]])
    np.testing.assert_array_equal(found.missed, [[False] * 4, [False, False, False, True]])
    assert found.absent.sum() == 3
    assert found.troubles == ("camera missed 1 of 8 triggers: line 2 pulse 4",)


def test_a_gate_with_two_exposures_has_no_frame_of_its_own_and_the_next_one_has() -> None:
    begun = np.array([[1.0, 3.0, 4.0]])
    found = read_triggers(begun, [0.0], detector="camera", written=4)
    np.testing.assert_array_equal(found.frame, [[0, -1, 3]])
    assert found.doubled.tolist() == [[False, True, False]]
    assert "more than one exposure in 1 of 3 gates: line 1 pulse 2" in found.troubles[0]


def test_a_file_that_lacks_frames_is_not_believed_unless_it_numbers_them(seed: int) -> None:
    took, begun = driven(seed, share=0.05)
    before = before_lines(begun, range(7))
    pulses = np.arange(took.size, dtype=float).reshape(took.shape)
    kept = np.arange(1, took.sum() + 1) != 20  # the twentieth exposure was lost on its way into the file
    lacking = read_triggers(begun, before, detector="camera", written=int(kept.sum()))
    assert not lacking.taken.any()
    assert "which is which cannot be known" in lacking.troubles[-1]
    numbered = read_triggers(begun, before, detector="camera", exposures=np.flatnonzero(kept) + 1)
    aligned = numbered.align(pulses[took][kept])
    there = ~np.isnan(aligned)
    assert there.sum() == kept.sum()
    np.testing.assert_array_equal(aligned[there], pulses[there])
    assert numbered.unwritten.sum() == 1
    assert numbered.troubles[-1].startswith("camera lost 1 of 350 frames")


def test_while_a_run_goes_on_frames_that_are_not_written_yet_are_late_and_no_loss() -> None:
    begun = np.array([[1.0, 2.0, 3.0]])
    found = read_triggers(begun, [0.0], detector="camera", written=2, over=False)
    np.testing.assert_array_equal(found.frame, [[0, 1, -1]])
    assert found.unwritten.tolist() == [[False, False, True]]
    assert not found.troubles


def test_a_detector_that_was_armed_anew_counts_from_nought() -> None:
    begun = np.array([[5.0, 6.0], [1.0, 1.0]])
    found = read_triggers(begun, [4.0, 6.0], detector="camera", exposures=[1, 2, 3, 4, 5, 6])
    assert found.missed.tolist() == [[False, False], [False, True]]
    assert found.frame.tolist() == [[4, 5], [0, -1]]


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \(lines, pulses\)"):
        read_triggers([[1.0, 2.0]], [0.0, 0.0], detector="camera")
    with pytest.raises(ValueError, match="give all frames of the file"):
        read_triggers([[1.0, 2.0]], [0.0], detector="camera").align([1.0])
