"""What the node remembers of the registry's images: when each was used last, what each manifest names, how far logs were read.

SQLite, because a hundred thousand manifests are too many for a file that is written anew. Lost, it is rebuilt: manifests are
read again, and every image counts as used just now, so that nothing goes too early.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from binderbox.parts.registry.retention import DAY_S, Clock

ASKS_DAYS = 31

TABLES = """
create table if not exists clock (one integer primary key check (one = 1), seen_s real, at real);
create table if not exists used (name text primary key, seen_s real) without rowid;
create table if not exists names (source text primary key, named text) without rowid;
create table if not exists asks (day integer primary key, hits integer, misses integer);
create table if not exists logs (inode integer primary key, read integer);
"""


class Memory:
    """Opened by one run at a time: the node's lock is the jobs'."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._opened()
        except sqlite3.DatabaseError as error:
            # A power cut on a disk that lies: it is rebuilt. A disk that is full, or busy, is another kind of error, and takes nothing.
            if type(error) is not sqlite3.DatabaseError:
                raise
            path.unlink()
            self._db = self._opened()

    def _opened(self) -> sqlite3.Connection:
        found = sqlite3.connect(self._path, isolation_level=None)
        found.execute("pragma journal_mode = wal")
        found.executescript(TABLES)
        return found

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Everything in the block, or nothing of it."""
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    @property
    def clock(self) -> Clock:
        row = self._db.execute("select seen_s, at from clock").fetchone()
        return Clock(*row) if row else Clock()

    @clock.setter
    def clock(self, clock: Clock) -> None:
        self._db.execute("insert or replace into clock values (1, ?, ?)", (clock.seen_s, clock.at))

    def use(self, names: Iterable[str], seen_s: float) -> None:
        self._db.executemany("insert or replace into used values (?, ?)", ((name, seen_s) for name in names))

    def used(self) -> dict[str, float]:
        """Image to the clock's seconds of its last use."""
        return dict(self._db.execute("select name, seen_s from used"))

    def forget(self, names: Iterable[str]) -> None:
        self._db.executemany("delete from used where name = ?", ((name,) for name in names))

    def named(self) -> dict[str, tuple[str, ...]]:
        """What each manifest (by digest) and each link (by key and etag) names."""
        return {source: tuple(json.loads(text)) for source, text in self._db.execute("select * from names")}

    @property
    def knows_names(self) -> bool:
        """Whether a pass over all manifests has ended; in the database's own number for its user."""
        return bool(self._db.execute("pragma user_version").fetchone()[0])

    def has_learned(self) -> None:
        self._db.execute("pragma user_version = 1")

    def learn(self, found: Mapping[str, tuple[str, ...]]) -> None:
        rows = ((source, json.dumps(named)) for source, named in found.items())
        self._db.executemany("insert or replace into names values (?, ?)", rows)

    def keep_only(self, sources: Iterable[str], known: Iterable[str]) -> None:
        """Drop what is known of objects that are no longer there."""
        gone = set(known).difference(sources)
        self._db.executemany("delete from names where source = ?", ((one,) for one in gone))

    def count(self, hits: int, misses: int, now: float) -> None:
        """Questions that an image met, and those that none did; those of a month stay."""
        day = int(now // DAY_S)
        self._db.execute("insert or ignore into asks values (?, 0, 0)", (day,))
        self._db.execute(
            "update asks set hits = hits + ?, misses = misses + ? where day = ?", (hits, misses, day)
        )
        self._db.execute("delete from asks where day < ?", (day - ASKS_DAYS,))

    def asks(self, now: float, days: int = 7) -> tuple[int, int]:
        """(hits, misses) of the last days."""
        first = int(now // DAY_S) - days
        row = self._db.execute("select sum(hits), sum(misses) from asks where day > ?", (first,)).fetchone()
        return int(row[0] or 0), int(row[1] or 0)

    def log_read(self, log: int) -> int:
        row = self._db.execute("select read from logs where inode = ?", (log,)).fetchone()
        return int(row[0]) if row else 0

    def log_was_read(self, read: Mapping[int, int]) -> None:
        """Bytes by log; those that are no longer there are forgotten."""
        self._db.execute("delete from logs")
        self._db.executemany("insert into logs values (?, ?)", read.items())
