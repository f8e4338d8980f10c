"""How a change is written: where it goes, one commit on a branch of its own, and its effect. Nothing here prints.

read the last commit -> edit (pure, guarded, held to the redirector's rules) -> ask the members -> one commit on a branch
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from binderbox.commands.federation.ask import observe
from binderbox.errors import UsageError
from binderbox.federation.deployrepo.change import Change, Step, render_diff
from binderbox.federation.deployrepo.mentions import Line, words_of
from binderbox.federation.deployrepo.tree import WANTED, DeployTree, make_tree, redirector_config
from binderbox.federation.members.effect import Effect, effect
from binderbox.federation.members.observed import Observed
from binderbox.federation.redirector.config import RedirectorConfig
from binderbox.world.git import repository as git
from binderbox.world.git.clones import opened
from binderbox.world.git.history import start_notes
from binderbox.world.http.endpoints import PUBLIC, Way


@dataclass(frozen=True)
class Place:
    """Where the change goes: a checkout's PATH or URL, "" for none; a clone of a URL is made in `checkout`.

    `federation` is the redirector's address. `write` False: only show. `ask` False: ask no member anything. `body`: where
    the text of the pull request goes, besides the answer.
    """

    source: str = ""
    checkout: Path | None = None
    federation: str = "https://mybinder.org"
    write: bool = True
    ask: bool = True
    way: Way = PUBLIC
    body: Path | None = None

    def check_body(self) -> None:
        """Before anything is written; raises UsageError for a place in the checkout, or in no directory."""
        if self.body is None:
            return
        if not self.body.absolute().parent.is_dir():
            raise UsageError(
                f"--body {self.body}: there is no directory {self.body.parent}; nothing was written"
            )
        if self.source and Path(self.source).resolve() in self.body.resolve().parents:
            raise UsageError(
                f"--body {self.body}: it would stand in the checkout itself; nothing was written"
            )

    def keep_body(self, edited: Edited) -> Edited:
        """Raises UsageError where the file cannot be written."""
        if self.body is not None and edited.diff:
            try:
                self.body.write_text(f"{edited.body}\n")
            except OSError as error:
                raise UsageError(f"--body {self.body}: {error.strerror}") from error
        return edited


@dataclass(frozen=True)
class Edited:
    """`branch` and `commit` are "" where nothing was written; `changed` says whether this run wrote the commit."""

    name: str
    changed: bool
    checkout: str
    branch: str
    commit: str
    files: tuple[str, ...]
    title: str
    body: str
    diff: str
    effect: Effect
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()


def edited(place: Place, branch: str, name: str, edit: Callable[[DeployTree], Change]) -> Edited:
    with opened(place.source, place.checkout) as checkout:
        tree, start = read_tree(checkout, place)
        return place.keep_body(written(checkout, start, branch, name, tree, edit(tree), place))


def read_tree(checkout: git.Checkout, place: Place) -> tuple[DeployTree, str]:
    """What the checkout holds, and the commit to start from; a checkout that cannot take a change is an error now."""
    commit = checkout.start()[1] if place.write else checkout.head()
    return make_tree(*checkout.read(commit, WANTED)), commit


def lines_of(checkout: git.Checkout, commit: str, name: str, url: str) -> tuple[Line, ...]:
    return tuple(Line(*found) for found in checkout.grep(commit, words_of(name, url)))


def written(
    checkout: git.Checkout,
    start: str,
    branch: str,
    name: str,
    tree: DeployTree,
    change: Change,
    place: Place,
    observed: Mapping[str, Observed] | None = None,
) -> Edited:
    """The change as a commit on a branch of its own, where the place lets it, with its effect.

    + observed: what the members answered, where they were asked already
    """
    # what this very change mends may be wrong before it
    before = redirector_config(tree, mending=name, several_primes=True)
    after = redirector_config(tree.with_files(change.files))
    told = effect(before, after, observed or _observed(before, place))
    diff = render_diff(tree, change)
    branch, commit, new, notes = f"binderbox/{branch}", "", False, tuple[str, ...]()
    if change.files and place.write:
        notes = start_notes(checkout, start)
        commit, new = checkout.write(start, branch, change.files, f"{change.title}\n\n{change.body}\n")
    return Edited(
        name=name,
        changed=new,
        checkout=str(checkout.shown),
        branch=branch if commit else "",
        commit=commit,
        files=tuple(change.files),
        title=change.title,
        body=change.body,
        diff=diff,
        effect=told,
        steps=change.steps,
        notes=notes,
    )


def _observed(config: RedirectorConfig, place: Place) -> Mapping[str, Observed] | None:
    return observe(config.hosts, config.check.timeout_s, place.way) if place.ask else None
