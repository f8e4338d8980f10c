"""Deployment trees as hypothesis draws them: 1 to 12 members, comments, quoting, blank lines and line ends of all kinds.

Only what YAML allows and a person might type; the first member is the prime.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from binderbox.federation.deployrepo.tree import CHART, CONFIG, DOCS, VALUES, DeployTree, make_tree

WORDS = st.sampled_from(
    ["keep this", "weight: 7", "- [x](y)", "url: https://old.example.org", "🤍 ünïcode", "'q\" # #"]
)
SECTIONS = (
    "projectName: binder-1\n",
    "userNodeSelector: &users\n  mybinder.org/pool-type: users   # trailing\n",
    "redirector:\n  redirects:\n    - type: host\n      host: {from: a.example.org, to: b.example.org}\n",
    'static:\n  ingress:\n    hosts:\n    - static.example.org\n    - "static2.example.org"\n',
    "note: |\n  weight: 3\n    # not a comment\n\n  hosts:\n",
    "folded: >-\n  one\n  two\n\nkept: |+\n  text\n\n",
    "memory: {requests: 1Gi, limits: [2, 3]} # in braces\n",
)
JOB = "- job_name: 'harbor-exporter'\n  static_configs:\n    - targets:\n        - a-harbor:8001\n"
OURS = "- job_name: registered-members\n  scheme: https\n  static_configs:\n    - targets:\n        - older.example.org\n"


@dataclass(frozen=True)
class Drawn:
    """A tree and the names of its members, the prime first."""

    tree: DeployTree
    names: tuple[str, ...]


@st.composite
def comment(draw: st.DrawFn, indent: int) -> str:
    """Nothing, a comment of its own lines, or a blank line."""
    kind = draw(st.sampled_from(["", "", "", "comment", "blank", "spaces"]))
    if kind == "comment":
        return f"{' ' * indent}# {draw(WORDS)}\n"
    return {"": "", "blank": "\n", "spaces": "   \n"}[kind]


@st.composite
def value(draw: st.DrawFn, plain: str) -> str:
    return draw(st.sampled_from([plain, f'"{plain}"', f"'{plain}'"]))


@st.composite
def member(draw: st.DrawFn, name: str, prime: bool, indent: int, step: int) -> str:
    url = f"https://{name}.example.org{draw(st.sampled_from(['', '', '/']))}"
    weight = draw(st.integers(1 if prime else 0, 100))
    fields = {
        "prime": str(prime).lower(),
        "url": draw(value(url)),
        "weight": draw(st.sampled_from([str(weight), f"{weight}.0", f"&w-{name.replace('.', '')} {weight}"])),
        "health": draw(value(f"https://{name}.example.org/health")),
        "versions": draw(value(f"https://{name}.example.org/versions")),
    }
    if draw(st.integers(0, 9)) == 0:
        fields["notes"] = (
            "|\n" + " " * (indent + step + 2) + "text # of\n\n" + " " * (indent + step + 2) + "two lines"
        )
    if not prime and draw(st.integers(0, 9)) == 0:
        del fields["weight"]
    keys = draw(st.permutations(list(fields)))
    key = draw(st.sampled_from([name, f'"{name}"', f"'{name}'"]))
    pad, deep = " " * indent, " " * (indent + step)
    if "notes" not in fields and draw(st.integers(0, 5)) == 0:
        return f"{pad}{key}: {{{', '.join(f'{one}: {fields[one]}' for one in keys)}}}{draw(tail())}\n"
    rows = [f"{pad}{key}:{draw(st.sampled_from(['', '  # mine', ' ']))}\n"]
    for one in keys:
        rows.append(draw(comment(indent + step)))
        gap = draw(st.sampled_from([" ", "  ", "   "]))
        rows.append(f"{deep}{one}:{gap}{fields[one]}{'' if one == 'notes' else draw(tail())}\n")
    return "".join(rows)


@st.composite
def tail(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(["", "", "", "  # was 50", " "]))


@st.composite
def redirect(draw: st.DrawFn, names: list[str]) -> str:
    outer, step = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    indent = outer + draw(st.integers(1, 4))
    pad = " " * outer
    order = draw(st.permutations(names))
    rows = ["federationRedirect:\n", draw(comment(outer)), f"{pad}enabled: true\n"]
    if draw(st.integers(0, 7)) == 0:
        entries = (
            f"{name}: {{prime: {str(name == names[0]).lower()}, url: 'https://{name}.example.org', weight: 50, "
            f"health: https://{name}.example.org/health, versions: https://{name}.example.org/versions}}"
            for name in order
        )
        between = draw(st.sampled_from([", ", f",\n{' ' * indent}"]))
        rows.append(f"{pad}hosts: {{{between.join(entries)}}}\n")
    else:
        rows.append(f"{pad}hosts:{draw(tail())}\n")
        for name in order:
            rows += [draw(comment(indent)), draw(member(name, name == names[0], indent, step))]
        rows.append(draw(comment(indent)))
    if draw(st.booleans()):
        rows.append(f"{pad}load_balancer: {draw(st.sampled_from(['random', 'rendezvous']))}\n")
    return "".join(rows)


@st.composite
def monitoring(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["none", "bare", "bare", "jobs", "ours", "both", "braces", "null", "text"]))
    if kind == "none":
        return ""
    if kind in ("braces", "null"):
        return {"braces": "prometheus: {server: {retention: 90d}}\n", "null": "prometheus:\n"}[kind]
    pad = " " * draw(st.integers(1, 4))
    rows = [
        "prometheus:\n",
        f"{pad}server:\n{pad * 2}# size\n{pad * 2}persistentVolume:\n{pad * 3}size: 50G\n",
    ]
    if kind == "text":
        rows.append(f'{pad}extraScrapeConfigs: ""\n')
    elif kind != "bare":
        jobs = {"jobs": JOB, "ours": OURS, "both": JOB + OURS}[kind]
        deep = pad + " " * draw(st.integers(1, 4))
        rows.append(f"{pad}extraScrapeConfigs: |\n" + "".join(f"{deep}{row}\n" for row in jobs.splitlines()))
        rows.append(draw(comment(len(pad))))
    return "".join(rows)


@st.composite
def values(draw: st.DrawFn) -> str:
    people = draw(st.integers(0, 4))
    links = [f'<a href="https://s{i}.example.org">S{i} &amp; co</a>' for i in range(people)]
    comma = draw(st.sampled_from([",", ""]))
    thanks = " and ".join(links) if people < 3 else f"{', '.join(links[:-1])}{comma} and {links[-1]}"
    line = f"Thanks to {thanks} for supporting us!" if people else "Give!"
    return (
        f"binderhub:\n  config:\n    BinderHub:\n{draw(comment(6))}      banner_message: |\n        <div>\n        {line}\n"
        f"        </div>\n      about: x\n{draw(comment(0))}federationRedirect:\n  enabled: false\n  check:\n"
        '    period: 15\n  load_balancer: "random"\n  hosts: {}\n'
    )


@st.composite
def page(draw: st.DrawFn) -> str:
    body = "# The federation\n\nText.\n\n1.  one\n"
    extra = draw(
        st.sampled_from(
            [
                "",
                "\n## Other\n\n- [z](z)\n",
                "\n## Registered members\n\n- [older](https://older.example.org)\n\n## End\n",
            ]
        )
    )
    return draw(st.sampled_from([body + extra, ""]))


@st.composite
def trees(draw: st.DrawFn) -> Drawn:
    """One tree. Line ends are the same within a file, and a file may lack its last one."""
    names = [f"{draw(st.sampled_from(['m', 'site-', 'x.y']))}{i}" for i in range(draw(st.integers(1, 12)))]
    sections = draw(st.lists(st.sampled_from(SECTIONS), unique=True, max_size=3))
    sections += [draw(redirect(names)), draw(monitoring())]
    prod = "".join(draw(comment(0)) + section for section in draw(st.permutations(sections)))
    files = {CONFIG: prod, VALUES: draw(values()), CHART: "name: mybinder\n"}
    if draw(st.booleans()):
        files[DOCS] = draw(page())
    return Drawn(make_tree({path: draw(written(text)) for path, text in files.items()}), tuple(names))


@st.composite
def written(draw: st.DrawFn, text: str) -> bytes:
    # a block scalar's last line break belongs to its value, so such a file keeps it
    if draw(st.integers(0, 3)) == 0 and "|" not in text.rstrip().rpartition("\nfed")[2]:
        text = text.rstrip("\n ")
    if draw(st.integers(0, 2)) == 0:
        text = text.replace("\n", "\r\n")
    return (("\ufeff" if draw(st.integers(0, 9)) == 0 else "") + text).encode()
