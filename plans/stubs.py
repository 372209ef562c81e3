"""bluesky's plan stubs, without the stack trace that each call of one keeps for a warning that nobody reads.

bluesky 1.15.1 wraps every stub in a `Plan`, which formats the whole stack to be able to warn of a forgotten `yield
from`. That is most of the time that it takes to iterate a plan. The functions below are the same ones, unwrapped.
"""

from collections.abc import Callable
from inspect import unwrap
from typing import ParamSpec, TypeVar

import bluesky.plan_stubs as bps

Given = ParamSpec("Given")
Returned = TypeVar("Returned")


def _unwrapped(stub: Callable[Given, Returned]) -> Callable[Given, Returned]:
    return unwrap(stub)


checkpoint = _unwrapped(bps.checkpoint)
clear_checkpoint = _unwrapped(bps.clear_checkpoint)
collect = _unwrapped(bps.collect)
complete = _unwrapped(bps.complete)
create = _unwrapped(bps.create)
declare_stream = _unwrapped(bps.declare_stream)
kickoff = _unwrapped(bps.kickoff)
mv = _unwrapped(bps.mv)
prepare = _unwrapped(bps.prepare)
rd = _unwrapped(bps.rd)
read = _unwrapped(bps.read)
save = _unwrapped(bps.save)
stage_all = _unwrapped(bps.stage_all)
stop = _unwrapped(bps.stop)
trigger = _unwrapped(bps.trigger)
unstage = _unwrapped(bps.unstage)
wait = _unwrapped(bps.wait)
