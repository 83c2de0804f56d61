"""TLS handshakes, of which there are never so many that nobody else comes in. Of HTTP it knows only how a plain request
is told that this port speaks https.

A server of asyncio's tells of a connection when its handshake is done; before that nobody could count it, or end it.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable

from app.server.core.limits import Limits
from app.server.core.refusal import Refusal
from app.server.last_word import last_word

HANDSHAKE = b"\x16"  # how TLS begins: the type of the first record (RFC 8446, 5.1)
SPEAKS_HTTPS = Refusal(400, "This port speaks https: ask with https:// in place of http://.", code="https_expected")
GOODBYE_SECONDS = 1.0  # for whoever is told so to take it: what lies unread at the end would break the answer off
MAX_UNREAD = 64 << 10  # bytes of a plain request that are taken after its answer

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
        others = list(self._open)
        self._open[handshake] = asyncio.ensure_future(self._shake(handshake, transport))
        if len(self._open) > self._limits.handshakes:
            self._end(_worst(others))

    def end(self) -> None:
        for handshake in list(self._open):
            self._end(handshake)

    def _end(self, handshake: "Handshake") -> None:
        self._open.pop(handshake).cancel()  # it may not have begun
        handshake.end()

    async def _shake(self, handshake: "Handshake", transport: asyncio.Transport) -> None:
        secured = None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.header
        try:
            async with asyncio.timeout_at(deadline):
                first = await handshake.first
            if first.startswith(HANDSHAKE):
                secured = await self._secured(handshake, transport, max(0.1, deadline - loop.time()))
            else:
                await handshake.part(is_http=first[:1].isalpha())
        except OSError:  # it is closed: too slow, no TLS, or none that both speak
            handshake.end()
        finally:
            self._open.pop(handshake, None)
        if secured is not None:
            handshake.hand_over(secured)

    async def _secured(
        self, handshake: "Handshake", transport: asyncio.Transport, seconds: float
    ) -> asyncio.Transport | None:
        """TLS hears what has come already right after its own beginning, and before all that comes later."""
        loop = asyncio.get_running_loop()
        securing = asyncio.ensure_future(
            loop.start_tls(transport, handshake, self._tls, server_side=True, ssl_handshake_timeout=seconds)
        )
        try:
            await asyncio.sleep(0)  # it is the transport's protocol now, and is told so in the next round
            loop.call_soon(_feed, transport, handshake.take_first())
            return await securing
        finally:
            securing.cancel()


class Handshake(asyncio.Protocol):
    """One client's, until its protocol takes over."""

    def __init__(self, handshakes: Handshakes, make: Make):
        self.address = ""
        self.first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()  # what comes first; b"": nothing
        self._handshakes = handshakes
        self._make = make
        self._transport: asyncio.Transport | None = None
        self._came = b""  # not taken by TLS yet
        self._early = b""  # what TLS has read behind the last of its handshake
        self._is_secure = False
        self._num_unread = 0
        self._lost = asyncio.Event()

    @property
    def is_silent(self) -> bool:
        return not self.first.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if peer else ""
        self._handshakes.begin(self, transport)

    def data_received(self, data: bytes) -> None:
        if self._is_secure:
            self._early += data
        elif self.first.done() and not self._came:  # it has been told already
            self._num_unread += len(data)
            if self._num_unread > MAX_UNREAD:
                self.end()
        else:
            self._came += data
            self._hear(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._lost.set()
        self._hear(b"")

    def _hear(self, data: bytes) -> None:
        if self.first.done():
            return
        self.first.set_result(data)
        if data.startswith(HANDSHAKE) and self._transport:
            self._transport.pause_reading()  # the rest is for TLS

    def take_first(self) -> bytes:
        """What has come. From now on TLS hears it."""
        came, self._came, self._is_secure = self._came, b"", True
        return came

    async def part(self, is_http: bool) -> None:
        """With a word, where it speaks HTTP: bounded in time and size, whatever it sends."""
        self._came = b""
        if is_http and self._transport:
            self._transport.write(last_word(SPEAKS_HTTPS))
            if self._transport.can_write_eof():
                self._transport.write_eof()
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._lost.wait()
        self.end()

    def hand_over(self, secured: asyncio.Transport) -> None:
        if self._lost.is_set():
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


def _worst(handshakes: list[Handshake]) -> Handshake:
    """Which goes when there are too many: of the address that has most of them, one that has said nothing, else the
    oldest. An honest one takes milliseconds."""
    counts = Counter(each.address for each in handshakes)
    most = max(counts.values())
    crowd = [each for each in handshakes if counts[each.address] == most]
    return next((each for each in crowd if each.is_silent), crowd[0])


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    """To TLS, as the transport itself does."""
    protocol = transport.get_protocol()
    while data and isinstance(protocol, asyncio.BufferedProtocol):
        buffer = memoryview(protocol.get_buffer(len(data)))
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]
