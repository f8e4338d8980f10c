"""What the image starts: a detector, as its arguments say, or without any what would fetch headers."""

from __future__ import annotations

import os
import sys

words = sys.argv[1:] or ["/scripts/fetch_headers.py"]
os.execvp("python3", ["python3", *words])
