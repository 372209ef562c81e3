"""Build every device of a beamline from its description.

Importing this loads ophyd and with it the client library of Channel Access, which reads where to search but once: where
a simulated beamline is to be found, import it inside `simulated`.
"""

from whiteline.beamline.build.building import build
from whiteline.beamline.build.devices import Devices

__all__ = ["Devices", "build"]
