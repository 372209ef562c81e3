"""Know before you start: how long a plan takes, what it writes, what dose it gives, and what it would be refused."""

from whiteline.plans.preflight.checked import DoseExceeded, after_preflight
from whiteline.plans.preflight.exposure import Beam
from whiteline.plans.preflight.report import Report, preflight
from whiteline.plans.preflight.times import TimeModel

__all__ = ["Beam", "DoseExceeded", "Report", "TimeModel", "after_preflight", "preflight"]
