"""One spectrum at a time: edge position, normalisation, glitches, foil, edge model, linear combination.

`edge_position` E0 by the derivative, or fixed; `half_height` E0 at half height; `normalise` pre-edge line, post-edge
polynomial, edge step, flattening; `deglitch` points that lie off their neighbours; `foil` the energy against the edge
of a metal foil; `edge_model` arctangent, white line and pre-edge peak, fitted; `reference` references at the energies
of a scan; `combination` a spectrum as a sum of references; `noise` what the scatter of a spectrum says of its errors.
"""

from whiteline.analysis.spectra.combination import Background, Combination, fit_combination
from whiteline.analysis.spectra.deglitch import Deglitched, deglitch
from whiteline.analysis.spectra.edge_model import EdgeFit, edge_absorption, fit_edge
from whiteline.analysis.spectra.edge_position import EdgePosition, edge_by_derivative, edge_fixed
from whiteline.analysis.spectra.foil import FoilCalibration, calibrate_on_foil
from whiteline.analysis.spectra.half_height import edge_by_half_height
from whiteline.analysis.spectra.noise import estimated_noise
from whiteline.analysis.spectra.normalise import NormalisedSpectrum, normalise
from whiteline.analysis.spectra.reference import on_energies

__all__ = [
    "Background",
    "Combination",
    "Deglitched",
    "EdgeFit",
    "EdgePosition",
    "FoilCalibration",
    "NormalisedSpectrum",
    "calibrate_on_foil",
    "deglitch",
    "edge_absorption",
    "edge_by_derivative",
    "edge_by_half_height",
    "edge_fixed",
    "estimated_noise",
    "fit_combination",
    "fit_edge",
    "normalise",
    "on_energies",
]
