"""Usage as a table for people."""

from __future__ import annotations

from typing import Any

from chatapi.clock import iso


def table(lines: list[dict[str, Any]], gathered_at: int | None) -> str:
    """The lines in columns, a total below, and how fresh they are."""
    when = "not gathered yet" if gathered_at is None else f"gathered {iso(gathered_at)}"
    if not lines:
        return f"no usage; {when}"
    names = list(lines[0])
    summed = [name for name in names if isinstance(lines[0][name], int)]
    total: dict[str, Any] = {name: sum(line[name] for line in lines) if name in summed else "" for name in names}
    if not isinstance(lines[0][names[0]], int):
        total[names[0]] = "total"
    rows = [{name: name for name in names}, *lines, total]
    cells = [[_shown(name, row[name]) for name in names] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    out = [
        "  ".join(
            cell.rjust(width) if name in summed else cell.ljust(width)
            for name, cell, width in zip(names, row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join([*out, when])


def _shown(name: str, value: str | int) -> str:
    if name == "cost_micro_usd":
        return "cost_usd" if isinstance(value, str) else f"{value / 1e6:.6f}"
    return str(value)
