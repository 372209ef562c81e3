"""Go on with a scan that was interrupted: only what is missing is taken, and all is read as one run.

`missing` what a run lacks; `arguments` the arguments of its plan, with devices again; `members` the runs of one call;
`differences` what is no longer as it was; `resumption` the plan.
"""

from whiteline.beamline.resuming.missing import CannotResume, missing_of
from whiteline.beamline.resuming.resumption import Resumption, resume, resumption_of

__all__ = ["CannotResume", "Resumption", "missing_of", "resume", "resumption_of"]
