"""Small facts about the host itself, each one command."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyinfra.api import FactBase, QuoteString, StringCommand

from binderbox.world.host.numbers import parse_numbers
from binderbox.world.host.profiles import parse_profiles
from binderbox.world.pyinfra.connector import Looking


class Owners(FactBase[dict[str, tuple[str, int]]]):
    """Path to (mode in octal, owner id) for the directories among `paths`; ids, because an owner may have no name."""

    def command(self, paths: Sequence[str]) -> StringCommand:
        return Looking(
            "stat", "-c", "'%F|%a|%u|%n'", *(QuoteString(path) for path in paths), "2>/dev/null", "||", "true"
        )

    @staticmethod
    def default() -> dict[str, tuple[str, int]]:
        return {}

    def process(self, output: Iterable[str]) -> dict[str, tuple[str, int]]:
        rows = (line.split("|", 3) for line in output)
        return {path: (mode, int(owner)) for kind, mode, owner, path in rows if kind == "directory"}


class Profiles(FactBase[dict[str, str]]):
    """AppArmor's profiles that are loaded, each with its mode."""

    def command(self) -> StringCommand:
        return Looking("cat", "/sys/kernel/security/apparmor/profiles", "2>/dev/null", "||", "true")

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def process(self, output: Iterable[str]) -> dict[str, str]:
        return parse_profiles("\n".join(output))


class Sysctls(FactBase[dict[str, str]]):
    """The kernel's value of each of `keys`; keys that this kernel does not have (yet) are missing."""

    def command(self, keys: Sequence[str]) -> StringCommand:
        return Looking("sysctl", "-e", *(QuoteString(key) for key in keys), "2>/dev/null", "||", "true")

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def process(self, output: Iterable[str]) -> dict[str, str]:
        pairs = (line.partition(" = ") for line in output)
        return {key: value for key, _, value in pairs}


class Numbers(FactBase[dict[str, int]]):
    """What each of `paths` holds, of those that are there and hold one number."""

    def command(self, paths: Sequence[str]) -> StringCommand:
        return Looking("grep", "-sH", "''", *(QuoteString(path) for path in paths), "||", "true")

    @staticmethod
    def default() -> dict[str, int]:
        return {}

    def process(self, output: Iterable[str]) -> dict[str, int]:
        return parse_numbers("\n".join(output))


class Loadable(FactBase[list[str]]):
    """Which of `names` are kernel modules that could be loaded and are not; what is built in has nothing to load."""

    def command(self, names: Sequence[str]) -> StringCommand:
        look = (
            'for m in "$@"; do [ -d "/sys/module/$m" ] && continue; '
            'grep -q "/$m\\.ko" "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null && continue; '
            'modprobe -n -q "$m" 2>/dev/null && echo "$m"; done; true'
        )
        return Looking("sh", "-c", QuoteString(look), "sh", *(QuoteString(name) for name in names))

    @staticmethod
    def default() -> list[str]:
        return []

    def process(self, output: Iterable[str]) -> list[str]:
        return list(output)


class NftTables(FactBase[list[str]]):
    """Families and names of the tables that are loaded; none where nft is not there yet."""

    def command(self) -> StringCommand:
        return Looking("nft", "list", "tables", "2>/dev/null", "||", "true")

    @staticmethod
    def default() -> list[str]:
        return []

    def process(self, output: Iterable[str]) -> list[str]:
        return [line.removeprefix("table ").strip() for line in output]


class AtBoot(FactBase[list[str]]):
    """Which of `units` systemd starts at boot."""

    def command(self, units: Sequence[str]) -> StringCommand:
        look = 'for u in "$@"; do systemctl -q is-enabled "$u" 2>/dev/null && echo "$u"; done; true'
        return Looking("sh", "-c", QuoteString(look), "sh", *(QuoteString(unit) for unit in units))

    @staticmethod
    def default() -> list[str]:
        return []

    def process(self, output: Iterable[str]) -> list[str]:
        return list(output)
