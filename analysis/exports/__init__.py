"""Runs as the files of other programs, each with where its data are from.

    from whiteline.analysis.exports import export

    export(cat[-1], "nxstxm", "stack.nxs")      # or xdi, nxxas, nxtomo, fxi, tiff, csv

Energies are those that were reached. Frames are read one at a time, so that a stack may be larger than memory. Files
are there as a whole or not at all.

`exporting` which formats there are, names of files; `request` what is asked for, and the refusal of what makes no
sense; `stack_frames`, `scanned_maps`, `point_spectra`, `found_maps` the data that formats share; `provenance` what
travels along; `nexus` what NeXus files share; and a file for each format.
"""

from whiteline.analysis.exports.exporting import FORMATS, Format, export
from whiteline.analysis.exports.request import UnsuitableRun

__all__ = ["FORMATS", "Format", "UnsuitableRun", "export"]
