"""Harm to ordinary work: CPython's own tests, and git on a large tree, without Picket and under a
policy that allows everything. Every single outcome must be the same.

Runs as root in a machine that may be thrown away; xtask/src/harm.rs starts it. A test that differs is
run again on both sides, because some tests are unsteady by themselves: it is harm only if it differs
each time.
"""

import argparse
import collections
import functools
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

HERE = os.path.dirname(os.path.abspath(__file__))
USER = "agent"
BASE = "/var/tmp/harm"

# What is quick enough, under emulation, to be run for every change.
BOUNDED = ["git", "test_posix", "test_mmap"]
ALL = BOUNDED + [
    "test_shutil",
    "test_pathlib",
    "test_os",
    "test_signal",
    "test_subprocess",
    "test_socket",
    "test_asyncio",
    "test_multiprocessing_fork",
    "test_multiprocessing_forkserver",
    "test_multiprocessing_spawn",
    "test_multiprocessing_main_handling",
    "test_threading",
    "test_fcntl",
    "test_tempfile",
    "test_pty",
    "test_select",
    "test_selectors",
    "test_ssl",
    "test_socketserver",
    "test_sqlite3",
    "test_venv",
]
# What no policy gives. It is no harm where the outcome is the same: the guest has no module for the
# families that test_socket asks for, so nobody gets them.
NEVER = {"kernel_module_request"}
UDPLITE = 136  # IPPROTO_UDPLITE
AGAIN = 2  # how often what differs is run again


class Side:
    """One of the two: without Picket, or under it."""

    def __init__(self, name, picket=None):
        self.name, self.picket = name, picket
        self.log = f"{BASE}/{name}.log"

    def run(self, command, cwd, patience):
        """A command's output as the user; its violations are in `violations`."""
        user = pwd.getpwnam(USER)
        environment = {"HOME": user.pw_dir, "USER": USER, "LOGNAME": USER, "SHELL": "/bin/bash"}
        environment |= {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TMPDIR": "/var/tmp/harm/tmp"}
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [user.pw_gid]}
        if self.picket:
            policy = f"{HERE}/allow-all.yaml"
            start = [
                self.picket,
                "run",
                "--quiet",
                "--policy",
                policy,
                "--log",
                self.log,
                "--user",
                USER,
            ]
            command, as_user = [*start, "--", *command], {}
        before = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        # Its own session, so that a terminal or a signal of the test's is nobody else's.
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **as_user,
        )
        try:
            out, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9 if not self.picket else 15)
            out, _ = process.communicate()
            out += b"\n(it took too long)"
        self.violations = []
        if os.path.exists(self.log):
            with open(self.log) as file:
                file.seek(before)
                self.violations = [json.loads(line) for line in file if line.endswith("\n")]
        return process.returncode, out.decode(errors="replace")


def cpython(side, module, patience, only=()):
    """Each test's outcome, by its name."""
    report = f"{BASE}/tmp/{side.name}.xml"
    if os.path.exists(report):
        os.unlink(report)
    work = f"{BASE}/tmp/{side.name}"
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    shutil.chown(work, USER, USER)
    command = [
        "python3",
        "-u",
        "-m",
        "test",
        "--junit-xml",
        report,
        *(word for name in only for word in ("-m", name)),
        *(word for name in without(module) for word in ("-i", name)),
        module,
    ]
    code, out = side.run(command, work, patience)
    outcomes = {}
    try:
        for case in xml.parse(report).iter("testcase"):
            kinds = [child.tag for child in case if child.tag in ("error", "failure", "skipped")]
            kind = kinds[0] if kinds else "passed"
            # A test with subtests that fail is named once for each.
            outcomes[case.get("name")] = max(
                outcomes.get(case.get("name"), ""), kind, key=RANK.index
            )
    except (OSError, xml.ParseError):
        pass
    outcomes["(the whole)"] = f"code {code}"
    return outcomes, out


def without(module):
    """Patterns of tests that say nothing on this kernel, on either side."""
    if module == "test_socket":
        try:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM, UDPLITE).close()
        except OSError:
            # Linux 7 has no UDP-Lite. The tests for it then fail in two threads at once, and one run in
            # some has the whole module crash.
            yield "*UDPLITE*"


RANK = ["", "passed", "skipped", "failure", "error"]


