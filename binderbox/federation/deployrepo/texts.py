"""Words for people around a change: the pull request, what operators hand over, and what a volunteer can post. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from binderbox.federation.deployrepo.change import FIRST_QUOTA, Change, Step
from binderbox.federation.deployrepo.entries import entry_of
from binderbox.federation.deployrepo.join import Newcomer
from binderbox.output.results import CheckResult

DEPLOY = "https://github.com/jupyterhub/mybinder.org-deploy"
GUIDE = "https://github.com/jupyterhub/mybinder.org-user-guide"
GUIDE_PAGES = "docs/_data/support/federation.yml, docs/about/status.rst and docs/_static/status.js (fedUrls)"

# upstream's guide, docs/source/operation_guide/federation.md, asks for this and for the data source
EVENTS = "operators decide; without it the member's launches are not in the public analytics"
BUILD_TOKEN = "build-token"


@dataclass(frozen=True)
class Handover:
    """A secret that operators of the federation give to the member, and how the member takes it (from stdin)."""

    secret: str
    purpose: str
    command: str


def handovers(host: str, given: Mapping[str, str]) -> tuple[Handover, ...]:
    """The build token first: without the federation's, every launch from mybinder.org is refused with 403.

    + given: the secrets that a member takes from operators, name to purpose
    """
    order = sorted(given, key=lambda name: name != BUILD_TOKEN)
    return tuple(Handover(name, given[name], _taking(host, name)) for name in order)


def _taking(host: str, name: str) -> str:
    return f"binderbox secrets set {host} {name}"


def join_steps(
    member: Newcomer, change: Change | None, host: str, ready: bool | None, quota: int | None
) -> tuple[Step, ...]:
    """The whole checklist: what the change does, and what people do."""
    proof = {None: "not asked", True: "it passes", False: "it does not pass yet"}[ready]
    has = "unknown now" if quota is None else f"now {quota}"
    return (
        *(change.steps if change else ()),
        Step("somebody answers the provider's abuse mail within 48 hours", True, member.contact),
        Step(
            "operators of the federation can log in to the host",
            False,
            "they ask for it before a member goes live: mybinder.org-deploy #3267",
        ),
        Step(
            "operators hand over the build token, by a private way", ready is True, _taking(host, BUILD_TOKEN)
        ),
        Step(
            f"the member starts with quota {FIRST_QUOTA}",
            quota is not None and 0 < quota <= FIRST_QUOTA,
            f"{has}: `quota: {FIRST_QUOTA}` in its config, then `binderbox install {host}`",
        ),
        Step(f"`binderbox federation check {member.url}`", ready is True, proof),
        Step("launches are published to the events archive", False, EVENTS),
        Step(
            "a data source in Grafana",
            False,
            "operators add it, or none: the monitoring target stands for it",
        ),
        Step(f"pages of {GUIDE}", False, GUIDE_PAGES),
    )


def leave_steps(change: Change) -> tuple[Step, ...]:
    """The same for a member that goes."""
    return (
        *change.steps,
        Step("its data source in Grafana", False, "operators take it out, if there is one"),
        Step(f"pages of {GUIDE}", False, f"{GUIDE_PAGES}; `active: false` in the first"),
    )


def render_steps(steps: Sequence[Step]) -> str:
    """A ticked checklist in Markdown."""
    return "\n".join(
        f"- [{'x' if step.done else ' '}] {step.what}{f' ({step.note})' if step.note else ''}"
        for step in steps
    )


def pull_request(change: Change, steps: Sequence[Step]) -> str:
    """Its text; the title is the change's."""
    return f"{change.body}\n\n{render_steps(steps)}" if steps else change.body


def guide_text(member: Newcomer) -> str:
    """What the other repository's pages need, for whoever edits them."""
    sponsor = member.sponsor
    entry = [
        f"url_binderhub: {member.url}",
        f"funded_by: {sponsor.name if sponsor else '...'}",
        f"funded_by_link: {sponsor.url if sponsor else '...'}",
        f"run_by: {member.run_by or '...'}",
        f"run_by_link: {member.contact}",
        "logo: ...",
    ]
    return "\n".join(
        [
            "docs/_data/support/federation.yml: an entry with",
            *(f"  {row}" for row in entry),
            f"docs/about/status.rst: a row for {member.url}",
            f"docs/_static/status.js: {member.url} in fedUrls",
        ]
    )


def post(member: Newcomer, ready: bool | None, checks: Sequence[CheckResult]) -> str:
    """An issue for the deployment repository, for a volunteer who cannot open a pull request there."""
    who = (
        f"It is run by {member.run_by}{f', in {member.where}' if member.where else ''}."
        if member.run_by
        else ""
    )
    proof = {
        None: "`binderbox federation check` was not run yet.",
        True: "`binderbox federation check` passes: the redirector's rules hold, and a launch worked.",
        False: "`binderbox federation check` does not pass yet:",
    }[ready]
    failing = [f"- {one.id} {one.claim}: {one.measured}" for one in checks if one.verdict == "fail"]
    entry = [
        f"{member.name}:",
        *(f"  {key}: {_word(value)}" for key, value in entry_of(member.entry).items()),
    ]
    parts = [
        f"Title: Register {member.url} as a member of the federation",
        f"I would like to register {member.url} as a member of the federation. {who}".rstrip(),
        "It stays our machine and is reached by its address. It follows the prime's versions by itself.",
        "\n".join([proof, *failing]),
        "What it needs from you: the federation's build token, by a private way, and this entry below "
        "`federationRedirect.hosts` in config/prod.yaml:",
        "\n".join(["```yaml", *entry, "```"]),
    ]
    parts.append(f"Contact, also for abuse: {member.contact}")
    return "\n\n".join(parts)


def _word(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
