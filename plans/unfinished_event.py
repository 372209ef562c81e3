"""An event that a scan was interrupted in is dropped before its run is closed.

bluesky's `SupplementalData` reads its baseline once more when a run closes. If an error or an abort came between
`create` and `save`, that reading is refused (bluesky 1.15.1: "A second 'create' message is not allowed"), which then
hides why the scan had ended. With this wrapper inside of it, the half event goes first. A test tells when bluesky does
so itself.
"""

from typing import Any

from bluesky.utils import IllegalMessageSequence, Msg, MsgGenerator


def dropping(plan: MsgGenerator[Any]) -> MsgGenerator[Any]:
    """Run a plan, and drop the event that is open where it closes a run: a preprocessor of a run engine.

    Parameters
    ----------
    plan : generator of Msg
        Any.

    Returns
    -------
    object
        What the plan returns.
    """
    begun: set[Any] = set()
    answer: Any = None
    failure: BaseException | None = None
    while True:
        try:
            message = plan.send(answer) if failure is None else plan.throw(failure)
        except StopIteration as end:
            return end.value
        answer = failure = None
        if message.command == "close_run" and message.run in begun:
            begun.discard(message.run)
            try:
                yield Msg("drop", run=message.run)
            except IllegalMessageSequence:
                pass  # it was never open, or the save had failed and closed it
            except GeneratorExit:
                plan.close()
                raise
            except BaseException as error:
                failure = error
                continue
        if message.command == "create":
            begun.add(message.run)  # before it is answered: an interruption may take the answer's place
        try:
            answer = yield message
        except GeneratorExit:
            plan.close()
            raise
        except BaseException as error:
            failure = error
            continue
        if message.command in ("save", "drop"):
            begun.discard(message.run)
