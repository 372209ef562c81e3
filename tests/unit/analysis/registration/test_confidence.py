"""Confidence: frames without a shift to find are told from good ones, over seeds, and two algorithms agree."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from whiteline.analysis.registration import THRESHOLD, Reference, align, judge
from whiteline.analysis.registration.confidence import confidence

SIDE = 192


def bad_frames(one: Any, other: Any) -> dict[str, Any]:
    """Frames that hold nothing of the reference, all with the same static pattern."""
    pattern = one.pattern(0.005)
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    return {
        "reference": one.counted(one.exact() + pattern),
        "blank": one.counted(pattern),
        "noise": one.source.normal(size=(SIDE, SIDE)).astype(np.float32),
        "gradient": one.counted(0.3 * rows + 0.2 * columns**2 + pattern),
        "few counts": one.counted(pattern, counts=50),
        "another sample": one.counted(other.exact() + pattern),
    }


def test_frames_with_nothing_of_the_reference_are_distrusted(scene: Callable[..., Any]) -> None:
    one, other = scene(SIDE), scene(SIDE)
    frames = bad_frames(one, other)
    reference = Reference.of(frames.pop("reference"))
    for name, frame in frames.items():
        verdict = judge(reference.shift(frame))
        assert not verdict.trusted, name
        assert "confidence" in verdict.reason


def test_good_frames_are_trusted_and_two_algorithms_agree(scene: Callable[..., Any]) -> None:
    one = scene(SIDE)
    first = one.frame()
    reference = Reference.of(first)
    for shift, contrast in (((3.2, -4.1), 0.7), ((-0.4, 0.2), 1.0), ((22.0, -17.5), 0.8), ((1.5, 2.5), -0.8)):
        frame = one.frame(shift, contrast=abs(contrast)) * np.sign(contrast)
        found, second = reference.shift(frame), align(frame, first)
        verdict = judge(found, second)
        assert verdict.trusted, verdict.reason
        assert verdict.reason == ""
        assert verdict.difference < 0.3
        assert np.hypot(found.y - shift[0], found.x - shift[1]) < 0.15


def test_a_shift_beyond_the_reach_is_not_believed(scene: Callable[..., Any]) -> None:
    one = scene(SIDE)
    reference = Reference.of(one.frame(), reach=8.0)
    beyond, within = reference.shift(one.frame((12.0, 3.0))), reference.shift(one.frame((6.0, 3.0)))
    assert beyond.confidence == 0
    assert not judge(beyond).trusted
    assert "beyond the reach" in judge(beyond).reason
    assert judge(within).trusted


def test_two_that_differ_are_not_trusted() -> None:
    found = SimpleNamespace(y=1.0, x=2.0, error_y=0.01, error_x=0.01, confidence=0.8)
    near = SimpleNamespace(y=1.05, x=2.02, error_y=0.02, error_x=0.02)
    far = SimpleNamespace(y=1.9, x=2.0, error_y=0.02, error_x=0.02)
    lost = SimpleNamespace(y=np.nan, x=np.nan, error_y=np.nan, error_x=np.nan)
    assert judge(found).trusted
    assert judge(found, near).trusted
    assert "differ by 0.90 px" in judge(found, far).reason
    assert not judge(found, lost).trusted


def test_nothing_to_register_is_said(scene: Callable[..., Any]) -> None:
    verdict = judge(Reference.of(scene(64).frame()).shift(np.full((64, 64), np.nan)))
    assert not verdict.trusted
    assert "blank" in verdict.reason


@pytest.mark.parametrize(("coherence", "significance"), [(0.0, 50.0), (0.9, 0.0), (0.24, 100.0), (0.9, 14.9)])
def test_the_weaker_of_both_decides(coherence: float, significance: float) -> None:
    assert confidence(coherence, significance) < THRESHOLD
    assert confidence(max(coherence, 0.3), max(significance, 16.0)) > THRESHOLD
    assert confidence(0.9, 100.0, inside=False) == 0
