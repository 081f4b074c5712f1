"""The Debian package where it is installed: with systemd, the unit and its hardening, an agent that never
gets out, upgrade and downgrade, removal and purge.

Runs as root in a machine that may be thrown away; xtask/src/package.rs starts it and counts its lines, which
look like those of Rust's tests. The rows build on each other, so they run in their order; one that fails
does not keep the next from running. The agent (`agent.py`) counts for itself how often it got at what it
may not have, and how often it did not get at what it may.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from host import Failed, Host
from rows import ROWS


def main():
    first, following = sys.argv[1:]
    host = Host(first, following)
    print(f"running {len(ROWS)} tests", flush=True)
    failed = 0
    for row in ROWS:
        try:
            row(host)
            verdict = "ok"
        except Failed as why:
            failed += 1
            verdict = f"FAILED\n{why}"
        print(f"test package::{row.__name__} ... {verdict}", flush=True)
    if failed:
        print(host.journal(), flush=True)
    result = "FAILED" if failed else "ok"
    print(f"\ntest result: {result}. {len(ROWS) - failed} passed; {failed} failed; 0 ignored", flush=True)
    sys.exit(1 if failed else 0)


main()
