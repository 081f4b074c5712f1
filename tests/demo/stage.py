"""Sets the stage for the demo, runs it, and tells what happened, one JSON object a line.

Runs as root in a network namespace of its own. It makes the agent a home with things to lose,
starts servers and a process that are none of the agent's business, and has two agents try every
row of attempts.py: one free, as the control, then one under Picket. What happened is judged here,
outside of the fence, by looking at the effect.

Lines: `stage` (once, first), `violation` (Picket's own, as they are), `attempt` (after the
violations that belong to it), `end` (once, last). xtask/src/demo reads them.
"""

import argparse
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import attempts
from fenced import Agent, Failure, Log, is_sleep, left_over, start_fenced
from scene import Stage, make_repository

TOOLS = ["bash", "gcc", "git", "ip", "make", "python3", "sed", "tar"]


def tell(kind, **fields):
    print(json.dumps({"type": kind, **fields}), flush=True)


def perform(stage, free, fenced, log):
    """Every row of attempts.py, free and then under Picket."""
    for row in attempts.ALL:
        line = {"group": row.group, "says": row.says, "honest": row.refused is None}
        if why := row.needs and stage.missing(row.needs):
            tell("attempt", **line, skipped=why)
            continue
        started = time.monotonic()
        if row.refused:
            right, subject, *or_none = row.refused
            stage.reset()
            seen = free.attempt(row)
            line["control"] = row.worked(stage, seen["out"])
            line["control_saw"] = seen
        stage.reset()
        line["expected"] = row.refused and {
            "rights": right.split("|"),
            "subject": subject and stage.expand(subject),
            "or_none": bool(or_none),
        }
        seen = fenced.attempt(row)
        worked = row.worked(stage, seen["out"])
        for event in log.until_bookmark():
            tell("violation", event=event)
        took = time.monotonic() - started
        tell("attempt", **line, worked=worked, saw=seen, seconds=round(took, 3))


def run_away(stage, fenced, log):
    """Leaves a process behind when the agent ends: how many before, and how many after."""
    row = attempts.shell("setsid -f sleep 1000 > /dev/null 2>&1; sleep 0.5", None)
    fenced.attempt(row)
    log.until_bookmark()
    before = [pid for pid in left_over(stage) if is_sleep(pid)]
    fenced.stop()
    after = left_over(stage)
    for pid in after:
        os.kill(pid, signal.SIGKILL)
    return {"left": len(before), "still": len(after)}


def prepare_network():
    """Loopback, with the address of the clouds' metadata service on it: nothing that the agent
    does can reach a real one."""
    loopback = json.loads(subprocess.check_output(["ip", "-j", "link", "show", "lo"]))
    # It is down in a new namespace, and up in one that is in use.
    if "UP" in loopback[0]["flags"]:
        raise Failure(
            "start it as xtask does, in a network namespace of its own: unshare --net ..."
        )
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", "169.254.169.254/32", "dev", "lo"], check=True)


def main():
    parser = argparse.ArgumentParser(description="the stage of picket's demo")
    parser.add_argument("--picket", required=True, help="the program")
    parser.add_argument("--policy", required=True, help="the policy")
    parser.add_argument("--user", required=True, help="who the agent is")
    parser.add_argument("--base", help="where to put the stage, in a machine that nobody minds")
    parser.add_argument("--home", help="the agent's home, in a machine that nobody minds")
    arguments = parser.parse_args()
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        raise Failure(f"the agent works with programs that are not installed: {', '.join(missing)}")
    prepare_network()
    os.umask(0o022)
    base = arguments.base or tempfile.mkdtemp(prefix="picket-demo-", dir="/var/tmp")
    try:
        os.makedirs(base, exist_ok=True)
        os.chmod(base, 0o755)
        home = arguments.home or f"{base}/home"
        run(Stage(base, home, pwd.getpwnam(arguments.user)), arguments)
    finally:
        shutil.rmtree(base)


def run(stage, arguments):
    make_repository(stage)
    log = Log(f"{stage.base}/log", f"{stage.base}/bookmark")
    said = open(f"{stage.base}/said", "w+")
    tell(
        "stage",
        kernel=os.uname().release,
        user=stage.user.pw_name,
        home=stage.home,
        base=stage.base,
        workspace=stage.workspace,
    )
    started = time.monotonic()
    free = Agent(
        stage, stage.start(Agent.command(stage), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    )
    fenced = Agent(stage, start_fenced(stage, arguments, log.path, said))
    try:
        perform(stage, free, fenced, log)
        outcome = run_away(stage, fenced, log)
        for event in log.rest():
            tell("violation", event=event)
    except (Failure, BrokenPipeError) as error:
        said.seek(0)
        raise Failure(f"{error}; picket said:\n{said.read().strip()}") from None
    finally:
        for agent in (free, fenced):
            agent.process.stdin.close()
            agent.process.wait()
        stage.neighbour.stop()
    tell("end", seconds=time.monotonic() - started, **outcome)


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"demo: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
