"""Operations on the host, case by case: what is new, what is right already, what somebody made to break a shell."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.deploys.operations import artifacts, certificates, files, host, images, removal, secrets, units
from binderbox.parts.secrets import ca
from tests.deploys.running import commands_of

MODULES = {"files": files, "host": host, "secrets": secrets, "removal": removal}
MODULES |= {"artifacts": artifacts, "images": images, "units": units}
CASES = yaml.safe_load((Path(__file__).parent / "operation_cases.yaml").read_text())
OWNERS = "Owners"


def frozen(value: Any) -> Any:
    """Pairs as the facts give them, and artifacts as a plan has them: YAML knows no tuples."""
    if isinstance(value, list):
        return [tuple(one) if isinstance(one, list) else frozen(one) for one in value]
    if isinstance(value, dict) and "sha256" in value:
        given = {"source": "https://example.org", "version": "1", **value}
        return Artifact(**given | {"images": tuple(given.get("images", ()))})
    return value


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case(case: dict[str, Any], request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.id.partition(",")[0]
    module, _, operation = name.partition(".")
    facts = {fact: frozen(value) for fact, value in case["facts"].items()}
    if OWNERS in facts:
        facts[OWNERS] = {path: tuple(owner) for path, owner in facts[OWNERS].items()}
    arguments = {key: frozen(value) for key, value in case["arguments"].items()}
    assert commands_of(getattr(MODULES[module], operation), facts, arguments) == case["commands"]


def test_only_missing_secrets_are_made_and_no_value_is_an_argument() -> None:
    facts = {"Secrets": {"here": "5ecre7"}}
    (command,) = commands_of(secrets.made, facts, {"kinds": {"here": "hex8", "missing": "hex8"}})
    assert "missing=hex8" in command
    assert "here=" not in command
    assert "5ecre7" not in command


def test_units_that_hold_others_up_are_stopped_last() -> None:
    left = [
        ("unit", name) for name in ("binderbox-firewall.service", "k3s.service", "binderbox-door.service")
    ]
    commands = commands_of(removal.units, {"Leftovers": left}, {})
    stopped = [line.split()[3] for line in commands if line.startswith("systemctl disable --now")]
    assert stopped == ["binderbox-door.service", "k3s.service", "binderbox-firewall.service"]
    assert set(layout.UNITS) >= set(stopped)


def test_a_good_certificate_stays() -> None:
    authority = ca.make_ca("binder.test")
    leaf = ca.make_leaf(authority, ["binder.test"])
    facts = {"Certificates": (authority.certificate_pem, leaf.certificate_pem)}
    assert commands_of(certificates.made, facts, {"names": ["binder.test"]}) == []
    assert len(commands_of(certificates.made, facts, {"names": ["other.test"]})) == 1
