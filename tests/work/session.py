"""One policy's session: an agent under it, and row after row judged by its effect and by the log."""

import json
import os
import re
import subprocess
import tempfile
import time

from fenced import Agent, Log
from rows import Misdeed, Work

# What a set-up of ours takes besides the policy that is tried: the agent's own program, and a file
# whose reading marks in the log where a row ends.
WRAPPER = """apiVersion: picket.dev/v1alpha1
kind: AgentPolicy
metadata:
  name: {name}
spec:
  include: {include}
  files:
    - allow: [read, list]
      paths: ["{base}/agent/**"]
      reason: the program of the test
    - audit: [read]
      paths: ["{base}/bookmark"]
      reason: marks the end of a row
  exec:
    - allow: ["{base}/helper"]
      reason: stands in for the set-uid programs of a machine
"""

# Whether a misdeed worked free of Picket does not depend on a policy: asked once.
controls = {}


class Session:
    """An agent under one policy, and one that is free."""

    def __init__(self, place, plan, arguments):
        self.place, self.plan = place, plan
        directory = tempfile.mkdtemp(prefix="picket-work-")
        os.chmod(directory, 0o755)
        policy = f"{directory}/{plan.name}.yaml"
        include = [f"{os.path.abspath(arguments.policies)}/{file}" for file in plan.include]
        with open(policy, "w") as file:
            file.write(WRAPPER.format(name=plan.name, include=json.dumps(include), base=place.base))
        self.log = Log(f"{directory}/log", f"{place.base}/bookmark")
        self.said = open(f"{directory}/said", "w+")
        # Not in its home: picket takes the directory that it is started in for the workspace.
        command = [arguments.picket, "run", "--policy", policy, "--log", self.log.path]
        command += ["--user", place.user.pw_name, "--"]
        command += ["env", f"HOME={place.home}", f"PICKET_DEMO={place.base}"]
        self.fenced = Agent(
            place,
            subprocess.Popen(
                [*command, *Agent.command(place)],
                cwd=place.workspace,
                env=place.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.said,
            ),
        )
        self.free = Agent(
            place, place.start(Agent.command(place), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )

    def run(self, rows, report):
        try:
            for row in rows:
                started = time.monotonic()
                lost = self.log.lost
                judge = self.work if isinstance(row, Work) else self.misdeed
                faults = judge(row)
                if self.log.lost != lost:
                    faults.append(f"{self.log.lost - lost} events were lost")
                report.tell(self.plan, row, time.monotonic() - started, faults)
        except BaseException:
            self.said.seek(0)
            print(f"picket said:\n{self.said.read().strip()}", flush=True)
            raise
        finally:
            self.fenced.stop()
            self.free.stop()

    def prepare(self, row):
        self.place.tempting = isinstance(row, Misdeed)
        self.place.reset()
        if row.fresh:
            self.place.restore()
        if row.before:
            seen = self.free.attempt(Work(row.group, row.name, row.before, patience=row.patience))
            if seen["status"] != 0:
                return [f"cannot prepare it: {seen}"]
        return []

    def work(self, row):
        if faults := self.prepare(row):
            return faults
        seen = self.fenced.attempt(row)
        events = self.log.until_bookmark()
        faults = [f"a violation: {brief(event)}" for event in events if not met(row, event)]
        if seen["status"] != 0:
            faults.append(f"it ended with status {seen['status']}")
        if row.prints not in seen["out"]:
            faults.append(f"it did not print {row.prints!r}")
        if faults:
            faults.append(f"output: {tail(seen['out'])}\nerrors: {tail(seen['err'])}")
            free = self.prepare(row) or self.free.attempt(row)
            faults.append(f"free of Picket: {tail(str(free))}")
        return faults

    def misdeed(self, row):
        key = (row.group, row.name)
        if key not in controls:
            if faults := self.prepare(row):
                return faults
            seen = self.free.attempt(row)
            controls[key] = None if row.worked(self.place, seen["out"]) else seen
        if controls[key] is not None:
            return [f"it does not work free of Picket either: {tail(str(controls[key]))}"]
        if faults := self.prepare(row):
            return faults
        seen = self.fenced.attempt(row)
        worked = row.worked(self.place, seen["out"])
        events = self.log.until_bookmark()
        faults = []
        if worked:
            faults.append("it worked")
        rights, subject, *or_none = row.refused
        subject = subject and self.place.expand(subject)
        told = [event for event in events if tells_of(event, rights.split("|"), subject, *or_none)]
        if not told:
            faults.append(f"nothing tells that {rights} was refused on {subject}")
        elif row.reasoned and not any((event.get("rule") or {}).get("reason") for event in told):
            faults.append("no reason is given")
        if row.once and len(events) != 1:
            faults.append(f"{len(events)} events instead of one")
        if faults:
            faults += [f"event: {brief(event)}" for event in events]
            faults.append(f"output: {tail(seen['out'])}\nerrors: {tail(seen['err'])}")
        return faults


def met(row, event):
    """Whether the row says that its programs meet this refusal and live with it."""
    return any(
        event["because"] == [right] and re.fullmatch(pattern, event.get("subject") or "")
        for right, pattern in row.meets
    )


def tells_of(event, rights, subject, or_none=False):
    named = [event.get("subject"), event.get("peer")]
    return (
        event["verdict"] == "deny"
        and any(right in event["because"] for right in rights)
        and (
            subject is None
            or subject in named
            or matches(subject, named)
            or (or_none and not event.get("subject"))
        )
    )


def matches(subject, named):
    """Subjects with a part that is not known beforehand have a `*` for it."""
    if "*" not in subject:
        return False
    pattern = ".*".join(map(re.escape, subject.split("*")))
    return any(name and re.fullmatch(pattern, name) for name in named)


def brief(event):
    rule = event.get("rule") or {}
    peer = f" -> {event['peer']}" if event.get("peer") else ""
    fault = f", fault {event['fault']}" if event.get("fault") else ""
    why = f"{rule.get('file', '')}:{rule.get('line', '')} {rule.get('reason', 'nothing allows it')}"
    what = f"{event['comm']}: {event['op']} {'+'.join(event['because'])} {event.get('subject')}"
    return f"{event['verdict']} {what}{peer} ({why}{fault})"


def tail(text, most=2000):
    return text if len(text) <= most else "... " + text[-most:]
