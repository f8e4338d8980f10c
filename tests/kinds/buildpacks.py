"""Repositories that repo2docker makes a Dockerfile for: its own, over a base that has a small conda of the rig's.

Left out, because their interpreters come from the Internet and no step of the node's is another for them: R, Julia, nix.
"""

from __future__ import annotations

from tests.kinds.kind import LINKS, NAMES, OUT_OF_IT, SEEN, WHEEL, Kind

REQUIREMENTS = "./thing-1.0-py3-none-any.whl\n"
POST_BUILD = "#!/bin/bash\nset -e\n"
USES = f"{POST_BUILD}python3 -c 'import thing; assert thing.ANSWER == 42'\n"

BUILDPACKS = (
    Kind("requirements", {"requirements.txt": REQUIREMENTS, "postBuild": USES}, prepare=WHEEL),
    Kind(
        "names-with-requirements",
        {
            "requirements.txt": REQUIREMENTS,
            "seen.py": SEEN,
            "postBuild": f"{USES}python3 seen.py\n",
        },
        prepare=WHEEL + NAMES,
    ),
    Kind(
        "environment",
        {
            "environment.yml": "channels: [conda-forge]\ndependencies: [python=3.12]\n",
            "postBuild": f"{POST_BUILD}python3 -c 'import jupyterlab'\n",
        },
    ),
    Kind(
        "packages-and-a-start",
        {
            "apt.txt": "tree\n",
            "requirements.txt": REQUIREMENTS,
            "postBuild": f"{USES}tree --version\n",
            "start": '#!/bin/bash\nexport STARTED=yes\nexec "$@"\n',
        },
        prepare=WHEEL,
    ),
    Kind(
        "in-a-binder-folder",
        {
            "binder/requirements.txt": REQUIREMENTS,
            "binder/postBuild": USES,
            "requirements.txt": "not-there-at-all\n",
        },
        prepare=WHEEL,
    ),
    Kind(
        "a-post-build-that-fails",
        {"requirements.txt": "", "postBuild": f"{POST_BUILD}echo told before; exit 7\n"},
        fails=True,
        says="told before",
    ),
    Kind(
        "a-package-that-is-not-there",
        {"requirements.txt": "--no-index\nnot-there-at-all\n"},
        fails=True,
        says="not-there-at-all",
    ),
    Kind(
        "links-out-of-it-with-requirements",
        {"requirements.txt": "", "postBuild": f"{POST_BUILD}{OUT_OF_IT}\n"},
        prepare=LINKS,
    ),
    Kind(
        "400-mb-of-nothing",
        {"requirements.txt": "", "postBuild": f"{POST_BUILD}test $(stat -c %s sparse) = {400 << 20}\n"},
        prepare="truncate -s 400M sparse",
    ),
    Kind(
        "a-list-that-is-no-utf-8",
        {"requirements.txt": ""},
        prepare="printf 'caf\\351\\n' >apt.txt",
        fails=True,
        says="apt.txt is no UTF-8 text",
    ),
    Kind(
        "a-python-that-is-none",
        {"requirements.txt": "", "runtime.txt": "python-abc\n"},
        fails=True,
        says="Invalid version",
    ),
    Kind(
        "an-environment-that-is-no-yaml",
        {"environment.yml": "dependencies: [python\n"},
        fails=True,
        says="environment.yml",
    ),
    Kind("no-environment", {"README.md": "nothing"}, fails=True, says="No environment specification found"),
)
