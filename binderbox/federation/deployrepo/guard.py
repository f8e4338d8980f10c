"""Holds an edit against what was meant: the data differs where it should and nowhere else, the lines likewise.

An edit is made by splicing text, and judged here by other means: by what a YAML reader makes of the whole file, and
by comparing lines. What does not fit is refused, so an unforeseen way of writing costs an error and never a file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from binderbox.errors import DeployRepoError
from binderbox.federation.deployrepo.yamltext import BREAK, load

Keys = tuple[str, ...]
ABSENT = object()


@dataclass(frozen=True)
class Intent:
    """What one edit means: the value at `keys` becomes `value` (ABSENT: goes); the lines it may take and add.

    `removed` None: lines that, read on their own, say what stood at `keys`. `inner`: the value is a text that is YAML
    itself, and is compared as such.
    """

    keys: Keys
    value: Any
    removed: tuple[str, ...] | None
    added: tuple[str, ...]
    inner: bool = False


def guard(path: str, before: str, after: str, intent: Intent) -> None:
    """Raises DeployRepoError when `after` is not exactly `before` with what was intended."""
    gone, new = changed_lines(before, after)
    if intent.removed is not None and tuple(sorted(gone)) != tuple(sorted(intent.removed)):
        raise _refused(path, f"it would take away {gone!r}, not {list(intent.removed)!r}")
    if tuple(sorted(new)) != tuple(sorted(intent.added)):
        raise _refused(path, f"it would add {new!r}, not {list(intent.added)!r}")
    _same_line_ends(path, before, after)
    old = load(path, before)
    try:
        found = load(path, after)
    except DeployRepoError as error:
        why = (
            "an anchor would go that other lines use" if "undefined alias" in error.message else error.message
        )
        raise _refused(path, why) from error
    wanted = _with(old, intent.keys, intent.value)
    view: Callable[[Any], Any] = (lambda data: _inner(path, data, intent.keys)) if intent.inner else _same
    if view(found) != view(wanted):
        raise _refused(
            path, f"the file would say something else than intended at or outside {'.'.join(intent.keys)}"
        )
    if intent.removed is None:
        _only_this(path, gone, intent, _at(old, intent.keys))


def guard_lines(path: str, before: str, after: str, removed: tuple[str, ...], added: tuple[str, ...]) -> None:
    """The same for a file that is not YAML."""
    gone, new = changed_lines(before, after)
    if (sorted(gone), sorted(new)) != (sorted(removed), sorted(added)):
        raise _refused(path, "other lines than intended would change")
    _same_line_ends(path, before, after)


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines of one hunk that are only in `before`, and only in `after`, without their line ends."""
    old, new = BREAK.split(before), BREAK.split(after)
    short = min(len(old), len(new))
    head = next((i for i in range(short) if old[i] != new[i]), short)
    tail = next((i for i in range(short - head) if old[-1 - i] != new[-1 - i]), short - head)
    return old[head : len(old) - tail], new[head : len(new) - tail]


def _same_line_ends(path: str, before: str, after: str) -> None:
    kinds = [set(BREAK.findall(text)) for text in (before, after)]
    had, has = (text.endswith(("\r", "\n")) for text in (before, after))
    # what is left of a file without a last newline may end with the blank line that stood before the cut
    if (all(kinds) and kinds[0] != kinds[1]) or (had != has and (had or not before.startswith(after))):
        raise _refused(path, "the file's line ends would change")


def _only_this(path: str, gone: list[str], intent: Intent, value: Any) -> None:
    """The lines that go say on their own what stood there; a text may end with the file, without a last newline."""
    key = intent.keys[-1]
    for ending in ("\n", ""):
        try:
            alone = load(path, "\n".join(gone) + ending)
        except DeployRepoError as error:
            raise _refused(
                path, f"the lines of {key} hold an anchor or an alias that other lines share"
            ) from error
        if intent.inner:
            alone, value = _inner(path, alone, (key,)), load(path, value) if isinstance(value, str) else value
        if alone == {key: value}:
            return
    raise _refused(path, f"the lines of {key} cannot be told from their neighbours")


def _with(data: Any, keys: Keys, value: Any) -> Any:
    """The data with another value at these keys; mappings above it are copied, the rest is shared."""
    if not keys:
        return value
    copy = dict(data) if isinstance(data, dict) else {}
    below = _with(copy.get(keys[0]), keys[1:], value)
    if below is ABSENT:
        copy.pop(keys[0], None)
    else:
        copy[keys[0]] = below
    return copy


def _at(data: Any, keys: Keys) -> Any:
    for key in keys:
        data = data.get(key, ABSENT) if isinstance(data, dict) else ABSENT
    return data


def _inner(path: str, data: Any, keys: Keys) -> Any:
    text = _at(data, keys)
    return _with(data, keys, load(path, text) if isinstance(text, str) else text)


def _same(data: Any) -> Any:
    return data


def _refused(path: str, why: str) -> DeployRepoError:
    return DeployRepoError(
        f"{path} is written in a way that cannot be edited safely: {why}; nothing was written",
        remedy=f"edit {path} by hand, or write its entries one key a line",
    )
