"""Where the federation's settings have moved away from those that binderbox was released with. Pure; travels to the node.

Versions follow the prime by themselves; settings do not, because each is a decision (profile.py). So the follower
says which of them changed, and somebody decides. Source of each: profile.SETTINGS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from binderbox.decide.profile import SETTINGS, Setting

_MISSING = object()


def drift(values: Any, settings: Iterable[Setting] = SETTINGS) -> tuple[str, ...]:
    """One line for each setting that mybinder's values have otherwise; `values` is the parsed mybinder/values.yaml.

    A setting of ours that deviates on purpose is left out: what it deviates from is not known here.
    """
    told = []
    for setting in settings:
        if setting.deviation:
            continue
        theirs = at(values, setting.upstream)
        if theirs is _MISSING:
            told.append(f"{setting.upstream}: ours is {setting.value!r}, the federation's is gone")
        elif setting.says:
            if not isinstance(theirs, str) or setting.says not in theirs:
                told.append(f"{setting.upstream}: does not say {setting.says!r} any more")
        elif theirs != setting.value:
            told.append(f"{setting.upstream}: ours is {setting.value!r}, the federation's is {theirs!r}")
    return tuple(told)


def at(tree: Any, path: str) -> Any:
    """The value at a dotted path, in which `\\.` is a dot of a key."""
    for key in re.split(r"(?<!\\)\.", path):
        if not isinstance(tree, dict):
            return _MISSING
        tree = tree.get(key.replace("\\.", "."), _MISSING)
    return tree
