"""Who may change what others use: a route that loads, unloads, installs or deletes models has `MANAGING`."""

from fastapi import Depends

from app.server.auth import is_loopback
from app.server.core.client import CLIENT, Client
from app.server.core.limits import MAX_QUOTED
from app.server.core.refusal import Refusal
from app.server.scope import Scope
from backends.bounds import as_name

CODE = "key_may_not_manage"


async def require_managing() -> None:
    """Raises Refusal for a client that may use models and no more."""
    client = CLIENT.get()
    if client.shown is None and not is_loopback(client.address):
        raise Refusal(403, "Models are managed from this machine, or with a key that may manage them.", code=CODE)
    if client.scope is not Scope.MANAGE:
        raise may_not_manage(client)


def may_not_manage(client: Client) -> Refusal:
    key = as_name(client.key or "", MAX_QUOTED)
    message = (
        f"The key “{key}” may use models and not manage them. This server's owner can allow it on the Server "
        f"page, or with “slipstream keys --change NAME --scope {Scope.MANAGE}”."
    )
    return Refusal(403, message, code=CODE)


MANAGING = [Depends(require_managing)]
