"""Repositories with a Dockerfile."""

from __future__ import annotations

from tests.kinds.kind import COMMIT, LINKS, NAMES, OUT_OF_IT, SEEN, WHEEL, Kind

PLAIN = "FROM {base}\nCOPY . .\n"
REFS = f"{COMMIT}git checkout -q -b feature/new-thing; echo x >feature; git add -A; git commit -q -m feature\ngit checkout -q main; git tag -a -m one v1.0/rc1; echo more >later"


def docker(name: str, text: str, *, fails: bool = False, says: str = "", **more: str) -> Kind:
    return Kind(name, {"Dockerfile": text}, fails=fails, says=says, **more)


DOCKERFILES = (
    docker(
        "pip-and-two-users",
        "FROM {base}\nUSER root\nCOPY . /srv/it\nRUN pip install --no-index /srv/it/thing-1.0-py3-none-any.whl\n"
        "USER jovyan\nRUN python3 -c 'import thing; assert thing.ANSWER == 42' && test $(id -un) = jovyan\n",
        prepare=WHEEL,
    ),
    Kind("names", {"Dockerfile": f"{PLAIN}RUN python3 seen.py\n", "seen.py": SEEN}, prepare=NAMES),
    Kind(
        "a-submodule",
        {"Dockerfile": f"{PLAIN}RUN grep -q below sub/file\n"},
        prepare="git init -q -b main .; git submodule --quiet add {beside} sub",
        beside={"file": "below"},
    ),
    docker(
        "pointers-of-git-lfs",
        f"{PLAIN}RUN grep -q 'version https://git-lfs' big.bin\n",
        prepare="echo '*.bin filter=lfs diff=lfs merge=lfs -text' >.gitattributes; "
        "printf 'version https://git-lfs.github.com/spec/v1\\noid sha256:%064d\\nsize 12345\\n' 0 >big.bin",
    ),
    docker("links-out-of-it", f"{PLAIN}RUN {OUT_OF_IT}\n", prepare=LINKS),
    docker("a-branch-with-a-slash", f"{PLAIN}RUN test -e feature\n", prepare=REFS, ref="feature/new-thing"),
    docker("an-annotated-tag", f"{PLAIN}RUN test ! -e feature -a ! -e later\n", prepare=REFS, ref="v1.0/rc1"),
    docker("a-short-commit", PLAIN, prepare=COMMIT + "echo more >later", ref="{short}", fails=True, says="Could not resolve ref"),
    docker("no-such-branch", PLAIN, ref="not-there", fails=True, says="Could not resolve ref"),
    docker(
        "an-argument-before-from",
        'ARG BASE={base}\nFROM ${BASE}\nARG NB_USER\nARG NB_UID\nRUN test "$NB_USER:$NB_UID" = jovyan:1000\n',
    ),
    docker(
        "root-volume-health-and-bash",
        "FROM {base}\nUSER root\nWORKDIR /root\nVOLUME /root/kept\nHEALTHCHECK CMD true\nRUN test $(id -u) = 0\nCMD bash\n",
    ),
    docker(
        "heredoc-stages-and-a-cache",
        "FROM {base} AS made\nUSER root\nRUN <<END\nmkdir /made\necho made >/made/it\nEND\n"
        "FROM {base}\nCOPY --from=made /made /home/jovyan/made\nRUN --mount=type=cache,target=/tmp/cache,uid=1000 touch /tmp/cache/x && grep -q made made/it\n",
    ),
    Kind(
        "binder-folder-and-dockerignore",
        {
            "binder/Dockerfile": f"{PLAIN}RUN test -e kept -a ! -e left-out\n",
            "Dockerfile": "FROM {base}\nRUN exit 9\n",
            ".dockerignore": "left-out\n",
            "kept": "x",
            "left-out": "x",
        },
    ),
    docker("its-own-entrypoint", f'{PLAIN}ENTRYPOINT ["/bin/sh", "-c", "exec \\"$@\\"", "sh"]\n'),
    docker("copy-link-and-chmod", "FROM {base}\nCOPY --link --chmod=0755 --chown=1000:100 . /home/jovyan/it/\nRUN test -x it/Dockerfile\n"),
    docker("dockers-own-syntax", f"# syntax=docker/dockerfile:1\n{PLAIN}", says="it was ignored"),
    docker("a-stranger-s-syntax", f"# syntax=evil.invalid/x:1\n{PLAIN}", fails=True, says="line 1 of Dockerfile asks for the frontend"),
    docker("a-base-that-is-nowhere", "FROM nowhere.invalid/x:1\nRUN id\n", fails=True, says="nowhere.invalid"),
    docker("a-step-that-fails-late", f"{PLAIN}RUN seq -f 'line %.0f' 2000; exit 3\n", fails=True, says="line 2000"),
    docker("a-fault-in-the-dockerfile", f"{PLAIN}RUNN true\n", fails=True, says="RUNN"),
    docker("the-network-of-the-host", f"{PLAIN}RUN --network=host id\n", fails=True, says="network.host is not allowed"),
    docker("no-frills-at-all", f"{PLAIN}RUN --security=insecure id\n", fails=True, says="security.insecure is not allowed"),
    docker(
        "a-step-of-nine-gb",
        f"{PLAIN}RUN python3 -c 'x = [bytearray(2**28) for _ in range(36)]'\n",
        fails=True,
        says="more memory than this node gives to one step of a build",
    ),
)  # fmt: skip
