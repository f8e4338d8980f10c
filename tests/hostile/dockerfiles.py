"""What a Dockerfile asks for: other frontends, mounts of every kind, privileges, and words that look like options."""

from __future__ import annotations

from tests.hostile.repository import Repository

FOREIGN = "asks for the frontend evil.invalid/x:1, and this node runs nobody's but BuildKit's own"
IGNORED = "it was ignored"
CACHE = (
    "RUN --mount=type=cache,id=everybodys,sharing={0},target=/c ls -A /c; touch /c/from-another; echo looked"
)


def frontend(name: str, first: str, says: str, ends: str = "Failed") -> Repository:
    return Repository(f"frontend-{name}", f"{first}\nFROM {{base}}\nRUN echo built", ends, says, plain=True)


DOCKERFILES = (
    frontend("line", "# syntax=evil.invalid/x:1", f"line 1 of Dockerfile {FOREIGN}"),
    frontend("spaced", "#   SynTax  =  evil.invalid/x:1", FOREIGN),
    frontend("after-others", "# escape=`\n# check=skip=all\n# syntax=evil.invalid/x:1", f"line 3 of Dockerfile {FOREIGN}"),
    frontend("slashes", "// syntax=evil.invalid/x:1", FOREIGN),
    frontend("shebang", "#!/bin/sh\n# syntax=evil.invalid/x:1", f"line 2 of Dockerfile {FOREIGN}"),
    frontend("marked", "\ufeff# syntax=evil.invalid/x:1", FOREIGN),
    frontend("dockers-own", "# syntax=docker/dockerfile:1", IGNORED, "Succeeded"),
    frontend("labs", "# syntax=docker/dockerfile:1-labs", IGNORED, "Succeeded"),
    frontend("later", "FROM {base}\n# syntax=evil.invalid/x:1", "built", "Succeeded"),
    frontend("argument", "ARG BUILDKIT_SYNTAX=evil.invalid/x:1", "built", "Succeeded"),
    Repository("host-network", "RUN --network=host id", "Failed", "network.host is not allowed"),
    Repository("no-network", "RUN --network=none ls /sys/class/net; echo alone", "Succeeded", "alone"),
    Repository("insecure", "RUN --security=insecure id", "Failed", "security.insecure is not allowed"),
    Repository("a-device", "RUN --device=/dev/sda id", "Failed"),
    Repository("mounts-ssh", "RUN --mount=type=ssh,required=true id", "Failed"),
    Repository("mounts-a-secret", "RUN --mount=type=secret,id=registry-password,required=true id", "Failed"),
    Repository("mounts-a-secret-of-the-environment", "RUN --mount=type=secret,id=x,env=HOME,required=true id", "Failed"),
    Repository("mounts-the-context", "RUN --mount=type=bind,target=/c,rw ls /c; echo mine-alone", "Succeeded", "mine-alone"),
    Repository("mounts-above-the-context", "RUN --mount=type=bind,source=../..,target=/c ls /c", "Succeeded", "Dockerfile", "door.json"),
    Repository("mounts-another-image", "RUN --mount=type=bind,from=evil.invalid/x:1,target=/c ls /c", "Failed"),
    *(Repository(f"cache-{how}", CACHE.format(how), "Succeeded", "looked", "from-another\n") for how in ("shared", "private", "locked")),
    Repository("no-base", "FROM nowhere.invalid/x:1\nRUN id", "Failed"),
    Repository("heredocs", "COPY <<A <<B /d/\n$(id) `id`\nA\nb\nB\nRUN <<E cat; cat /d/A\n--output=type=local,dest=/\nE", "Succeeded", "--output=type=local,dest=/"),
    Repository("arguments", 'ARG A="x,y=z --opt=target=evil"\nENV B="$A"\nRUN printf "%s\\n" "$B"', "Succeeded", "x,y=z"),
    Repository("newlines", 'ARG A="x\\\n--opt=target=evil"\nLABEL "a\\\nb"="$A"\nRUN echo "<$A>"', "Succeeded", "<x--opt=target=evil>"),
    Repository("onbuild-and-stopsignal", "ONBUILD RUN rm -rf /\nSTOPSIGNAL 9\nHEALTHCHECK CMD id\nVOLUME /\nRUN echo built", "Succeeded", "built"),
)  # fmt: skip
