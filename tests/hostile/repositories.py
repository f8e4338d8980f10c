"""Repositories of people who mean harm, or do some: what each tries, and how its build must end."""

from __future__ import annotations

from dataclasses import dataclass, field

LEAVES = "ended by its pod"  # one that never ends by itself: its pod is deleted after a while


@dataclass(frozen=True)
class Repository:
    """`ends` is how: Succeeded, Failed, or LEAVES; `says` stands in its log."""

    name: str
    dockerfile: str
    ends: str
    says: str = ""
    files: dict[str, str] = field(default_factory=dict)
    many_files: int = 0


def run(code: str) -> str:
    """A step that runs a Python program, from a heredoc."""
    return f"RUN python3 <<'END'\n{code}\nEND"


ALL = (
    Repository("fork-bomb", run("import os\nwhile True:\n try: os.fork()\n except OSError: pass"), LEAVES),
    Repository("memory-in-run", run("eaten = []\nwhile True: eaten.append(b'x' * (64 << 20))"), "Failed", "exit code: 137"),
    Repository("memory-in-tmpfs", "RUN --mount=type=tmpfs,target=/t dd if=/dev/zero of=/t/x bs=1M 2>&1", "Failed", "137"),
    Repository("sleeps-forever", "RUN sleep 86400", LEAVES),
    Repository("ignores-sigterm", "RUN trap '' TERM INT HUP; while :; do sleep 1; done", LEAVES),
    Repository("leaves-a-daemon", "RUN setsid sh -c 'sleep 86401 </dev/null >/dev/null 2>&1 &'; echo left-it", "Succeeded", "left-it"),
    Repository("log-without-newline", run("import sys\nwhile True: sys.stdout.write('x' * 65536)"), LEAVES),
    Repository("log-of-lines", "RUN yes", LEAVES),
    Repository("binary-log", "RUN head -c 300000 /dev/urandom; printf '\\033[2J\\033]0;x\\007'; echo; echo seen-through", "Succeeded"),
    Repository("fills-inodes", run("import os\nos.mkdir('/many')\nfor n in range(200_000): open(f'/many/{n}', 'w').close()\nprint('made them')"), "Succeeded", "made them"),
    Repository("host-network", "RUN --network=host id", "Failed", "network.host is not allowed"),
    Repository("insecure", "RUN --security=insecure id", "Failed", "security.insecure is not allowed"),
    Repository("mounts-ssh", "RUN --mount=type=ssh,required=true id", "Failed"),
    Repository("mounts-a-secret", "RUN --mount=type=secret,id=registry-password,required=true id", "Failed"),
    Repository("mounts-the-context", "RUN --mount=type=bind,target=/c,rw ls /c; echo mine-alone", "Succeeded", "mine-alone"),
    Repository("kernel-modules", "RUN mount -t proc x /mnt 2>&1; echo 1 2>/dev/null >/proc/sysrq-trigger; echo held=$?", "Succeeded", "held="),
    Repository("raw-sockets", run("import socket\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\ns.bind(([n for _, n in socket.if_nameindex() if n != 'lo'][0], 0))\ns.settimeout(3)\nprint('listens')\ntry: print('GOT', s.recv(9999)[:12])\nexcept OSError: print('heard nobody')"), "Succeeded", "listens"),
    Repository("long-names", "COPY . /c\nRUN ls /c | wc -l", "Succeeded", files={"n" * 250: "x"}),
    Repository("many-files", "COPY files /c\nRUN ls /c | wc -l", "Succeeded", "20000", many_files=20_000),
    Repository("arguments", 'ARG A="x,y=z --opt=target=evil"\nENV B="$A"\nRUN printf "%s\\n" "$B"', "Succeeded", "x,y=z"),
    Repository("no-base", "FROM nowhere.invalid/x:1\nRUN id", "Failed"),
    Repository("writes-the-door", "RUN ls /run/binderbox 2>&1; echo looked", "Succeeded", "looked"),
)  # fmt: skip
