"""Which jobs a key has begun at this port: it may call them off whatever else it may do."""

from collections import OrderedDict

MAX_KNOWN = 1000


class BegunJobs:
    """Belongs to the server's loop."""

    def __init__(self) -> None:
        self._keys: OrderedDict[int, str] = OrderedDict()

    def note(self, job_id: int, key_id: str | None) -> None:
        if key_id is not None:
            self._keys[job_id] = key_id
            if len(self._keys) > MAX_KNOWN:
                self._keys.popitem(last=False)

    def is_by(self, job_id: int, key_id: str | None) -> bool:
        return key_id is not None and self._keys.get(job_id) == key_id
