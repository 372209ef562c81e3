"""A process variable that ends its IOC at once."""

import os
from typing import Any

from caproto.server import PVGroup, pvproperty


def crash() -> Any:
    """Return a property whose write ends the process as a crash does: nothing is tidied up, no circuit is closed."""

    async def end(group: PVGroup, instance: object, value: int) -> None:
        if value:
            os._exit(int(value) & 0xFF)

    return pvproperty(name="exit", value=0, put=end, doc="End this IOC at once with this code, as if it had crashed")
