"""The section "What the weights carry" of docs/federation.md, from the model itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from binderbox.federation.redirector.model import (
    Capacity,
    Demand,
    first_error_rate,
    first_leave_rate,
    outlook,
)
from binderbox.federation.redirector.weights import fitting_weights

# mybinder.org-deploy 95860dbc: config/prod.yaml (weights), config/*.yaml (total_quota), mybinder/values.yaml (headroom 10)
QUOTAS = {"2i2c": 300, "GESIS": 180, "BIDS": 60}
TODAY = {"2i2c": 50, "GESIS": 50, "BIDS": 50}
SESSION_H = 0.5  # assumed: nobody publishes it; servers are culled 10 minutes after their last activity
LOADS = (60, 120, 180, 240, 300, 360, 420, 450, 480, 500, 520, 560)
FIT_AT = 450  # sessions for which the better weights are made


def members(weights: Mapping[str, int]) -> list[Capacity]:
    return [Capacity(name, weights[name], quota) for name, quota in QUOTAS.items()]


def better() -> dict[str, int]:
    return fitting_weights(members(TODAY), FIT_AT, total=sum(TODAY.values()))


def render() -> str:
    """Markdown: what each member carries at rising load with today's weights and with better ones, and first errors."""
    fit = better()
    usable = sum(QUOTAS.values()) - 10 * len(QUOTAS)
    blocks = [
        f"Quotas {_list(QUOTAS)}, headroom 10, so {usable} usable places; sessions of {SESSION_H:g} h on average (an "
        "assumption). *Wanted* is how many sessions there would be at once if all found a place. A member is in "
        "rotation for the part of the time in brackets; the rest of its launches goes to the others. An error is a "
        "launch that ends with the page that says too many users are here.",
        _rising(f"Weights of today, {_list(TODAY)}", TODAY),
        _rising(f"Weights that fit, {_list(fit)}", fit),
        _firsts(fit),
        "With the weights of today the smallest member is full first, and from then on is out of rotation for part of "
        "the time; users see next to nothing of it, because the others take its launches until the last usable place "
        "of all is nearly taken. Weights that fit the quotas keep every member in rotation much longer, and so caches warm and "
        "one member's loss survivable; they move the first error by little, because that depends on the places of "
        "all together. Short sessions bring errors sooner: more launches come before the news that a member is full. "
        f"Weights for other loads: {_other_fits()}.",
    ]
    return "\n\n".join(blocks) + "\n"


def _rising(title: str, weights: Mapping[str, int]) -> str:
    head = ["wanted", "launches/h", *QUOTAS, "errors per 1,000 launches"]
    rows = []
    for sessions in LOADS:
        told = outlook(members(weights), Demand(sessions / SESSION_H, SESSION_H))
        carried = [f"{one.sessions:.0f} ({one.in_rotation:.0%})" for one in told.members]
        rows.append(
            [str(sessions), f"{sessions / SESSION_H:.0f}", *carried, _per_thousand(told.errors_per_launch)]
        )
    return f"**{title}**\n\n" + _table(head, rows)


def _firsts(fit: Mapping[str, int]) -> str:
    head = ["mean session", "weights", "first member leaves at", "one launch in 1,000 fails at"]
    rows = []
    for hours in (0.25, 0.5, 1.0, 2.0):
        for weights in (TODAY, fit):
            leaves, fails = (
                first_leave_rate(members(weights), hours),
                first_error_rate(members(weights), hours),
            )
            rows.append([f"{hours:g} h", _list(weights), _rate(leaves, hours), _rate(fails, hours)])
    return "**Where it begins** (*leaves*: is out of rotation for 1 % of the time)\n\n" + _table(head, rows)


def _rate(launches_per_hour: float, hours: float) -> str:
    return f"{launches_per_hour:.0f}/h ({launches_per_hour * hours:.0f} sessions)"


def _other_fits() -> str:
    found = (
        f"{sessions} sessions {_list(fitting_weights(members(TODAY), sessions, total=150))}"
        for sessions in (200, 400, 500)
    )
    return "; ".join(found)


def _per_thousand(part: float) -> str:
    if part < 1e-5:
        return "0" if part < 1e-6 else "< 0.01"
    return f"{part * 1000:.2g}" if part < 0.1 else f"{part * 1000:.0f}"


def _list(numbers: Mapping[str, int]) -> str:
    return "/".join(str(one) for one in numbers.values())


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---:"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
