from __future__ import annotations

import pytest

from binderbox.parts.builder.door.cgroup import PodProcess, parse_cgroup

UID = "3d2f7c1e-5b0a-4c8e-9a53-0f6f5d1c2b7a"
LINED = UID.replace("-", "_")
OTHER = "99999999-5b0a-4c8e-9a53-0f6f5d1c2b7a"
ID = "8f4c2d9be1a7503f6c9d0a4be2f7815c3d6e9f0a1b2c3d4e5f60718293a4b5c6"
V1_HYBRID = f"""\
9:name=systemd:/system.slice/k3s.service/kubepods/burstable/pod{UID}/{ID}
8:pids:/kubepods/burstable/pod{UID}/{ID}
4:memory:/kubepods/burstable/pod{UID}/{ID}
1:cpu:/
0::/
"""


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ("v2, cgroupfs, guaranteed", f"0::/kubepods/pod{UID}/{ID}\n"),
        ("v2, cgroupfs, burstable", f"0::/kubepods/burstable/pod{UID}/{ID}\n"),
        ("v2, cgroupfs, below a container's own root", f"0::/docker/abc/kubepods/besteffort/pod{UID}/{ID}\n"),
        (
            "v2, systemd, guaranteed",
            f"0::/kubepods.slice/kubepods-pod{LINED}.slice/cri-containerd-{ID}.scope\n",
        ),
        (
            "v2, systemd, besteffort",
            f"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{LINED}.slice/cri-containerd-{ID}.scope\n",
        ),
        (
            "v2, systemd, a cgroup of the container's own below it",
            f"0::/kubepods.slice/kubepods-pod{LINED}.slice/cri-containerd-{ID}.scope/init\n",
        ),
        ("v1 hybrid, several lines, some at the root", V1_HYBRID),
    ],
)
def test_a_process_of_a_pod_is_recognised(shown: str, text: str) -> None:
    assert parse_cgroup(text) == PodProcess(UID, ID)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ("nothing", ""),
        ("a login", "0::/user.slice/user-0.slice/session-1.scope\n"),
        ("a build step", f"0::/binderbox.slice/binderbox-builds.slice/bbx-{ID[:25]}.scope\n"),
        ("a docker container", f"0::/docker/{ID}\n"),
        ("a pod's own cgroup, no container", f"0::/kubepods/burstable/pod{UID}\n"),
        ("a uid that is none", f"0::/kubepods/burstable/pod{UID[:-1]}/{ID}\n"),
        ("a container id that is none", f"0::/kubepods/burstable/pod{UID}/{ID[:-1]}\n"),
        (
            "a user's slice that looks similar",
            f"0::/user.slice/kubepods-pod{LINED}.slice/cri-containerd-{ID}.scope\n",
        ),
        ("two hierarchies, two pods", f"2:cpu:/kubepods/pod{UID}/{ID}\n1:pids:/kubepods/pod{OTHER}/{ID}\n"),
    ],
)
def test_a_process_of_no_pod_is_nobody(shown: str, text: str) -> None:
    assert parse_cgroup(text) is None


def test_a_container_cannot_pose_as_another_by_a_cgroup_of_its_own() -> None:
    inner = f"/kubepods/pod{OTHER}/{'a' * 64}"
    assert parse_cgroup(f"0::/kubepods/burstable/pod{UID}/{ID}{inner}\n") == PodProcess(UID, ID)
