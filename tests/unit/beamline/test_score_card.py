"""The score card: its limits, and that it moves when something is wrong."""

import json
import math
from dataclasses import replace

import pytest

from whiteline.beamline.score.card import ScoreCard

GOOD = ScoreCard(
    energies=40, pixels=65536, particle_pixels=20000, valid_pixels=18000, fraction_rms=0.05, fraction_bound=0.048,
    fraction_pull_rms=1.02, edge_rms_eV=0.2, edge_bias_eV=-0.01, defocus_max_dof=0.02, drift_residual_px=0.05,
    frames_lost=0,
)  # fmt: skip


def test_a_good_run_meets_every_limit() -> None:
    assert GOOD.met
    assert all(line.met for line in GOOD.lines)
    assert len(GOOD.lines) == 7


@pytest.mark.parametrize(
    ("wrong", "quantity"),
    [
        ({"fraction_rms": 0.0625}, "error of the fraction"),
        ({"fraction_rms": math.nan}, "error of the fraction"),
        ({"fraction_pull_rms": 1.16}, "error over its standard error"),
        ({"fraction_pull_rms": 0.89}, "error over its standard error"),
        ({"valid_pixels": 9999}, "pixels with a valid fraction"),
        ({"valid_pixels": 0, "particle_pixels": 0}, "pixels with a valid fraction"),
        ({"edge_bias_eV": -0.051}, "edge energy, mean error"),
        ({"edge_bias_eV": math.nan}, "edge energy, mean error"),
        ({"defocus_max_dof": 0.051}, "largest defocus"),
        ({"drift_residual_px": 0.11}, "drift that is left"),
        ({"drift_residual_px": math.nan}, "drift that is left"),
        ({"frames_lost": 1}, "frames lost"),
        ({"frames_lost": -1}, "frames lost"),
    ],
)
def test_what_is_beyond_a_limit_is_said_and_nothing_else(wrong: dict[str, float], quantity: str) -> None:
    card = replace(GOOD, **wrong)  # type: ignore[arg-type]
    assert not card.met
    assert [line.quantity for line in card.lines if not line.met] == [quantity]


def test_figures_that_are_not_known_are_null_in_json() -> None:
    figures = json.loads(json.dumps(replace(GOOD, edge_bias_eV=math.nan).as_dict(), allow_nan=False))
    assert figures["edge_bias_eV"] is None
    assert figures["fraction_rms"] == 0.05
