"""A way round a defect of pyepics: an answer that is written over what a monitor has brought after it.

pyepics 3.5.10 keeps one last value of a process variable. Its monitor writes it as changes come, and so does each
thread that has asked, when it gets round to it. An answer from before a change, written after the monitor told of that
change, stays until the next one, which may never come: a camera that had stopped seemed to acquire for as long as it
was asked.
"""

import threading
from typing import Any


def refuse_late_answers(signal: Any) -> None:
    """Let the last value of a signal be that of its monitor, unless an answer is newer.

    Parameters
    ----------
    signal : EpicsSignalBase
        Whose process variable is read; others that share it see the same.
    """
    pv = signal._read_pv
    if not isinstance(pv._args, _Newest):
        newest = _Newest()
        # the client library's thread may write just now; CPython lets no other thread in between these two lines
        newest |= pv._args
        pv._args = newest


class _Newest(dict[str, Any]):
    """What pyepics knows of a process variable, where an older answer is not taken.

    A monitor hands what comes with its value as a mapping, time stamp included, and writes the value after it; an
    answer comes as keywords. So an answer either precedes all that the monitor writes, or finds its time stamp.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def __copy__(self) -> dict[str, Any]:
        # pyepics copies it for whoever is told of a change: value and time stamp belong together
        with self._lock:
            return dict(self)

    def update(self, *told: Any, **answered: Any) -> None:
        """Take what a monitor tells, and an answer unless what is held is newer."""
        with self._lock:
            held, given = self["timestamp"], answered.get("timestamp")
            late = self["value"] is not None and held is not None and given is not None and given < held
            if not late:
                super().update(*told, **answered)
