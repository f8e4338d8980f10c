"""What binderbox tells the charts, and the traps of a member that each value avoids."""

import importlib
import json
from typing import Any

import jsonschema
import pytest
import yaml

from binderbox import layout
from binderbox.decide import profile
from binderbox.decide.disk import DiskPlan, make_disk_plan
from binderbox.member.model import Member
from binderbox.parts.binderhub import values
from binderbox.parts.builder import build_class
from binderbox.parts.guard import bans
from binderbox.parts.helm.inputs import ChartInputs
from binderbox.parts.ingress.values import make_inputs as make_ingress
from binderbox.parts.objectstore.values import make_inputs as make_objectstore
from binderbox.parts.secrets import kinds
from binderbox.parts.secrets.kinds import GIVEN, MADE
from tests.charts import rendering
from tests.charts.rendering import artifacts, disk, member, sizing
from tests.places import ROOT, UPSTREAM


def hub(of: Member | None = None, **more: Any) -> ChartInputs:
    of = of or member("tls: own-ca")
    return values.make_inputs(of, sizing(of), artifacts(), disk=disk(of), **more)


def at(inputs: ChartInputs, path: str) -> Any:
    tree: Any = inputs.values
    for key in path.split("."):
        tree = tree[key]
    return tree


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("imageBuilderType", "host"),  # neither dind nor pink
        ("imageCleaner.enabled", False),  # speaks docker only, and cordons the one node
        ("service.type", "ClusterIP"),
        ("jupyterhub.proxy.service.type", "ClusterIP"),
        ("config.BinderHub.use_registry", True),
        ("config.BinderHub.image_prefix", "registry.binderbox.svc:5000/i-"),
        ("registry.url", "http://registry.binderbox.svc:5000"),  # with its scheme, or BinderHub asks by https
        ("config.BinderHub.hub_url", "https://hub.binder.example.org"),
        ("config.BinderHub.hub_url_local", "http://proxy-public"),
        ("config.BinderHub.cors_allow_origin", "*"),
        ("jupyterhub.hub.config.BinderSpawner.cors_allow_origin", "*"),
        (
            "config.KubernetesBuildExecutor.docker_host",
            None,
        ),  # or the pod waits for a socket that is not there
        ("config.KubernetesBuildExecutor.build_image", "quay.io/jupyterhub/repo2docker:2026.4.0"),
        ("config.KubernetesCleaner.max_age", 3600),
        ("jupyterhub.hub.db.upgrade", True),
        ("jupyterhub.singleuser.cloudMetadata.blockWithIptables", False),
        ("jupyterhub.scheduling.userScheduler.enabled", False),
        ("jupyterhub.scheduling.userPlaceholder.enabled", False),
        ("jupyterhub.hub.consecutiveFailureLimit", 0),  # or five failed launches end the hub
        ("jupyterhub.hub.config.KubeSpawner.http_timeout", 120),
        ("jupyterhub.hub.config.BinderboxSpawner.run_timeout", 90),
        ("jupyterhub.singleuser.startTimeout", 210),  # the spawner waits for the answer, too
        ("jupyterhub.hub.concurrentSpawnLimit", 64),
        ("config.Launcher.launch_timeout", 240),
        # or a launch that is followed while the hub ends hangs in the proxy
        ("extraEnv", {"JUPYTERHUB_API_URL": "http://hub:8081/hub/api/"}),
        ("deployment.labels", {"hub.jupyter.org/network-access-hub": "true"}),
    ],
)
def test_one_node_without_dind_gets(path: str, value: Any) -> None:
    assert at(hub(), path) == value


def test_public_port_stands_in_the_hubs_address() -> None:
    odd = member("tls: own-ca\nhttps_port: 8443\nhttp_port: 8080")
    assert at(hub(odd), "config.BinderHub.hub_url") == "https://hub.binder.example.org:8443"
    ingress = make_ingress(odd, artifacts())
    assert (ingress.values["httpPort"], ingress.values["httpsPort"]) == (8080, 8443)


def test_quota_and_user_memory_come_from_sizing() -> None:
    of = member("quota: 7\nuser_memory_gb: 1.5")
    assert at(hub(of), "config.LaunchQuota.total_quota") == 7
    assert at(hub(of), "jupyterhub.singleuser.memory") == {"guarantee": "450M", "limit": "1500M"}


def test_a_member_that_sets_no_size_gives_users_what_the_federation_gives() -> None:
    federation = profile.settings("binderhub")["jupyterhub"]["singleuser"]
    assert at(hub(), "jupyterhub.singleuser.memory") == federation["memory"]
    assert at(hub(), "jupyterhub.singleuser.cpu") == federation["cpu"]


def test_offline_members_ask_git_alone() -> None:
    """repo2docker 2026.4.0 asks the Internet about Dataverse before it tries git."""
    path = "config.KubernetesBuildExecutor.repo2docker_extra_args"
    offline = "--config=/opt/binderbox-engine/binderbox_engine/git_only_config.py"
    assert offline in at(hub(member("offline: true")), path)
    assert offline not in at(hub(), path)
    for args in (at(hub(), path), at(hub(member("offline: true")), path)):
        assert "--engine=binderbox" in args
        assert "--Repo2Docker.default_buildpack=None" in args


