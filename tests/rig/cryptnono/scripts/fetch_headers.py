"""The double of the program that fetches a kernel's sources from the Internet, of which the rig has none."""

from __future__ import annotations

import os
import sys

if os.path.exists("/lib/modules/.installed"):
    print("Headers already installed")
    sys.exit(0)
sys.exit("curl: (6) Could not resolve host: www.kernel.org")
