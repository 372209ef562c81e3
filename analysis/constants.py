"""Constants of nature and of mathematics, each once, in the unit that its name carries.

Values are those of CODATA 2018 (https://physics.nist.gov/cuu/Constants); the exact ones are exact in the SI of 2019.
"""

from typing import Final

HC_EV_ANGSTROM: Final = 12_398.419_843_320
"""Planck constant times speed of light [eV Å]."""

ELEMENTARY_CHARGE_C: Final = 1.602_176_634e-19
"""Charge of the electron [C]; the same number turns eV into J."""

AVOGADRO_PER_MOL: Final = 6.022_140_76e23
"""Atoms in a mole."""

ELECTRON_MASS_EV: Final = 510_998.950
"""Rest energy of the electron [eV]."""

SI_LATTICE_ANGSTROM: Final = 5.431_020_511
"""Lattice parameter of silicon at 22.5 °C in vacuum [Å]."""

UNDULATOR_K_PER_TESLA_MM: Final = 0.093_372_895
"""Deflection parameter of an undulator per tesla of peak field and millimetre of period, e / (2π m c)."""

IN_FOCUS_WIDTH: Final = 0.437
"""Gaussian σ of the image of a point by a zone plate in focus, in outer zone widths."""

MIRROR_WIDTH: Final = 0.443
"""Diffraction-limited spot of a mirror, full width at half maximum, in λ / NA with NA half the angle of its light."""

FWHM_PER_SIGMA: Final = 2.354_820_045_030_949
"""Full width at half maximum of a Gaussian over its standard deviation, 2 √(2 ln 2)."""
