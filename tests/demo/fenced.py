"""Agents, free and under Picket, and what Picket says of the latter."""

import json
import os
import subprocess
import time

PATIENCE = 30  # seconds until Picket must have reported what has happened


class Failure(Exception):
    """The demo itself cannot go on."""


class Agent:
    """An agent.py that waits for commands, under Picket or free."""

    def __init__(self, stage, process):
        self.stage, self.process = stage, process

    @staticmethod
    def command(stage):
        return ["python3", "-I", f"{stage.base}/agent/agent.py", f"{stage.base}/bookmark"]

    def attempt(self, row):
        stage = self.stage
        names = "".join(f"{name}='{value}'; " for name, value in stage.names().items())
        task = {
            "command": row.command and f"{names}{row.command}",
            "trick": [stage.expand(word) for word in row.trick],
            "directory": stage.tries,
        }
        if patience := getattr(row, "patience", None):
            task["patience"] = patience
        self.process.stdin.write(json.dumps(task).encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise Failure(f"the agent ended in the middle of: {row.says}")
        return json.loads(answer)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Log:
    """Picket's log, followed."""

    def __init__(self, path, bookmark):
        self.path, self.bookmark, self.file, self.part = path, bookmark, None, ""
        self.lost = 0  # events that Picket could not keep, so far

    def until_bookmark(self):
        """Every violation up to the next bookmark."""
        found, end = [], time.monotonic() + PATIENCE
        while time.monotonic() < end:
            line = self.line()
            if line is None:
                time.sleep(0.005)
                continue
            event = json.loads(line)
            self.lost = event["lost"]
            if event["verdict"] == "audit" and event.get("subject") == self.bookmark:
                return found
            found.append(event)
        raise Failure(f"no event for {PATIENCE} s in Picket's log")

    def rest(self):
        found = []
        while (line := self.line()) is not None:
            found.append(json.loads(line))
        return found

    def line(self):
        if self.file is None:
            if not os.path.exists(self.path):
                return None
            self.file = open(self.path)
        self.part += self.file.readline()
        if not self.part.endswith("\n"):
            return None
        line, self.part = self.part, ""
        return line


def write_policy(stage, policy):
    """The policy of the demo, and what only its stage takes."""
    path = f"{stage.base}/stage.yaml"
    with open(path, "w") as file:
        file.write(
            f"""apiVersion: picket.dev/v1alpha1
kind: AgentPolicy
metadata:
  name: demo
spec:
  include: ["{policy}"]
  files:
    - allow: [read, list]
      paths: ["{stage.base}/agent/**"]
    - audit: [read]
      paths: ["{stage.base}/bookmark"]
  exec:
    - allow: ["{stage.base}/helper"]
"""
        )
    return path


def start_fenced(stage, arguments, log, said):
    """An agent under Picket."""
    policy = write_policy(stage, os.path.abspath(arguments.policy))
    picket = [arguments.picket, "run", "--policy", policy, "--log", log]
    picket += ["--var", f"home={stage.home}", "--user", stage.user.pw_name, "--"]
    # Picket sets HOME as a login would; this agent's home is its own.
    home = ["env", f"HOME={stage.home}", f"PICKET_DEMO={stage.base}"]
    return subprocess.Popen(
        [*picket, *home, *Agent.command(stage)],
        cwd=stage.workspace,
        env=stage.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
    )


def left_over(stage):
    """Pids of processes that were started under Picket: they have the demo's mark in their
    environment, which only a program that they run could take away."""
    found, mark = [], f"PICKET_DEMO={stage.base}".encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if mark in file.read().split(b"\0"):
                    found.append(int(pid))
        except OSError:
            continue  # it has ended
    return found


def is_sleep(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip() == "sleep"
    except OSError:
        return False
