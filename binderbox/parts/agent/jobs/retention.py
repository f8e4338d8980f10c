"""The registry's memory on the node: notes which images are asked for, and forgets those that nobody asks for: once a day,
and whenever the bucket is nearly full, which one of a small disk is within hours.

A run only reads logs, which takes no lock. A sweep lists the bucket and deletes while the door holds back its pushes (`push_lock`):
with nobody who pushes, nothing that is looked at can become needed before it goes. Only the first one looks before that, for it
reads every manifest. Cut off anywhere, the next sweep begins anew and finds the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from glob import glob
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

from binderbox import layout
from binderbox.parts.agent.jobs import files, telling
from binderbox.parts.agent.jobs.bucket import Bucket, StoreFailed
from binderbox.parts.agent.jobs.config import AgentConfig
from binderbox.parts.agent.jobs.memory import Memory
from binderbox.parts.agent.jobs.running import CommandFailed, kubectl
from binderbox.parts.push_lock import LONGEST_PUSH_S, Held, held_back
from binderbox.parts.registry import retention, tree, uses
from binderbox.parts.registry.retention import DAY_S, YOUNG_S, Image, Rules
from binderbox.parts.registry.tree import Tree

JOB = "retention"
T = TypeVar("T")
SWEEP_EVERY_S = DAY_S
LISTINGS = 60  # the time that a listing takes, so often, lies between two looks at how full the bucket is
HOLD_WAIT_S = LONGEST_PUSH_S + 200.0  # a large push that is under way goes first
READ_MOST = 1 << 20  # of a log at once
TROUBLE = (
    StoreFailed,
    CommandFailed,
    Held,
    OSError,
    ValueError,
    KeyError,
    ElementTree.ParseError,
    sqlite3.Error,
)


def run(config: AgentConfig, asked: Mapping[str, Any] | None = None, now: float | None = None) -> bool:
    """One run, told in its state; whether all is well.

    + asked: what somebody asked for: {} for a sweep now, `dry` for one that only says, `keep_days` for another rule,
      `free_bytes` for so much less
    """
    earlier = files.kept(layout.RETENTION_STATE)
    found: dict[str, Any] = {**earlier, "why": ""}
    try:
        with closing(Memory(Path(layout.RETENTION_MEMORY))) as memory:
            clock = memory.clock.looked(time.time() if now is None else now)
            note(memory, clock.seen_s)
            memory.clock = clock
            if asked is not None or _due(config, clock.seen_s, found) or earlier.get("why"):
                said = _sweep(config, memory, clock.seen_s, asked or {})
                if said["dry"]:
                    found["dry_run"] = said
                else:
                    when = {
                        "swept_seen_s": clock.seen_s,
                        "listed_seen_s": clock.seen_s,
                        "swept": telling.now(),
                    }
                    found |= said | when
            elif found == {**earlier, "why": ""}:
                return True
    except TROUBLE as error:
        found["why"] = f"{error}"[:500] or repr(error)
        if found["why"] != earlier.get("why"):
            telling.audit(JOB, "alert", why=found["why"])
    telling.state(layout.RETENTION_STATE, found)
    telling.say("swept" if not found["why"] else "not-swept", why=found["why"])
    return not found["why"]


def _due(config: AgentConfig, seen_s: float, found: dict[str, Any]) -> bool:
    """A day after the last sweep; before that where the bucket is nearly full again, as far as a listing is quick.

    A sweep or a listing of a time to come is none: the memory, and its clock with it, was lost since then.
    """
    never = float("-inf")
    if not 0 <= seen_s - found.get("swept_seen_s", never) < SWEEP_EVERY_S:
        return True
    listed_s = seen_s - found.get("listed_seen_s", never)
    if not config.registry_max_gb or 0 <= listed_s < LISTINGS * found.get("listed_in_s", 0.0):
        return False
    with closing(_bucket(config)) as bucket:
        began = time.monotonic()
        size = sum(one.size_bytes for one in bucket.all())
        found |= {"listed_seen_s": seen_s, "listed_in_s": round(time.monotonic() - began, 1)}
        return _rules(config).full(size)


def _rules(config: AgentConfig, asked: Mapping[str, Any] | None = None) -> Rules:
    asked = asked or {}
    max_bytes = round(config.registry_max_gb * 1e9)
    return Rules(asked.get("keep_days", config.keep_days), max_bytes, asked.get("free_bytes", 0))


def note(memory: Memory, seen_s: float, pattern: str = layout.REGISTRY_LOGS) -> None:
    """Note the images that were asked for since the last run; both the uses and how far was read, or neither."""
    names, read, hits, misses = set[str](), dict[int, int](), 0, 0
    for path in sorted(glob(pattern)):
        if path.endswith(".gz"):
            continue  # it was read before it was packed
        try:
            with open(path, "rb") as log:
                first = log.readline()
                if not first.endswith(b"\n"):
                    continue
                # its first line has the time to the nanosecond; an inode is soon another log's
                which = int.from_bytes(hashlib.sha256(first).digest()[:7])
                log.seek(min(memory.log_read(which), os.fstat(log.fileno()).st_size))
                whole = True
                while whole and (chunk := log.readlines(READ_MOST)):
                    if not (whole := chunk[-1].endswith(b"\n")):  # it is being written
                        log.seek(-len(chunk.pop()), os.SEEK_CUR)
                    found = uses.asked(line.decode(errors="replace") for line in chunk)
                    names |= {f"{name}:{tag}" for name, tag in found.used}
                    hits, misses = hits + found.hits, misses + found.misses
                read[which] = log.tell()
        except FileNotFoundError:
            continue  # the kubelet has just rotated it
    with memory.at_once():
        memory.use(names, seen_s)
        memory.log_was_read(read)
        memory.count(hits, misses, time.time())


def _sweep(config: AgentConfig, memory: Memory, seen_s: float, asked: Mapping[str, Any]) -> dict[str, Any]:
    rules = _rules(config, asked)
    with closing(_bucket(config)) as bucket:
        began = time.monotonic()
        if asked.get("dry"):
            found, took = _listed(bucket)
            return took | _told(*_decided(bucket, found, memory, seen_s, rules), rules, began, dry=True)
        if not memory.knows_names:  # what takes long the first time, while pushes go on
            _learn(bucket, memory, _listed(bucket)[0])
            memory.has_learned()
        with held_back(Path(layout.PUSH_LOCK), HOLD_WAIT_S):
            found, took = _listed(bucket)
            decided = _decided(bucket, found, memory, seen_s, rules)
            for step in decided[2]:
                bucket.delete(step.keys)
        try:
            bucket.abort_uploads(time.time() - DAY_S)
        except StoreFailed as error:  # our own store's key may not, and it does so by itself
            telling.say("uploads-left", why=str(error)[:200])
        memory.forget(one.image.name for one in decided[1])
        for one in decided[1]:
            telling.say("forgotten", image=one.image.name, why=one.why)
        return took | _told(*decided, rules, began, dry=False)


Decided = tuple[Tree, list[retention.Gone], list[retention.Step], int]


def _listed(bucket: Bucket) -> tuple[Tree, dict[str, Any]]:
    began = time.monotonic()
    found = tree.read(bucket.all())
    return found, {"listed_in_s": round(time.monotonic() - began, 1)}


def _decided(bucket: Bucket, found: Tree, memory: Memory, seen_s: float, rules: Rules) -> Decided:
    """The tree, which images go, what is deleted, and how many images there are."""
    reaches = _learn(bucket, memory, found)
    note(memory, seen_s)  # who was asked for while pushes were waited for, and all was listed
    images = _images(found, reaches, memory, seen_s)
    sizes = {digest: one.size_bytes for digest, one in found.blobs.items()}
    gone = retention.forgotten(images, sizes, rules)
    return found, gone, list(retention.swept(found, reaches, gone, time.time() - YOUNG_S)), len(images)


def _learn(bucket: Bucket, memory: Memory, found: Tree) -> dict[str, tuple[str, ...]]:
    """What each tag's link (by its key) and each manifest (by its digest) names; read once, kept for good.

    Raises StoreFailed where a manifest cannot be read: without it nobody knows what it needs.
    """
    known, fresh = memory.named(), dict[str, tuple[str, ...]]()
    reaches: dict[str, tuple[str, ...]] = {}
    sources = set[str]()
    for repository in found.repositories.values():
        for link in repository.tags.values():
            source = f"{link.key} {link.etag}"
            sources.add(source)
            if source not in known and source not in fresh:
                fresh[source] = (_read(link.key, tree.digest_in, bucket),)
            reaches[link.key] = known.get(source) or fresh[source]
        for digest in repository.revisions:
            sources.add(digest)
            blob = found.blobs.get(digest)
            if blob is None:
                reaches[digest] = ()  # its bytes are gone: it needs nothing any more
                continue
            if digest not in known and digest not in fresh:
                fresh[digest] = _read(blob.key, lambda text: tree.named_in(json.loads(text)), bucket)
            reaches[digest] = known.get(digest) or fresh[digest]
        if len(fresh) >= 1000:  # a first pass that is cut off goes on from here
            memory.learn(fresh)
            known, fresh = known | fresh, {}
    memory.learn(fresh)
    memory.keep_only(sources, known | fresh)
    return reaches


def _read(key: str, parsed: Callable[[bytes], T], bucket: Bucket) -> T:
    """What an object says; raises ValueError with its key where that is nothing."""
    try:
        return parsed(bucket.get(key))
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _images(
    found: Tree, reaches: Mapping[str, tuple[str, ...]], memory: Memory, seen_s: float
) -> list[Image]:
    """Every tag with what it needs. One that nobody was seen to ask for yet counts as used now."""
    known_uses, images, first = memory.used(), list[Image](), list[str]()
    young_since = time.time() - YOUNG_S
    for name, repository in found.repositories.items():
        for tag, link in repository.tags.items():
            (manifest,) = reaches[link.key]
            known = known_uses.get(f"{name}:{tag}")
            if known is None:
                first.append(f"{name}:{tag}")
            blobs = frozenset(tree.reached([manifest], reaches))
            idle_s = seen_s - (seen_s if known is None else known)
            images.append(Image(name, tag, blobs, idle_s, link.changed_s >= young_since))
    memory.use(first, seen_s)
    return images


def _told(
    found: Tree,
    gone: list[retention.Gone],
    steps: list[retention.Step],
    images: int,
    rules: Rules,
    began: float,
    *,
    dry: bool,
) -> dict[str, Any]:
    freed = sum(one.size_bytes for one in steps)
    return {
        "dry": dry,
        "keep_days": rules.keep_days,
        "max_bytes": rules.max_bytes,
        "images": images if dry else images - len(gone),
        "size_bytes": found.size_bytes if dry else found.size_bytes - freed,
        "forgotten": len(gone),
        "freed_bytes": freed,
        "why_forgotten": [f"{one.image.name}: {one.why}" for one in gone[:20]],
        "seconds": round(time.monotonic() - began, 1),
    }


def _bucket(config: AgentConfig) -> Bucket:
    names = layout.STORE_KEYS if config.store else layout.REGISTRY_KEYS
    access, secret = (files.read(f"{layout.SECRETS}/{name}") for name in names)
    if not access or not secret:
        raise ValueError("the registry has no key for its bucket yet")
    return Bucket(access=access.strip(), secret=secret.strip(), **(config.store or _own_store()))


def _own_store() -> Mapping[str, Any]:
    words = ("get", "service", "objectstore", "-n", layout.NAMESPACE, "-o", "jsonpath={.spec.clusterIP}")
    return {
        "endpoint": f"http://{kubectl(*words).strip()}:{layout.OBJECTSTORE_PORT}",
        "bucket": layout.BUCKET,
    }
