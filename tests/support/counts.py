"""How many cases each test of a campaign tried, a line each at the end: counted as they ran, not believed.

    pytest -p tests.support.counts ...

Of a property test it is Hypothesis's own count of the examples that passed; any other test says what it did with
`record_property("cases", ...)`.
"""

from __future__ import annotations

import re
from collections.abc import Generator

import pytest

_PASSED = re.compile(r"(\d+) passing, ")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what Hypothesis counted to the test's report, which also finds its way out of a worker process."""
    report = yield
    if report.when == "call" and (told := getattr(item, "hypothesis_statistics", "")):
        report.user_properties.append(("cases", f"{sum(map(int, _PASSED.findall(told)))} examples"))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the lines, in the order of the tests' names."""
    lines = sorted(
        f"{report.nodeid}: {told}" + ("" if report.passed else " (FAILED)")
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, told in report.user_properties
        if name == "cases"
    )
    if lines:
        terminalreporter.section("cases")
        for line in lines:
            terminalreporter.write_line(line)
