"""A launch of a repository that was never built before, through this member's public address, as a visitor's."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

from binderbox import layout
from binderbox.errors import NoAnswer
from binderbox.launch.sample import NAMES, REF, sample_texts, sample_url, serve_words, stop_words
from binderbox.launch.stream import Launch, build_path, build_token, follow, over, page_path, reason_lines
from binderbox.parts.agent.jobs.config import AgentConfig
from binderbox.parts.agent.jobs.received import issuers
from binderbox.parts.agent.jobs.running import CommandFailed, run
from binderbox.parts.agent.jobs.web import Member

SAMPLE = Path(layout.AGENT) / "sample"
TARGETS = {"cluster resolver": "dns:kubernetes.default.svc.cluster.local"}  # what the sample tries to reach
LAUNCH_S = 900
TROUBLE = (CommandFailed, NoAnswer, ValueError, OSError)  # what a launch or a change may raise
SILENCE_S = 60  # BinderHub sends a keepalive every 25 s


def member_of(config: AgentConfig) -> Member:
    """This member, as its visitors reach it."""
    known = issuers(config.received_file) if config.staging else ""
    return Member(config.binder_url, config.address, config.ca_file, known)


def versions(member: Member) -> object:
    """What this member says at /versions; raises NoAnswer."""
    url = f"{member.binder_url}/versions"
    try:
        return json.loads(member.request("GET", url))
    except ValueError as error:
        raise NoAnswer(f"{url}: no JSON") from error


def prove(config: AgentConfig) -> None:
    """Build, launch, ask the server, stop it; raises NoAnswer with the build's last words."""
    with launched(config, TARGETS):
        pass


@contextmanager
def launched(config: AgentConfig, targets: Mapping[str, str]) -> Iterator[Launch]:
    """A server that answers, of a sample whose probe tries these targets, for the block. Raises NoAnswer."""
    member, base_image = member_of(config), config.sample_base
    directory = f"{layout.RUN}/samples/{secrets.token_hex(8)}"
    read = {name: (SAMPLE / name).read_text("utf-8") for name in NAMES}
    Path(directory).mkdir(mode=0o755, parents=True)
    try:
        for name, text in sample_texts(read, base_image, targets, directory.rpartition("/")[2]).items():
            Path(directory, name).write_text(text, "utf-8")
        run(serve_words(directory, config.pod_gateway))
        found = _launch(member, sample_url(directory, config.pod_gateway))
        try:
            member.request("GET", f"{found.url}api/status?token={found.token}")
            yield found
        finally:
            # a server that ends may be gone before it has answered; else the culler ends it
            with suppress(NoAnswer):
                member.request("POST", f"{found.url}api/shutdown?token={found.token}", body=b"{}")
    finally:
        shutil.rmtree(Path(directory, ".git"), ignore_errors=True)
        run(stop_words(directory))


def _launch(member: Member, repo_url: str) -> Launch:
    path, started = build_path(repo_url, REF), time.monotonic()
    page = member.request("GET", member.binder_url + page_path(path)).decode(errors="replace")
    token = build_token(page)
    query = urlencode({"build_token": token}) if token else ""
    state = Launch()
    for event in member.events(f"{member.binder_url}{path}?{query}", SILENCE_S):
        state = follow(state, event, time.monotonic() - started)
        if over(state, time.monotonic() - started) or time.monotonic() - started > LAUNCH_S:
            break
    if not state.ready:
        why = state.failure or f"the stream ended in phase {state.phase or 'none'}"
        raise NoAnswer("a launch failed: " + " | ".join(reason_lines(state, why)))
    return state
