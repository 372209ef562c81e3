"""Maps of XANES stacks, each with its standard error and where it is determined.

`basis` references and background; `linear` fractions by least squares; `nonnegative` and `sum_to_one` the same under
constraints; `energy_shift` the one shift of energy between a map and its references; `lack_of_fit` where the references
do not explain the spectrum; `principal` a stack through its principal components, and by it `half_height` and
`white_line` positions; `edge_jump`, `thickness`, `centroid` what their names say; `components` PCA, k-means and NMF;
`accumulator` fractions while the scan is running, on `growing_sums`; `from_file` fractions from raw frames, by
`direct_rows`; `composition` coefficients made fractions; `spline_pieces` spectra between their energies; `products` the
pass through memory under all of them. `map` is what a map is.
"""

from whiteline.analysis.maps.accumulator import Accumulator
from whiteline.analysis.maps.basis import Basis
from whiteline.analysis.maps.centroid import centroid
from whiteline.analysis.maps.components import Clusters, Components, clusters, nonnegative_factors, principal_components
from whiteline.analysis.maps.composition import Composition
from whiteline.analysis.maps.edge_jump import EdgeNormalisation, edge_jump
from whiteline.analysis.maps.energy_shift import EnergyShift, fit_energy_shift
from whiteline.analysis.maps.from_file import composition_of_raw
from whiteline.analysis.maps.half_height import half_height
from whiteline.analysis.maps.lack_of_fit import LackOfFit, lack_of_fit
from whiteline.analysis.maps.linear import fractions, linear_combination, row_weights
from whiteline.analysis.maps.map import Map
from whiteline.analysis.maps.nonnegative import nonnegative, nonnegative_amounts, nonnegative_fractions
from whiteline.analysis.maps.principal import CountingNoise, Projection
from whiteline.analysis.maps.sum_to_one import sum_to_one, sum_to_one_fractions
from whiteline.analysis.maps.thickness import absorption_jump, thickness, thickness_from_density, thickness_from_jump
from whiteline.analysis.maps.white_line import white_line, white_line_window

__all__ = [
    "Accumulator",
    "Basis",
    "Clusters",
    "Components",
    "Composition",
    "CountingNoise",
    "EdgeNormalisation",
    "EnergyShift",
    "LackOfFit",
    "Map",
    "Projection",
    "absorption_jump",
    "centroid",
    "clusters",
    "composition_of_raw",
    "edge_jump",
    "fit_energy_shift",
    "fractions",
    "half_height",
    "lack_of_fit",
    "linear_combination",
    "nonnegative",
    "nonnegative_amounts",
    "nonnegative_factors",
    "nonnegative_fractions",
    "principal_components",
    "row_weights",
    "sum_to_one",
    "sum_to_one_fractions",
    "thickness",
    "thickness_from_density",
    "thickness_from_jump",
    "white_line",
    "white_line_window",
]
