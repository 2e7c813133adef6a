"""`python -m local` starts the stack and keeps it until a signal ends it."""

from __future__ import annotations

import sys

from local.run import main

sys.exit(main())
