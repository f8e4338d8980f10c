"""The hub's database across a change of the hub: copied before, put back when the change is taken back.

A newer JupyterHub migrates it when it starts (`hub.db.upgrade`), and an older one then ends at once: alembic knows no way
back (jupyterhub/dbutil.py). A hub that ends in the middle of that leaves tables of both, because SQLite's schema changes
are no part of alembic's transaction; so the tables are compared, not the version alone.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from binderbox import layout
from binderbox.parts.agent.jobs import files
from binderbox.parts.agent.jobs.running import kubectl

HUB = "deployment/hub"
NAMESPACE = ("--namespace", layout.HUB_NAMESPACE)
HUB_ENDS_S = 120
BESIDE = ("-journal", "-wal", "-shm")  # SQLite's own, of the file that is replaced
BUSY_S = 30


def keep(path: str) -> None:
    """Copy it as it is now, while the hub runs; a hub that never started has none. Raises ValueError."""
    files.remove(layout.HUB_DATABASE_COPY)
    if not os.path.exists(path):
        return
    partial = f"{layout.HUB_DATABASE_COPY}.new"
    files.remove(partial)
    Path(partial).parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(_read_only(path)) as own, closing(sqlite3.connect(partial)) as copy:
            own.backup(copy)
    except sqlite3.Error as error:
        raise ValueError(f"the hub's database could not be copied: {error}") from error
    with open(partial, "rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, layout.HUB_DATABASE_COPY)


def migrated(path: str) -> bool:
    """Whether it has other tables than the copy, so that the hub from before could not read it."""
    if not os.path.exists(layout.HUB_DATABASE_COPY):
        return False
    try:
        return _tables(path) != _tables(layout.HUB_DATABASE_COPY)
    except sqlite3.Error:  # half written, or gone
        return True


def end_hub() -> None:
    """Let nobody have the database open; raises CommandFailed."""
    kubectl("scale", HUB, "--replicas=0", *NAMESPACE)
    gone = ("--selector=component=hub", "--for=delete", f"--timeout={HUB_ENDS_S}s")
    kubectl("wait", "pod", *gone, *NAMESPACE, timeout_s=HUB_ENDS_S + 30)


def put_back(path: str) -> None:
    """Give the hub, which has ended, the copy, under its own user."""
    owner = os.stat(Path(path).parent)
    for name in BESIDE:
        files.remove(path + name)
    files.write(path, Path(layout.HUB_DATABASE_COPY).read_bytes(), owner=(owner.st_uid, owner.st_gid))


def end_sessions_since() -> None:
    """End the sessions that began after the copy was made, because it knows nothing of them. Raises CommandFailed."""
    copied_at = int(os.stat(layout.HUB_DATABASE_COPY).st_mtime)
    sessions = kubectl("get", "pods", "--selector=component=singleuser-server", *NAMESPACE, "-o", "json")
    if younger := started_since(json.loads(sessions)["items"], copied_at):
        kubectl("delete", "pods", "--wait=false", "--ignore-not-found", *younger, *NAMESPACE)


def start_hub() -> None:
    """What `end_hub` ended; a helm that finds its release in place does not look at the number of pods."""
    kubectl("scale", HUB, "--replicas=1", *NAMESPACE)


def forget() -> None:
    files.remove(layout.HUB_DATABASE_COPY)


def started_since(pods: list[dict[str, object]], at_s: int) -> tuple[str, ...]:
    """Names of the pods that were made in that second or later; `pods` as the API server lists them."""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_s))
    metas = [one["metadata"] for one in pods]
    return tuple(
        str(meta["name"])
        for meta in metas
        if isinstance(meta, dict) and str(meta["creationTimestamp"]) >= since
    )


def _tables(path: str) -> tuple[list[str], list[str]]:
    """(alembic's version, the statements that made tables and indexes)."""
    with closing(_read_only(path)) as database:
        made = [str(sql) for (sql,) in database.execute("SELECT sql FROM sqlite_master WHERE sql NOTNULL")]
        known = any(sql.lower().startswith("create table alembic_version") for sql in made)
        version = database.execute("SELECT version_num FROM alembic_version").fetchall() if known else []
        return [str(one) for (one,) in version], sorted(made)


def _read_only(path: str) -> sqlite3.Connection:
    """Not one byte is written beside a database that is another user's."""
    return sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_S)
