"""Users and their servers, kept in sqlite. The tables have a version, as alembic gives JupyterHub's theirs."""

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

# Versions of the tables, oldest first. Who finds one that is not here ends, as alembic does ("Can't locate revision"); an
# older one is migrated only if hub.db.upgrade says so (jupyterhub/dbutil.py, check_db_revision).
SCHEMAS = ["double1"]


@dataclass
class Server:
    """+ state: pending, ready or stopping; url: address of the pod; times in seconds since the epoch."""

    user: str
    pod: str
    options: dict[str, Any]
    state: str
    url: str
    started: float
    last_activity: float


class Store:
    def __init__(self, path: str, *, upgrade: bool = False) -> None:
        self.db = sqlite3.connect(path)
        self._check_schema(upgrade)
        self.db.execute("create table if not exists users (name text primary key, created real)")
        self.db.execute(
            "create table if not exists servers (user text primary key, pod text, options text, state text, "
            "url text, started real, last_activity real)"
        )
        self.users = dict(self.db.execute("select name, created from users").fetchall())
        rows = self.db.execute("select user, pod, options, state, url, started, last_activity from servers")
        self.servers = {row[0]: Server(row[0], row[1], json.loads(row[2]), *row[3:]) for row in rows}

    def _check_schema(self, upgrade: bool) -> None:
        fresh = not self.db.execute("select 1 from sqlite_master").fetchall()
        with self.db:
            self.db.execute("create table if not exists alembic_version (version_num text primary key)")
            if fresh:
                self.db.execute("insert into alembic_version values (?)", (SCHEMAS[-1],))
            rows = self.db.execute("select version_num from alembic_version").fetchall()
        found = rows[0][0] if rows else SCHEMAS[0]
        if found not in SCHEMAS:
            raise SystemExit(f"Can't locate revision identified by '{found}'")
        if found != SCHEMAS[-1] and not upgrade:
            raise SystemExit(
                f"Found database schema version {found} != {SCHEMAS[-1]}. Backup your database and run `jupyterhub upgrade-db`"
            )
        for schema in SCHEMAS[SCHEMAS.index(found) + 1 :]:
            with self.db:
                self.db.execute(f"create table of_{schema} (id integer)")
                self.db.execute("delete from alembic_version")
                self.db.execute("insert into alembic_version values (?)", (schema,))

    def add_user(self, name: str) -> None:
        self.users[name] = time.time()
        with self.db:
            self.db.execute("insert into users values (?, ?)", (name, self.users[name]))

    def drop_user(self, name: str) -> None:
        self.users.pop(name, None)
        with self.db:
            self.db.execute("delete from users where name = ?", (name,))

    def save(self, server: Server) -> None:
        self.servers[server.user] = server
        s = server
        row = (s.user, s.pod, json.dumps(s.options), s.state, s.url, s.started, s.last_activity)
        with self.db:
            self.db.execute("insert or replace into servers values (?, ?, ?, ?, ?, ?, ?)", row)

    def drop_server(self, user: str) -> None:
        self.servers.pop(user, None)
        with self.db:
            self.db.execute("delete from servers where user = ?", (user,))
