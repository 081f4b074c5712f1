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
import secrets
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import attempts
from servers import Datagrams, Stream, serve_repository

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = ["bash", "gcc", "git", "ip", "make", "python3", "sed", "tar"]
PATIENCE = 30  # seconds until Picket must have reported what has happened


def tell(kind, **fields):
    print(json.dumps({"type": kind, **fields}), flush=True)


class Stage:
    """Everything that the agent finds, and what it must not touch."""

    def __init__(self, base, home, user):
        self.base, self.home, self.user = base, home, user
        self.workspace = f"{home}/project"
        self.tries = f"{self.workspace}/try"
        self.secrets = {name: secrets.token_hex(16) for name in ("key", "neighbour")}
        self.planted = {
            "~/.ssh/id_ed25519": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{self.secrets['key']}\n",
            "~/thesis.txt": "Three years of work.\n",
            "~/photos/1.jpg": "A picture.\n",
            "~/.bashrc": "# nothing yet\n",
            "~/.gitconfig": "[user]\n\tname = Agent\n\temail = agent@example.com\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n",
        }
        self.program("helper", 0o4755)
        os.mkdir(f"{base}/agent")
        for name in ("agent.py", "tricks.py", "neighbour.py", "payload.c"):
            shutil.copy(f"{HERE}/{name}", f"{base}/agent")
            os.chmod(f"{base}/agent/{name}", 0o644)
        with open(f"{base}/bookmark", "w") as file:
            file.write("The demo reads this between two attempts.\n")
        self.own(home)
        self.plant()
        for directory in (self.workspace, self.tries):
            os.makedirs(directory, exist_ok=True)
            self.own(directory)
        self.servers = {
            "metadata": Stream.inet("169.254.169.254", 80),
            "resolver": Datagrams.inet("169.254.169.254", 53),
            "database": Stream.inet("127.0.0.1", 5432),
            "docker": Stream.unix(f"{base}/docker.sock"),
            "journal": Datagrams.unix(f"{base}/journal.sock"),
            "bus": Stream.unix("\0session-bus"),
        }
        self.neighbour = Neighbour(self)
        self.free = None

    def program(self, name, mode):
        """Compiles a program of the set-up's own."""
        path = f"{self.base}/{name}"
        subprocess.run(["gcc", "-O1", "-o", path, f"{HERE}/{name}.c"], check=True)
        os.chmod(path, mode)

    def own(self, path):
        os.chown(path, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)

    def path(self, text):
        return self.home + text[1:] if text.startswith("~/") else text

    def expand(self, text):
        """A subject as Picket reports it."""
        for name, value in self.names().items():
            text = text.replace(f"${name}", value)
        return self.path(text)

    def names(self):
        """What commands and subjects can refer to."""
        return {
            "BASE": self.base,
            "TRY": self.tries,
            "HELPER": f"{self.base}/helper",
            "NEIGHBOUR": str(self.neighbour.pid),
            "ADDRESS": self.neighbour.address,
            "LD_SO": os.path.realpath("/lib64/ld-linux-x86-64.so.2"),
            "NC": os.path.realpath(shutil.which("nc") or "/usr/bin/nc"),
        }

    def changed(self, text):
        try:
            with open(self.path(text)) as file:
                return file.read() != self.planted[text]
        except FileNotFoundError:
            return True

    def plant(self):
        """Puts everything back in its place, whatever an attempt did to it."""
        for text, content in self.planted.items():
            path = self.path(text)
            parent = os.path.dirname(path)
            if not os.path.isdir(parent):
                os.mkdir(parent, 0o700)
                self.own(parent)
            if self.changed(text):
                with open(path, "w") as file:
                    file.write(content)
                os.chmod(path, 0o600)
                self.own(path)
        if not os.path.isdir(f"{self.home}/empty"):
            os.mkdir(f"{self.home}/empty")
            self.own(f"{self.home}/empty")
        remove(f"{self.home}/new")

    def reset(self):
        """Makes the stage ready for another attempt."""
        remove(self.tries)
        os.makedirs(self.tries)
        self.own(self.tries)
        self.plant()
        for server in self.servers.values():
            server.heard()
        if self.neighbour.died():
            self.neighbour.stop()
            self.neighbour = Neighbour(self)

    def missing(self, need):
        """Why something that an attempt needs is not here; None if it is."""
        if need == "nc" and not shutil.which("nc"):
            return "nc is not installed"
        if need == "setuid" and os.statvfs(self.base).f_flag & os.ST_NOSUID:
            return f"{self.base} is mounted nosuid"
        if need == "sudo" and not self.sudo():
            return f"{self.user.pw_name} cannot use sudo without a password"
        return None

    def sudo(self):
        if not shutil.which("sudo"):
            return False
        probe = self.start(["sudo", "-n", "true"], stderr=subprocess.DEVNULL)
        return probe.wait() == 0

    def environment(self):
        return {
            "HOME": self.home,
            "USER": self.user.pw_name,
            "LOGNAME": self.user.pw_name,
            "SHELL": "/bin/bash",
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
        }

    def start(self, command, **options):
        """Starts a program as the agent's user, free of Picket."""
        options.setdefault("env", self.environment())
        return subprocess.Popen(
            command,
            user=self.user.pw_uid,
            group=self.user.pw_gid,
            extra_groups=os.getgrouplist(self.user.pw_name, self.user.pw_gid),
            cwd=self.workspace if os.path.isdir(self.workspace) else "/",
            **options,
        )


