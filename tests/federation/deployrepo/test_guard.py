"""The guard: what is not exactly the intended edit is refused, however small it is."""

from __future__ import annotations

import pytest

from binderbox.errors import DeployRepoError
from binderbox.federation.deployrepo.entries import add, remove, set_weight
from binderbox.federation.deployrepo.guard import ABSENT, Intent, guard
from binderbox.federation.deployrepo.yamltext import read
from binderbox.federation.redirector.config import HostEntry

BEFORE = "a: 1 # one\nb:\n  c: 2\n  d: [3]\n# end\n"
INTENT = Intent(("b", "c"), 5, ("  c: 2",), ("  c: 5",))
WRONG = {
    "a comment is lost": "a: 1\nb:\n  c: 5\n  d: [3]\n# end\n",
    "another value changes": "a: 2 # one\nb:\n  c: 5\n  d: [3]\n# end\n",
    "the wrong value": "a: 1 # one\nb:\n  c: 6\n  d: [3]\n# end\n",
    "a line too many": "a: 1 # one\nb:\n  c: 5\n  d: [3]\n\n# end\n",
    "an order": "a: 1 # one\nb:\n  d: [3]\n  c: 5\n# end\n",
    "the last newline": "a: 1 # one\nb:\n  c: 5\n  d: [3]\n# end",
    "line ends": "a: 1 # one\r\nb:\r\n  c: 5\r\n  d: [3]\r\n# end\r\n",
    "a space": "a: 1 # one\nb:\n  c: 5 \n  d: [3]\n# end\n",
    "nothing": BEFORE,
    "no YAML": "a: 1 # one\nb:\n  c: 5\n d: [3]\n# end\n",
}


def test_the_intended_edit_passes() -> None:
    guard("f", BEFORE, BEFORE.replace("c: 2", "c: 5"), INTENT)


@pytest.mark.parametrize("after", WRONG.values(), ids=WRONG.keys())
def test_anything_else_is_refused(after: str) -> None:
    with pytest.raises(DeployRepoError):
        guard("f", BEFORE, after, INTENT)


def test_lines_that_go_must_be_the_entrys_own() -> None:
    intent = Intent(("b",), ABSENT, None, ())
    guard("f", BEFORE, "a: 1 # one\n# end\n", intent)
    # what the reader makes of it is the same, and a neighbour's words went along
    with pytest.raises(DeployRepoError, match="cannot be told from their neighbours"):
        guard("f", "b:\n  c: 2\nz: 1\nz: 2\n", "z: 2\n", intent)


def test_a_file_without_a_last_newline_may_end_with_the_blank_line_before_what_went() -> None:
    guard("f", "a: 1\n\nb: 2", "a: 1\n", Intent(("b",), ABSENT, None, ()))
    with pytest.raises(DeployRepoError, match="line ends"):
        guard("f", "a: 1\nb: 2\n", "a: 1", Intent(("b",), ABSENT, None, ()))


SHARED = """\
base: &base
  prime: false
  url: https://base.example.org
  weight: &w 50
  health: https://base.example.org/health
  versions: https://base.example.org/versions
federationRedirect:
  hosts:
    p: {prime: true, url: https://p.example.org, weight: *w}
    same: *base
    merged:
      <<: *base
      url: https://m.example.org
    bound:
      url: https://b.example.org
      weight: &v 7
    other:
      url: https://o.example.org
      weight: *v
"""


def test_a_weight_behind_an_alias_is_replaced_where_the_alias_stands() -> None:
    after = set_weight(read("f", SHARED.encode()), "other", 9)
    assert after == SHARED.replace("weight: *v", "weight: 9")
    after = set_weight(read("f", SHARED.encode()), "p", 9)
    assert after == SHARED.replace("weight: *w", "weight: 9")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("bound", "cannot be edited safely"),  # it would change `other` as well
        ("same", "no lines of its own"),
    ],
)
def test_a_value_that_others_share_is_refused(name: str, says: str) -> None:
    with pytest.raises(DeployRepoError, match=says):
        set_weight(read("f", SHARED.encode()), name, 9)


def test_a_merged_weight_gets_a_line_of_its_own() -> None:
    after = set_weight(read("f", SHARED.encode()), "merged", 9)
    assert after == SHARED.replace("m.example.org\n", "m.example.org\n      weight: 9\n")


def test_a_list_of_members_that_is_an_alias_is_refused() -> None:
    text = "x: &x\n  a: {prime: true, url: https://a.example.org}\nfederationRedirect:\n  hosts: *x\n"
    host = HostEntry(
        "b", "https://b.example.org", 5, "https://b.example.org/health", "https://b.example.org/versions"
    )
    with pytest.raises(DeployRepoError, match="cannot be edited safely"):
        add(read("f", text.encode()), host, "")
    with pytest.raises(DeployRepoError, match="cannot be edited safely"):
        remove(read("f", text.encode()), "a")
