"""The exit code of a command that gave a result; errors bring their own."""

from __future__ import annotations

from binderbox.checks.core import failures
from binderbox.output.jsonlines import Result
from binderbox.output.results import AbuseResult, CheckReport, StatusResult, UninstallResult
from binderbox.parts.checks import PREFLIGHT


def exit_code_of(result: Result) -> int:
    """0 when all is well; 3 when a host is not fit, 5 when a member is not, 4 when an uninstall left something."""
    if isinstance(result, CheckReport):
        categories = {failure.category for failure in failures(result.checks)}
        return 0 if not categories else 3 if categories & set(PREFLIGHT) else 5
    if isinstance(result, StatusResult):
        return 0 if result.verdict == "healthy" else 5
    if isinstance(result, AbuseResult):
        return 5 if any(row.fault for row in result.rows) else 0
    if isinstance(result, UninstallResult):
        return 4 if result.leftovers else 0
    return 0
