"""What is worked round in caproto: where one of these fails, the way round it is no longer needed."""

import asyncio
import os
import socket
import subprocess
import sys

from caproto.asyncio.utils import _create_bound_tcp_socket

from whiteline.sim.ioc.loopback import LOOPBACK, server_environment


def test_its_listening_socket_is_still_not_known_as_tcp() -> None:
    """`sim.ioc.channel_access.Server` makes its own: asyncio sets TCP_NODELAY only where the protocol is named."""
    made = asyncio.run(_create_bound_tcp_socket(LOOPBACK, 0))
    with made:
        assert made.proto != socket.IPPROTO_TCP


def test_it_still_batches_for_up_to_a_second_under_load() -> None:
    """`sim.ioc.loopback.server_environment` sets the limits of its high-load mode."""
    ours = {name: value for name, value in server_environment(1).items() if name.startswith("CAPROTO_")}
    assert len(ours) == 4
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    code = "from caproto.server import common; print(common.MAX_LATENCY, common.WRITE_LOCK_TIMEOUT)"
    without, with_ours = (
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
        for environment in (clean, clean | ours)
    )
    assert without == "1.0 0.001\n"
    assert with_ours == "0.005 0.0\n"
