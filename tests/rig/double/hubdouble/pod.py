"""The user pod: what KubeSpawner makes of the chart's values and the launch's options."""

import hashlib
import re
from typing import Any

from hubdouble.values import Values

PORT = 8888
OPTION_ENV = (
    "binder_ref_url",
    "binder_launch_host",
    "binder_persistent_request",
    "binder_request",
    "binder_client_ip",
)
SPAWNERS = "Spawner KubeSpawner BinderSpawner"
UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
PLAIN_NAME = re.compile("[a-z]([a-z0-9-]*[a-z0-9])?")


def pod_name(user: str) -> str:
    return f"jupyter-{slug(user)}"


def slug(user: str) -> str:
    """The name itself where Kubernetes takes it, else what is left of it and a hash."""
    if PLAIN_NAME.fullmatch(user) and len(user) <= 63:
        return user
    stem = re.sub("[^a-z0-9]+", "-", user.lower()).lstrip("-")[:21].rstrip("-") or "x"
    stem = stem if stem[0].isalpha() else f"x-{stem[:19]}"
    return f"{stem}---{hashlib.sha256(user.encode()).hexdigest()[:8]}"


def as_bytes(size: str | int | float | None) -> int | None:
    """`450M` as KubeSpawner counts it: powers of two."""
    if size is None or isinstance(size, int | float):
        return None if size is None else int(size)
    return int(float(size[:-1]) * UNITS[size[-1]]) if size[-1:] in UNITS else int(size)


def resources(values: Values) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {"limits": {}, "requests": {}}
    for kind, key in (("limits", "limit"), ("requests", "guarantee")):
        memory = as_bytes(values.get(f"singleuser.memory.{key}"))
        cpu = values.get(f"singleuser.cpu.{key}")
        found[kind] |= {"memory": str(memory)} if memory else {}
        found[kind] |= {"cpu": str(cpu)} if cpu else {}
    found["limits"] |= values.get("singleuser.extraResource.limits", {})
    found["requests"] |= values.get("singleuser.extraResource.guarantees", {})
    return found


def arguments(values: Values, user: str, token: str) -> list[str]:
    """Appended to the image's own entry point, not in its place."""
    options = [f"base_url=/user/{user}/", f"token={token}", "trust_xheaders=True"]
    if values.get("singleuser.defaultUrl"):
        options.append(f"default_url={values.get('singleuser.defaultUrl')}")
    origin = values.trait("BinderSpawner", "cors_allow_origin", "")
    options += [f"allow_origin={origin}"] if origin else []
    options += ["allow_origin_pat=.*"] if origin == "*" else []
    command = values.get("singleuser.cmd")
    command = [command] if isinstance(command, str) else command
    return [
        *command,
        "--ip=0.0.0.0",
        f"--port={PORT}",
        *(f"--{app}.{option}" for app in ("NotebookApp", "ServerApp") for option in options),
    ]


def environment(values: Values, user: str, options: dict[str, Any]) -> list[dict[str, Any]]:
    env = {
        "JUPYTERHUB_USER": user,
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_SERVICE_PREFIX": f"/user/{user}/",
        "JUPYTERHUB_API_URL": "http://hub:8081/hub/api",
        "JUPYTER_IMAGE": options["image"],
        "JUPYTER_IMAGE_SPEC": options["image"],
    }
    for name, key in (("MEM_LIMIT", "memory.limit"), ("MEM_GUARANTEE", "memory.guarantee")):
        size = as_bytes(values.get(f"singleuser.{key}"))
        env |= {name: str(size)} if size else {}
    for name, key in (("CPU_LIMIT", "cpu.limit"), ("CPU_GUARANTEE", "cpu.guarantee")):
        count = values.get(f"singleuser.{key}")
        env |= {name: str(count)} if count else {}
    env |= {"BINDER_REPO_URL": options["repo_url"]} if "repo_url" in options else {}
    env |= {key.upper(): str(options[key]) for key in OPTION_ENV if key in options}
    listed: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in env.items()]
    for name, extra in values.get("singleuser.extraEnv", {}).items():
        listed.append({"name": name, **(extra if isinstance(extra, dict) else {"value": str(extra)})})
    return listed


