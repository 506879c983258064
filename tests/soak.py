"""How much of a long test runs: all of it in `make soak`, a part that ends soon in `make test`."""

import os

SOAK = "SOAK" in os.environ


def examples(soak: int) -> int:
    """Return the number of drawn cases: those of a soak, or a fifth of them."""
    return soak if SOAK else soak // 5
