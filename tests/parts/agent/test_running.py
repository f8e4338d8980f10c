"""Commands that the agent runs: what a failure says."""

from __future__ import annotations

import pytest

from binderbox.parts.agent.jobs.running import CommandFailed, last_words, run

PULL = """\
time="2026-11-22T06:28:08Z" level=warning msg="cgroup v1 is on its way out"
time="2026-11-22T06:28:09Z" level=info msg="fetch failed" error="no such host"
ctr: failed to resolve reference "quay.io/a/b:1": no such host
"""


def test_the_same_failure_has_the_same_words_at_another_time() -> None:
    assert last_words(PULL) == 'ctr: failed to resolve reference "quay.io/a/b:1": no such host'
    assert last_words(PULL) == last_words(PULL.replace("06:28", "07:31"))


def test_a_program_that_only_logs_is_heard_all_the_same() -> None:
    assert last_words('time="1" level=fatal msg="no disk"\n') == 'time="1" level=fatal msg="no disk"'
    assert last_words("") == ""


def test_a_failure_tells_command_code_and_reason_and_no_assignment() -> None:
    script = "printf 'time=\"1\" level=info msg=x\\nno disk\\n' >&2; exit 3"
    with pytest.raises(CommandFailed, match=r"^env sh -c: exit code 3: no disk$") as told:
        run(["env", "TOKEN=secret", "sh", "-c", script])
    assert "secret" not in str(told.value)
    with pytest.raises(CommandFailed, match=r"^sleep 5: not done within 0 s$"):
        run(["sleep", "5"], timeout_s=0.2)
