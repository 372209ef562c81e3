"""The session: run engine, catalog, live analysis, and every device by its name."""

import atexit

from whiteline.beamline.prompt import this_prompt
from whiteline.beamline.published import usual_address
from whiteline.beamline.session import open_session

# Ctrl-C pauses a scan where there is a prompt to go on from; a queue server pauses by itself
session = open_session(beamline, interruptible=this_prompt() is not None, publish=usual_address())
atexit.register(session.close)

RE, cat, sd = session.engine, session.store.catalog, session.supplemental
devices, live = session.devices, session.live
use_sample, preflight, resume = session.use_sample, session.preflight, session.resume
globals().update(devices)
globals().update({part.name: part for part in (*live.parts, session.meter.dose)})