def test_a_sites_authority_reaches_build_pods_and_binderhub_only_when_there_is_one() -> None:
    plain = hub()
    assert "extraVolumes" not in plain.values
    assert set(at(plain, "config.KubernetesBuildExecutor.extra_envs")) == {"PYTHONPATH", "BINDERBOX_DOOR"}
    with_ca = values.make_inputs(
        member().model_copy(update={"extra_ca": ("PEM",)}),
        sizing(member()),
        artifacts(),
        disk=disk(member()),
    )
    mounts = at(with_ca, "config.BinderboxBuildExecutor.host_paths")
    assert (
        mounts[at(with_ca, "config.KubernetesBuildExecutor.extra_envs")["GIT_SSL_CAINFO"]] == layout.NODE_CA
    )
    assert at(with_ca, "extraEnv")["SSL_CERT_FILE"] == with_ca.values["extraVolumeMounts"][0]["mountPath"]


def test_a_build_pod_sees_the_door_and_the_engine_and_nothing_else_of_the_node() -> None:
    assert at(hub(), "config.BinderboxBuildExecutor.host_paths") == {
        layout.DOOR_RUN: layout.DOOR_RUN,
        "/opt/binderbox-engine": layout.ENGINE,
    }
    assert at(hub(), "config.KubernetesBuildExecutor.extra_envs") == {
        "PYTHONPATH": "/opt/binderbox-engine",
        "BINDERBOX_DOOR": layout.DOOR_SOCKET,
    }


def test_given_secrets_are_used_only_when_the_node_has_them() -> None:
    proxied = member("proxy: {https: 'http://proxy.example.edu:3128'}")
    without, with_all = hub(proxied).secret_values, hub(proxied, secrets=list(GIVEN)).secret_values
    assert set(GIVEN).isdisjoint(without.values())
    elsewhere = {
        layout.DOCKER_LOGIN,
        *layout.STORE_KEYS,
        *bans.FILES,
    }  # which this chart has nothing to do with
    assert set(GIVEN) - elsewhere <= set(with_all.values())
    assert with_all["config.BinderHub.build_token_secret"] == "build-token"


def test_every_secret_that_charts_ask_for_is_one_that_the_node_has() -> None:
    made = {*MADE, kinds.TLS_CERTIFICATE, kinds.TLS_KEY}
    asked = {name for inputs in [*rendering.ours().values(), hub()] for name in inputs.secret_values.values()}
    assert asked <= made


def test_no_value_holds_a_secret() -> None:
    """The values file lies on the node as it is, and `plan` shows it."""
    for inputs in [*rendering.ours().values(), hub(secrets=list(GIVEN))]:
        text = json.dumps(inputs.values)
        assert not any(
            word in text for word in ("PRIVATE KEY", "$2b$", "apiToken", "cookieSecret", "secretToken")
        )


def test_hub_database_lies_in_the_members_directory() -> None:
    elsewhere = member("data_dir: /srv/binder")
    assert at(hub(elsewhere), "jupyterhub.hub.extraVolumes") == [
        {"name": "hub-db", "hostPath": {"path": "/srv/binder/hub", "type": "Directory"}}
    ]
    mounted = at(hub(), "jupyterhub.hub.extraVolumeMounts")[0]["mountPath"]
    assert at(hub(), "jupyterhub.hub.db")["url"] == f"sqlite:///{mounted}/jupyterhub.sqlite"
    assert make_objectstore(elsewhere, artifacts()).values["dataPath"] == "/srv/binder/objectstore"
    assert make_ingress(elsewhere, artifacts()).values["tls"]["storagePath"] == "/srv/binder/traefik"


def test_users_reach_public_addresses_and_what_the_config_allows() -> None:
    of = member("egress_allow:\n  - network: 10.20.0.0/24\n    ports: [443, 3128]")
    public, _, allowed = at(hub(of), "jupyterhub.singleuser.networkPolicy.egress")
    assert [port["port"] for port in public["ports"]] == [80, 443, 9418]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"} <= set(
        public["to"][0]["ipBlock"]["except"]
    )
    assert allowed == {
        "to": [{"ipBlock": {"cidr": "10.20.0.0/24"}}],
        "ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 3128}],
    }
    rules = at(hub(), "jupyterhub.singleuser.networkPolicy.egressAllowRules")
    assert rules["nonPrivateIPs"] is rules["dnsPortsPrivateIPs"] is False


def test_another_authority_is_asked_and_its_file_is_another() -> None:
    tls = [make_ingress(member(text), artifacts()).values["tls"] for text in ("", "acme_server: staging")]
    assert tls[0]["storageFile"] == "acme.json"  # where every member has its account
    assert tls[0]["server"] != tls[1]["server"]
    assert tls[0]["storageFile"] != tls[1]["storageFile"]


