"""HTTP as nobody should speak it, and strangers at the door: 210 and more requests, byte by byte."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tests.bench.attacks._port import CLOSED, Target, judge, open_port
from tests.bench.attacks.case import Case

KEY = "sk-right-key"
BODY = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 8}).encode()
MEGABYTE = 2**20
NO_HTTP = {400, CLOSED}
QUIET = 0.2  # seconds in which no second answer may come


@dataclass(frozen=True)
class Attack:
    """`make` gives the bytes, in parts that are sent one after the other; `expected` the statuses of each answer."""

    name: str
    make: Callable[[Target], bytes | list[bytes]]
    expected: tuple[set[int], ...]
    wait: float = 0.0
    half_close: bool = False

    def run(self, target: Target) -> str | None:
        made = self.make(target)
        parts = made if isinstance(made, list) else [made]
        answers = target.talk(*parts, count=len(self.expected), wait=self.wait, half_close=self.half_close)
        return judge(answers, self.expected) or target.fault()


def cases() -> Iterator[Case]:
    with open_port() as target:
        for attack in (*lines(), *headers(), *smuggling(), *hosts(), *origins(), *kinds(), *lengths(), *paths()):
            yield Case(attack.name, partial(attack.run, target))
    with open_port(KEY) as target:
        for attack in keys():
            yield Case(attack.name, partial(attack.run, target))


def get(line: bytes = b"GET /v1/models HTTP/1.1", more: bytes = b"", host: bytes | None = None) -> Callable[..., bytes]:
    def make(target: Target) -> bytes:
        name = target.host.encode() if host is None else host
        return line + b"\r\nHost: " + name + b"\r\n" + more + b"\r\n"

    return make


def post(more: bytes = b"", body: bytes = BODY, length: int | None = -1) -> Callable[[Target], bytes]:
    """length: −1 says the truth, None nothing."""
    size = len(body) if length == -1 else length
    return lambda target: target.head(size) + more + b"\r\n" + body


def lines() -> Iterator[Attack]:
    refused = [
        *(b"GET /v1/models", b"GET", b"", b"\x00", b"\xff\xfe\xfd", b"GET  /v1/models HTTP/1.1"),
        b"GET /v1/models http/1.1",
        *(b"GET /v1/models HTTP/1.1 ", b"GET /v1/models HTTP/9.9.9", b"GET /v1/models HTTP/"),
        b"GET /v1/models FTP/1.1",
        *(b"GET /v1/models\x00 HTTP/1.1", b"GET /v1/mod els HTTP/1.1", b"GET /\xc3\xa9 HTTP/1.1"),
        b"GET /\xff HTTP/1.1",
        *(b" GET /v1/models HTTP/1.1", b"G@T /v1/models HTTP/1.1", b"GET\t/v1/models\tHTTP/1.1"),
        b"\x16\x03\x01\x02\x00\x01",
        *(b"GET /\x7f HTTP/1.1", b"(GET) / HTTP/1.1", b"GET /v1/models HTTP/1.1\x00", b"{}"),
    ]
    for line in refused:
        yield Attack(f"line {line[:30]!r}", get(line), (NO_HTTP,))
    for method in (*b"PUT PATCH DELETE TRACE CONNECT BREW get".split(), b"X" * 4000):
        made = get(method + b" /v1/models HTTP/1.1")
        yield Attack(f"method {method[:10]!r}", made, ({405, 415, 404, 400},))
    without_body = b"Connection: close\r\n"  # the answer to HEAD has a length and no body
    yield Attack("method HEAD", get(b"HEAD /v1/models HTTP/1.1", without_body), ({200},))
    yield Attack("method OPTIONS", get(b"OPTIONS /v1/models HTTP/1.1"), ({204},))
    for target in (b"http://127.0.0.1/v1/models", b"http://evil.example/v1/models", b"*", b"//evil.example/health"):
        yield Attack(f"target {target!r}", get(b"GET " + target + b" HTTP/1.1"), ({404, 400, 403},))
    yield Attack("HTTP/1.0", get(b"GET /v1/models HTTP/1.0"), ({200},))
    yield Attack("HTTP/1.0 without a host", lambda _: b"GET /v1/models HTTP/1.0\r\n\r\n", ({403},))
    yield Attack("HTTP/2.0 in the line", get(b"GET /v1/models HTTP/2.0"), ({400, 505, 200, CLOSED},))
    yield Attack("a preface of HTTP/2", lambda _: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ({400, 403, 404, CLOSED},))
    yield Attack("HTTP/0.9", lambda _: b"GET /v1/models\r\n\r\n", (NO_HTTP,))
    yield Attack("bare line feeds", lambda t: f"GET /v1/models HTTP/1.1\nHost: {t.host}\n\n".encode(), ({200, 400},))
    yield Attack("empty lines before", lambda t: b"\r\n\r\n" + get()(t), ({200, 400},))
    yield Attack("a line of a megabyte", get(b"GET /" + b"x" * MEGABYTE + b" HTTP/1.1"), ({400, 414, 431, CLOSED},))
    yield Attack("a query of 10 kB", get(b"GET /v1/models?" + b"a=b&" * 2500 + b" HTTP/1.1"), ({200},))
    yield Attack("a websocket", get(more=b"Upgrade: websocket\r\nConnection: Upgrade\r\n"), ({200, 400, 426},))
    yield Attack("h2c", get(more=b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"), ({200, 400},))


def headers() -> Iterator[Attack]:
    refused = [
        *(b"X\x00: a", b"X: a\x00b", b"X : a", b": a", b"X", b"X a: b", b"X(: a", b"\xff: a", b"X\t: a", b"\x01: a"),
        *(b"X: a\rb", b"X: \x01", b"X: \x7f", b"Content-Length: -1", b"Content-Length: +1", b"Content-Length: 1x"),
        *(b"Content-Length: 0x10", b"Content-Length: 1.5", b"Content-Length: ", b"Content-Length: 1 2"),
        *(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: xchunked"),
        *(b"Transfer-Encoding: identity", b"Transfer-Encoding: \x0bchunked", b"Content-Length: \xb2"),
    ]
    for header in refused:
        expected = {400, 501, CLOSED} if is_grave(header) else {400, 501, CLOSED, 200}
        yield Attack(f"header {header!r}", get(more=header + b"\r\n"), (expected,))
    yield Attack("a header of 20 kB", get(more=b"X: " + b"y" * 20_000 + b"\r\n"), ({200},))
    for size in (40_000, 100_000, MEGABYTE):
        yield Attack(f"a header of {size}", get(more=b"X: " + b"y" * size + b"\r\n"), ({400, 431, CLOSED},))
        yield Attack(f"{size // 10} headers", get(more=b"X: yyyy\r\n" * (size // 10)), ({400, 431, CLOSED},))
    yield Attack("a folded header", get(more=b"X: a\r\n b\r\n"), ({200, 400},))
    yield Attack("a folded length", get(more=b"Content-Length:\r\n 5\r\n"), (NO_HTTP | {200},))
    yield Attack("a fold first", lambda _: b"GET /v1/models HTTP/1.1\r\n X: a\r\n\r\n", (NO_HTTP,))
    for length in (b"9" * 19, b"9" * 20, b"9" * 30, b"9" * 5000, b"18446744073709551616"):
        head = b"Content-Type: application/json\r\nContent-Length: " + length + b"\r\n"
        made = get(b"POST /v1/chat/completions HTTP/1.1", head)
        yield Attack(f"a length of {len(length)} digits, {length[:2].decode()}", made, ({400, 413, CLOSED},))
    yield Attack("a length of 010", post(body=b" " * 10, length=None, more=b"Content-Length: 010\r\n"), ({400},))
    for name in (b"Host", b"Origin", b"Content-Type", b"Authorization"):
        twice = b"".join(name + b": http://a" + end + b"\r\n" for end in (b"", b"b"))
        yield Attack(f"{name.decode()} twice", get(more=twice), ({400, 403},))
    for name in (b"X-Forwarded-For", b"Forwarded", b"X-Real-IP", b"X-Original-URL", b"X-HTTP-Method-Override", b"Via"):
        yield Attack(f"{name.decode()} is not believed", get(more=name + b": evil.example\r\n"), ({200},))
    harmless = (
        b"Expect: 100-continue",
        b"Expect: 200-ok",
        b"TE: trailers",
        b"Range: bytes=0-1",
        b"Cookie: " + b"a" * 9000,
    )
    for name in harmless:
        yield Attack(f"{name[:20].decode()}", get(more=name + b"\r\n"), ({200, 417, 400},))


def is_grave(header: bytes) -> bool:
    """What must never be a 200: framing that two programs could read in two ways, and bytes that end a line."""
    begins = (b"Content-Length", b"Transfer-Encoding", b": ", b"\x01", b"\xff")
    return header.startswith(begins) or b"\x00" in header


def smuggling() -> Iterator[Attack]:
    inner = b"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n"
    one = ({400, 415, 501, CLOSED},)
    for length in (0, 5, len(inner), 10_000):
        more = chunked + f"Content-Length: {length}\r\n".encode()
        yield Attack(f"chunks beside a length of {length}", post(more, b"0\r\n\r\n" + inner, None), one, QUIET)
    for first, second in ((4, 5), (0, 40), (40, 0)):
        more = f"Content-Length: {first}\r\nContent-Length: {second}\r\n".encode()
        yield Attack(f"lengths of {first} and {second}", post(more, inner, None), one, QUIET)
    yield Attack("the same length twice", post(f"Content-Length: {len(BODY)}\r\n".encode(), BODY), ({200, 400},), QUIET)
    yield Attack("a list of lengths", post(b"Content-Length: 5, 6\r\n", inner, None), one, QUIET)
    odd = (
        b"chunked, chunked",
        b" chunked",
        b"Chunked",
        b"chunked;q=1",
        b'"chunked"',
        b"\tchunked",
        b"chunked, identity",
    )
    for encoding in odd:
        more = b"Transfer-Encoding: " + encoding + b"\r\n"
        expected = {400, 501, CLOSED}
        yield Attack(f"encoding {encoding!r}", post(more, b"2\r\n{}\r\n0\r\n\r\n", None), (expected,), QUIET)
    yield Attack("two encodings", post(chunked * 2, b"0\r\n\r\n" + inner, None), one, QUIET)
    long = (b"9" * 30, b"2" + b" " * 20_000, b"2;" + b"x" * 20_000)
    for size in (b"-1", b"0x2", b"2 ", b"g", b"", b"2;a=b", b"+2", *long):
        body = size + b"\r\n{}\r\n0\r\n\r\n"
        yield Attack(f"a chunk of {size[:12]!r}", post(chunked, body, None), ({400, 422, 413, CLOSED, 408},), QUIET)
    yield Attack("a chunk without its end", post(chunked, b"2\r\n{}XX0\r\n\r\n", None), ({400, CLOSED},), QUIET)
    yield Attack("a trailer", post(chunked, b"2\r\n{}\r\n0\r\nHost: evil.example\r\n\r\n", None), ({400, 422},), QUIET)
    inside = get(more=f"Content-Length: {len(inner)}\r\n".encode())
    yield Attack("a GET with a body that is a request", lambda t: inside(t) + inner, ({200},), QUIET)
    yield Attack("two requests in a row", lambda t: get()(t) * 2, ({200}, {200}), QUIET)
    wrong = b"\x00\r\n\r\n"
    expected = ({200}, {200}, NO_HTTP)
    yield Attack("four, one of them wrong", lambda t: get()(t) * 2 + wrong + get()(t), expected, QUIET)
    yield Attack("two chats in a row", lambda t: t.post(BODY) * 2, ({200}, {200}), QUIET)
    yield Attack("a hundred in a row", lambda t: get()(t) * 100, ({200},) * 100)


def hosts() -> Iterator[Attack]:
    good = [b"127.0.0.1", b"localhost", b"LOCALHOST:1", b"[::1]", b"127.0.0.1:80"]
    bad = [
        *(b"evil.example", b"127.0.0.1.evil.example", b"localhost.evil.example", b"evil.example:8642"),
        b"127.0.0.1@evil.example",
        *(b"0.0.0.0", b"127.0.0.2", b"2130706433", b"0x7f.1", b"127.1", b"[::ffff:127.0.0.1]", b"::1"),
        *(b"localhost.", b"."),
        *(b"", b"127.0.0.1:8642:8642", b"127.0.0.1:evil", b"127.0.0.1/", b"localhost\xff", b"x" * 5000),
        b"localhost, evil.example",
        *(b"xn--localhost", b"127.0.0.1#", b"[::1", b"*", b"169.254.169.254"),
    ]
    for host in good:
        yield Attack(f"host {host!r}", get(host=host), ({200},))
    for host in bad:
        yield Attack(f"host {host[:30]!r}", get(host=host), ({403, 400},))
        rebound = partial(rebinding, host)
        yield Attack(f"host {host[:30]!r} with a body", rebound, ({403, 400},))


def rebinding(host: bytes, target: Target) -> bytes:
    return target.post(BODY).replace(target.host.encode(), host, 1)


def origins() -> Iterator[Attack]:
    bad = [
        *(b"null", b"http://evil.example", b"https://127.0.0.1", b"http://127.0.0.1:1", b"http://localhost"),
        b"file://",
        *(b"http://127.0.0.1.evil.example", b"", b"http://evil.example#127.0.0.1", b"chrome-extension://a"),
        b"x" * 5000,
    ]
    for origin in bad:
        header = b"Origin: " + origin + b"\r\n"
        yield Attack(f"origin {origin[:30]!r}", get(more=header), ({403},))
        yield Attack(f"origin {origin[:30]!r} with a body", post(header), ({403},))
    yield Attack("its own origin", lambda t: post(f"Origin: http://{t.host}\r\n".encode())(t), ({200},))
    preflight = b"Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n"
    # without a word of leave
    yield Attack("a preflight", get(b"OPTIONS /v1/chat/completions HTTP/1.1", preflight), ({200},))


def kinds() -> Iterator[Attack]:
    bad = [
        *(b"text/plain", b"", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=a"),
        b"text/json",
        *(b"application/json-patch+json", b"application/jsonx", b"application/ json", b"*/*", b"json"),
        b"application/xml",
        *(b"text/plain; application/json", b"application/json,text/plain", b"\xff", b"x" * 5000),
    ]
    for kind in bad:
        made = partial(typed, kind)
        yield Attack(f"type {kind[:30]!r}", made, ({415},))
    for kind in (b"application/json; charset=utf-8", b"APPLICATION/JSON", b"application/json;"):
        yield Attack(f"type {kind!r}", partial(typed, kind), ({200},))
    yield Attack("no type", lambda t: t.post(BODY).replace(b"Content-Type: application/json\r\n", b""), ({415},))


def typed(kind: bytes, target: Target) -> bytes:
    return target.post(BODY).replace(b"Content-Type: application/json", b"Content-Type: " + kind)


def lengths() -> Iterator[Attack]:
    big = b" " * (8 * MEGABYTE + 1)
    chunks = b"".join(b"100000\r\n" + b" " * MEGABYTE + b"\r\n" for _ in range(9)) + b"0\r\n\r\n"
    chunked = b"Transfer-Encoding: chunked\r\n"
    yield Attack("a body one byte too long", post(body=big), ({413},))
    yield Attack("chunks that are too long", post(chunked, chunks, None), ({413},))
    yield Attack("a length of 8 GB and nothing", post(length=8 * 2**30), ({413},))
    yield Attack("no length and no chunks", post(length=None), ({400},))
    yield Attack("more than was said", post(body=BODY + b"x" * 100, length=len(BODY)), ({200}, {400, 408, CLOSED}))
    expecting = b"Expect: 100-continue\r\n"
    yield Attack("expecting a 100", lambda t: [t.head(len(BODY)) + expecting + b"\r\n", BODY], ({200},))
    yield Attack("expecting a 100 for too much", post(expecting, b"", 8 * 2**30), ({413},))
    yield Attack("expecting without a body", lambda t: t.head(0) + expecting + b"\r\n", ({400},))
    yield Attack("a half-closed question", post(), ({200},), half_close=True)
    yield Attack("a half-closed head", get(more=b"X: "), ({400, CLOSED, 200},), half_close=True)
    yield Attack("half a body, half-closed", post(length=len(BODY) + 10), ({400, CLOSED},), half_close=True)
    yield Attack("byte by byte", lambda t: [t.post(BODY)[n : n + 9] for n in range(0, len(t.post(BODY)), 9)], ({200},))
    yield Attack("a chunk for each byte", lambda t: t.head() + chunked + b"\r\n" + tiny_chunks(BODY), ({200},))
    yield Attack("nothing and gone", lambda _: b"", ({CLOSED},), half_close=True)


def tiny_chunks(body: bytes) -> bytes:
    return b"".join(b"1\r\n" + body[n : n + 1] + b"\r\n" for n in range(len(body))) + b"0\r\n\r\n"


def paths() -> Iterator[Attack]:
    odd = [
        *(b"/v1/models/%00", b"/v1/models/%2e%2e%2f%2e%2e%2fetc%2fpasswd", b"/v1/../health/", b"/%ff%fe"),
        b"/v1//models",
        *(b"/v1/models/" + b"a" * 8000, b"/v1/models/..%5c..", b"/v1/models%0d%0aX:1", b"/docs", b"/redoc"),
        b"/v1/chat/completions/",
        *(b"/v1/models/%ed%a0%80", b"/health/", b"/HEALTH", b"/v1/models/%", b"/static/../app", b"/.git/config"),
        b"/v1/files",
    ]
    for path in odd:
        yield Attack(f"path {path[:30]!r}", get(b"GET " + path + b" HTTP/1.1"), ({404},))


def keys() -> Iterator[Attack]:
    bad = [
        *(b"Bearer", b"Bearer ", b"Bearer sk-wrong", b"Bearer " + KEY.encode()[:-1]),
        *(b"Bearer " + KEY.encode() + b"x", KEY.encode()),
        *(b"Basic " + KEY.encode(), b"Bearer " + KEY.upper().encode(), b"Bearer \xff", b"Bearer " + b"x" * 9000),
        b"Token " + KEY.encode(),
        *(b"Bearer " + KEY.encode() + b" " + KEY.encode(), b"Bearer,Bearer " + KEY.encode()),
        b"Bearer=" + KEY.encode(),
    ]
    for header in bad:
        yield Attack(f"key {header[:30]!r}", get(more=b"Authorization: " + header + b"\r\n"), ({401},))
    right = b"Authorization: Bearer " + KEY.encode() + b"\r\n"
    yield Attack("no key", get(), ({401},))
    yield Attack("no key with a large body", lambda t: t.post(b" " * MEGABYTE).replace(right, b""), ({401},))
    yield Attack("the key in the query", get(b"GET /v1/models?key=" + KEY.encode() + b" HTTP/1.1"), ({401},))
    yield Attack("the key in a cookie", get(more=b"Cookie: key=" + KEY.encode() + b"\r\n"), ({401},))
    yield Attack("the key twice", get(more=right + b"Authorization: Bearer x\r\n"), ({400},))
    yield Attack("the right key", get(more=right), ({200},))
    yield Attack("the right key and a foreign page", get(more=right + b"Origin: http://evil.example\r\n"), ({403},))
