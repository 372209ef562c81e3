"""Addresses, and whether only this machine can reach them."""

import ipaddress
import re

DEFAULT_ZMQ = "tcp://127.0.0.1:5577"
"""Where a session publishes, and the page listens, if nothing else is said."""


def is_loopback(host: str) -> bool:
    """Tell whether a host can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def require_zmq(address: str) -> str:
    """Return an address of 0MQ that nobody outside this machine can reach.

    Parameters
    ----------
    address : str
        "tcp://127.0.0.1:5577" or "ipc:///run/whiteline/documents".

    Raises
    ------
    ValueError
        If it is none, or others can reach it: whoever connects is told everything, and asked for no token.
    """
    if address.startswith("ipc:///"):
        return address
    found = re.fullmatch(r"tcp://(\[[0-9a-fA-F:]+\]|[^:/\s]+):(\d{1,5})", address)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ValueError(
            f"0MQ address {address!r} is none: it must be like {DEFAULT_ZMQ}, with a port of 1 to 65535, or "
            "ipc:///run/whiteline/documents"
        )
    if not is_loopback(found[1]):
        raise ValueError(
            f"0MQ address {address!r} is not on loopback, and 0MQ asks nobody for a token: take {DEFAULT_ZMQ}, run the "
            "page on this machine, and let the page out instead, by --address and a token, or by a tunnel of ssh"
        )
    return address
