"""The edge's configuration, read from what was built and what was deployed."""

from __future__ import annotations

import os
import sys
from typing import Any

from local.aws import Deployed
from local.settings import (
    ACCESS_KEY_ID,
    ACCOUNT_ID,
    REGION,
    SECRET_ACCESS_KEY,
    TOOLS,
    Settings,
)
from local.template import BuiltFunction, BuiltTemplate

MAX_WORKERS = 24  # of one function: the first project's 20 concurrent requests, and some to spare


def edge_config(
    settings: Settings, template: BuiltTemplate, parameters: dict[str, str], deployed: Deployed
) -> dict[str, Any]:
    """What `python -m local.edge --config FILE` reads."""
    return {
        "port": settings.port,
        "template": str(settings.template),
        "parameters": parameters,
        "account_id": ACCOUNT_ID,
        "region": REGION,
        "stage": "live",
        "log_dir": str(settings.logs),
        "python": base_python(),
        "functions": {
            function.logical_id: _function(settings, function, deployed.function(function.logical_id))
            for function in template.api_functions()
        },
    }


def base_python() -> str:
    """The interpreter that .venv was made of: a function sees its layers' packages alone."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _function(settings: Settings, built: BuiltFunction, deployed: dict[str, Any]) -> dict[str, Any]:
    return {
        "arn": deployed["FunctionArn"],
        "handler": deployed["Handler"],
        "code": str(built.code),
        "layers": [str(layer) for layer in built.layers],
        "runtime_dirs": [str(TOOLS / "runtime")],
        "env": deployed.get("Environment", {}).get("Variables", {})
        | {
            "AWS_ENDPOINT_URL": settings.aws_endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        },
        "timeout": deployed["Timeout"],
        "memory": deployed["MemorySize"],
        "max_workers": MAX_WORKERS,
    }
