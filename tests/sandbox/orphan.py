"""An engine in small: starts a sandbox, gives it an endless job, says the child's id and dies on order.

`python -m tests.sandbox.orphan Loop` or `Grind`.
"""

import os
import sys
import threading

from backends.sandbox.sandbox import Sandbox
from tests.sandbox import jobs


def main() -> None:
    sandbox = Sandbox()
    child = sandbox.run(jobs.Pid())
    threading.Thread(target=sandbox.run, args=(getattr(jobs, sys.argv[1])(),), daemon=True).start()
    print(child, flush=True)
    sys.stdin.readline()
    os._exit(0)


if __name__ == "__main__":
    main()
