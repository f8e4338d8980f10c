"""The proof that a member works: a repository becomes a running notebook, twice, and nothing leaks.

Everything goes through the public address, as a visitor's browser would; only what the kubelet did is asked on the node.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode, urlsplit

from binderbox import layout
from binderbox.commands.serve_sample import REF, served
from binderbox.decide.facts import HostFacts
from binderbox.errors import LaunchFailed, NoAnswer
from binderbox.launch.kernels import evaluate
from binderbox.launch.reach import allowed_targets, forbidden_targets
from binderbox.launch.stream import (
    Launch,
    build_path,
    build_token,
    follow,
    over,
    page_path,
    reason_lines,
)
from binderbox.member.model import Networks
from binderbox.output.progress import Progress
from binderbox.output.results import LaunchResult, Proof
from binderbox.patience import patient
from binderbox.world.cluster import events_of, pods_of_image
from binderbox.world.host.hosts import Host
from binderbox.world.http.web import Web

BUILD_AT_MOST_S = 3600  # longer builds are practically always stuck: mybinder.org-deploy 51da72bf
# What BinderHub says to a token that another secret has signed: the page was still that of the pod which it replaces.
OTHER_SECRET = "Invalid build token"
# And to whoever waits for a build whose pod it lost sight of: an API server was busy, or came and went (its build.py).
LOST_SIGHT = "Unhandled error watching for build events. Please try again."
NOBODY_THERE = (502, 503, 504)  # what an ingress says of a server that it does not reach
SEEN_S = 30
FETCH_S = 90
PUSHED_S = 60
FROM_S = 30  # BuildKit asks three times, and then waits for whoever has the name
# $1 a name, $2 seconds, then buildctl. Where the host's search domain has a wildcard, the name leads somewhere, and maybe
# nobody answers there, which says nothing of the resolver. So it is asked for at its root then, as no FROM can write it.
FETCH = """\
name=$1 within=$2; shift 2
d=$(mktemp -d) && mkdir "$d/c" || exit 1
ask() { timeout "$within" env $(cat PROXY_FILE 2>/dev/null) "$@" --local "context=$d/c" --local "dockerfile=$d/c" >"$d/said" 2>&1; [ $? != 124 ]; }
printf 'FROM %s/nothing:1\\n' "$name" >"$d/c/Dockerfile"
if ! ask "$@"; then
  printf 'FROM scratch\\nADD https://%s./nothing /\\n' "$name" >"$d/c/Dockerfile"
  ask "$@" || : >"$d/said"
fi
tail -c 4000 "$d/said"
rm -rf "$d"
""".replace("PROXY_FILE", layout.PROXY_FILE)
SILENCE_S = 60  # BinderHub sends a keepalive every 25 s
ASK = "import json, subprocess, sys; print(json.dumps([6 * 7, json.load(open('seen-by-build.json')), json.loads(subprocess.check_output([sys.executable, 'probe.py', 'targets.json']))]))"


@dataclass(frozen=True)
class Visit:
    """A member as visitors reach it: its public address, and the browser that goes there."""

    host: Host
    facts: HostFacts
    binder_url: str
    web: Web
    progress: Progress
    networks: Networks
    unseen: str = ""  # a name that nobody has asked for before
    guarded: bool = False  # whether cryptnono's detectors watch


def launch(visit: Visit, repo_url: str, ref: str) -> tuple[Launch, LaunchResult]:
    """Launch a repository and wait until its server answers; raises LaunchFailed with the build's last lines."""
    started = time.monotonic()
    state = followed(visit, repo_url, ref, started)
    if state.failure in (OTHER_SECRET, LOST_SIGHT):
        built = state.built
        state = followed(visit, repo_url, ref, started)
        state = replace(state, built=built or state.built)
    if not state.ready:
        told_nothing = (
            "the stream ended without a server"
            if state.failed_at_s is None
            else "it failed, and said no more"
        )
        raise _failed(visit, repo_url, state, state.failure or told_nothing)
    pods = pods_of_image(visit.host, state.image)
    events = events_of(visit.host, layout.HUB_NAMESPACE, "Pod", pods[0]["metadata"]["name"]) if pods else []
    result = LaunchResult(
        host=visit.host.name,
        repository=repo_url,
        ref=ref,
        url=f"{state.url}lab?token={state.token}",
        image=state.image,
        built=state.built,
        pulled=any(event.startswith("Pulling") and state.image in event for event in events),
        seconds=(*state.seconds.items(), ("total", round(time.monotonic() - started, 2))),
    )
    return state, result


def followed(visit: Visit, repo_url: str, ref: str, started: float) -> Launch:
    """Open the launch page and follow its stream to the end, whatever that is; raises LaunchFailed when one breaks."""
    path, state = build_path(repo_url, ref), Launch()
    try:
        token = page_token(visit.web, visit.binder_url + page_path(path))
        url = f"{visit.binder_url}{path}?{urlencode({'build_token': token})}"
        for event in visit.web.events(url, silence_s=SILENCE_S):
            if event:
                state = follow(state, event, time.monotonic() - started)
                visit.progress.waiting(
                    f"launch of {repo_url}",
                    state.phase or "asked",
                    time.monotonic() - started,
                    state.lines[-1] if state.lines else "",
                )
            if over(state, time.monotonic() - started) or time.monotonic() - started > BUILD_AT_MOST_S:
                break
    except NoAnswer as error:
        raise _failed(visit, repo_url, state, str(error)) from error
    return state


