"""Keep the workers of a Dask cluster busy: so many tasks at a time, and what each gives taken at once.

More tasks handed over would mean more results that wait in the memory of the workers.
"""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from importlib import import_module
from typing import Any

FOR_EACH_WORKER = 2
"""Tasks that are handed over: one is worked on, the next one is there when it is done."""


@dataclass(frozen=True, eq=False)
class Task:
    """Something for a worker.

    Parameters
    ----------
    work : callable
        What it shall do.
    given : tuple
        With what.
    done : callable
        Called here with what it returned; returns the tasks that follow from it, which are done first.
    """

    work: Callable[..., Any]
    given: tuple[Any, ...]
    done: Callable[[Any], Iterable["Task"]]


def carry_out(client: Any, tasks: Iterable[Task]) -> None:
    """Have tasks done, and those that follow from them, until there are none left.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster. On the way out, whichever it is, nothing of these tasks is left there.
    tasks : iterable of Task
        In the order in which they are to be begun.

    Raises
    ------
    OSError
        If a worker was lost, as it ran out of memory, or the scheduler does not answer any more.
    Exception
        What a task has raised.
    """
    distributed: Any = import_module("distributed")
    waiting, running = deque(tasks), dict[Any, Task]()
    together = FOR_EACH_WORKER * max(1, sum(client.nthreads().values()))
    ready = distributed.as_completed(loop=client.loop)

    def hand_over() -> None:
        while waiting and len(running) < together:
            task = waiting.popleft()
            future = client.submit(task.work, *task.given, pure=False)
            running[future] = task
            ready.add(future)

    try:
        hand_over()
        while running:
            future = next(ready)
            task = running.pop(future)
            result = future.result()
            future.release()
            waiting.extendleft(reversed(list(task.done(result))))
            hand_over()
    except distributed.KilledWorker as error:
        raise OSError(
            "a worker of the Dask cluster ended more than once over the same task, most likely as it ran out of "
            "memory; give each more by --memory, or take fewer --workers"
        ) from error
    except CancelledError as error:
        raise OSError(
            "the scheduler of the Dask cluster does not answer any more; see whether it still runs"
        ) from error
    finally:
        if running:
            client.cancel(list(running), force=True)
