"""Fills in the checksums of binderbox/artifacts/versions.toml: `python -m tests.tools.checksums`, where there is Internet.

A publisher is asked as an install asks it; a file's sum is taken only when what is downloaded has it, too.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import closing
from pathlib import Path

from binderbox.artifacts import versions
from binderbox.artifacts.versions import Pin
from binderbox.commands.artifacts.asking import Askers, ask
from binderbox.errors import BundleError
from binderbox.parts.fetch.fetching import FetchFailed, fetch
from binderbox.world.http.publishers import Publishers
from tests.places import ROOT

FILE = ROOT / "binderbox/artifacts/versions.toml"


def filled(text: str, askers: Askers, options: tuple[str, ...] = ()) -> tuple[str, list[str]]:
    """The text with every sum that could be verified, and what could not."""
    refused = []
    for name, pin in versions.parse(text).items():
        if pin.sha256 or pin.images_of:
            continue
        try:
            text = versions.with_checksum(text, name, _verified(pin, askers, options))
        except (BundleError, FetchFailed) as error:
            refused.append(f"{name}: {error}")
    return text, refused


def _verified(pin: Pin, askers: Askers, options: tuple[str, ...]) -> str:
    stated = ask({pin.name: pin}, [pin], {}, askers)[pin.name].sha256
    if pin.kind != "image":  # an image is asked for by its own digest
        with tempfile.TemporaryDirectory() as directory:
            fetch(pin.source, stated, str(Path(directory, "artifact")), options=options)
    return stated


def main() -> int:
    with closing(Publishers()) as publishers:
        text, refused = filled(FILE.read_text(), (("client", publishers),))
    FILE.write_text(text)
    for one in refused:
        print(f"::warning::{one}".replace("\n", "%0A"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
