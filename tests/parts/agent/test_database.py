"""The hub's database across a change of the hub: what is kept, what counts as changed, and what is put back."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import venv
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.parts.agent.jobs import database

OLD, NEW = "5.5.4", "6.1.1"  # of JupyterHub: their tables differ


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the hub's database is; the copy lies elsewhere."""
    monkeypatch.setattr(layout, "HUB_DATABASE_COPY", str(tmp_path / "agent" / "copy.sqlite"))
    (tmp_path / "hub").mkdir()
    return str(tmp_path / "hub" / "jupyterhub.sqlite")


def change(path: str, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as opened, opened:
        for one in statements:
            opened.execute(one)


def made(path: str) -> None:
    change(
        path,
        "create table alembic_version (version_num text)",
        "insert into alembic_version values ('one')",
        "create table users (name text)",
        "insert into users values ('before')",
    )


def test_a_hub_that_never_started_has_nothing_to_keep(path: str) -> None:
    database.keep(path)
    assert not database.migrated(path)


def test_new_rows_are_no_change_of_its_tables(path: str) -> None:
    made(path)
    database.keep(path)
    change(path, "insert into users values ('since')")
    assert not database.migrated(path)


@pytest.mark.parametrize(
    "statement",
    [
        "update alembic_version set version_num = 'two'",
        "create table more (id integer)",
        "alter table users add column more text",  # the version as before: ended in the middle
        "create index of_users on users (name)",
        "drop table alembic_version",
    ],
)
def test_changed_tables_are_put_back_with_their_rows(path: str, statement: str) -> None:
    made(path)
    before = Path(path).stat()
    database.keep(path)
    change(path, "insert into users values ('since')", statement)
    assert database.migrated(path)
    database.put_back(path)
    assert not database.migrated(path)
    with closing(sqlite3.connect(path)) as opened:
        assert opened.execute("select name from users").fetchall() == [("before",)]
    assert (Path(path).stat().st_uid, Path(path).stat().st_gid) == (before.st_uid, before.st_gid)


def test_it_is_copied_while_the_hub_writes(path: str) -> None:
    made(path)
    with closing(sqlite3.connect(path)) as hub:
        hub.execute("insert into users values ('under way')")
        database.keep(path)  # not blocked by the hub's transaction, and without its half
        hub.rollback()
    with closing(sqlite3.connect(layout.HUB_DATABASE_COPY)) as copy:
        assert copy.execute("select name from users").fetchall() == [("before",)]
    assert os.stat(layout.HUB_DATABASE_COPY).st_mode & 0o777 == 0o600  # tokens are in it


def test_a_journal_of_the_newer_hub_is_not_played_into_the_copy(path: str) -> None:
    made(path)
    database.keep(path)
    change(path, "create table more (id integer)")
    for name in database.BESIDE:
        Path(path + name).write_bytes(b"of the newer hub")
    database.put_back(path)
    assert not [name for name in database.BESIDE if Path(path + name).exists()]


def test_what_is_no_database_any_more_counts_as_changed(path: str) -> None:
    made(path)
    database.keep(path)
    Path(path).write_bytes(b"no database")
    assert database.migrated(path)
    os.unlink(path)
    assert database.migrated(path)


def test_what_is_no_database_is_not_copied(path: str) -> None:
    Path(path).write_bytes(b"no database" * 1000)
    with pytest.raises(ValueError, match="could not be copied"):
        database.keep(path)


def test_sessions_since_the_copy() -> None:
    pods = [
        {"metadata": {"name": name, "creationTimestamp": f"2026-01-01T00:00:{second:02}Z"}}
        for name, second in (("before", 9), ("then", 10), ("since", 11))
    ]
    assert database.started_since(pods, 1767225610) == ("then", "since")


OPEN = """
import logging, sys
from jupyterhub import dbutil, orm
url = "sqlite:///" + sys.argv[1]
if sys.argv[2:] == ["upgrade"]:
    dbutil.upgrade_if_needed(url, backup=False, log=logging.getLogger())
session = orm.new_session_factory(url)()
if not session.query(orm.User).count():
    session.add(orm.User(name="somebody")); session.commit()
print([user.name for user in session.query(orm.User)])
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Opens a database as that JupyterHub does when it starts, after `upgrade` if asked."""
    pythons: dict[str, Path] = {}

    def opened(version: str, path: str, *words: str) -> subprocess.CompletedProcess[str]:
        if version not in pythons:
            home = tmp_path_factory.mktemp("hub")
            venv.create(home, with_pip=True)
            pythons[version] = home / "bin" / "python"
            install = [str(pythons[version]), "-m", "pip", "install", "-q", f"jupyterhub=={version}"]
            subprocess.run(install, check=True, stdout=sys.stderr)
        return subprocess.run(
            [str(pythons[version]), "-c", OPEN, path, *words],
            env={
                **os.environ,
                "PATH": f"{pythons[version].parent}:{os.environ['PATH']}",
            },  # it runs `alembic`
            capture_output=True,
            text=True,
            check=False,
        )

    return opened


@pytest.mark.long
@pytest.mark.timeout(900)
def test_the_hub_of_before_runs_on_what_is_put_back_and_on_nothing_else(
    path: str, hub: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    first = hub(OLD, path)
    assert first.stdout == "['somebody']\n", first.stderr
    database.keep(path)
    newer = hub(NEW, path, "upgrade")
    assert newer.stdout == "['somebody']\n", newer.stderr
    assert database.migrated(path)
    assert hub(OLD, path, "upgrade").returncode != 0
    database.put_back(path)
    again = hub(OLD, path, "upgrade")
    assert again.stdout == "['somebody']\n", again.stderr
