"""Files, directories and links of ours on the node, compared first; many of them cost one round trip.

    changed = files.contents({
        "/etc/x/a.conf": files.Content(text),
        "/etc/binderbox/secrets/b": files.Content(HiddenValue(value), 0o600),
    })
    systemd.service("x", restarted=True, _if=files.any_changed(changed))
    files.directories({"/var/lib/x": 0o755, "/etc/binderbox": 0o700})
    files.link(name="link kubectl", dest="/usr/local/bin/kubectl", target=layout.K3S)

    files.tree(name="write the agent", root=layout.AGENT, files=agent_tree())

Everything belongs to root. A missing parent directory is made (0755). Content that is a HiddenValue, that only root
may read, or that lies under the secrets directory never appears in a diff. For one file: `files.content`.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import os
import shlex
import tarfile
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pyinfra import host, state
from pyinfra.api import FileUploadCommand, HiddenValue, OperationError, QuoteString, StringCommand, operation
from pyinfra.api.operation import OperationMeta

from binderbox import layout
from binderbox.deploys.facts.states import Below, FileStates, FileText, PathState

_PACKED, _UNPACKED = ".bbx-tree.tar", ".bbx-tree"  # below the root of a tree that is being written
Text = str | bytes | HiddenValue
Commands = Generator[StringCommand | FileUploadCommand, None, None]


@dataclass(frozen=True)
class Content:
    """What a file shall hold, and its mode."""

    text: Text
    mode: int = 0o644


class Upload(io.BytesIO):
    """Bytes to upload; our connector creates the file with `mode_bits`, others need a chmod after it."""

    def __init__(self, data: bytes, mode_bits: int) -> None:
        super().__init__(data)
        self.mode_bits = mode_bits


def contents(files: Mapping[str, Content]) -> list[OperationMeta]:
    """One operation per file, named after its path; their facts come in one round trip together."""
    batch = _Batch(_with_parents(files))
    return [
        content(name=f"write {dest}", dest=dest, text=one.text, mode=one.mode, batch=batch)
        for dest, one in files.items()
    ]


def directories(modes: Mapping[str, int]) -> list[OperationMeta]:
    """One operation per directory, named after its path; their facts come in one round trip together."""
    batch = tuple(modes)
    return [directory(name=f"make {dest}", dest=dest, mode=mode, batch=batch) for dest, mode in modes.items()]


def any_changed(operations: Iterable[OperationMeta]) -> Callable[[], bool]:
    """A condition for `_if`: at least one of the operations changed something."""
    kept = list(operations)
    return lambda: any(one.did_change() for one in kept)


class _Batch:
    """Files that are written right after one another: looked at once before all are planned, and once before the first is written."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        self._paths = paths
        self._found: dict[bool, dict[str, PathState]] = {}

    def states(self) -> dict[str, PathState]:
        if state.is_executing not in self._found:
            found = host.get_fact(FileStates, paths=self._paths)
            self._found[state.is_executing] = dict(found)
        return self._found[state.is_executing]


@operation()
def content(dest: str, text: Text, mode: int = 0o644, batch: _Batch | None = None) -> Commands:
    """Make the file at `dest` hold `text`. `batch` has the state of others, too."""
    data = _data(text)
    states = (batch or _Batch(_with_parents([dest]))).states()
    now = states[dest]
    if now.kind in ("directory", "other"):
        raise OperationError(f"{dest} is there, and is no file")
    if now.kind == "file" and now.sha256 == _sha256(data):
        if _differs(now, mode):
            yield _chmod(dest, mode)
        return
    _note_diff(dest, data, now, secret=isinstance(text, HiddenValue) or not mode & 0o077)
    parent = os.path.dirname(dest)
    if states[parent].kind == "absent":
        yield StringCommand(shlex.join(["mkdir", "-p", parent]))
        states[parent] = replace(states[parent], kind="directory")
    if now.kind == "link":
        yield StringCommand(shlex.join(["rm", "-f", dest]))
    if not getattr(host.connector, "sets_mode", False) and now.kind == "absent":
        yield StringCommand(shlex.join(["install", "-m", f"{mode:o}", "/dev/null", dest]))
    yield FileUploadCommand(Upload(data, mode), dest)
    if not getattr(host.connector, "sets_mode", False):
        yield _chmod(dest, mode)


