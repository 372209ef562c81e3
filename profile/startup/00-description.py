"""The description of this beamline, as `beamline`."""

from whiteline.beamline.description import load

beamline = load()