def git(side, _module, patience, only=(), large=True):
    """What git prints and leaves behind, step by step."""
    work = f"{BASE}/tmp/{side.name}"
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    shutil.chown(work, USER, USER)
    directories = "60" if large else "6"
    code, out = side.run(["bash", f"{HERE}/large_tree.sh", directories], work, patience)
    outcomes, step = collections.defaultdict(str), "start"
    for line in out.splitlines():
        if line.startswith("## "):
            step = line[3:]
        outcomes[step] += line + "\n"
    outcomes["(the whole)"] = f"code {code}"
    return dict(outcomes), out


def differences(one, other):
    keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    return {key: (one.get(key, "nothing"), other.get(key, "nothing")) for key in keys}


def compare(module, free, fenced, arguments):
    """Lines that tell of harm, and a line that tells how it went."""
    what = functools.partial(git, large=not arguments.bounded) if module == "git" else cpython
    patience, took = arguments.patience, []
    started = time.monotonic()
    reference, said = what(free, module, patience, arguments.match)
    took.append(time.monotonic() - started)
    started = time.monotonic()
    found, said_fenced = what(fenced, module, patience, arguments.match)
    took.append(time.monotonic() - started)
    refused = [event for event in fenced.violations if event["op"] not in NEVER]
    violations = collections.Counter(brief(event) for event in refused)
    harm = [f"{count} times: {text}" for text, count in violations.items()]
    differ, unsteady = differences(reference, found), []
    for _ in range(AGAIN):
        names = [name for name in differ if name != "(the whole)"]
        if not differ:
            break
        once_more = [what(side, module, patience, names)[0] for side in (free, fenced)]
        still = differences(*once_more)
        unsteady += [name for name in names if name not in still]
        differ = {name: pair for name, pair in differ.items() if name in still}
    harm += [
        f"{name}: {pair[0]} without Picket, {pair[1]} under it" for name, pair in differ.items()
    ]
    tests = len(reference) - 1
    if tests < (1 if arguments.match else 2):
        harm.append(f"it has only {tests} outcomes: {said[-2000:]}\n{said_fenced[-2000:]}")
    if differ:
        harm.append("under it: " + said_fenced[-6000:])
    counts = collections.Counter(reference.values())
    told = "".join(f", {counts[kind]} {kind}" for kind in RANK[1:] if counts[kind])
    note = f"{tests} outcomes{told}; {took[0]:.0f} s, under Picket {took[1]:.0f} s"
    if len(refused) < len(fenced.violations):
        note += f"; {len(fenced.violations) - len(refused)} times what no policy allows"
    if unsteady:
        note += f"; unsteady by themselves: {', '.join(sorted(set(unsteady)))}"
    return harm, note


def brief(event):
    subject = event.get("subject") or ""
    peer = f" -> {event['peer']}" if event.get("peer") else ""
    fault = f" fault {event['fault']}" if event.get("fault") else ""
    return f"{event['verdict']} {event['op']} {'+'.join(event['because'])} {subject}{peer}{fault} ({event['comm']})"


def main():
    parser = argparse.ArgumentParser(description="harm to ordinary work")
    parser.add_argument("--picket", required=True, help="the program")
    parser.add_argument("--bounded", action="store_true", help="only what is quick")
    parser.add_argument(
        "--patience", type=int, default=1800, help="seconds for one run of a module"
    )
    parser.add_argument(
        "--match", action="append", default=[], help="of a module, only tests that are called so"
    )
    parser.add_argument("modules", nargs="*", help="only these")
    arguments = parser.parse_args()
    if blocked := signal.pthread_sigmask(signal.SIG_BLOCK, []):
        # Tests that wait for SIGCHLD would sit idle on both sides.
        sys.exit(f"harm.py: signals are blocked, start it without: {blocked}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    shutil.rmtree(BASE, ignore_errors=True)
    os.makedirs(f"{BASE}/tmp")
    os.chmod(f"{BASE}/tmp", 0o1777)
    free, fenced = Side("free"), Side("fenced", arguments.picket)
    modules = arguments.modules or (BOUNDED if arguments.bounded else ALL)
    print(f"running {len(modules)} tests", flush=True)
    failed = 0
    for module in modules:
        harm, note = compare(module, free, fenced, arguments)
        failed += bool(harm)
        print(f"test harm::{module} ... {'FAILED' if harm else 'ok'} {note}", flush=True)
        for line in harm:
            print("    " + line.replace("\n", "\n    "), flush=True)
    good = "FAILED" if failed else "ok"
    print(
        f"\ntest result: {good}. {len(modules) - failed} passed; {failed} failed; 0 ignored",
        flush=True,
    )
    sys.exit(bool(failed))


main()
