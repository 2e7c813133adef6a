"""`make bench`, or `python -m benchmarks [PART]`: measure, print a table, write `.local/bench.json`.

A part runs in a process of its own, so that none measures what another one loaded. A missed bar is shown and is not a
failure: a busy machine can miss one. What cannot be measured at all ends with its error.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

from benchmarks.figures import FIGURES, holds
from benchmarks.world import ROOT

PARTS = ("chat", "first_token", "authorizer", "imports", "vault", "rights")
_RUN = "import json, sys; from benchmarks.{part} import measure; json.dump(measure(), sys.stdout)"


def main() -> int:
    """Run every part and write the figures; with a part's name run that one alone and write nothing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("part", nargs="?", choices=PARTS)
    part = parser.parse_args().part
    figures: dict[str, float] = {}
    for name in [part] if part else PARTS:
        found = _measure(name)
        figures |= found
        for line in _table(found):
            print(line, flush=True)
    if part is None:
        path = ROOT / (os.environ.get("LOCAL") or ".local") / "bench.json"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(json.dumps({name: figures[name] for name in FIGURES}, indent=2) + "\n")
        print(path)
    return 0


def _measure(part: str) -> dict[str, float]:
    command = [sys.executable, "-c", _RUN.format(part=part)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return {name: round(value, 4) for name, value in figures.items()}


def _table(figures: dict[str, float]) -> list[str]:
    words = {True: "holds", False: "MISSED", None: ""}
    lines = []
    for name, value in figures.items():
        figure = FIGURES[name]
        bar = "" if figure.bar is None else f"<= {figure.bar:g}"
        lines.append(f"{name:32} {value:10.3f}  {bar:8} {words[holds(name, value)]:7} {figure.text}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
