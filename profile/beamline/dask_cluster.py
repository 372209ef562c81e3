"""The Dask cluster that maps are made on: one of its own on this machine, or one that runs elsewhere."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from whiteline.analysis.scale.parts import require_memory

NEEDED = "dask", "distributed"
"""Modules of the extra `scale`."""

ANSWER_S = 10.0
"""A scheduler answers within this time, or is taken not to be there."""

MALLOC = {"MALLOC_MMAP_THRESHOLD_": 16 * 2**20, "MALLOC_TRIM_THRESHOLD_": 64 * 2**20}
"""Of workers here: what is larger goes back at once, so memory stays flat; blocks of a fit are used again. Dask's own
choice gives all of them back, and spends as much time on having the pages cleared as on the fit."""

WORKERS_S = 30.0
"""Within this time it has a worker."""


@dataclass(frozen=True)
class Cluster:
    """Which cluster.

    Parameters
    ----------
    scheduler : str, optional
        Address of one that runs, such as tcp://node7:8786. Its workers need whiteline, and the files under the same
        paths.
    workers : int, optional
        Processes of one of its own, each with one thread; as many as there are cores.
    memory : str, optional
        Of each of them, such as "2GB"; an equal share of what there is.
    dashboard : int, optional
        Port on loopback where Dask shows what it does; none, unless it is given.

    Raises
    ------
    ValueError
        If they do not belong together, or are not possible.
    """

    scheduler: str | None = None
    workers: int | None = None
    memory: str | None = None
    dashboard: int | None = None

    def __post_init__(self) -> None:
        if self.scheduler is not None and (self.workers, self.memory, self.dashboard) != (None, None, None):
            raise ValueError(
                f"the cluster at {self.scheduler} has workers of its own; give --workers, --memory and --dashboard "
                "where it is started, or leave --scheduler away"
            )
        if self.memory is not None:
            from dask.utils import parse_bytes

            try:
                size = parse_bytes(self.memory)
            except ValueError as error:
                raise ValueError(f"memory of a worker {self.memory!r} must be a size such as 2GB or 1500MB") from error
            require_memory(size)


def require_dask() -> None:
    """Raise if the extra is missing.

    Raises
    ------
    OSError
        Naming what to install.
    """
    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        raise OSError(f"maps on a cluster need {', '.join(absent)}, not installed: pip install -e '.[scale]'")


@contextmanager
def client_of(cluster: Cluster) -> Iterator[Any]:
    """Give a client of the cluster; one of its own ends with it, whatever happens.

    That one listens on loopback only, and its parts know each other by a key made for it: whoever else is on this
    machine cannot have it run anything.

    Raises
    ------
    OSError
        If the scheduler does not answer, or has no workers.
    """
    if cluster.scheduler is not None:
        with _connected(cluster.scheduler) as client:
            yield client
        return
    dask: Any = import_module("dask")
    distributed: Any = import_module("distributed")
    if cluster.dashboard is not None:
        _require_free(cluster.dashboard)
    # without it Dask would still serve a page about its health, at a port that another program may want
    page = {"dashboard": cluster.dashboard is not None, "dashboard_address": f"127.0.0.1:{cluster.dashboard or 0}"}
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": _environment(dask)}),
        distributed.LocalCluster(
            n_workers=cluster.workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=cluster.memory or "auto",
            host="127.0.0.1",
            scheduler_kwargs=page,
            security=True,
            silence_logs=50,
        ) as local,
        distributed.Client(local) as client,
    ):
        # a terminal sends Ctrl-C to them, too; this process ends them in order
        client.run(_leave_interrupts)
        yield client


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    distributed: Any = import_module("distributed")
    try:
        client = distributed.Client(address, timeout=ANSWER_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OSError(
            f"no scheduler of Dask answers at {address} within {ANSWER_S:g} s; start one, `dask scheduler`, or leave "
            "--scheduler away for workers on this machine"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError as error:
            raise OSError(
                f"the scheduler at {address} has no workers after {WORKERS_S:g} s; start some, `dask worker {address}`"
            ) from error
        yield client


def _environment(dask: Any) -> dict[str, Any]:
    return {**dask.config.get("distributed.nanny.pre-spawn-environ"), **MALLOC}


def _require_free(port: int) -> None:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError as error:
            raise OSError(
                f"port {port} of 127.0.0.1 cannot be had for --dashboard: {error.strerror}; name another"
            ) from error


def _leave_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
