"""Know which client has written: caproto tells that to a channel, and not to its putter."""

from typing import Any

Client = tuple[str, int]
"""Address and port of a circuit: one for each process that is a client."""


class FromAClient:
    """A channel that keeps the address of the client that wrote last; mix it in before the class of the channel."""

    client: Client | None = None

    async def auth_write(self, *args: Any, user_address: Client | None = None, **kwargs: Any) -> Any:
        """Write for a client, and keep its address."""
        self.client = user_address
        return await super().auth_write(*args, user_address=user_address, **kwargs)  # type: ignore[misc]