@operation()
def tree(root: str, files: Mapping[str, str]) -> Commands:
    """Make files below one directory hold these texts (0644): a look and three round trips, however many there are.

    + files: path to text; each is written as a whole, and they lie on the disk before any has its name
    """
    texts = {dest: text.encode() for dest, text in files.items()}
    states = host.get_fact(FileStates, paths=_with_parents(texts))
    for dest in texts:
        if states[dest].kind in ("directory", "other"):
            raise OperationError(f"{dest} is there, and is no file")
    wanted = {
        os.path.relpath(dest, root): data
        for dest, data in texts.items()
        if states[dest].kind != "file"
        or states[dest].sha256 != _sha256(data)
        or _differs(states[dest], 0o644)
    }
    if not wanted:
        return
    for path, data in wanted.items():
        dest = os.path.join(root, path)
        _note_diff(dest, data, states[dest], secret=False)
    packed = f"{root}/{_PACKED}"
    yield StringCommand(shlex.join(["mkdir", "-p", root]))
    yield FileUploadCommand(Upload(_tar(wanted), 0o600), packed)
    folders: dict[str, list[str]] = {}
    for path in wanted:
        folders.setdefault(os.path.dirname(path) or ".", []).append(f"{_UNPACKED}/{path}")
    script = [
        f"cd {shlex.quote(root)}",
        f"rm -rf {_UNPACKED}",
        f"trap 'rm -rf {_UNPACKED} {_PACKED}' EXIT",
        f"mkdir -m 700 {_UNPACKED}",
        f"tar -xf {_PACKED} -C {_UNPACKED} --no-same-owner",
        f"sync -f {_UNPACKED}",
        shlex.join(["mkdir", "-p", *folders]),
        *(shlex.join(["mv", "-f", "-t", folder, *paths]) for folder, paths in folders.items()),
    ]
    yield StringCommand("sh", "-ec", QuoteString("\n".join(script)))


@operation()
def directory(dest: str, mode: int = 0o755, batch: tuple[str, ...] = ()) -> Commands:
    """Make a directory, with its parents (0755)."""
    now: PathState = host.get_fact(FileStates, paths=batch or (dest,))[dest]
    if now.kind not in ("directory", "absent"):
        raise OperationError(f"{dest} is there, and is no directory")
    if now.kind == "absent":
        yield StringCommand(shlex.join(["mkdir", "-p", "-m", f"{mode:o}", dest]))
    elif _differs(now, mode):
        yield _chmod(dest, mode)


@operation()
def link(dest: str, target: str) -> Commands:
    """Make `dest` a symbolic link to `target`; a file or another link there is replaced, a directory never."""
    states = host.get_fact(FileStates, paths=_with_parents([dest]))
    now: PathState = states[dest]
    if now.kind == "directory":
        raise OperationError(f"{dest} is there, and is a directory")
    if now.kind == "link" and now.target == target:
        return
    make = (
        shlex.join(["mkdir", "-p", os.path.dirname(dest)])
        + " && "
        + shlex.join(["ln", "-sfnT", target, dest])
    )
    yield StringCommand(make)


@operation()
def absent(paths: tuple[str, ...]) -> Commands:
    """Remove files, links and directories with all that is in them; one round trip to look, one to remove."""
    states = host.get_fact(FileStates, paths=paths)
    there = [path for path in paths if states[path].kind != "absent"]
    if there:
        yield StringCommand(shlex.join(["rm", "-rf", "--one-file-system", "--", *there]))


@operation()
def nothing_else(directories: tuple[str, ...], wanted: tuple[str, ...]) -> Commands:
    """Remove what is below directories of ours and not wanted there, as files of an older release; one round trip to look.

    + wanted: paths that stay, with the directories above them
    """
    keep = {parent for path in wanted for parent in _parents(path)} | set(wanted)
    strangers = [path for path in host.get_fact(Below, directories=directories) if path not in keep]
    tops = [path for path in strangers if os.path.dirname(path) not in strangers]
    if tops:
        yield StringCommand(shlex.join(["rm", "-rf", "--one-file-system", "--", *sorted(tops)]))


def _tar(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _parents(path: str) -> list[str]:
    above = os.path.dirname(path)
    return [above, *_parents(above)] if above != path else []


def _with_parents(paths: Iterable[str]) -> tuple[str, ...]:
    named = tuple(paths)
    return tuple(dict.fromkeys([*named, *(os.path.dirname(path) for path in named)]))


def _differs(now: PathState, mode: int) -> bool:
    return (now.mode, now.user, now.group) != (mode, "root", "root")


def _chmod(dest: str, mode: int) -> StringCommand:
    return StringCommand(
        f"{shlex.join(['chown', 'root:root', dest])} && {shlex.join(['chmod', f'{mode:o}', dest])}"
    )


def _data(text: Text) -> bytes:
    plain: str | bytes = text.unmask() if isinstance(text, HiddenValue) else text
    return plain.encode() if isinstance(plain, str) else plain


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _note_diff(dest: str, data: bytes, now: PathState, *, secret: bool) -> None:
    """Leave a diff for the one who asked for diffs; never of a secret."""
    diffs: dict[str, Any] | None = host.connector_data.get("binderbox_diffs")
    if diffs is None or not state.config.DIFF or dest in diffs:
        return
    if secret or dest.startswith(layout.SECRETS):
        diffs[dest] = f"--- {dest}\n+++ {dest}\n(secret)"
        return
    old = host.get_fact(FileText, path=dest) if now.kind == "file" else ""
    lines = difflib.unified_diff(
        old.splitlines(), data.decode(errors="replace").splitlines(), dest, dest, lineterm="", n=2
    )
    diffs[dest] = "\n".join(lines)
