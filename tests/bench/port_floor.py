"""What a token's way takes without a port: a thread writes pieces as long as an event to a socket, by itself or by
asyncio's loop, and a client in another process reads them. The rest of the way is the port's own."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PIECE = b'data: {"choices":[{"delta":{"content":"x"}}],"filling":"' + b"." * 200 + b'"}\n\n'
END = b"data: [DONE]\n\n"
Stamps = list[float]


@contextmanager
def written(num: int, pause: float, by_loop: bool) -> Iterator[tuple[tuple[str, int], Stamps]]:
    """An address at which one client is written `num` pieces, one every `pause` seconds, and when each began."""
    stamps: Stamps = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, num, pause, by_loop, stamps))
        thread.start()
        yield listener.getsockname(), stamps
        thread.join()


def _serve(listener: socket.socket, num: int, pause: float, by_loop: bool, stamps: Stamps) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.recv(65536)
        if by_loop:
            asyncio.run(_write_by_loop(connection, num, pause, stamps))
        else:
            _write(connection.sendall, num, pause, stamps)


async def _write_by_loop(connection: socket.socket, num: int, pause: float, stamps: Stamps) -> None:
    loop = asyncio.get_running_loop()
    _, writer = await asyncio.open_connection(sock=connection)

    def write(piece: bytes) -> None:
        loop.call_soon_threadsafe(writer.write, piece)

    await asyncio.to_thread(_write, write, num, pause, stamps)
    await writer.drain()
    writer.close()


def _write(write: Callable[[bytes], object], num: int, pause: float, stamps: Stamps) -> None:
    for _ in range(num):
        time.sleep(pause)
        stamps.append(time.monotonic())
        write(PIECE)
    write(END)
