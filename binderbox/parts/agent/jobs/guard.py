"""The guard's job, each minute: puts the node's bans in force, and sees that cryptnono's detectors watch and kill.

A detector kills processes of pods, of builds, and of the host itself; the last is told at once, for it may be a part of
the member. That they kill is seen by processes of our own that are started to be killed.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from binderbox import layout
from binderbox.parts.agent.jobs import files, releasing, running, telling
from binderbox.parts.agent.jobs.config import AgentConfig
from binderbox.parts.agent.jobs.launching import TROUBLE
from binderbox.parts.agent.jobs.locking import Busy, hold
from binderbox.parts.agent.jobs.running import CommandFailed, kubectl
from binderbox.parts.guard import bans, seen
from binderbox.parts.guard.bans import BadBans
from binderbox.parts.guard.kills import ATTACHED, Kill, read
from binderbox.parts.helm.release import inputs_path

JOB = "guard"
RELEASE = "cryptnono"
PLACE = f"/api/v1/namespaces/{layout.NAMESPACE}"
PODS = "app.kubernetes.io/name=cryptnono"
KEPT = 50  # kills that are told
KEPT_S = 24 * 3600
CANARY_EVERY_S = 600
CANARY_S = 3.0
STARTING_S = 300  # a minute on a slow machine, and its image may have to come first
METRICS_S = 5
NAME_S = 2  # for each of some names, asked beside each other
LOG_MB = 1
VALUES_MODE = 0o600
NO_BANS: Mapping[str, Any] = {"faults": [], "digest": ""}
APPLY = ("apply", "--server-side", "--force-conflicts", "-f", "-")
# A connection that leads nowhere: flowkiller looks at it as the kernel sends its first packet.
CONNECT = "import socket, time; s = socket.socket(); s.setblocking(False); s.connect_ex(({!r}, 443)); time.sleep({})"


def run(config: AgentConfig) -> bool:
    """One look; whether all is well. There is nothing to see before an install has come to it."""
    if not config.detectors or files.read(inputs_path(RELEASE)) is None:
        return True
    earlier = files.kept(layout.GUARD_STATE)
    found = _begun(config) | {"kills": earlier.get("kills", []), "bans": earlier.get("bans", NO_BANS)}
    try:
        found["bans"] = in_force()
        found["brought"] = _brought(found["bans"]["digest"], earlier.get("brought", ""))
        _look(config, found, earlier)
    except TROUBLE as error:
        found["why"] = str(error)[:500]
    faults = seen.faults(found)
    if faults and faults != earlier.get("faults"):
        telling.audit(JOB, "alert", why="; ".join(faults)[:500])
    telling.state(layout.GUARD_STATE, {"brought": earlier.get("brought", ""), **found, "faults": faults})
    return not faults


def looked(config: AgentConfig) -> dict[str, Any]:
    """A look that knows of none before it, with canaries of its own: what a change of the release is proved with."""
    found = _begun(config) | {"kills": []}
    _look(config, found, {})
    return found


def _begun(config: AgentConfig) -> dict[str, Any]:
    return {
        "kernel": os.uname().release,
        "headers": (files.read(layout.HEADERS_SAID) or "").strip() == os.uname().release,
        "attaches": config.attaches,
        "detectors": {},
        "why": "",
    }


def in_force() -> dict[str, Any]:
    """Put the node's files of bans into the release's values and its ConfigMap, or keep the old set where one line is bad."""
    texts = {name: files.read(f"{layout.SECRETS}/{name}") or "" for name in bans.FILES}
    faults: tuple[str, ...] = ()
    try:
        must_work = addresses_of(bans.MUST_WORK) if texts[bans.ADDRESSES].strip() else {}
        found = bans.parse(texts, commands_of_the_host(), must_work)
    except BadBans as bad:
        faults = bad.faults
        if kept := files.read(layout.BANS_VALUES):
            return {"faults": list(faults), "digest": json.loads(kept)["podAnnotations"]["binderbox/bans"]}
        found = bans.Bans()
    wanted = bans.config_map(found, layout.NAMESPACE)
    if _in_the_cluster() != wanted["data"]:
        # on the server's side: kubectl's own way copies all of it into an annotation, which takes a quarter of a megabyte
        kubectl(*APPLY, stdin=json.dumps(wanted))
    files.write(
        layout.BANS_VALUES, json.dumps(bans.values(found), indent=1, sort_keys=True) + "\n", VALUES_MODE
    )
    counts = {"strings": len(found.strings), "allowed": len(found.allowed), "addresses": len(found.addresses)}
    return {"faults": list(faults), "digest": bans.digest(found), **counts}


def _in_the_cluster() -> Any:
    """The bans that the cluster has; None where it has none."""
    try:
        return json.loads(running.ask(f"{PLACE}/configmaps/{bans.CONFIG_MAP}"))["data"]
    except (CommandFailed, KeyError):
        return None


def addresses_of(names: Iterable[str]) -> dict[str, str]:
    """IPv4 address to the name that has it now, of those that are answered in time: half of a list is better than none."""
    found: dict[str, str] = {}
    pool = ThreadPoolExecutor(8)
    try:
        for name, asked in [
            (name, pool.submit(socket.getaddrinfo, name, 443, socket.AF_INET)) for name in names
        ]:
            with suppress(OSError, TimeoutError, FutureTimeout):
                found |= {str(one[4][0]): name for one in asked.result(timeout=NAME_S)}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return found


def commands_of_the_host() -> Iterator[str]:
    """What runs in no pod and no build: a ban that matches it would take a part of the machine."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            groups = (process / "cgroup").read_text()
            if "kubepods" not in groups and layout.BUILDS_SLICE not in groups:
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if command := " ".join(words).strip():
                    yield command


