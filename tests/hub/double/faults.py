"""What may go wrong on order. Knows requests and answers, not the routes."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tests.hub.double.http import Request, Response


@dataclass
class Fault:
    """Applies to requests whose path matches `on`, the first `times` of them or always.

    The fields of the second group take the answer's place; those of the third change or break the bytes of a file and
    count only answers that carry some.
    """

    on: str = "*"  # fnmatch: "/api/models", "/org/repo/resolve/*", "/cdn/*", "*.gguf"
    times: int | None = None
    method: str = "*"

    status: int | None = None  # 401, 403, 404, 416, 429, 500, 503 …
    error_code: str | None = None  # X-Error-Code: GatedRepo, RepoNotFound, RevisionNotFound, EntryNotFound
    headers: dict[str, str] = field(default_factory=dict)  # also added to a redirect
    body: bytes = b""
    redirect_to: str | None = None  # "" is the same address again: a loop
    huge_json: int | None = None  # so many bytes of valid JSON

    cut_after: int | None = None  # the connection ends after so many bytes of this answer
    stall_after: int | None = None  # … goes quiet, until the client leaves
    bytes_per_second: int | None = None
    ignore_range: bool = False  # 200 with the whole file
    bad_range: bool = False  # 206 of another place than the one that was asked for
    wrong_bytes: bool = False  # one byte differs, the size and the ETag are the file's
    surplus: int = 0  # so many bytes more than the file has
    no_length: bool = False  # neither Content-Length nor chunks: the end of the connection is the end
    chunked: bool = False
    etag: str | None = None  # "" is none at all; W/"…" is a weak one
    ignore_if_range: bool = False  # 206, though the version is another one
    num_seen: int = 0

    @property
    def is_answer(self) -> bool:
        return self.status is not None or self.redirect_to is not None or self.huge_json is not None

    def matches(self, request: Request, is_file: bool) -> bool:
        return (
            (self.times is None or self.num_seen < self.times)
            and self.method in ("*", request.method)
            and fnmatchcase(request.path, self.on)
            and (self.is_answer or (is_file and request.method == "GET"))
        )

    def answer(self, request: Request) -> Response:
        if self.redirect_to is not None:
            return Response(302, {"Location": self.redirect_to or request.target, **self.headers})
        if self.huge_json is not None:
            return Response(200, {"Content-Type": "application/json"}, b"[" + b" " * (self.huge_json - 2) + b"]")
        assert self.status is not None
        code = {"X-Error-Code": self.error_code} if self.error_code else {}
        return Response(self.status, {**code, **self.headers}, self.body)
