"""pydantic without plug-ins: nothing that happens to be installed may see what people send.

The variable PYDANTIC_DISABLE_PLUGINS (template.yaml) says so already. But pydantic loads `importlib.metadata`, to look
for them, all the same, and that takes a tenth as long as all of pydantic: so its module for it is replaced by one that
finds none. It is a private one: should pydantic rename it, this has no effect, and the variable has.
"""

from __future__ import annotations

import sys
from types import ModuleType


class _NoPlugins(ModuleType):
    @staticmethod
    def get_plugins() -> tuple[()]:
        """None."""
        return ()


sys.modules.setdefault("pydantic.plugin._loader", _NoPlugins("pydantic.plugin._loader"))