class Neighbour:
    """Another process of the same user."""

    def __init__(self, stage):
        environment = {**stage.environment(), "NEIGHBOUR_SECRET": stage.secrets["neighbour"]}
        self.process = stage.start(
            ["python3", "-IS", f"{stage.base}/agent/neighbour.py"], env=environment, stdout=subprocess.PIPE
        )
        self.pid = self.process.pid
        self.address = self.process.stdout.readline().decode().strip()

    def died(self):
        return self.process.poll() is not None

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


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
        self.process.stdin.write(json.dumps(task).encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise Failure(f"the agent ended in the middle of: {row.says}")
        return json.loads(answer)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Failure(Exception):
    """The demo itself cannot go on."""


class Log:
    """Picket's log, followed."""

    def __init__(self, path, bookmark):
        self.path, self.bookmark, self.file, self.part = path, bookmark, None, ""

    def until_bookmark(self):
        """Every violation up to the next bookmark."""
        found, end = [], time.monotonic() + PATIENCE
        while time.monotonic() < end:
            line = self.line()
            if line is None:
                time.sleep(0.005)
                continue
            event = json.loads(line)
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


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def make_repository(stage):
    """A bare repository, as it would be on a server."""
    bare, work = f"{stage.base}/www/shop.git", f"{stage.base}/shop"
    shutil.copytree(f"{HERE}/shop", work)
    git = ["git", "-C", work, "-c", "user.name=Shop", "-c", "user.email=shop@example.com"]
    quiet = {"check": True, "env": {**os.environ, "HOME": stage.base}}
    subprocess.run([*git, "init", "-q", "-b", "main"], **quiet)
    subprocess.run([*git, "add", "."], **quiet)
    subprocess.run([*git, "commit", "-qm", "Add up a basket"], **quiet)
    subprocess.run(["git", "clone", "-q", "--bare", work, bare], **quiet)
    subprocess.run(["git", "-C", bare, "update-server-info"], **quiet)
    serve_repository(f"{stage.base}/www", 8000)


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


def perform(stage, free, fenced, log):
    """Every row of attempts.py, free and then under Picket."""
    for row in attempts.ALL:
        line = {"group": row.group, "says": row.says, "honest": row.refused is None}
        if why := row.needs and stage.missing(row.needs):
            tell("attempt", **line, skipped=why)
            continue
        started = time.monotonic()
        if row.refused:
            right, subject = row.refused
            stage.reset()
            seen = free.attempt(row)
            line["control"] = row.worked(stage, seen["out"])
            line["control_saw"] = seen
        stage.reset()
        line["expected"] = row.refused and {
            "rights": right.split("|"),
            "subject": subject and stage.expand(subject),
        }
        seen = fenced.attempt(row)
        worked = row.worked(stage, seen["out"])
        for event in log.until_bookmark():
            tell("violation", event=event)
        took = time.monotonic() - started
        tell("attempt", **line, worked=worked, saw=seen, seconds=round(took, 3))


def run_away(stage, fenced, log):
    """Leaves a process behind when the agent ends; whether it could be found, and then could not."""
    row = attempts.shell("setsid -f sleep 1000 > /dev/null 2>&1; sleep 0.5", None)
    fenced.attempt(row)
    log.until_bookmark()
    before = [pid for pid in left_over(stage) if is_sleep(pid)]
    fenced.stop()
    return {"left": len(before), "still": len(left_over(stage))}


def is_sleep(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip() == "sleep"
    except OSError:
        return False


def prepare_network():
    """Loopback, with the address of the clouds' metadata service on it: nothing that the agent
    does can reach a real one."""
    if os.path.samefile("/proc/self/ns/net", "/proc/1/ns/net"):
        raise Failure("start it as xtask does, in a network namespace of its own: unshare --net ...")
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
        os.makedirs(home, exist_ok=True)
        run(Stage(base, home, pwd.getpwnam(arguments.user)), arguments)
    finally:
        shutil.rmtree(base)


def run(stage, arguments):
    make_repository(stage)
    log = Log(f"{stage.base}/log", f"{stage.base}/bookmark")
    said = open(f"{stage.base}/said", "w+")
    tell("stage", kernel=os.uname().release, user=stage.user.pw_name, home=stage.home, base=stage.base,
         workspace=stage.workspace)
    started = time.monotonic()
    free = Agent(stage, stage.start(Agent.command(stage), stdin=subprocess.PIPE, stdout=subprocess.PIPE))
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