@pytest.mark.parametrize("of", [member(), member("tls: own-ca\noffline: true"), member("user_memory_gb: 3")])
def test_values_satisfy_the_upstream_schemas(of: Member) -> None:
    schemas = [UPSTREAM / "binderhub-chart" / "schema.yaml", UPSTREAM / "z2jh-chart" / "values.schema.yaml"]
    if not all(schema.exists() for schema in schemas):
        pytest.skip(f"the upstream charts are not at {UPSTREAM}")
    defaults = [UPSTREAM / "binderhub-chart" / "values.yaml", UPSTREAM / "z2jh-chart" / "values.yaml"]
    binderhub_schema, jupyterhub_schema = (yaml.safe_load(path.read_text()) for path in schemas)
    binderhub_values, jupyterhub_values = (yaml.safe_load(path.read_text()) for path in defaults)
    ours = hub(of).values
    jsonschema.validate(merged(binderhub_values, ours), binderhub_schema)
    jsonschema.validate(
        merged(merged(jupyterhub_values, binderhub_values["jupyterhub"]), ours["jupyterhub"]),
        jupyterhub_schema,
    )


def merged(base: Any, over: Any) -> Any:
    """As helm merges values: mappings are joined, everything else is replaced."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {
        **base,
        **{key: merged(base[key], value) if key in base else value for key, value in over.items()},
    }


class TestBuildClass:
    def test_its_snippet_runs_last_so_that_its_proof_proves_all(self) -> None:
        snippets = {**dict.fromkeys(["01-eventlog", "zz", "binder"], ""), **at(hub(), "extraConfig")}
        assert max(snippets) == build_class.SNIPPET
        assert (
            build_class.build_class().rstrip().splitlines()[-1] == f'print("{build_class.PROOF}", flush=True)'
        )

    @pytest.mark.parametrize(
        ("log", "verdict"),
        [
            (f"Loading extra config: x\n{build_class.PROOF}\n", True),
            ("Loading extra config: x\n", False),
            (f"{build_class.PROOF}\n[E] Exception while loading config file /etc/x.py\n", False),
        ],
    )
    def test_a_broken_config_is_noticed(self, log: str, verdict: bool) -> None:
        assert build_class.in_force(log) is verdict

    def test_it_is_data_of_the_package(self) -> None:
        compile(build_class.build_class(), "build_class", "exec")


def test_inputs_name_their_chart_and_where_it_comes_from() -> None:
    assert hub().artifact == artifacts()["binderhub-chart"]
    assert all(inputs.artifact is None for inputs in rendering.ours().values())


class TestBuildPod:
    """The build class run against a BinderHub: the contract double's, whose base class gives what the real one gives."""

    @pytest.fixture
    def executor(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        pytest.importorskip("traitlets")
        monkeypatch.syspath_prepend(str(ROOT / "tests" / "rig" / "double"))
        config = importlib.import_module("traitlets.config").Config()
        for section, settings in at(hub(), "config").items():
            config[section].update(settings)
        exec(build_class.build_class(), {"c": config})
        return config.BinderHub.build_class(config=config, name="build-x", q=None)

    def test_it_sees_the_door_and_the_engine_read_only_and_no_credential(self, executor: Any) -> None:
        volumes, mounts = executor.get_builder_volumes()
        paths = {volume.name: volume.host_path.path for volume in volumes}
        seen = {mount.mount_path: (paths[mount.name], mount.read_only) for mount in mounts}
        assert seen == {
            layout.DOOR_RUN: (layout.DOOR_RUN, True),
            values.POD_ENGINE: (layout.ENGINE, True),
        }

    def test_it_still_asks_for_a_push(self, executor: Any) -> None:
        assert executor.push_secret
        assert "--push" in executor.get_cmd()
        assert "--engine=binderbox" in executor.get_cmd()


@pytest.mark.parametrize("disk_gb", [20, 30, 100, 1000])
def test_a_user_may_fill_a_share_of_the_disk_and_the_whole_quota_fits_on_it(disk_gb: float) -> None:
    """Without a guarantee of its own Kubernetes takes the limit for one, and most of a full quota stays Pending."""
    plan, sizes = make_disk_plan(member(), disk_gb, disk_gb), sizing(member())
    assert isinstance(plan, DiskPlan)
    of = values.make_inputs(member(), sizes, artifacts(), disk=plan)
    limit = at(of, "jupyterhub.singleuser.extraResource.limits")["ephemeral-storage"]
    users = at(of, "jupyterhub.singleuser.extraResource.guarantees")["ephemeral-storage"]
    builds = at(of, "config.KubernetesBuildExecutor.resources.requests")["ephemeral-storage"]
    assert 1e9 <= in_bytes(limit) <= 0.051 * disk_gb * 1e9 or limit == "1G"
    wanted = sizes.quota.value * in_bytes(users) + sizes.build_pods.value * in_bytes(builds)
    assert wanted < (plan.usable_gb.value - plan.eviction_hard_gb.value) * 1e9 / 2


def in_bytes(size: str) -> float:
    return float(size[:-1]) * {"M": 1e6, "G": 1e9}[size[-1]]


def test_binderhub_starts_as_many_build_pods_as_the_plan_counts() -> None:
    assert at(hub(), "config.BinderHub.concurrent_build_limit") == sizing(member()).build_pods.value
