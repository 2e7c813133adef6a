"""`make stop`: end the stack that runs from LOCAL, and wait until it has gone."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time

from local.errors import LocalError
from local.processes import end_leftovers
from local.settings import LOCK, Settings

SECONDS = 60.0


def main() -> int:
    """The exit code: 0 when no stack runs any more."""
    try:
        settings = Settings.from_env(os.environ)
    except LocalError as error:
        print(f"chatapi: {error}", file=sys.stderr)
        return error.exit_code
    path = settings.home / LOCK
    if not path.exists():
        print("no stack runs")
        return 0
    with path.open() as lock:
        deadline = time.monotonic() + SECONDS
        asked = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not asked:  # the lock is held, so the process id in it is the holder's and no other's
                    os.kill(int(lock.read()), signal.SIGTERM)
                    asked = True
                if time.monotonic() > deadline:
                    print("chatapi: the stack did not stop within a minute", file=sys.stderr)
                    return 1
                time.sleep(0.1)
            else:
                killed = settings.record.exists()  # a run that was killed could not tidy up behind itself
                if killed:
                    end_leftovers(settings.record)
                    settings.clean()
                print("stopped" if asked or killed else "no stack runs")
                return 0


if __name__ == "__main__":
    sys.exit(main())
