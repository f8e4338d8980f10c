"""What a step does to the machine that it runs on: its disk, its memory, its processes, its log."""

from __future__ import annotations

from tests.hostile.repository import LEAVES, SHORT, Repository, run

FILL = "with open('{0}', 'wb') as out:\n while True: out.write(bytes(1 << 20))"
INODES = "import os\nn = 0\nwhile True:\n if n % 1000 == 0: os.makedirs(f'/many/{n}')\n open(f'/many/{n // 1000 * 1000}/{n}', 'w').close(); n += 1"

STEPS = (
    Repository("fill-layer", run(FILL.format("/endless")), "Failed", SHORT),
    Repository("fill-a-cache", "RUN --mount=type=cache,target=/c dd if=/dev/zero of=/c/x bs=1M", "Failed", SHORT),
    Repository("fill-a-bind", "RUN --mount=type=bind,target=/c,rw dd if=/dev/zero of=/c/x bs=1M", "Failed", SHORT),
    Repository("fill-inodes", run(INODES), "Failed", SHORT, within_s=800),
    Repository("fill-by-many", "RUN for n in $(seq 8); do dd if=/dev/zero of=/$n bs=1M count=100000 & done; wait", "Failed", SHORT),
    Repository("fork-bomb", run("import os\nwhile True:\n try: os.fork()\n except OSError: pass"), LEAVES),
    Repository("memory-in-run", run("eaten = []\nwhile True: eaten.append(b'x' * (64 << 20))"), "Failed", "exit code: 137"),
    Repository("memory-in-tmpfs", "RUN --mount=type=tmpfs,target=/t dd if=/dev/zero of=/t/x bs=1M 2>&1", "Failed", "137"),
    Repository("sleeps-forever", "RUN sleep 86400", LEAVES),
    Repository("ignores-sigterm", "RUN trap '' TERM INT HUP; while :; do sleep 1; done", LEAVES),
    Repository("leaves-a-daemon", "RUN setsid sh -c 'sleep 86401 </dev/null >/dev/null 2>&1 &'; echo left-it", "Succeeded", "left-it"),
    Repository("log-without-newline", run("import sys\nwhile True: sys.stdout.write('x' * 65536)"), LEAVES),
    Repository("log-of-lines", "RUN yes", LEAVES),
    Repository("binary-log", "RUN head -c 300000 /dev/urandom; printf '\\033[2J\\033]0;x\\007'; echo; echo seen-through", "Succeeded"),
    Repository("kernel", "RUN mount -t proc x /mnt 2>&1; echo 1 2>/dev/null >/proc/sysrq-trigger; echo held=$?", "Succeeded", "held=", "held=0"),
    Repository("escapes", "RUN ls /run/binderbox 2>&1; ls /proc/1/root/etc/binderbox 2>&1; nsenter -t 1 -m true 2>&1; echo looked", "Succeeded", "looked", "door.json"),
)  # fmt: skip
