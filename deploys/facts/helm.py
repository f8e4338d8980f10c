"""What helm and the cluster say about one release, in one round trip and without running helm."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pyinfra.api import FactBase, QuoteString, StringCommand

from binderbox import layout
from binderbox.world.connector import Looking

Way = Literal["install", "upgrade", "uninstall", "rollback"]
INPUTS_LABEL, SECRETS_LABEL = "binderbox-inputs", "binderbox-secrets"
KUBECTL = f"{layout.K3S} kubectl --kubeconfig {layout.KUBECONFIG}"

# $1 namespace, $2 release, $3 its list of objects, then the secret files.
# helm keeps a release as secrets, one for each revision, with all we need in their labels. A secret's content never
# leaves the node, not even as a plain hash: it is hashed together with the machine's own id.
LOOK = f"""
namespace=$1 release=$2 objects=$3
shift 3
umask 077
hash=$( {{ cat /etc/machine-id; for file in "$@"; do printf '%s\\n' "$file"; cat "$file"; done; }} 2>/dev/null | sha256sum )
printf 'secrets|%.40s\\n' "$hash"
[ -x {layout.K3S} ] || exit 0
{KUBECTL} get secrets -n "$namespace" -l "owner=helm,name=$release" -o jsonpath='{{range .items[*]}}revision|{{.metadata.labels.version}}|{{.metadata.labels.status}}|{{.metadata.labels.{INPUTS_LABEL}}}|{{.metadata.labels.{SECRETS_LABEL}}}{{"\\n"}}{{end}}' 2>/dev/null || true
if [ -s "$objects" ]; then
    echo listed
    {KUBECTL} get -n "$namespace" --ignore-not-found -o name $(cat "$objects") 2>/dev/null \\
        | grep -Fxv -f - "$objects" | sed 's/^/gone|/'
fi
true
"""


@dataclass(frozen=True)
class Revision:
    """One revision of a release; `inputs` and `secrets` are the hashes that it was made from."""

    number: int
    status: str
    inputs: str = ""
    secrets: str = ""


@dataclass(frozen=True)
class ReleaseState:
    """A release: its revisions from old to new, what the node's secrets hash to now, and which objects are gone.

    `listed` is False when the list of the release's objects was never written, after a client was killed.
    """

    revisions: tuple[Revision, ...] = ()
    secrets: str = ""
    listed: bool = False
    gone: tuple[str, ...] = ()

    @property
    def last(self) -> Revision | None:
        return self.revisions[-1] if self.revisions else None

    def is_at(self, inputs: str, *, listed: bool = True) -> bool:
        """Whether the release is deployed from these inputs, with the secrets of now, and nothing of it is gone.

        + listed: whether the list of its objects must be there
        """
        return (
            self.last is not None
            and (self.last.status, self.last.inputs, self.last.secrets) == ("deployed", inputs, self.secrets)
            and self.listed == listed
            and not self.gone
        )

    def way_out(self) -> tuple[Way, int]:
        """How to leave a state in which helm refuses to upgrade, and the revision to go back to; else `upgrade`.

        A helm that was killed leaves its revision pending. The first one has nothing to go back to; no volume is
        lost with it, because every volume is a directory of the node.
        """
        if self.last is None:
            return "install", 0
        if not re.fullmatch(r"pending-(install|upgrade|rollback)|uninstalling", self.last.status):
            return "upgrade", 0
        good = [
            one.number
            for status in ("superseded", "deployed")
            for one in self.revisions
            if one.status == status
        ]
        if self.last.status in ("pending-install", "uninstalling") or not good:
            return "uninstall", 0
        return "rollback", good[-1]


class HelmRelease(FactBase[ReleaseState]):
    """The state of one release; what of it cannot be seen (no k3s yet, API server down) counts as not there."""

    def command(
        self, release: str, namespace: str, objects: str, secret_files: Sequence[str] = ()
    ) -> StringCommand:
        arguments = (namespace, release, objects, *secret_files)
        return Looking(
            "sh", "-c", QuoteString(LOOK), "helm-release", *(QuoteString(one) for one in arguments)
        )

    @staticmethod
    def default() -> ReleaseState:
        return ReleaseState()

    def process(self, output: Iterable[str]) -> ReleaseState:
        return parse_release(output)


def parse_release(output: Iterable[str]) -> ReleaseState:
    """The lines of LOOK as a state."""
    rows = [line.split("|") for line in output]
    revisions = [Revision(int(row[1]), *row[2:5]) for row in rows if row[0] == "revision" and len(row) == 5]
    return ReleaseState(
        revisions=tuple(sorted(revisions, key=lambda one: one.number)),
        secrets=next((row[1] for row in rows if row[0] == "secrets"), ""),
        listed=["listed"] in rows,
        gone=tuple(row[1] for row in rows if row[0] == "gone"),
    )
