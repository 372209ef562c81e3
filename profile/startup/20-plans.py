"""The plans by name, and bluesky's own."""

import bluesky.plan_stubs as bps
import bluesky.plans as bp
from bluesky.plan_stubs import mv, mvr  # from a queue; at a prompt these names move at once

from whiteline.analysis import energies
from whiteline.analysis.runs import find_run, open_run
from whiteline.plans import *
