"""The member's own authority and server certificate, for `tls: own-ca`."""

from __future__ import annotations

import io
from collections.abc import Generator, Sequence

from pyinfra import host as current
from pyinfra.api import FileUploadCommand, FunctionCommand, Host, State, StringCommand, operation
from pyinfra.api.exceptions import OperationError

from binderbox import layout
from binderbox.deploys.facts.certificates import AUTHORITY, LEAF, Certificates
from binderbox.parts.secrets import ca

AUTHORITY_KEY, LEAF_KEY = f"{layout.CA}/ca.key", f"{layout.ETC}/tls/tls.key"


@operation()
def made(names: Sequence[str]) -> Generator[StringCommand | FileUploadCommand | FunctionCommand, None, None]:
    """Make an authority if there is none, and a server certificate unless the one there is good.

    + names: the certificate's host names, the first being the member's own
    """
    authority, leaf = current.get_fact(Certificates)
    if authority and leaf and ca.judge_leaf(leaf, authority, names) == "keep":
        current.noop("the server certificate is good")
        return
    yield FunctionCommand(_make, (names, authority), {})


def _make(state: State, host: Host, names: Sequence[str], authority_pem: str) -> None:
    """Keys are made here, in memory, and are written nowhere but on the node. pyinfra goes by the parameters' names."""
    if authority_pem:
        authority = ca.KeyPair(authority_pem, _read(host, AUTHORITY_KEY))
    else:
        authority = ca.make_ca(names[0])
        _write(host, AUTHORITY_KEY, authority.key_pem, 0o600)
        _write(host, AUTHORITY, authority.certificate_pem, 0o644)
    leaf = ca.make_leaf(authority, names)
    _write(host, LEAF_KEY, leaf.key_pem, 0o600)
    _write(host, LEAF, leaf.certificate_pem, 0o600)


def _write(host: Host, path: str, text: str, mode: int) -> None:
    file = io.BytesIO(text.encode())
    file.mode_bits = mode  # type: ignore[attr-defined]  # our connector makes the file with it
    if not host.put_file(file, path):
        raise OperationError(f"cannot write {path}")


def _read(host: Host, path: str) -> str:
    text = io.BytesIO()
    if not host.get_file(path, text):
        raise OperationError(f"cannot read {path}")
    return text.getvalue().decode()
