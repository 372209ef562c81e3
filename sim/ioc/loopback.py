"""The one address that everything simulated listens on, and the environment that keeps Channel Access there."""

LOOPBACK = "127.0.0.1"


NOWHERE = 9
"""The port to which a list of beacons that may not be empty points, where there is no repeater."""


def server_environment(port: int, repeater: int | None = None) -> dict[str, str]:
    """Return the environment variables of an IOC on a port of loopback, with the port of a repeater if there is one.

    They must be in force before caproto is imported: it reads most of them only then. Beacons go to the repeater alone,
    or they would be broadcast. The four that begin with CAPROTO are there for one busy process variable, which would
    delay all others on its circuit: with its defaults, caproto 1.3.0 then batches updates for up to a second, and the
    last keeps it from telling so in the terminal.
    """
    return {
        "EPICS_CA_ADDR_LIST": LOOPBACK,
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_SERVER_PORT": str(port),
        "EPICS_CAS_SERVER_PORT": str(port),
        "EPICS_CAS_INTF_ADDR_LIST": LOOPBACK,
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CAS_BEACON_ADDR_LIST": f"{LOOPBACK}:{repeater or NOWHERE}",
        "CAPROTO_SERVER_HIGH_LOAD_TIMEOUT_SEC": "0.0005",
        "CAPROTO_SERVER_MAX_LATENCY_SEC": "0.005",
        "CAPROTO_SERVER_WRITE_LOCK_TIMEOUT_SEC": "0",
        "CAPROTO_SERVER_HIGH_LOAD_WARN_LATENCY_SEC": "0",
    }


def client_environment(machine: int, beamline: int, repeater: int) -> dict[str, str]:
    """Return the environment variables of a client of IOCs on these ports; they must be in force before it starts."""
    return {
        "EPICS_CA_ADDR_LIST": f"{LOOPBACK}:{machine} {LOOPBACK}:{beamline}",
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_REPEATER_PORT": str(repeater),
        "EPICS_CA_MAX_ARRAY_BYTES": str(64 * 2**20),
    }
