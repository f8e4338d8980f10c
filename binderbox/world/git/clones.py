"""Where a mybinder.org-deploy checkout comes from: a directory, or a shallow clone of an address."""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from binderbox.errors import DeployRepoError
from binderbox.world.git import repository as git
from binderbox.world.git.run import run

CLONE_S = 600
DEFAULT_DIR = "mybinder.org-deploy"


class NoCheckout(DeployRepoError):
    """A directory that no git knows."""


@contextmanager
def opened(source: str, checkout: Path | None = None, *, whole: bool = False) -> Iterator[git.Checkout]:
    """The checkout at a PATH, or a clone of a URL in `checkout` (default ./mybinder.org-deploy), shallow or with history.

    A new clone stays only when a commit was written into it; one from before is used as it stands.
    """
    if not is_url(source):
        yield _checkout_at(Path(source))
        return
    target = checkout or Path(DEFAULT_DIR)
    if target.exists():
        there = _checkout_at(target)
        if there.origin() != source:
            raise DeployRepoError(
                f"{target} is there already and no clone of {source}; nothing was written",
                remedy="name another directory with --checkout",
            )
        yield there
        return
    with cloned(source, target.absolute().parent, whole=whole) as path:
        yield (there := git.Checkout(path, target))
        if there.written():
            path.rename(target)


def look(source: str, wanted: Collection[str]) -> tuple[dict[str, bytes], frozenset[str]]:
    """Contents and paths for reading alone, from the last commit; a directory that is no checkout is read as it is.

    A URL is cloned to a temporary directory that is gone afterwards.
    """
    if is_url(source):
        with cloned(source, Path(tempfile.gettempdir())) as path:
            there = git.Checkout(path, Path(source))
            return there.read(there.head(), wanted)
    try:
        there = _checkout_at(Path(source))
    except NoCheckout:
        found = {path: Path(source, path) for path in wanted}
        return {path: file.read_bytes() for path, file in found.items() if file.is_file()}, frozenset()
    return there.read(there.head(), wanted)


@contextmanager
def cloned(url: str, parent: Path, *, whole: bool = False) -> Iterator[Path]:
    """A clone in a new directory below `parent`, taken away at the end unless it was moved.

    Shallow, or with all commits, of whose files only those come that are asked for.
    """
    try:
        scratch = Path(tempfile.mkdtemp(prefix=".binderbox-clone-", dir=parent))
    except OSError as error:
        raise DeployRepoError(
            f"no clone can be made in {parent}: {error.strerror}; nothing was written"
        ) from error
    try:
        path = scratch / DEFAULT_DIR
        done = run(
            [
                "clone",
                "--quiet",
                *(["--filter=blob:none"] if whole else ["--depth", "1"]),
                "--no-tags",
                "--",
                url,
                str(path),
            ],
            timeout_s=CLONE_S,
        )
        if done.returncode:
            raise DeployRepoError(
                f"{url} cannot be cloned; nothing was written",
                cause=done.stderr.decode(errors="replace").strip()[-2000:],
                remedy="clone it yourself, and give the directory with --deploy-repo",
            )
        yield path
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def is_url(source: str) -> bool:
    """`https://...`, `ssh://...`, `file://...` or `user@host:path`; everything else is a directory."""
    return re.match(r"[a-z+]+://|[\w.-]+@[\w.-]+:", source) is not None


def _checkout_at(path: Path) -> git.Checkout:
    if not path.is_dir():
        raise DeployRepoError(
            f"{path} is no directory; nothing was written",
            remedy="give a checkout of mybinder.org-deploy, or its address, with --deploy-repo",
        )
    done = run(["-C", str(path), "rev-parse", "--show-toplevel"])
    top = done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")
    if done.returncode or not top:
        why = done.stderr.decode(errors="replace").strip()
        if "dubious ownership" in why:  # git's own words, with its own remedy
            raise DeployRepoError(
                f"{path} belongs to somebody else, and git does not read it; nothing was written",
                cause=why,
                remedy=f"git config --global --add safe.directory {shlex.quote(str(path.resolve()))}",
            )
        raise NoCheckout(
            f"{path} is no git checkout; nothing was written",
            cause=why,
            remedy="git clone https://github.com/jupyterhub/mybinder.org-deploy",
        )
    return git.Checkout(Path(top), path)
