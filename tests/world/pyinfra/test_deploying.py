"""Deploys through our connector: what changed, what would change, what failed; the same as pyinfra's own connector."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import HiddenValue, deploy
from pyinfra.operations import files as stock_files
from pyinfra.operations import python, server

from binderbox import layout
from binderbox.deploys.operations import files
from binderbox.errors import ConnectionLost, StepFailed
from binderbox.world.host.hosts import Host
from binderbox.world.pyinfra import deploying
from tests.bench import stock_run
from tests.world.sshd import LocalSshd

SECRET = "xyzzy-plugh"


@deploy("Set up")
def set_up(directory: Path, text: str, count: int = 20) -> None:
    """A deploy as ours are: files, a link, a directory, a condition, one of pyinfra's own operations."""
    texts = {f"{directory}/etc/{number}.conf": files.Content(f"{text} {number}\n") for number in range(count)}
    written = files.contents(
        texts | {f"{directory}/etc/token": files.Content(HiddenValue(SECRET + text), 0o600)}
    )
    files.directories({f"{directory}/a/b": 0o700, f"{directory}/c": 0o755})
    files.link(f"{directory}/a/link", "/bin/true", name="link it")
    stock_files.line(name="one line", path=f"{directory}/lines", line="a line")
    restart = f"echo restarted >>{directory}/restarts"
    server.shell(name="restart", commands=[restart], _if=files.any_changed(written))


def test_a_deploy_reaches_its_state_and_then_finds_nothing_to_do(host: Host, directory: Path) -> None:
    first = deploying.run(host, set_up, directory, "text")
    assert len(first.changed) == 26
    assert (directory / "etc/7.conf").read_text() == "text 7\n"
    assert (directory / "etc/token").stat().st_mode & 0o777 == 0o600
    assert (directory / "a/b").stat().st_mode & 0o777 == 0o700
    assert (directory / "a/link").readlink() == Path("/bin/true")
    second = deploying.run(host, set_up, directory, "text")
    assert (second.changed, second.unchanged) == ((), 26)
    assert (directory / "restarts").read_text() == "restarted\n"


def test_no_change_costs_a_round_trip_per_kind_of_question_and_not_per_file(
    host: Host, directory: Path
) -> None:
    deploying.run(host, set_up, directory, "text")
    assert deploying.run(host, set_up, directory, "text").round_trips <= 5


def test_a_change_is_told_by_its_operations_names(host: Host, directory: Path) -> None:
    deploying.run(host, set_up, directory, "text")
    (directory / "etc/3.conf").write_text("spoiled")
    (directory / "etc/4.conf").chmod(0o777)
    (directory / "c").rmdir()
    changed = deploying.run(host, set_up, directory, "text").changed
    names = [
        f"write {directory}/etc/3.conf",
        f"write {directory}/etc/4.conf",
        f"make {directory}/c",
        "restart",
    ]
    assert list(changed) == names


def test_a_dry_run_tells_the_same_and_changes_nothing(host: Host, directory: Path) -> None:
    would = deploying.run(host, set_up, directory, "text", dry=True)
    assert [path.name for path in directory.iterdir()] == ["logs"]
    assert would.changed == deploying.run(host, set_up, directory, "text").changed
    assert deploying.run(host, set_up, directory, "text", dry=True).changed == ()
    (directory / "etc/3.conf").write_text("old\n")
    once_more = deploying.run(host, set_up, directory, "text", dry=True)
    assert once_more.changed == (f"write {directory}/etc/3.conf", "restart")
    assert once_more.diffs == (
        f"--- {directory}/etc/3.conf\n+++ {directory}/etc/3.conf\n@@ -1 +1 @@\n-old\n+text 3",
    )


