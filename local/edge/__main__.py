"""``python -m local.edge --config FILE.json``: start the edge, say so, stop in order."""

from __future__ import annotations

import argparse
import asyncio
import errno
import gc
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.edge.functions import functions_from
from local.edge.gateway import Gateway
from local.edge.http import port_of, serve
from local.edge.template import load_apis

EXIT_CONFIG, EXIT_BUSY = 2, 3


def main() -> int:
    """Run until SIGTERM or SIGINT. 0: stopped in order; 2: the configuration is not usable; 3: a port is taken."""
    parser = argparse.ArgumentParser(prog="python -m local.edge", description="API Gateway and Lambda on one machine.")
    parser.add_argument("--config", type=Path, required=True, help="the JSON file that the supervisor wrote")
    config = json.loads(parser.parse_args().config.read_text())
    return asyncio.run(_run(config))


async def _run(config: Mapping[str, Any]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    log_dir = Path(config["log_dir"])
    log_dir.mkdir(parents=True, exist_ok=True)
    region, account_id = config["region"], config["account_id"]
    apis = load_apis(Path(config["template"]), config.get("parameters", {}), region=region, account_id=account_id)
    ports: Mapping[str, int] = config.get("apis") or dict.fromkeys(apis, config["port"])
    if not ports or len(set(ports.values())) != len(ports) or not set(ports) <= set(apis):
        names = ", ".join(apis)
        print(f'edge: each API needs a port of its own: "apis": {{"LogicalId": port}}, of: {names}', file=sys.stderr)
        return EXIT_CONFIG
    functions = functions_from(config, log_dir)
    servers: list[asyncio.Server] = []
    with (log_dir / "edge.log").open("a", buffering=1) as access_log:
        try:
            for name, port in ports.items():
                gateway = Gateway(apis[name], functions, config["stage"], account_id, region, port, access_log)
                servers.append(await serve(gateway.handle, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            print(f"edge: port {port} on 127.0.0.1 is taken", file=sys.stderr)
            return EXIT_BUSY
        # What start-up made stays: keep the collector from walking it in the middle of a stream.
        gc.collect()
        gc.freeze()
        for server in servers:
            print(f"edge ready http://127.0.0.1:{port_of(server)}", flush=True)
        await stop.wait()
        for server in servers:
            server.close()
        await asyncio.gather(*(function.close() for function in functions.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
