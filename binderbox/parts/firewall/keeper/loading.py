"""Load the firewall's rules anew, with what its sets hold: `python3 -m binderbox.parts.firewall.keeper.loading RULES`.

It is the unit's ExecReload. Between the load of the rules alone and the keeper's next look, the hub would be a stranger to its
own users' pods, and a session's repository one that nobody knows. Standard library only: it runs with the node's own Python.
"""

from __future__ import annotations

import sys

from binderbox.parts.firewall.keeper.kernel import Kernel

if __name__ == "__main__":
    Kernel(sys.argv[1], "").load()
