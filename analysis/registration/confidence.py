"""When to distrust a shift: a confidence of one measurement, and the agreement of two that have nothing in common.

Correlation always has a highest peak, also where frame and reference share nothing. Two figures tell such a peak from a
true one: how far it stands above the rest of the correlation (`significance`), and how much of what both frames hold is
in phase with it (`coherence`). The first guards small frames, in which a chance agreement of a few waves is coherent;
the second guards large ones, in which a faint static pattern of the flat field, the same in every frame, makes a sharp
peak at zero. The confidence is that of the weaker, from 0 to 1, and 0.5 is the threshold.

The threshold was chosen on 20 seeds and measured on others: transmission of textured spheres at 1000 and at 20 000
counts, 100 frames of each kind and count, in frames of 128² and of 256².

- Good frames (shifts up to 5 px, a static pattern of 1 %, contrast lowered or inverted, a second species): none of 1600
  was rejected. With shifts of 20 to 30 px, none of 200 of 256², and 4 of 200 of 128².
- A contrast down to a tenth, at 1000 counts: 10 % of 256² was rejected, 34 % with the pattern; of 128² 72 % and 87 %.
  Those accepted are off by up to 0.8 px; at 20 000 counts and 128² with the pattern, by up to 1.2 px.
- Blank frames and smooth gradients: none of 1400 was accepted, most of them with the pattern.
- Another sample: none of 400 of 256² was accepted, and 2 of 400 of 128², where a few spheres may look like others.
- Shifts beyond the reach: none of 200 of 256² was accepted, and 1 of 200 of 128². The second algorithm, asked about
  the frames of 128² wrongly accepted here and above, let 1 of the 3 pass.

What it cannot tell: a static pattern is truly the same in a blank frame and in the reference, at zero. In frames of
1024² one of 1 % gave a blank frame a confidence of 0.33, one of 2 % gave 0.51.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

THRESHOLD = 0.5
"""Confidence below which a shift is not to be believed."""

TRUSTED_COHERENCE = 0.25
TRUSTED_SIGNIFICANCE = 15.0
"""Where each of the two alone gives the threshold."""

AGREEMENT_ERRORS = 4.0
"""Differences of two measurements up to so many standard errors are agreement."""

AGREEMENT_PX = 0.15
"""What a static pattern and a changing contrast may add to the difference, beyond all standard errors [px]."""


class Measured(Protocol):
    """A shift with its standard errors."""

    @property
    def y(self) -> float: ...  # noqa: D102
    @property
    def x(self) -> float: ...  # noqa: D102
    @property
    def error_y(self) -> float: ...  # noqa: D102
    @property
    def error_x(self) -> float: ...  # noqa: D102


class WithConfidence(Measured, Protocol):
    """A shift with its standard errors and its own confidence."""

    @property
    def confidence(self) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class Verdict:
    """Whether to believe a shift.

    Parameters
    ----------
    trusted : bool
        Whether it is to be used.
    confidence : float
        Its own confidence, between 0 and 1.
    difference : float
        Distance to the second measurement [px]; NaN without one.
    reason : str
        In a sentence, why it is not trusted; empty where it is.
    """

    trusted: bool
    confidence: float
    difference: float
    reason: str


def confidence(coherence: float, significance: float, *, inside: bool = True) -> float:
    """Return the confidence of a shift, between 0 and 1.

    Parameters
    ----------
    coherence : float
        Share of the weighted cross-power that is in phase with the shift.
    significance : float
        Height of the peak over the standard deviation of the correlation elsewhere.
    inside : bool
        Whether the shift lies within the reach; if not, the confidence is 0.

    Returns
    -------
    float
        q / (1 + q), with q the lesser of coherence / 0.25 and significance / 15.
    """
    if not inside:
        return 0.0
    weaker = min(coherence / TRUSTED_COHERENCE, significance / TRUSTED_SIGNIFICANCE)
    return float(weaker / (1 + weaker)) if weaker > 0 else 0.0


def judge(shift: WithConfidence, second: Measured | None = None) -> Verdict:
    """Say whether to believe a shift, by its own confidence and a second measurement by another algorithm.

    Parameters
    ----------
    shift : Shift
        From `gradient_correlation.Reference.shift`.
    second : Alignment, optional
        From `intensity.align`, of the same frame against the same reference.
    """
    difference = np.nan if second is None else float(np.hypot(shift.y - second.y, shift.x - second.x))
    reason = ""
    if not np.isfinite([shift.y, shift.x]).all():
        reason = "the frame holds nothing to register: it is blank, or has no good pixel"
    elif shift.confidence < THRESHOLD:
        reason = (
            f"the confidence {shift.confidence:.2f} is below {THRESHOLD:g}: frame and reference have too little in "
            f"common, or the shift of ({shift.y:.1f}, {shift.x:.1f}) px is beyond the reach"
        )
    elif second is not None:
        allowed = AGREEMENT_PX + AGREEMENT_ERRORS * np.linalg.norm(
            [shift.error_y, shift.error_x, second.error_y, second.error_x]
        )
        if not difference <= allowed:  # a NaN agrees with nothing
            reason = f"two algorithms differ by {difference:.2f} px, above the {allowed:.2f} px that their errors allow"
    return Verdict(not reason, shift.confidence, difference, reason)
