"""The node's own credential for reading pods: what the cluster gave the ServiceAccount `node-reader`, as files."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from binderbox.deploys.facts.reader import StaleReader, render_look

WAIT_S = 60  # the token is filled in by a controller, a moment after the manifest was applied


@operation()
def credential(*, directory: str) -> Generator[StringCommand, None, None]:
    """Write `token` and `ca.crt` into `directory`, root only; nothing when they are the cluster's already."""
    if not host.get_fact(StaleReader, directory=directory):
        host.noop("the credential is the cluster's own")
        return
    yield StringCommand("sh", "-c", QuoteString(_take(directory)))


def _take(directory: str) -> str:
    return f"""
umask 077
mkdir -p {directory} || exit 1
for try in $(seq {WAIT_S}); do
    {render_look("token", f"{directory}/token.new")} &&
    {render_look("ca.crt", f"{directory}/ca.crt.new")} &&
    [ -s {directory}/token.new ] && [ -s {directory}/ca.crt.new ] &&
    mv {directory}/token.new {directory}/token && mv {directory}/ca.crt.new {directory}/ca.crt && exit 0
    sleep 1
done
echo "the cluster did not give the ServiceAccount node-reader a token within {WAIT_S} s" >&2
exit 1
"""
