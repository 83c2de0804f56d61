"""TLS handshakes, of which there are never so many that nobody else comes in. Knows no HTTP.

A server of asyncio's tells of a connection when its handshake is done; before that nobody could count it, or end it.
"""

import asyncio
import ssl
from collections.abc import Callable

from app.server.core.limits import Limits

Make = Callable[[], asyncio.Protocol]


class Handshakes:
    """Belongs to the server's loop."""

    def __init__(self, tls: ssl.SSLContext, limits: Limits):
        self._tls = tls
        self._limits = limits
        self._open: dict[Handshake, asyncio.Task[None]] = {}  # the oldest first

    def before(self, make: Make) -> Make:
        """What listens, instead of `make`: the protocol is made when the client has shaken hands."""
        return lambda: Handshake(self, make)

    def begin(self, handshake: "Handshake", transport: asyncio.Transport) -> None:
        """When there are too many the oldest goes: an honest one takes milliseconds."""
        self._open[handshake] = asyncio.ensure_future(self._shake(handshake, transport))
        if len(self._open) > self._limits.handshakes:
            self._end(next(iter(self._open)))

    def end(self) -> None:
        for handshake in list(self._open):
            self._end(handshake)

    def _end(self, handshake: "Handshake") -> None:
        self._open.pop(handshake).cancel()  # it may not have begun
        handshake.end()

    async def _shake(self, handshake: "Handshake", transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                transport, handshake, self._tls, server_side=True, ssl_handshake_timeout=self._limits.header
            )
        except OSError:  # it is closed: too slow, no TLS, or none that both speak
            return
        finally:
            self._open.pop(handshake, None)
        if secured is not None:
            handshake.hand_over(secured)


class Handshake(asyncio.Protocol):
    """One client's, until its protocol takes over."""

    def __init__(self, handshakes: Handshakes, make: Make):
        self._handshakes = handshakes
        self._make = make
        self._transport: asyncio.Transport | None = None
        self._early = b""  # came with the last of its handshake
        self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.pause_reading()  # what comes is for TLS
        self._handshakes.begin(self, transport)

    def data_received(self, data: bytes) -> None:
        self._early += data

    def connection_lost(self, _: Exception | None) -> None:
        self._is_lost = True

    def hand_over(self, secured: asyncio.Transport) -> None:
        if self._is_lost:
            return
        protocol = self._make()
        secured.set_protocol(protocol)
        protocol.connection_made(secured)
        if self._early:
            protocol.data_received(self._early)

    def end(self) -> None:
        """Now."""
        if self._transport:
            self._transport.abort()