def page_token(web: Web, page_url: str) -> str:
    """The token of a launch page; raises NoAnswer.

    The ingress hears of a pod a moment after Kubernetes calls it ready, and says until then that nobody is there.
    """
    deadline = time.monotonic() + patient(SEEN_S)
    while (page := web.request("GET", page_url)).status_code in NOBODY_THERE and time.monotonic() < deadline:
        time.sleep(1)
    token = build_token(page.text)
    if page.status_code != 200 or not token:
        raise NoAnswer(f"{page_url}: HTTP {page.status_code}, and no build token in the page")
    return token


def launch_sample(visit: Visit, base_image: str) -> tuple[Launch, LaunchResult]:
    """Launch the sample repository, and leave it running."""
    with served(visit.host, base_image, _targets(visit), visit.networks.pod_gateway) as url:
        return launch(visit, url, REF)


def prove(visit: Visit, base_image: str) -> Proof:
    """Build what was never built, use it, launch it again, stop it; the checks of `launch` judge what was seen."""
    with served(visit.host, base_image, _targets(visit), visit.networks.pod_gateway) as url:
        first, cold = launch(visit, url, REF)
        answer, by_build, by_kernel = _ask_kernel(visit, first)
        _until_pushed(visit, cold.image)
        second, warm = launch(visit, url, REF)
    for one in (first, second):
        stop(visit, one)
    said = fetch(visit.host, visit.unseen)
    if answer != 42:
        raise LaunchFailed(
            f"{visit.host.name}: a notebook started, but its kernel thinks that 6 * 7 is {answer}",
            remedy=f"binderbox check {visit.host.name}",
        )
    return Proof(cold, warm, by_kernel, by_build, visit.unseen, said)


def _until_pushed(visit: Visit, image: str) -> None:
    """The push follows the launch; what is launched again before that is built again. After PUSHED_S a check says so."""
    deadline = time.monotonic() + patient(PUSHED_S)
    while time.monotonic() < deadline:
        said = json.loads(visit.host.read(layout.DOOR_STATUS) or b"{}")
        if image not in [one["tag"] for one in said.get("pushes", ())]:
            return
        time.sleep(0.5)


def tried(visit: Visit, base_image: str) -> tuple[Mapping[str, bool | str], Mapping[str, bool | str]]:
    """What a notebook and a step of its build could have, of all that a probe tries."""
    with served(visit.host, base_image, _targets(visit), visit.networks.pod_gateway) as url:
        launched, _ = launch(visit, url, REF)
        _, by_build, by_kernel = _ask_kernel(visit, launched)
    stop(visit, launched)
    return by_kernel, by_build


def fetch(host: Host, name: str) -> str:
    """What BuildKit says to a build that comes FROM a registry of that name; it fails, the question is by what."""
    words = [f"{layout.BIN}/buildctl", "--addr", f"unix://{layout.BUILDKIT_SOCKET}", "build", "--no-cache"]
    words += ["--progress=plain", "--frontend=dockerfile.v0"]
    within = str(round(patient(FROM_S)))
    return host.run(["sh", "-c", FETCH, "sh", name, within, *words], timeout_s=FETCH_S).text


def stop(visit: Visit, launched: Launch) -> None:
    """End a user's server by its own API, which a token is enough for; the hub sees it go."""
    try:
        visit.web.request("POST", f"{launched.url}api/shutdown?token={launched.token}", json={})
    except NoAnswer as error:
        visit.progress.note(f"a server could not be stopped, the culler will: {error}")


def _targets(visit: Visit) -> dict[str, str]:
    https_port = urlsplit(visit.binder_url).port or 443
    return {
        **forbidden_targets(visit.facts, visit.networks, guarded=visit.guarded),
        **allowed_targets(visit.facts, https_port, visit.unseen),
    }


def _ask_kernel(
    visit: Visit, launched: Launch
) -> tuple[int, Mapping[str, bool | str], Mapping[str, bool | str]]:
    try:
        answer, by_build, by_kernel = json.loads(evaluate(visit.web, launched.url, launched.token, ASK))
    except (NoAnswer, ValueError) as error:
        raise LaunchFailed(
            f"{visit.host.name}: the notebook at {launched.url} runs, but its kernel gave no answer",
            cause=str(error),
            remedy=f"binderbox check {visit.host.name}",
        ) from error
    return answer, by_build, by_kernel


def _failed(visit: Visit, repo_url: str, state: Launch, why: str) -> LaunchFailed:
    return LaunchFailed(
        f"{visit.host.name}: {repo_url} did not become a running notebook (last phase: {state.phase or 'none'})",
        cause="\n".join(reason_lines(state, why)),
        remedy=f"mend the repository, or see whether the member is well: binderbox status {visit.host.name}",
    )
