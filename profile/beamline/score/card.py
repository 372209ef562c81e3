"""The score card: what is held against the truth, its limit, and whether it is met."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

OVER_BOUND = 1.3
"""How much larger than the Cramér–Rao bound the error of the fraction may be."""

PULLS = (0.9, 1.15)
"""Between which the root mean square of errors over standard errors lies, if these are honest."""

EDGE_BIAS_EV = 0.05
DEFOCUS_DOF = 0.05
DRIFT_PX = 0.1
VALID = 0.5
"""Share of the particles' pixels that must be valid."""


@dataclass(frozen=True)
class Line:
    """A line of the card.

    Parameters
    ----------
    quantity, value, limit : str
        As they are shown.
    met : bool
        Whether the limit is met; what is not a number meets none.
    """

    quantity: str
    value: str
    limit: str
    met: bool


@dataclass(frozen=True, kw_only=True)
class ScoreCard:
    """How right a run is.

    Parameters
    ----------
    energies, pixels, particle_pixels, valid_pixels : int
        Of the run; of the map, of them on particles, and of these with a valid fraction.
    fraction_rms, fraction_bound : float
        Error of the fraction over the valid pixels, and its Cramér–Rao bound, root mean squares.
    fraction_pull_rms : float
        Errors over the standard errors that the map gives, root mean square.
    edge_rms_eV, edge_bias_eV : float
        Error of the edge energy, root mean square and mean [eV].
    defocus_max_dof : float
        Largest defocus of a frame, in depths of focus; NaN where the optics have none.
    drift_residual_px : float
        What is left of the drift, root mean square per axis [px].
    frames_lost : int
        Frames or pixels that were planned and are not there.
    """

    energies: int
    pixels: int
    particle_pixels: int
    valid_pixels: int
    fraction_rms: float
    fraction_bound: float
    fraction_pull_rms: float
    edge_rms_eV: float
    edge_bias_eV: float
    defocus_max_dof: float
    drift_residual_px: float
    frames_lost: int

    @property
    def lines(self) -> tuple[Line, ...]:
        """The lines of the card."""
        limit = OVER_BOUND * self.fraction_bound
        share = self.valid_pixels / self.particle_pixels if self.particle_pixels else math.nan
        low, high = PULLS
        return (
            Line("error of the fraction", f"{self.fraction_rms:.4f}",
                 f"≤ {limit:.4f}, {OVER_BOUND:g} × the Cramér–Rao bound {self.fraction_bound:.4f}",
                 self.fraction_rms <= limit),
            Line("error over its standard error", f"{self.fraction_pull_rms:.3f}", f"{low:g} to {high:g}",
                 low <= self.fraction_pull_rms <= high),
            Line("pixels with a valid fraction", f"{share:.0%} of {self.particle_pixels}",
                 f"≥ {VALID:.0%} of the particles'", share >= VALID),
            Line("edge energy, mean error", f"{self.edge_bias_eV:+.4f} eV", f"within ± {EDGE_BIAS_EV:g} eV",
                 abs(self.edge_bias_eV) <= EDGE_BIAS_EV),
            Line("largest defocus", f"{self.defocus_max_dof:.4f} depths of focus", f"≤ {DEFOCUS_DOF:g}",
                 self.defocus_max_dof <= DEFOCUS_DOF),
            Line("drift that is left", f"{self.drift_residual_px:.3f} px", f"≤ {DRIFT_PX:g} px",
                 self.drift_residual_px <= DRIFT_PX),
            Line("frames lost", f"{self.frames_lost}", "0", self.frames_lost == 0),
        )  # fmt: skip

    @property
    def met(self) -> bool:
        """Whether every limit is met."""
        return all(line.met for line in self.lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures by name, as JSON has them: what is not a number is null."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }

    def table(self) -> Table:
        """Return the card as it is shown in a terminal."""
        table = Table(title="score against the truth of the twin", title_justify="left", box=None, padding=(0, 2, 0, 0))
        for heading in ("quantity", "value", "limit", "met"):
            table.add_column(heading, no_wrap=heading != "limit")
        for line in self.lines:
            table.add_row(line.quantity, line.value, line.limit, "yes" if line.met else "NO",
                          style=None if line.met else "red")  # fmt: skip
        return table
