"""The browser of the portal's tests: found on this machine, or installed. `python -m local.browser` prints its path.

    $CHATAPI_BROWSER → a Chromium or Chrome on this machine → Playwright's own → Debian's package, as root

A test that has no browser fails: it never passes by not running.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
_SECONDS = 600


def find() -> str | None:
    """The path of a browser that is there, or None."""
    named = os.environ.get("CHATAPI_BROWSER")
    found = [named] if named else [shutil.which(name) for name in NAMES]
    if not named:
        found += [str(MAC) if MAC.exists() else None, _playwrights()]
    return next((path for path in found if path and Path(path).exists()), None)


def ensure() -> str | None:
    """The path of a browser, which is installed where none is there; None where that fails too."""
    if path := find():
        return path
    _run([sys.executable, "-m", "playwright", "install", "chromium"])
    if (path := find()) is None and shutil.which("apt-get") and os.geteuid() == 0:
        _run(["apt-get", "update", "-q"])
        _run(["apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium"])
        path = find()
    return path


def _playwrights() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return playwright.chromium.executable_path


def _run(command: list[str]) -> None:
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        print(f"chatapi: {command[0]} did not end well", file=sys.stderr)


def main() -> int:
    """Exit code 0 with a browser, 2 without."""
    path = ensure()
    if path is None:
        print(
            "chatapi: the portal's tests need Chromium or Chrome: install one, or name it in CHATAPI_BROWSER",
            file=sys.stderr,
        )
        return 2
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
