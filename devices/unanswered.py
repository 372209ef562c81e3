"""A way round a defect of pyepics: a process variable that can never be read again after one question was lost.

pyepics 3.5.10 notes that it awaits an answer before it sends the question, and lets all who ask meanwhile wait for it,
too. A question that cannot be sent, as the circuit broke just then, has no answer: all would wait in vain, for ever.
"""

from typing import Any


def forget_unanswered(pv: Any) -> None:
    """Let the next question of a process variable be sent, though the one before was not answered.

    Parameters
    ----------
    pv : epics.PV
        That was asked in vain, or is lost. An answer that comes late does no harm: on one circuit it comes before that
        of a question that was sent later.
    """
    # imported here: with it comes the client library, which reads where to search but once
    from epics import ca

    entry = ca._cache[pv.context].get(pv.pvname) if pv.context in ca._cache else None
    if entry is None:
        return
    with entry.lock:
        for kind, (answer,) in list(entry.get_results.items()):
            if answer is ca.GET_PENDING:
                entry.get_results[kind] = [None]
