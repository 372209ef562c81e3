"""The description of a beamline: one TOML file that feeds devices and simulated IOCs alike."""

from whiteline.beamline.description.beamline import Beamline
from whiteline.beamline.description.reading import ENVIRONMENT, SHIPPED, DescriptionError, load, parse

__all__ = ["ENVIRONMENT", "SHIPPED", "Beamline", "DescriptionError", "load", "parse"]
