"""What a repository holds: too much, too many, and things that are no files."""

from __future__ import annotations

from tests.hostile.repository import SHORT, Repository

# 60 GB of zeros in a tar of one file: the same gzip member again and again, as the format allows
BOMB = """\
import gzip, tarfile
entry = tarfile.TarInfo("zeros")
entry.size = 60 << 30
with open("bomb.tar.gz", "wb") as out:
    out.write(gzip.compress(entry.tobuf(tarfile.GNU_FORMAT)))
    out.write(gzip.compress(bytes(1 << 24)) * (60 << 6))
"""

COPY = "COPY . /c\nRUN find /c | wc -l"
LISTED = "COPY . /c\nRUN ls -A /c && echo looked"

CONTEXTS = (
    Repository("ten-gb", COPY, "Failed", "the build context is larger than", prepare="truncate -s 10G large", within_s=300),
    Repository("300000-files", COPY, "Failed", "the build context has more than 300000 files",
               prepare="mkdir f && cd f && seq 300000 | xargs touch", within_s=400),
    Repository("many-files", COPY, "Succeeded", prepare="mkdir f && cd f && seq 20000 | xargs touch", within_s=300),
    Repository("long-names", COPY, "Succeeded", files={"n" * 250: "x"}),
    Repository("deep", COPY, "Failed", "the build context is deeper than 200 directories",
               prepare="python3 -c 'import os\nfor n in range(300): os.mkdir(\"d\"); os.chdir(\"d\")'"),
    # the engine leaves out what git could not hold, and the door refuses it from anybody else: its own tests
    Repository("fifo", LISTED, "Succeeded", "looked", "a-pipe", prepare="mkfifo a-pipe"),
    Repository("device", LISTED, "Succeeded", "looked", "a-block", prepare="mknod a-block b 7 0"),
    Repository("symlink-farm", f"{COPY}\nRUN cat /c/passwd | head -c 20; ls /c/up 2>&1 | head -n 3", "Succeeded",
               not_said="door.json", prepare="ln -s /etc/shadow passwd; ln -s ../../../../etc/binderbox up; ln -s . self; "
               "python3 -c 'import os\nfor n in range(20000): os.symlink(str(n + 1), str(n))'", within_s=300),
    Repository("dockerfile-behind-a-link", "", "Failed", prepare="rm Dockerfile; ln -s /etc/binderbox/door.json Dockerfile", not_said="build_slots"),
    Repository("dockerfile-of-10-mb", "", "Failed", "Dockerfile is larger than 1024 kB",
               prepare="python3 -c 'print(\"# \" + \"x\" * 10_000_000)' >>Dockerfile"),
    Repository("10000-layers", "", "Failed", "instructions that make layers, and this node builds 500",
               prepare="for n in $(seq 10000); do echo 'RUN id'; done >>Dockerfile"),
    Repository("100000-layers", "", "Failed", "lines, and this node reads 20000 at most",
               prepare="for n in $(seq 100000); do echo 'RUN id'; done >>Dockerfile"),
    Repository("ignores-by-10000-patterns", COPY, "Succeeded",
               prepare="mkdir f && cd f && seq 5000 | xargs touch && cd .. && for n in $(seq 10000); do echo \"**/*x$n*y?[a-z]z\"; done >.dockerignore", within_s=400),
    Repository("archive-bomb", "ADD bomb.tar.gz /b\nRUN du -s /b", "Failed", SHORT, prepare=f"python3 -c '{BOMB}'", within_s=400),
)  # fmt: skip
