"""Maps of stacks that are larger than memory, on a cluster of Dask.

A stack in three dimensions is a list of slices: places of a sample, angles of tomograms, or runs, each with its own
energies. `slices` takes them from runs, `angles` from tomograms over an edge. Frames lie on the disk one energy after
the other, a fit wants all energies of a pixel: so each slice is looked through once (`survey`), then brought into
spectral order once, part by part (`spectral_copy`), and mapped (`part_maps`). The copy is kept, and used again.
`parts` says how a slice is divided, `mapping` has all of it done by a client of Dask that it is given, `tasks` keeps
the workers busy but no more than that, and `maps_file` is the result.
"""

from whiteline.analysis.scale.angles import slices_of_tomograms
from whiteline.analysis.scale.mapping import What, map_slices, require_sense
from whiteline.analysis.scale.slices import Slice, slices_of

__all__ = ["Slice", "What", "map_slices", "require_sense", "slices_of", "slices_of_tomograms"]
