"""Launches are refused while a file system is about to be full, in the way in which a drained member refuses them.

BinderHub reads its quota when it starts, and ends every launch under way when it is restarted; the ingress needs neither. So
the federation sends nobody, who comes all the same is told to go back, and sessions go on: docs/decisions/disk-before-pressure.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from binderbox import layout
from binderbox.decide.drain import Drain, parse_record, render_record
from binderbox.parts.agent.jobs import files, filesystems, telling
from binderbox.parts.agent.jobs.config import AgentConfig
from binderbox.parts.disk import watermarks
from binderbox.parts.disk.watermarks import FileSystem
from binderbox.parts.ingress.drained import render_routes

JOB = "disk"
REASON = "the disk is short: no launch is let in until there is room"


def launches(config: AgentConfig, free: Mapping[str, int]) -> tuple[FileSystem, ...]:
    """Refuse launches, or let them in again; for the sake of which file systems they are refused.

    A drain of somebody's is left alone. The record first, then the ingress, both at each look: an install may have taken one of
    them away.
    """
    text = files.read(layout.DRAIN_FILE)
    record = None if text is None else parse_record(text)
    ours = record is not None and record.by_node
    refused = watermarks.refused(config.file_systems, free, before=ours)
    if record is not None and not ours:
        return refused
    if not Path(layout.INGRESS_ROUTES).is_dir():  # an install has not come to it
        return refused
    if not refused:
        if ours:
            files.remove(layout.DRAIN_FILE)
            files.remove(layout.DRAIN_ROUTES_FILE)
            telling.audit(JOB, "end", what="launches are let in again")
        return ()
    if record is None:
        key = secrets.token_hex(16)
        record = Drain(REASON, telling.WHO[JOB], telling.now(), closed=True, key=key, by_node=True)
    files.write(layout.DRAIN_FILE, render_record(record), 0o600)
    # the ingress reads it, who is not root; nobody else can enter its directory
    files.write(layout.DRAIN_ROUTES_FILE, render_routes(record, config.domain))
    if text is None:
        with suppress(OSError):  # the very disk may be full to its last byte
            telling.audit(JOB, "alert", what=f"launches are refused: {told(refused)}")
    return refused


def told(refused: tuple[FileSystem, ...]) -> str:
    return ", ".join(map(filesystems.told, refused))
