"""How Plumbline speaks with an endpoint: one request in, one reply or one typed error out."""

from typing import ClassVar, Protocol

from pydantic import BaseModel

from probes.reply import Reply, Request


class Client(Protocol):
    """One endpoint's voice. A plugin registers a class of this shape in `plumbline.clients`.

    A client never retries: an attempt is the measurement. It is made once per endpoint as
    `ClientClass(settings)` and used by many attempts at a time.

    Attributes:
        api: The plugin contract it was written for; 1.
        Settings: A pydantic model of the endpoint's own keys in the config; its validation is the config's.
    """

    api: ClassVar[int]
    Settings: ClassVar[type[BaseModel]]

    async def ask(self, request: Request) -> Reply:
        """Sends the request and reads the whole reply.

        Args:
            request: What to ask, with the deadline of the whole attempt.

        Raises:
            EndpointError: One leaf of the tree for every way to fail.
            asyncio.CancelledError: The caller gave up; the connection is closed, nothing leaks.
        """
        ...

    async def close(self) -> None:
        """Lets go of connections. Calling it twice does no harm."""
        ...
