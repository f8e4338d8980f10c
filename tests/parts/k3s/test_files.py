"""The files that k3s reads, read back as k3s reads them."""

import yaml

from binderbox import layout
from binderbox.member.model import Mirror, Networks
from binderbox.parts.k3s import files as k3s


def test_what_cannot_be_changed_later_is_set_before_the_first_start() -> None:
    config = yaml.safe_load(k3s.render_config("n1", Networks()))
    assert config["kube-controller-manager-arg"] == ["node-cidr-mask-size=22"]
    assert config["secrets-encryption"] is True
    assert config["node-name"] == "n1"  # or a host that is renamed is another node
    assert {"traefik", "servicelb"} <= set(config["disable"])


def test_pods_get_the_hosts_resolvers_and_none_of_its_search_domains() -> None:
    """A wildcard stands for the member's own domain: with that domain searched, `api.github.com` were the member."""
    assert yaml.safe_load(k3s.render_config("n1", Networks()))["resolv-conf"] == layout.RESOLV_CONF
    text = k3s.render_resolv_conf(["192.0.2.53", "2001:db8::53", "192.0.2.53", "198.51.100.53"])
    assert text == "nameserver 192.0.2.53\nnameserver 198.51.100.53\n"
    assert k3s.render_resolv_conf(["2001:db8::53"]) == "nameserver 2001:db8::53\n"


def test_the_kubelet_gets_sizes_with_their_units() -> None:
    text = k3s.render_kubelet(
        max_pods=112,
        system_reserved_gb=3.5,
        eviction_hard_gb=2.5,
        image_gc_high_percent=70,
        image_gc_low_percent=60,
        container_log_mib=4,
    )
    config = yaml.safe_load(text)
    assert config["maxPods"] == 112
    assert config["systemReserved"] == {"memory": "3500M"}
    assert config["evictionHard"]["imagefs.available"] == "2.5G"
    assert (config["containerLogMaxSize"], config["containerLogMaxFiles"]) == ("4Mi", 3)
    assert set(config["evictionMinimumReclaim"]) == {"nodefs.available", "imagefs.available"}
    assert not any(value.endswith("%") for value in config["evictionMinimumReclaim"].values())
    assert (config["imageGCHighThresholdPercent"], config["imageGCLowThresholdPercent"]) == (70, 60)


def test_a_password_that_yaml_would_misread_arrives_as_it_is() -> None:
    password = "0123: #'\"\\{yes}\n"
    found = yaml.safe_load(k3s.render_registries("binderbox", password, Networks().registry_ip))
    assert found["configs"][f"{Networks().registry_ip}:5000"]["auth"] == {
        "username": "binderbox",
        "password": password,
    }
    assert found["mirrors"][layout.REGISTRY]["endpoint"] == [f"http://{Networks().registry_ip}:5000"]


def test_mirrors_stand_beside_the_registry_and_never_in_its_place() -> None:
    mirrors = (
        Mirror(registry="docker.io", endpoints=("https://a.example.edu", "http://b.example.edu:5000")),
    )
    found = yaml.safe_load(k3s.render_registries("u", "p", "10.43.0.9", mirrors))["mirrors"]
    assert found["docker.io"]["endpoint"] == ["https://a.example.edu", "http://b.example.edu:5000"]
    own = (Mirror(registry=layout.REGISTRY, endpoints=("https://a.example.edu",)),)
    found = yaml.safe_load(k3s.render_registries("u", "p", "10.43.0.9", own))["mirrors"]
    assert found[layout.REGISTRY]["endpoint"] == ["http://10.43.0.9:5000"]


def test_an_account_at_docker_io_is_for_its_registry_alone() -> None:
    given = yaml.safe_load(k3s.render_registries("u", "p", "10.43.0.9", docker_login="some:body:x"))[
        "configs"
    ]
    assert given["registry-1.docker.io"]["auth"] == {"username": "some", "password": "body:x"}
    assert set(yaml.safe_load(k3s.render_registries("u", "p", "10.43.0.9"))["configs"]) == {"10.43.0.9:5000"}


def test_programs_on_the_node_may_read_pods_and_nothing_else() -> None:
    objects = list(yaml.safe_load_all(k3s.render_manifest()))
    (role,) = [one for one in objects if one["kind"] == "ClusterRole"]
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    accounts = {one["metadata"]["name"]: one for one in objects if one["kind"] == "ServiceAccount"}
    assert set(accounts) == {"node-reader", "default"}
    assert not any(account["automountServiceAccountToken"] for account in accounts.values())
