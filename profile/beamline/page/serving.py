"""The server of the page: one process for all viewers, which takes no time from a scan."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from whiteline.analysis.spectrum_files import Spectrum
from whiteline.beamline.description import Beamline
from whiteline.beamline.page.addresses import is_loopback
from whiteline.beamline.page.given import Given
from whiteline.beamline.page.past_runs import PastRuns
from whiteline.beamline.page.running import Running
from whiteline.beamline.page.shown import Regions, Shown
from whiteline.beamline.page.style import PAGE

PORT = 5006
GENTLE = 10
"""How much the process gives way to others: what it shows can wait, a scan cannot."""


class Pages:
    """What all viewers look at.

    Parameters
    ----------
    beamline : Beamline
        The description.
    zmq : str or None
        Where a session publishes.
    catalog : object or None
        A catalog of runs.
    references : sequence of Spectrum
        Instead of those that runs name.
    material : str, optional
        Chemical formula, instead of that which runs name.

    Raises
    ------
    ValueError
        If there is neither a session nor a catalog, or the address is none on loopback.
    """

    def __init__(
        self,
        beamline: Beamline,
        *,
        zmq: str | None,
        catalog: Any = None,
        references: Sequence[Spectrum] = (),
        material: str | None = None,
    ) -> None:
        if zmq is None and catalog is None:
            raise ValueError("there is nothing to show: neither an address of a session nor a catalog is given")
        given = Given(beamline, references, material)
        self.title = beamline.name
        self.workers = ThreadPoolExecutor(1, "page regions")
        self.running = None if zmq is None else Running(given, zmq)
        self.past = None if catalog is None else PastRuns(given, catalog)
        self._regions: dict[int, tuple[Shown, Regions]] = {}

    def regions(self, shown: Shown) -> Regions:
        """Return the regions of a run, which all viewers share."""
        if id(shown) not in self._regions:
            self._regions[id(shown)] = shown, Regions(shown, self.workers)
            while len(self._regions) > 8:
                del self._regions[next(iter(self._regions))]
        return self._regions[id(shown)][1]

    def close(self) -> None:
        """End all threads."""
        for one in (self.running, self.past):
            if one is not None:
                one.close()
        self.workers.shutdown(wait=False, cancel_futures=True)


def require_free(address: str, port: int) -> None:
    """Refuse a port that cannot be bound.

    Raises
    ------
    OSError
        If another program has it, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((address, port))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise OSError(f"page cannot listen at {address}:{port}: {reason}; choose another by --port") from error


def serve(
    pages: Pages,
    *,
    address: str = "127.0.0.1",
    port: int = PORT,
    token: str | None = None,
    ready: Callable[[str], Any] = print,
) -> None:
    """Serve the page until the process is interrupted.

    Parameters
    ----------
    pages : Pages
        What is shown.
    address, port
        Where to listen.
    token : str or None
        That viewers must have.
    ready : callable
        Given the address of the page when it is there.

    Raises
    ------
    OSError
        If the port is taken.
    """
    try:
        _serve(pages, address, port, token, ready)
    finally:
        pages.close()


def _serve(pages: Pages, address: str, port: int, token: str | None, ready: Callable[[str], Any]) -> None:
    require_free(address, port)
    import panel as pn

    from whiteline.beamline.page.token import TokenProvider
    from whiteline.beamline.page.viewer import Viewer

    with suppress(OSError):
        os.nice(GENTLE)
    for name in ("bokeh", "tornado", "panel"):
        logging.getLogger(name).setLevel(logging.ERROR)
    pn.extension(raw_css=[PAGE], notifications=False, respect_explicit_sizing=True)
    options: dict[str, Any] = {} if token is None else {"auth_provider": TokenProvider(token)}
    # Other names of this machine cannot be known; there the token stands in for the origin, as its cookie is strict.
    names = [f"{one}:{port}" for one in ("localhost", "127.0.0.1")] if is_loopback(address) else ["*"]
    shown = "localhost" if address in ("0.0.0.0", "::", "::1") else address
    server = pn.serve(
        {"/": lambda: Viewer(pages).page()},
        address=address,
        port=port,
        websocket_origin=names,
        title=f"whiteline · {pages.title}",
        show=False,
        start=False,
        verbose=False,
        admin=False,
        **options,
    )
    server.start()
    ready(f"http://{shown}:{port}/" + ("" if token is None else "?token=…"))
    loop = asyncio.get_event_loop()
    loop.add_signal_handler(signal.SIGTERM, loop.stop)
    with suppress(KeyboardInterrupt):
        loop.run_forever()
    server.stop()
