"""Ends with exit code 2 and one line where the project cannot run. Every Python since 2.7 can read this file."""

import sys

if not ((3, 11) <= sys.version_info[:2] <= (3, 13) and sys.platform in ("linux", "darwin")):
    found = "%d.%d on %s" % (sys.version_info[0], sys.version_info[1], sys.platform)  # noqa: UP031
    sys.stderr.write("chatapi needs Python 3.11, 3.12 or 3.13 on Linux or macOS; this is " + found)
    sys.stderr.write(" (choose another with: make PYTHON=python3.13 ...)\n")
    sys.exit(2)
