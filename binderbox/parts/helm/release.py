"""A helm release as data: what it is made from, what the node says of it, and helm's own arguments. Pure.

An install (deploys/operations/helm.py) and the node's follower (agent/releasing.py) bring the same release to its
inputs. Both compute them here, so that the one finds nothing to do after the other.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from binderbox import layout

Way = Literal["install", "upgrade", "uninstall", "rollback"]
INPUTS_LABEL, SECRETS_LABEL = "binderbox-inputs", "binderbox-secrets"
KUBECTL = f"{layout.K3S} kubectl --kubeconfig {layout.KUBECONFIG}"
HELM = f"{layout.BIN}/helm"
KEPT_REVISIONS = 3
LONGER_THAN_HELM_S = 120  # so that helm gives up first, with its own reason
VALUES_MODE = 0o640  # they hold no secret, and `plan --diff` may show them
ENVIRONMENT = (
    f"KUBECONFIG={layout.KUBECONFIG}",
    f"HELM_CACHE_HOME={layout.RUN}/helm",
    f"HELM_DATA_HOME={layout.RUN}/helm",
    layout.KUBECTL_CACHE,
)

# What helm and kubectl say of an API server that they do not reach just now. They give it ten seconds for a handshake, which
# one that has just started on a slow machine does not always keep, and ask once; whatever else they say is their last word.
AWAY = (
    "cluster unreachable",
    "TLS handshake timeout",
    "connection refused",
    "i/o timeout",
    "client connection lost",
)
TRIES, BETWEEN_S = 6, 5
# $@ helm and its arguments
PATIENT = f"""
for again in $(seq {TRIES}); do
    said=$("$@" 2>&1 >/dev/null) && exit 0
    code=$?
    case "$said" in
        {"|".join(f'*"{word}"*' for word in AWAY)}) ;;
        *) break ;;
    esac
    [ "$again" = {TRIES} ] || sleep {BETWEEN_S}
done
printf '%s\\n' "$said" >&2
exit "$code"
"""

# $1 namespace, $2 release, $3 its list of objects, then the files with secrets or further values.
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
class ReleaseInputs:
    """What a release is made from: chart by path and checksum, values by checksum, secrets by helm path to name.

    + values_files: further values, in files of the node whose content counts as the secrets' does
    """

    release: str
    namespace: str
    chart: str
    chart_sha256: str
    values_sha256: str
    secrets: Mapping[str, str]
    timeout_s: int = 300
    values_files: tuple[str, ...] = ()

    @property
    def secret_files(self) -> tuple[str, ...]:
        """The files of the node whose content goes into the release."""
        return (*(secret_path(name) for _, name in sorted(self.secrets.items())), *self.values_files)

    @property
    def digest(self) -> str:
        """Secrets' contents apart; 40 hex digits, because a label holds no more than 63."""
        secrets = sorted(self.secrets.items())
        parts: list[Any] = [self.release, self.namespace, self.chart_sha256, self.values_sha256, secrets]
        parts += [self.values_files] if self.values_files else []
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


def render_inputs(inputs: ReleaseInputs) -> str:
    """The text of the record that lies beside a release's values."""
    fields = asdict(inputs) | {"secrets": dict(sorted(inputs.secrets.items()))}
    return json.dumps(fields, indent=1, sort_keys=True) + "\n"


def parse_inputs(text: str) -> ReleaseInputs:
    """The reverse; raises ValueError."""
    try:
        fields: dict[str, Any] = json.loads(text)
        return ReleaseInputs(**{**fields, "values_files": tuple(fields.get("values_files", ()))})
    except (TypeError, ValueError) as error:
        raise ValueError(f"no record of a release: {error}") from error


def values_path(release: str) -> str:
    """Where the node keeps a release's values; they hold no secret."""
    return f"{layout.CHARTS}/{release}.values.yaml"


def inputs_path(release: str) -> str:
    """Where the node keeps the record of what a release was last to be made from."""
    return f"{layout.CHARTS}/{release}.inputs.json"


def objects_path(release: str) -> str:
    """Where the node keeps the names of a release's objects."""
    return f"{layout.CHARTS}/{release}.objects"


def secret_path(name: str) -> str:
    """A secret's file on the node: see values.py."""
    return f"{layout.ETC}/{name}" if "/" in name else f"{layout.SECRETS}/{name}"


def place_words(inputs: ReleaseInputs) -> tuple[str, ...]:
    return ("--namespace", inputs.namespace, "--timeout", f"{inputs.timeout_s}s")


def upgrade_words(inputs: ReleaseInputs, secrets_hash: str) -> tuple[str, ...]:
    """helm's arguments that bring the release to its inputs; helm itself reads each secret from its file."""
    words = ["upgrade", "--install", inputs.release, inputs.chart, *place_words(inputs), "--create-namespace"]
    words += ["--reset-values"]
    for path in (values_path(inputs.release), *inputs.values_files):
        words += ["--values", path]
    for path, name in sorted(inputs.secrets.items()):
        words += ["--set-file", f"{path}={secret_path(name)}"]
    labels = f"{INPUTS_LABEL}={inputs.digest},{SECRETS_LABEL}={secrets_hash}"
    return (*words, "--labels", labels, "--history-max", str(KEPT_REVISIONS))


def leaving_words(inputs: ReleaseInputs, way: Way, revision: int) -> tuple[str, ...]:
    """helm's arguments that leave a state in which it refuses to upgrade; none where it does not."""
    if way == "uninstall":
        return (
            "uninstall",
            inputs.release,
            *place_words(inputs),
            "--no-hooks",
            "--ignore-not-found",
            "--wait",
        )
    if way == "rollback":
        return ("rollback", inputs.release, str(revision), *place_words(inputs), "--no-hooks")
    return ()


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
