"""Write files that a compressor makes about a third of: `fill.py SEED DIRECTORY FILES`, 20 kB each.

Three tenths of each are noise, the rest is text that repeats itself, as sources and tables do.
"""

import random
import sys
from pathlib import Path

SIZE = 20_000
NOISE = 6_000
PER_DIRECTORY = 100


def fill(seed: str, directory: Path, files: int) -> None:
    """The same seed gives the same files."""
    source = random.Random(seed)
    for number in range(files):
        place = directory / f"part{number // PER_DIRECTORY}"
        if number % PER_DIRECTORY == 0:
            place.mkdir(parents=True)
        line = source.randbytes(40).hex().encode() + b"\n"
        text = line * ((SIZE - NOISE) // len(line) + 1)
        (place / f"file{number}").write_bytes(source.randbytes(NOISE) + text[: SIZE - NOISE])


if __name__ == "__main__":
    fill(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