def test_secrets_are_in_no_diff(host: Host, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SECRETS", f"{directory}/etc/2")
    deploying.run(host, set_up, directory, "old")
    diffs = "\n".join(deploying.run(host, set_up, directory, "new", dry=True).diffs)
    assert "+new 7" in diffs
    assert (SECRET in diffs, "+new 2\n" in diffs) == (False, False)
    assert SECRET not in host.log.path.read_text()


@deploy("Write a tree")
def write_tree(directory: Path, text: str, count: int = 60) -> None:
    root = f"{directory}/tree"
    texts = {f"{root}/a/b c/{number}.py": f"{text} {number}\n" for number in range(count)}
    written = files.tree(name="write the tree", root=root, files=texts | {f"{root}/top.py": ""})
    server.shell(name="restart", commands=["true"], _if=files.any_changed([written]))


def test_a_tree_is_one_operation_of_few_round_trips(host: Host, directory: Path) -> None:
    would = deploying.run(host, write_tree, directory, "text", dry=True)
    assert not (directory / "tree").exists()
    first = deploying.run(host, write_tree, directory, "text")
    assert (would.changed, first.changed) == (("write the tree", "restart"),) * 2
    assert first.round_trips <= 6
    root = directory / "tree"
    assert (root / "a/b c/59.py").read_text() == "text 59\n"
    assert sorted(one.name for one in root.iterdir()) == ["a", "top.py"], "nothing of the way is left"
    second = deploying.run(host, write_tree, directory, "text")
    assert (second.changed, second.round_trips) == ((), 1)


def test_of_a_tree_what_differs_alone_is_written(host: Host, directory: Path) -> None:
    deploying.run(host, write_tree, directory, "text")
    folder = directory / "tree/a/b c"
    (folder / "3.py").write_text("spoiled")
    (folder / "4.py").chmod(0o600)
    (folder / "5.py").unlink()
    (folder / "5.py").symlink_to("/etc/passwd")
    before = (folder / "7.py").stat().st_ino
    assert deploying.run(host, write_tree, directory, "text").changed == ("write the tree", "restart")
    assert [(folder / f"{number}.py").read_text() for number in (3, 4, 5)] == [
        f"text {number}\n" for number in (3, 4, 5)
    ]
    assert (folder / "4.py").stat().st_mode & 0o777 == 0o644
    assert not (folder / "5.py").is_symlink()
    assert (folder / "7.py").stat().st_ino == before
    dry = deploying.run(host, write_tree, directory, "other", dry=True)
    assert len(dry.diffs) == 60


def test_what_an_interrupted_tree_has_left_is_in_nobodys_way(host: Host, directory: Path) -> None:
    (directory / "tree/.bbx-tree/a").mkdir(parents=True)
    (directory / "tree/.bbx-tree/a/old.py").write_text("half")
    deploying.run(host, write_tree, directory, "text")
    assert sorted(one.name for one in (directory / "tree").iterdir()) == ["a", "top.py"]


def test_a_directory_where_a_file_of_a_tree_belongs_is_refused(host: Host, directory: Path) -> None:
    (directory / "tree/top.py").mkdir(parents=True)
    with pytest.raises(StepFailed, match=r"top\.py is there, and is no file"):
        deploying.run(host, write_tree, directory, "text")
    assert not (directory / "tree/a").exists()


@deploy("Fail")
def fail() -> None:
    server.shell(name="go well", commands=["true"])
    server.shell(name="go wrong", commands=[f"seq 30 >&2; echo {SECRET} >&2; exit 9"])
    server.shell(name="never come here", commands=["true"])


def test_a_failure_names_operation_command_and_last_lines(host: Host) -> None:
    host.hide(SECRET)
    with pytest.raises(StepFailed) as failed:
        deploying.run(host, fail)
    assert failed.value.message == "box: failed: go wrong"
    assert "exit code 9" in failed.value.cause
    assert failed.value.cause.splitlines()[-20:] == [*map(str, range(12, 31)), "(secret)"]
    assert failed.value.log == host.log.path
    log = host.log.path.read_text()
    assert "go well" in log
    assert "never come here" not in log


def test_a_fact_that_fails_is_a_failure_of_the_deploy(host: Host, directory: Path) -> None:
    (directory / "in the way").write_text("")

    @deploy("Stumble")
    def stumble() -> None:
        files.content(f"{directory}/in the way/x", "text", name="write below a file")

    with pytest.raises(StepFailed, match="write below a file"):
        deploying.run(host, stumble)


def test_pyinfra_prints_nothing(host: Host, directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
    deploying.run(host, set_up, directory, "text")
    with pytest.raises(StepFailed):
        deploying.run(host, fail)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("where", ["command", "callback"])
def test_a_connection_lost_within_a_deploy_is_told_as_such(sshd: LocalSshd, host: Host, where: str) -> None:
    @deploy("Lose it")
    def lose_it() -> None:
        if where == "command":
            pids = " ".join(map(str, sshd.session_pids()))
            server.shell(name="cut the branch", commands=[f"kill -9 {pids}; sleep 5"])
        else:
            python.call(name="call back", function=_cut(sshd, host))

    with pytest.raises(ConnectionLost):
        deploying.run(host, lose_it)


def _cut(sshd: LocalSshd, host: Host) -> Callable[..., Any]:
    def cut() -> None:
        sshd.kill_sessions()
        host.sh("true")

    return cut


def test_after_a_failure_the_next_deploy_works(host: Host, directory: Path) -> None:
    with pytest.raises(StepFailed):
        deploying.run(host, fail)
    assert deploying.run(host, set_up, directory, "text").unchanged == 0


def test_facts_of_a_file_written_twice_are_read_anew(host: Host, directory: Path) -> None:
    path = f"{directory}/twice"

    @deploy("Twice")
    def twice() -> None:
        files.content(path, "same", name="first")
        server.shell(name="spoil", commands=[f"echo spoiled >{path}"])
        files.content(path, "same", name="second")

    (directory / "twice").write_text("same")
    assert deploying.run(host, twice).changed == ("spoil", "second")
    assert (directory / "twice").read_text() == "same"


def test_global_arguments_of_pyinfra_keep_their_meaning(host: Host, directory: Path) -> None:
    @deploy("Arguments")
    def arguments() -> None:
        server.shell(
            name="env",
            commands=[f'echo "$WORD $(pwd)" >{directory}/env'],
            _env={"WORD": "it's"},
            _chdir="/usr",
        )
        server.shell(name="stdin", commands=[f"cat >{directory}/stdin"], _stdin=["one", "two"])
        server.shell(name="codes", commands=["exit 3"], _success_exit_codes=[3])
        server.shell(name="user", commands=["id -un"], _su_user="nobody", _su_shell="sh")

    deploying.run(host, arguments)
    assert (directory / "env").read_text() == "it's /usr\n"
    assert (directory / "stdin").read_text() == "one\ntwo\n"

    @deploy("Late")
    def late() -> None:
        server.shell(name="sleep", commands=["sleep 30"], _timeout=1)

    with pytest.raises(StepFailed, match="sleep"):
        deploying.run(host, late)


def test_files_of_pyinfra_keep_owner_and_mode_and_go_both_ways(host: Host, directory: Path) -> None:
    (directory / "big").write_bytes(b"x" * 200_000)
    (directory / "there").write_text("old")
    (directory / "there").chmod(0o640)

    @deploy("Files")
    def both_ways() -> None:
        stock_files.put(name="put", src=str(directory / "big"), dest=f"{directory}/there")
        stock_files.get(name="get", src=f"{directory}/there", dest=str(directory / "back"))

    deploying.run(host, both_ways)
    assert (directory / "there").stat().st_size == 200_000
    assert (directory / "there").stat().st_mode & 0o777 == 0o640
    assert (directory / "back").read_bytes() == b"x" * 200_000


@pytest.mark.long
def test_pyinfras_own_connector_gives_the_same_result(host: Host, directory: Path) -> None:
    dry = deploying.run(host, set_up, directory, "text", 2, dry=True)
    stock = deploying.run(host, set_up, directory, "text", 2, by=stock_run.run)
    assert stock.changed == dry.changed
    assert (directory / "etc/token").stat().st_mode & 0o777 == 0o600
    assert deploying.run(host, set_up, directory, "text", 2).changed == ()
    assert deploying.run(host, set_up, directory, "text", 2, by=stock_run.run).changed == ()
