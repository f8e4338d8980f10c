"""Who a repository is, however its address is written. Pure, standard library only: it travels to the node.

Whoever counts by repository or by owner counts by this: a user's name, a port, another scheme or a query make no other one.
"""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//(?P<host>[^/?#]*)(?P<path>[^?#]*)", re.I)
_BY_SSH = re.compile(r"(?:[^/@:]+@)(?P<host>[^/:]+):(?P<path>[^?#]*)")


def same(address: str) -> str:
    """host/path, in small letters; a text that is no address is itself, in small letters."""
    text = address.strip()
    found = _ADDRESS.match(text) or _BY_SSH.match(text)
    if found is None:
        return text.rstrip("/").removesuffix(".git").casefold()
    host = found["host"].rpartition("@")[2].partition(":")[0].rstrip(".").casefold().removeprefix("www.")
    path = "/".join(filter(None, found["path"].casefold().split("/"))).removesuffix(".git")
    return f"{host}/{path}".rstrip("/")


def owner_of(address: str) -> str:
    """Whose it is: host and first part of its path, such as github.com/OWNER; itself where nobody is named.

    A DOI's first part is the archive's, which is no owner.
    """
    whole = same(address)
    host, _, path = whole.partition("/")
    owner, slash, rest = path.partition("/")
    return f"{host}/{owner}" if host and owner and slash and rest and not owner.startswith("10.") else whole
