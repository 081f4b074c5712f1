"""What the rows stand on: running commands, asking the daemon, and the agent with its counts."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
STAGE = "/srv/agent"
SOCKET = "/run/picket/picket.sock"
LOG = "/var/log/picket/events.jsonl"
POLICY = "/etc/picket/policies/guarded.yaml"
PATIENCE = 60

GUARDED = f"""\
apiVersion: picket.dev/v1alpha1
kind: AgentPolicy
metadata:
  name: guarded
spec:
  files:
    - allow: [read, list]
      paths: ["/usr/**", "/etc/**", "/proc/self/**", "{STAGE}/**"]
    - allow: [read, write, create]
      paths: ["{STAGE}/counts"]
    - deny: [read]
      paths: ["{STAGE}/forbidden"]
      reason: the test's own secret
"""


class Failed(Exception):
    """A row's expectation was not met; says which."""


def expect(true, what):
    if not true:
        raise Failed(what)


class Unix(http.client.HTTPConnection):
    """HTTP on the control socket."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(SOCKET)


class Host:
    """The machine, and the two versions of the package."""

    def __init__(self, first, following):
        self.first, self.following = first, following
        self.agent = None
        os.makedirs(STAGE, exist_ok=True)
        for name in ["forbidden", "allowed"]:
            with open(f"{STAGE}/{name}", "w") as file:
                file.write(name)

    def run(self, *words, code=0):
        """What a command printed, errors too; it must end with `code`."""
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        expect(done.returncode == code, f"{' '.join(words)}: ended with {done.returncode}\n{done.stdout}")
        return done.stdout

    def ask(self, method, path, body=None):
        """The daemon's answer."""
        connection = Unix("picket")
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read().decode()
        except OSError as error:
            raise Failed(f"{method} {path}: {error}") from None
        finally:
            connection.close()
        expect(answer.status < 300, f"{method} {path}: {answer.status} {text}")
        return json.loads(text) if text else None

    def until(self, what, true):
        """Waits until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            expect(time.monotonic() < deadline, f"not within {PATIENCE} s: {what}")
            time.sleep(0.05)

    def notices(self):
        """What the daemon said of itself, in order: pairs of words and detail."""
        with open(LOG) as file:
            lines = [json.loads(line) for line in file]
        return [(line["what"], line.get("detail", "")) for line in lines if line["type"] == "notice"]

    def daemon(self):
        """The daemon's pid, as systemd knows it."""
        return int(self.run("systemctl", "show", "-P", "MainPID", "picket.service"))

    def confine(self):
        """Starts the agent under the policy of the directory."""
        # It must be able to read its own program.
        shutil.copy(f"{HERE}/agent.py", STAGE)
        words = [sys.executable, "-I", "-B", f"{STAGE}/agent.py"]
        words += [f"{STAGE}/{name}" for name in ["forbidden", "allowed", "counts"]]
        self.agent = subprocess.Popen(words, stdin=subprocess.PIPE, cwd="/")
        made = self.ask("POST", "/v1/agents", {"policy": "guarded"})
        self.ask("POST", f"/v1/agents/{made['id']}/processes", {"pid": self.agent.pid})
        self.agent.stdin.write(b"go\n")
        self.agent.stdin.flush()
        return made["id"]

    def counts(self):
        """How often the agent escaped, was hindered, and tried."""
        try:
            with open(f"{STAGE}/counts") as file:
                escaped, hindered, rounds = map(int, file.read().split())
        except (FileNotFoundError, ValueError):
            # Not there yet, or there and still empty.
            return 0, 0, 0
        return escaped, hindered, rounds

    def still_confined(self):
        """The agent goes on, and neither got out nor was hindered, from its start until now."""
        expect(self.agent and self.agent.poll() is None, "the agent has ended")
        _, _, before = self.counts()
        self.until("the agent goes on", lambda: self.counts()[2] > before + 20)
        escaped, hindered, rounds = self.counts()
        expect(escaped == 0, f"of {rounds} times the agent read what it may not {escaped} times")
        expect(
            hindered == 0,
            f"of {rounds} times the agent could not read what it may {hindered} times\n{self.unexpected()}",
        )

    def unexpected(self):
        """What was refused to the agent beside its secret."""
        with open(LOG) as file:
            lines = [line for line in file if '"agent":"guarded"' in line and "/forbidden" not in line]
        return "".join(lines[-5:])

    def end_agent(self):
        if self.agent:
            self.agent.kill()
            self.agent.wait()
            self.agent = None

    def journal(self):
        done = subprocess.run(
            ["journalctl", "--no-pager", "--lines=60", "--unit=picket"], stdout=subprocess.PIPE, text=True
        )
        return done.stdout
