"""How two JSON values differ, in words: for /versions, which must be equal as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def differences(found: Any, wanted: Any, path: str = "") -> tuple[str, ...]:
    """One text for each key that differs, e.g. "builder_info.build_image is a, the prime's b"; () when equal."""
    if found == wanted:
        return ()
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        told: list[str] = []
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            here = f"{path}.{key}" if path else str(key)
            if key not in found:
                told.append(f"{here} is missing, the prime's is {wanted[key]}")
            elif key not in wanted:
                told.append(f"{here} is there, and the prime has none")
            else:
                told += differences(found[key], wanted[key], here)
        return tuple(told)
    return (f"{path or 'it'} is {found}, the prime's {wanted}",)
