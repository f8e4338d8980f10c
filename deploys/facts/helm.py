"""What helm and the cluster say about one release, in one round trip and without running helm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pyinfra.api import FactBase, QuoteString, StringCommand

from binderbox.parts.helm.release import LOOK, ReleaseState, parse_release
from binderbox.world.pyinfra.connector import Looking


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
