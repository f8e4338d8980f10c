"""Whether artifacts on the node are what their checksum says, without reading hundreds of megabytes every time.

Beside a verified file lies its mark, `<file>.ok`: size, time of change and sha256. As long as size and time are as
marked, the file counts as verified; otherwise it is hashed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pyinfra.api import FactBase, QuoteString

from binderbox import layout
from binderbox.deploys.facts.states import checked
from binderbox.parts.fetch.pulling import CTR, PINNED
from binderbox.world.pyinfra.connector import Looking

MARKED = 'printf "%s %s" "$(stat -c "%s %y" "$p")" "$s"'  # the text of a mark for file $p with checksum $s


class ArtifactStates(FactBase[dict[str, bool]]):
    """Path to True for each file that is there, has the checksum wanted for it, and is marked."""

    def command(self, wanted: Mapping[str, str]) -> Looking:
        """Ask about `wanted`: path to sha256."""
        self._paths = list(wanted)
        tests = [
            part
            for path, sha256 in wanted.items()
            for part in ("check", QuoteString(checked(path)), QuoteString(sha256), ";")
        ]
        check = (
            'check() { p=$1; s=$2; [ -f "$p" ] && [ "$(cat "$p.ok" 2>/dev/null)" = "$(' + MARKED + ')" ] '
            '&& echo "ok $p"; };'
        )
        return Looking(check, *tests, "true")

    def process(self, output: list[str]) -> dict[str, bool]:
        """The paths that are as wanted."""
        good = {line.removeprefix("ok ") for line in output}
        return {path: path in good for path in self._paths}

    def default(self) -> dict[str, bool]:  # type: ignore[override]
        """None is there."""
        return dict.fromkeys(self._paths, False)


class Extracted(FactBase[bool]):
    """True if the files taken from an archive are still the ones that were taken from it."""

    def command(self, archive: str, stamp: str, targets: Sequence[str]) -> Looking:
        """Compare the stamp beside the archive with the files as they are now."""
        names = [QuoteString(checked(target)) for target in targets]
        now = ["stat", "-c", "'%s %a %y %n'", *names, "2>/dev/null"]
        path = QuoteString(checked(f"{archive}.{stamp}"))
        take = ['s="$(cat', path, '2>/dev/null)";', "[", "-n", '"$s"', "]", "&&"]
        return Looking(*take, "[", '"$s"', "=", '"$(', *now, ')"', "]", "&&", "echo", "same", "||", "true")

    def process(self, output: list[str]) -> bool:
        """`same` was printed."""
        return output == ["same"]

    @staticmethod
    def default() -> bool:
        """Nothing was extracted."""
        return False


class WholeImages(FactBase[set[str]]):
    """Those of the wanted names whose image the node has: whole, and unpacked."""

    def command(self, wanted: Sequence[str]) -> Looking:
        """Ask containerd about `wanted`; where there is none yet, nothing is there."""
        names = [QuoteString(f'name=="{name}"') for name in wanted]
        ask = [*CTR, "images", "check", *names]
        return Looking("[", "-S", layout.CONTAINERD_SOCKET, "]", "&&", *ask, "2>/dev/null", "||", "true")

    def process(self, output: list[str]) -> set[str]:
        """containerd's table to names."""
        return whole([line.split() for line in output])

    @staticmethod
    def default() -> set[str]:
        """None is there."""
        return set()


def whole(rows: Iterable[list[str]]) -> set[str]:
    """Names in the table of `ctr images check` that lack nothing and are unpacked."""
    return {row[0] for row in rows if row and "complete" in row and row[-1] == "true"}


class PulledImages(FactBase[set[tuple[str, str]]]):
    """The pairs of (repository@digest, name) of which the node has that name: whole, unpacked, pinned, of that digest."""

    def command(self, wanted: Sequence[tuple[str, str]]) -> Looking:
        """Ask containerd about `wanted`; where there is none yet, nothing is there."""
        self._wanted = list(wanted)
        names = [QuoteString(f'name=="{name}"') for name in sorted({name for _, name in wanted})]
        ask = ["[", "-S", layout.CONTAINERD_SOCKET, "]", "&&", "{", *CTR, "images", "list", *names, ";"]
        return Looking(
            *ask, "echo", "==;", *CTR, "images", "check", *names, ";", "}", "2>/dev/null", "||", "true"
        )

    def process(self, output: list[str]) -> set[tuple[str, str]]:
        """containerd's two tables to pairs."""
        rows = [line.split() for line in output]
        middle = rows.index(["=="]) if ["=="] in rows else len(rows)
        complete = whole(rows[middle + 1 :])
        digests = {
            row[0]: next((word for word in row if word.startswith("sha256:")), "")
            for row in rows[:middle]
            if row and row[0] in complete and PINNED in row[-1].split(",")
        }
        return {
            (exact, name) for exact, name in self._wanted if digests.get(name) == exact.rpartition("@")[2]
        }

    @staticmethod
    def default() -> set[tuple[str, str]]:
        """None is there."""
        return set()
