"""A kind of repository: what is in it, which ref is asked for, and what its visitor gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """Ready unless `fails`; `says` stands in what the visitor reads.

    + files: text by path; `{base}` in one is the image that others of these are built from
    + prepare: sh text that is run in the directory before its last commit; `{beside}` is the URL of the second one
    + beside: files of a second repository, which is served first
    + ref: with `{short}` for the first seven digits of the first commit
    """

    name: str
    files: Mapping[str, str] = field(default_factory=dict)
    ref: str = "main"
    prepare: str = ""
    beside: Mapping[str, str] = field(default_factory=dict)
    fails: bool = False
    says: str = ""


COMMIT = "git init -q -b main .; git config user.name kinds; git config user.email kinds@localhost; git add -A; git commit -q -m first\n"
# A package of one module, as a wheel: `pip install` of it asks no index.
WHEEL = """\
python3 - <<'END'
import zipfile
with zipfile.ZipFile("thing-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("thing.py", "ANSWER = 42\\n")
    wheel.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: thing\\nVersion: 1.0\\n")
    wheel.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: kinds\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("thing-1.0.dist-info/RECORD", "")
END
"""
# Names that file systems allow and programs trip over; one is no UTF-8.
NAMES = """\
python3 - <<'END'
import os
for name in (b"two words", "\\u00e4\\u00e9\\u4e2d".encode(), "\\U0001f680".encode(), b"it's \\"quoted\\"", b"no-\\xff-utf8", b"-dash", b"#hash", b"$HOME", b"a\\\\b", b"x" * 200):
    with open(b"./" + name, "w") as file:
        file.write("here")
os.symlink("two words", "link")
os.symlink("nowhere", "dangling")
os.symlink("/etc/hostname", "absolute")
END
"""
LINKS = "ln -s ../../../etc/hostname up; ln -s /root/secret away; mkdir -p deep/er; ln -s ../.. deep/er/root"
OUT_OF_IT = "test $(readlink up) = ../../../etc/hostname -a $(readlink away) = /root/secret -a $(readlink deep/er/root) = ../.."
SEEN = """\
import os
found = set(os.listdir(b"."))
wanted = {b"two words", "\\u00e4\\u00e9\\u4e2d".encode(), "\\U0001f680".encode(), b"it's \\"quoted\\"", b"no-\\xff-utf8", b"-dash", b"#hash", b"$HOME", b"a\\\\b", b"x" * 200, b"link", b"dangling", b"absolute"}
assert wanted <= found, wanted - found
assert os.readlink("dangling") == "nowhere" and os.readlink("absolute") == "/etc/hostname"
assert open(b"no-\\xff-utf8").read() == "here"
"""
