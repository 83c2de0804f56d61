"""The certificate with which the port proves who it is, checked before anything starts."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import UsageError
from backends.bounds import as_name
from backends.regular_file import read_regular

if TYPE_CHECKING:
    import ssl  # which most ports do without: the methods import it

MAX_BYTES = 1 << 20
ENCRYPTED = (b"ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")
HANDSHAKE_ROUNDS = 4
MAX_SHOWN = 200
DATES = {9: "is not valid yet. Look at this machine's clock", 10: "has expired. Renew it"}  # X509_V_ERR_CERT_…
OWN_KEY = "the key of another certificate. Give the two that were made together"


@dataclass(frozen=True, slots=True)
class Certificate:
    """chain: PEM, the server's own certificate first. key: PEM, without a password."""

    chain: Path
    key: Path

    def context(self) -> "ssl.SSLContext":
        """Raises UsageError with what is wrong with either file."""
        import ssl

        chain, key = _content(self.chain, "certificate"), _content(self.key, "key")
        if b"BEGIN CERTIFICATE" not in chain:
            raise UsageError(f"{_named(self.chain)} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----).")
        if any(mark in key for mark in ENCRYPTED):
            raise UsageError(
                f"The key in {_named(self.key)} has a password, which nobody could type at each start. "
                "Make one without: openssl pkey -in KEY -out NEW."
            )
        if b"PRIVATE KEY-----" not in key:
            raise UsageError(f"{_named(self.key)} holds no private key in PEM form (-----BEGIN PRIVATE KEY-----).")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.chain, self.key, password=_no_password)
        except ssl.SSLError as error:
            is_other = error.reason == "KEY_VALUES_MISMATCH"
            said = OWN_KEY if is_other else f"not usable ({error.reason or 'it cannot be read'})"
            raise UsageError(f"The key in {_named(self.key)} is {said}.") from error
        except OSError as error:  # gone since it was read
            raise UsageError(f"The certificate cannot be read: {error.strerror or error}.") from error
        if wrong := _fault_of_date(context, self.chain):
            raise UsageError(f"The certificate in {_named(self.chain)} {wrong}.")
        return context


def certificate_from(chain: str | None, key: str | None) -> Certificate | None:
    """None when neither is given. Raises UsageError for one without the other."""
    if chain and key:
        return Certificate(Path(chain), Path(key))
    if chain or key:
        raise UsageError("TLS needs both a certificate (--tls-cert) and its key (--tls-key).")
    return None


def _fault_of_date(server: "ssl.SSLContext", chain: Path) -> str | None:
    """What a client that trusts this very certificate finds wrong with its dates, in a handshake within memory."""
    import ssl

    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(chain)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True))
    for _ in range(HANDSHAKE_ROUNDS):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError as error:
                return DATES.get(error.verify_code)
            except ssl.SSLError:
                return None
    return None


def _content(path: Path, what: str) -> bytes:
    try:
        return read_regular(path, MAX_BYTES)
    except OSError as error:
        raise UsageError(f"The TLS {what} {_named(path)} cannot be read: {error.strerror or error}.") from error


def _named(path: Path) -> str:
    return as_name(str(path), MAX_SHOWN)


def _no_password() -> str:
    return ""
