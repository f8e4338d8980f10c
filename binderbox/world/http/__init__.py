"""HTTP as browsers, registries and publishers speak it."""

import sys

# httpx looks for a command line of its own, which brings rich and pygments: a tenth of a second of each of our commands.
# None there is Python's word for "not to be had", and httpx goes on without.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
