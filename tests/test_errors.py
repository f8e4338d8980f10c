"""The error tree: codes, exit codes, and the table in its docstring."""

from __future__ import annotations

import inspect
import re
import traceback

import pytest

from binderbox import errors
from binderbox.errors import BinderboxError, ChecksFailed, Locked

CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, BinderboxError) and cls is not ChecksFailed
]


@pytest.mark.parametrize(
    ("name", "exit_code"),
    [
        ("BinderboxError", 1),
        ("ConfigError", 2),
        ("UsageError", 2),
        ("ConnectError", 3),
        ("PreflightError", 3),
        ("StepFailed", 4),
        ("BundleError", 4),
        ("Unhealthy", 5),
        ("LaunchFailed", 5),
        ("ChangesPending", 6),
        ("Locked", 7),
        ("Interrupted", 130),
    ],
)
def test_exit_codes_are_the_contract(name: str, exit_code: int) -> None:
    assert getattr(errors, name).exit_code == exit_code


def test_every_failure_has_its_own_code() -> None:
    codes = [cls.code for cls in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"BBX-\d{3}", code) for code in codes)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_the_docstring_names_each_class_with_code_and_exit(cls: type[BinderboxError]) -> None:
    assert errors.__doc__ is not None
    assert re.search(rf"^ *{cls.__name__} +{cls.code} +exit {cls.exit_code}\b", errors.__doc__, re.M)


def test_a_lock_says_who_holds_it() -> None:
    error = Locked("host is busy", holder="me@laptop", step="Start k3s", age_s=12.5)
    assert (error.holder, error.step, error.age_s, str(error)) == (
        "me@laptop",
        "Start k3s",
        12.5,
        "host is busy",
    )


def test_a_traceback_shows_the_cause() -> None:
    error = errors.StepFailed("docker exec failed", cause="no such container")
    assert "no such container" in "".join(traceback.format_exception(error))