def _brought(digest: str, before: str) -> str:
    """Have the release run with the set, as an install does; returns with which it runs."""
    if before == digest:
        return digest
    try:
        with hold(telling.WHO[JOB], 0) as tell:
            tell("putting bans in force")
            releasing.bring(releasing.installed(RELEASE))
    except Busy as error:
        telling.say("waits", why=str(error))
        return before
    return digest


def _look(config: AgentConfig, found: dict[str, Any], earlier: Mapping[str, Any]) -> None:
    pods = json.loads(running.ask(f"{PLACE}/pods", labelSelector=PODS))["items"]
    pod = next((one for one in pods if not one["metadata"].get("deletionTimestamp")), None)
    statuses = {one["name"]: one for one in (pod or {}).get("status", {}).get("containerStatuses", ())}
    before = earlier.get("detectors", {})
    kills: list[Kill] = []
    for name in config.detectors:
        detector, ended = _detector(name, pod, statuses.get(name), before.get(name, {}))
        found["detectors"][name] = detector | _since(detector, before.get(name, {}))
        kills += ended
    _keep(found, [{**asdict(one), "host": one.of_the_host} for one in kills if not one.by_canary])
    if config.attaches and all(one["attached"] for one in found["detectors"].values()):
        _canaries(found["detectors"])


def _since(detector: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Since when it has not been attached, and whether that may be because it compiles; a restart begins no new time."""
    if detector["attached"]:
        return {}
    since = before.get("since", time.time())
    return {"since": since, "starting": time.time() - since < STARTING_S}


def _detector(
    name: str, pod: Any, status: Any, before: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Kill]]:
    """Whether it is attached and why not; and whom it killed since the last look."""
    if status is None:
        return {"attached": False, "why": "no pod of cryptnono runs"}, []
    running = status["state"].get("running")
    if not running:
        waiting = status["state"].get("waiting") or status["state"].get("terminated") or {}
        last = _log(pod, name, tailLines="3", previous=str(bool(status["restartCount"])).lower())
        said = " ".join(line.strip() for line in last if line.strip())[-200:]
        return {"attached": False, "why": f"{waiting.get('reason', 'it does not run')}: {said}"}, []
    same = before.get("id") == status.get("containerID")
    since = {"sinceTime": before["looked"]} if same else {"limitBytes": str(LOG_MB * 1_000_000)}
    lines = _log(pod, name, **since)
    attached = (same and before.get("attached", False)) or any(ATTACHED[name] in line for line in lines)
    detector = {
        "id": status.get("containerID"),
        "attached": attached,
        "looked": telling.now(),
        "why": ""
        if attached
        else f"started {running['startedAt']}, not attached yet: {' '.join(lines[-1:])[:200]}",
        "looked_at": _looked_at(name, pod),
    }
    if same:
        detector |= {key: before[key] for key in ("killed_s", "tried_s") if key in before}
    return detector, list(read(name, lines))


def _log(pod: Any, name: str, **asked: str) -> list[str]:
    """Its lines without CR; none where it has no log yet."""
    try:
        place = f"{PLACE}/pods/{pod['metadata']['name']}/log"
        return running.ask(place, container=name, **asked).splitlines()
    except CommandFailed:
        return []


def _looked_at(name: str, pod: Any) -> float | None:
    ports = [
        one["containerPort"]
        for container in pod["spec"]["containers"]
        if container["name"] == name
        for one in container.get("ports", ())
    ]
    if not ports or not (address := pod["status"].get("podIP")):
        return None
    try:
        said = running.run(
            ["curl", "-sS", "--fail", "--max-time", str(METRICS_S), f"http://{address}:{ports[0]}/metrics"]
        )
    except CommandFailed:
        return None
    return seen.looked_at(name, said)


def _canaries(detectors: dict[str, Any]) -> None:
    """Start what must be killed, where the last time is long ago."""
    wait = f"import time; time.sleep({CANARY_S})"
    canaries = {
        "execwhacker": [sys.executable, "-c", wait, bans.CANARY],
        "flowkiller": [sys.executable, "-c", CONNECT.format(bans.CANARY_ADDRESS, CANARY_S)],
    }
    for name, words in canaries.items():
        if name in detectors and time.time() - detectors[name].get("tried_s", 0) >= CANARY_EVERY_S:
            detectors[name] |= {"killed_s": killed_after_s(words), "tried_s": round(time.time())}


def killed_after_s(words: list[str]) -> float | None:
    """Seconds until the process was killed; None where it ended by itself."""
    started = time.monotonic()
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        code = process.wait(timeout=CANARY_S + 30)
    return round(time.monotonic() - started, 2) if code == -9 else None


def _keep(found: dict[str, Any], kills: list[dict[str, Any]]) -> None:
    old = {json.dumps(one, sort_keys=True) for one in found["kills"]}
    fresh = [one for one in kills if json.dumps(one, sort_keys=True) not in old]
    for one in fresh:
        about = {"detector": one["detector"], "why": one["why"], "pid": str(one["pid"])}
        if not one["host"]:
            telling.say("killed", whose=one["pod"] or one["step"] or "not known", **about)
        else:
            telling.audit(JOB, "killed", whose="the host itself", process=one["command"], **about)
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - KEPT_S))
    found["kills"] = seen.merged(found["kills"], fresh, since=since, at_most=KEPT)
