"""Ordinary work and misdeeds under the policies that ship, done by real programs under Picket.

Runs as root in a machine that may be thrown away, in a network namespace of its own; xtask/src/work.rs
starts it and counts its lines, which look like those of Rust's tests. Two kinds of rows:

- Work must end with status 0, bring about what the row says, and leave *nothing* in Picket's log.
- A misdeed must work free of Picket (the control), must not work under it, and must be in the log
  with the right and the object that the row names.

What is a row's name, command and outcome stands in `labour/` and `misdeeds.py`; which policy is tried
by which rows in `sessions.py`; how one session goes in `session.py`.
"""

import argparse
import os
import pwd
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "demo")]
sys.dont_write_bytecode = True

from place import Place
from report import Report
from session import Session
from sessions import SESSIONS
from stage import prepare_network


def main():
    parser = argparse.ArgumentParser(description="work and misdeeds under the policies that ship")
    parser.add_argument("--picket", required=True, help="the program")
    parser.add_argument("--policies", required=True, help="the directory of the policies")
    parser.add_argument("--rust", help="a directory with a Rust toolchain, for toolchain-rust")
    parser.add_argument("--core", action="store_true", help="only what is tried on every kernel")
    parser.add_argument("filter", nargs="*", help="only rows whose names contain one of these")
    arguments = parser.parse_args()
    prepare_network()
    os.umask(0o022)
    report = Report(arguments.filter)
    planned = [(session, report.chosen(session, arguments.core)) for session in SESSIONS]
    report.plan(sum(len(rows) for _, rows in planned))
    place = Place(pwd.getpwnam("agent"), arguments.rust)
    for plan, rows in planned:
        if not rows:
            continue
        try:
            Session(place, plan, arguments).run(rows, report)
        except Exception:
            report.broken(plan, traceback.format_exc())
    sys.exit(report.end())


main()
