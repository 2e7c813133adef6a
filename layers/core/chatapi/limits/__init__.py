"""Throttling in one conditional write: windows, admission, settlement. See docs/limits.md."""
