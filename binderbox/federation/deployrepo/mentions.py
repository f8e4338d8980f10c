"""Every line of the repository that names a member, and the files that are its deployment's. Pure: the lines come by grep."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from binderbox.decide import urls
from binderbox.federation.deployrepo.change import Step
from binderbox.federation.deployrepo.tree import DeployTree

TOLD = 40  # places in a checklist; whoever needs more asks git
OWN_FOLDERS = ("config/", "secrets/", "terraform/")


@dataclass(frozen=True)
class Line:
    """One line of a tracked text file."""

    path: str
    number: int
    text: str

    @property
    def place(self) -> str:
        return f"{self.path}:{self.number}"


def words_of(name: str, url: str) -> tuple[str, ...]:
    """What to look for: the member's name, and the host of its address."""
    return (name, urls.host_of(url)) if url else (name,)


def mentions(
    tree: DeployTree, changed: Mapping[str, bytes], lines: Iterable[Line], name: str, url: str
) -> tuple[Line, ...]:
    """Those of the lines that name the member and not one of a longer name; of changed files, as they will be.

    Left out are those of its own files, which go as a whole.
    """
    kept = [line for line in lines if line.path not in changed]
    for path, content in sorted(changed.items()):
        rows = content.decode(errors="replace").splitlines()
        kept += [Line(path, number, text) for number, text in enumerate(rows, 1)]
    longer = sorted((one for one in tree.releases if one.startswith(f"{name}-")), key=len, reverse=True)
    others = re.compile("|".join(map(re.escape, longer)) or r"(?!)")
    wanted = re.compile("|".join(rf"(?<![\w-]){re.escape(word)}(?!\w)" for word in words_of(name, url)), re.I)
    own = own_files(tree, name)
    found = [line for line in kept if line.path not in own and wanted.search(others.sub("", line.text))]
    return tuple(sorted(found, key=lambda line: (line.path, line.number)))


def mentioned(what: str, found: tuple[Line, ...], remedy: str) -> list[Step]:
    """An open step that lists them; none where nothing is found."""
    if not found:
        return []
    more = f", and {len(found) - TOLD} more" if len(found) > TOLD else ""
    return [Step(what, False, f"{remedy}: {', '.join(line.place for line in found[:TOLD])}{more}")]


def own_files(tree: DeployTree, name: str) -> tuple[str, ...]:
    """Files by which the repository deploys a release: NAME.*, or NAME and one more word, as NAME-kubeconfig.yaml."""
    releases = tree.releases
    if name not in releases:
        return ()
    longer = tuple(one for one in releases if one.startswith(f"{name}-"))
    file = re.compile(rf"{re.escape(name)}(-[a-z0-9]+)?(\.[^/]+)?")
    return tuple(
        path
        for path in sorted(tree.names)
        if path.startswith(OWN_FOLDERS)
        and file.fullmatch(base := path.rpartition("/")[2])
        and not base.startswith(tuple(f"{one}{sep}" for one in longer for sep in ".-"))
    )