def as_list(of_names: Any) -> list[Any]:
    """Volumes may be a list, or a mapping whose keys only serve to merge."""
    return list(of_names.values()) if isinstance(of_names, dict) else list(of_names or [])


def file_volumes(values: Values) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(volumes, mounts) for `singleuser.extraFiles`, whose content the chart keeps in the secret `singleuser`."""
    files = values.get("singleuser.extraFiles", {})
    items = [
        {"key": key, "path": key} | ({"mode": file["mode"]} if "mode" in file else {})
        for key, file in files.items()
    ]
    volumes = [{"name": "files", "secret": {"secretName": "singleuser", "items": items}}] if files else []
    mounts = [
        {"name": "files", "mountPath": file["mountPath"], "subPath": key} for key, file in files.items()
    ]
    return volumes, mounts


def make_pod(
    values: Values, release: str, namespace: str, user: str, options: dict[str, Any]
) -> dict[str, Any]:
    single = values.get("singleuser", {})
    secrets = list(single.get("image", {}).get("pullSecrets") or []) + list(
        values.get("imagePullSecrets", [])
    )
    if values.get("imagePullSecret.create"):
        secrets.append("image-pull-secret")
    volumes, mounts = file_volumes(values)
    escalation = bool(values.get("singleuser.allowPrivilegeEscalation", False))
    # traits that snippets set override the chart's values, because the snippets run last
    extra_pod = values.trait(SPAWNERS, "extra_pod_config", dict(values.get("singleuser.extraPodConfig", {})))
    notebook = {
        "name": "notebook",
        "image": options["image"],
        "imagePullPolicy": values.get("singleuser.image.pullPolicy", "IfNotPresent"),
        "args": arguments(values, user, options["token"]),
        "ports": [{"name": "notebook-port", "containerPort": PORT}],
        "env": environment(values, user, options),
        "resources": resources(values),
        "volumeMounts": mounts + as_list(values.get("singleuser.storage.extraVolumeMounts")),
        "securityContext": {
            "runAsUser": values.get("singleuser.uid", 1000),
            "allowPrivilegeEscalation": values.trait(SPAWNERS, "allow_privilege_escalation", escalation),
        },
        "lifecycle": values.get("singleuser.lifecycleHooks") or None,
    }
    spec = {
        "containers": [notebook, *values.get("singleuser.extraContainers", [])],
        "initContainers": values.get("singleuser.initContainers", []),
        "volumes": volumes + as_list(values.get("singleuser.storage.extraVolumes")),
        "securityContext": {"fsGroup": values.get("singleuser.fsGid", 100)},
        "automountServiceAccountToken": False,
        "restartPolicy": "OnFailure",
        "nodeSelector": values.get("singleuser.nodeSelector", {}),
        "imagePullSecrets": [s if isinstance(s, dict) else {"name": s} for s in secrets],
        "tolerations": [
            {"key": key, "operator": "Equal", "value": "user", "effect": "NoSchedule"}
            for key in ("hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated")
        ]
        + values.get("singleuser.extraTolerations", []),
    }
    spec |= {camel_case(key): value for key, value in extra_pod.items()}
    labels = {
        "app": "jupyterhub",
        "app.kubernetes.io/name": "jupyterhub",
        "app.kubernetes.io/component": "singleuser-server",
        "app.kubernetes.io/managed-by": "kubespawner",
        "component": "singleuser-server",
        "release": release,
        "hub.jupyter.org/username": slug(user),
        **values.get("singleuser.extraLabels", {}),
    }
    annotations = {"hub.jupyter.org/username": user, **values.get("singleuser.extraAnnotations", {})}
    metadata = {"name": pod_name(user), "namespace": namespace, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def camel_case(key: str) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), key)
