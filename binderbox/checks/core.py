"""A check observes, then judges: `look` asks the world through a Probe, `judge` is pure and has table tests.

A Check has a stable id (BBX-H01), a claim that reads as a sentence when it holds, and a hint for docs/checks.md.
A Verdict says what was measured, what is needed and the fix to paste. A check that is not `fatal` can only warn.
A `look` that raises makes its check fail with the reason; one that raises Skip skips it. Nothing here prints.
"""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from binderbox.checks.probe import Probe, Skip
from binderbox.errors import BinderboxError
from binderbox.output.progress import Progress
from binderbox.output.results import CheckResult, Word

T = TypeVar("T")


@dataclass(frozen=True)
class Verdict:
    """What a judge says: `measured` as found, `needed` as required, `fix` a command or a sentence to follow."""

    verdict: Word
    measured: str
    needed: str = ""
    fix: str = ""


def passed(measured: str) -> Verdict:
    return Verdict("pass", measured)


def warned(measured: str, needed: str, fix: str) -> Verdict:
    return Verdict("warn", measured, needed, fix)


def failed(measured: str, needed: str, fix: str) -> Verdict:
    return Verdict("fail", measured, needed, fix)


def skipped(reason: str) -> Verdict:
    return Verdict("skip", reason)


@dataclass(frozen=True)
class Check(Generic[T]):
    id: str
    category: str
    claim: str
    look: Callable[[Probe], T]
    judge: Callable[[T], Verdict]
    hint: str
    fatal: bool = True


AT_ONCE = 5  # each waits for the host or for a public address most of its time
FIRST_S = 0.25  # most of what a phase waits for is there within a second or two


def run_check(check: Check[Any], probe: Probe) -> CheckResult:
    """One check; whatever its `look` raises becomes a verdict, because the other checks must still be heard."""
    try:
        verdict = check.judge(check.look(probe))
    except Skip as skip:
        verdict = skipped(str(skip))
    except BinderboxError as error:
        cause = f": {error.cause}" if error.cause else ""
        verdict = failed(f"{error.message}{cause}", check.claim, error.remedy or check.hint)
    except Exception as error:  # a world that answers something else must not hide the other checks
        verdict = failed(f"could not be found out: {type(error).__name__}: {error}", check.claim, check.hint)
    word: Word = "warn" if verdict.verdict == "fail" and not check.fatal else verdict.verdict
    fix = re.sub(r"\bHOST\b", probe.facts.name, verdict.fix)  # so that it can be pasted
    return CheckResult(check.id, check.category, check.claim, word, verdict.measured, verdict.needed, fix)


def run_checks(checks: Iterable[Check[Any]], probe: Probe, *, at_once: int = 1) -> tuple[CheckResult, ...]:
    """All of them, failures included, in order; so many look at once, for a probe whose asks wait for others."""
    remembered, wanted = remembering(probe), tuple(checks)
    if at_once == 1:
        return tuple(run_check(check, remembered) for check in wanted)
    from concurrent.futures import ThreadPoolExecutor

    same: defaultdict[Callable[[Probe], Any], list[Check[Any]]] = defaultdict(list)
    # Those with one look are one's work: two who wait for the same answer keep others from asking.
    for check in wanted:
        same[check.look].append(check)
    with ThreadPoolExecutor(at_once) as lookers:
        done = lookers.map(lambda some: [run_check(check, remembered) for check in some], same.values())
        found = {result.id: result for results in done for result in results}
    return tuple(found[check.id] for check in wanted)


class _Remembering:
    """A probe for one round of checks: what several of them ask is asked once. What raised is asked again."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._answers: dict[tuple[str, str, str], Any] = {}
        self._asking: defaultdict[tuple[str, str, str], threading.Lock] = defaultdict(threading.Lock)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._probe, name)
        if not callable(found):
            return found

        def ask(*args: Any, **options: Any) -> Any:
            question = (name, repr(args), repr(options))
            with self._asking[question]:
                if question not in self._answers:
                    self._answers[question] = found(*args, **options)
                return self._answers[question]

        return ask


def remembering(probe: Probe) -> Probe:
    return cast(Probe, _Remembering(probe))


def failures(results: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    return tuple(result for result in results if result.verdict == "fail")


def prove(
    checks: Sequence[Check[Any]],
    probe: Probe,
    progress: Progress,
    *,
    within_s: float,
    every_s: float = 1.0,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[CheckResult, ...]:
    """Run the checks, and those that fail again until they hold or `within_s` is over; the last word counts.

    While it waits, the progress shows the first failing claim and what was measured. AT_ONCE look at a time, all at
    once, so that looks that hang outlive `within_s` by one look's own limit and not by the sum of all.
    """
    started = asked = now()
    results = {one.id: one for one in run_checks(checks, probe, at_once=AT_ONCE)}
    asked_at = dict.fromkeys(results, started)
    while failing := [check for check in checks if results[check.id].verdict == "fail"]:
        elapsed_s = now() - started
        if elapsed_s >= within_s:
            break
        first = results[failing[0].id]
        progress.waiting(first.claim, first.measured, elapsed_s)
        # looks are work for the host, too: a slow one has half of its time for what is waited for
        pause_s = max(now() - asked, min(every_s, FIRST_S + elapsed_s / 10))
        sleep(min(pause_s, within_s - elapsed_s))
        asked = now()
        # by turns: none waits behind those that go on failing
        turn = sorted(failing, key=lambda check: asked_at[check.id])[:AT_ONCE]
        asked_at |= {check.id: asked for check in turn}
        results |= {one.id: one for one in run_checks(turn, probe, at_once=AT_ONCE)}
    return tuple(results[check.id] for check in checks)
