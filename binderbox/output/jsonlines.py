"""Results and events as JSON lines, version 1: one object a line, the last one the result. No I/O.

`schemas/` beside this file holds a JSON Schema for the events and for the result of each command.
A failed command's result has `error` (code, message, cause, remedy, log) and whatever was known by then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from binderbox.errors import BinderboxError
from binderbox.output.results import (
    AbuseResult,
    ArtifactsResult,
    BundleResult,
    CheckReport,
    DiskResult,
    DrainResult,
    InstallResult,
    LaunchResult,
    PhaseResult,
    PlanResult,
    SecretsResult,
    StatusResult,
    UninstallResult,
)

SCHEMA = 1

Result = (
    CheckReport
    | AbuseResult
    | PlanResult
    | InstallResult
    | StatusResult
    | DiskResult
    | DrainResult
    | LaunchResult
    | UninstallResult
    | SecretsResult
    | ArtifactsResult
    | BundleResult
    | Mapping[str, Any]
)


def event_line(event: Mapping[str, Any]) -> str:
    return _line({"schema": SCHEMA} | dict(event))


def result_line(command: str, result: Result, exit_code: int) -> str:
    return _line(_head(command, exit_code) | result_fields(result))


def error_line(
    command: str, host: str, error: BinderboxError, phases: Sequence[PhaseResult] = (), log: str = ""
) -> str:
    """The result of a command that failed; `phases` are those it had finished."""
    told = {"code": error.code, "message": error.message, "cause": error.cause, "remedy": error.remedy}
    fields: dict[str, Any] = {"host": host, "error": told | {"log": str(error.log or log)}}
    if phases:
        fields["phases"] = [asdict(phase) for phase in phases]
    if checks := getattr(error, "checks", ()):
        fields["checks"] = [asdict(check) for check in checks]
    return _line(_head(command, error.exit_code) | fields)


def result_fields(result: Result) -> dict[str, Any]:
    """A result as plain data. Steps of a launch become an object, everything else keeps its names."""
    if isinstance(result, Mapping):
        return dict(result)
    fields = asdict(result)
    if isinstance(result, DrainResult):
        drain, left = fields.pop("drain"), fields.pop("left")
        return fields | {"health": fields.pop("status"), **left, "drain": drain}
    if isinstance(result, LaunchResult):
        fields["seconds"] = dict(result.seconds)
    if isinstance(result, InstallResult):
        fields["launches"] = [result_fields(launch) for launch in result.launches]
    return fields


def _head(command: str, exit_code: int) -> dict[str, Any]:
    return {"schema": SCHEMA, "type": "result", "command": command, "exit": exit_code}


def _line(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(", ", ": "))
