"""A proxy for TLS: CONNECT, then bytes both ways. Notes what it was asked."""

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Tunnel)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.rfile.readline()
        self.server.heads.append(head.decode())
        host, _, port = head.split(b" ")[1].decode().partition(":")
        with socket.create_connection((host, int(port))) as there:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            pairs = {self.connection: there, there: self.connection}
            while True:
                for readable in select.select(list(pairs), [], [])[0]:
                    data = readable.recv(1 << 16)
                    if not data:
                        return
                    pairs[readable].sendall(data)


class Tunnel(socketserver.ThreadingTCPServer):
    daemon_threads = True
    heads: list[str]


@contextmanager
def tunnel() -> Iterator[Tunnel]:
    with Tunnel(("127.0.0.1", 0), _Handler) as server:
        server.heads = []
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
