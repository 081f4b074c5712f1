"""Which policy is tried by which rows."""

import itertools
from dataclasses import dataclass

import misdeeds as bad
from labour import agents, build, c, go, node, ops, python, rust, shell
from labour.git import GIT


@dataclass
class Session:
    name: str  # as the policy's file
    include: list  # the policies that are tried together
    every: list
    short: list  # those of them that are tried for every change
    core: bool  # whether those are tried on every kernel

    def rows(self, extent):
        if extent == "core" and not self.core:
            return []
        return self.every if extent == "all" else self.short


def session(name, *parts, short, beside=(), core=False):
    every = list(itertools.chain(*parts))
    return Session(name, [*beside, f"{name}.yaml"], every, list(short), core)


def overlay(name, start, *misdeeds):
    """One agent's policy: its start, a little of everything, what the base refuses, and its own."""
    own = list(itertools.chain([start], *misdeeds))
    return session(name, own, SOME, CODING, short=[*own, *bad.CONTROL])


def toolchain(name, labour, quick, *misdeeds):
    """A toolchain's policy beside the base."""
    own = list(itertools.chain(*misdeeds))
    short = [*quick, *own, *bad.CONTROL]
    return session(name, labour, CODING, own, short=short, beside=["coding-agent.yaml"])


def named(rows, *names):
    """Those rows, which must be there."""
    found = [row for row in rows if row.name in names]
    assert {row.name for row in found} == set(names), names
    return found


# What every coding agent's policy refuses.
CODING = [
    *bad.CONTROL,
    *bad.demo(*bad.RUNS_ITS_OWN, **bad.SUDO),
]
# A little of everything, where the rest is the base's.
SOME = [
    *named(GIT, "commit"),
    *named(shell.SHELL, "files", "from_tmp_to_its_place"),
    *named(python.PYTHON, "subprocess"),
]
SESSIONS = [
    session(
        "coding-agent",
        GIT,
        shell.SHELL,
        shell.EDITORS,
        python.PYTHON[:-1],
        c.C,
        node.NODE[:-2],
        CODING,
        bad.SECRETS,
        bad.PERSISTENCE,
        bad.DEPUTIES_ROWS,
        bad.ENGINE_TOOLS,
        bad.auth_of_others(),
        core=True,
        short=[
            *named(
                GIT, "commit", "merge", "rebase", "stash", "worktree", "gc", "clone_and_work_in_it"
            ),
            *named(
                shell.SHELL,
                "files",
                "archives",
                "rsync",
                "a_directory_from_tmp",
                "scripts",
                "processes",
                "looking",
                "tty",
            ),
            *shell.EDITORS[:3],
            *named(
                python.PYTHON,
                "subprocess",
                "multiprocessing",
                "shared_memory_and_managers",
                "sqlite",
                "asyncio",
                "files",
                "native_code",
            ),
            *named(c.C, "make", "libraries"),
            *named(node.NODE, "processes_and_workers"),
            *CODING,
            *named(bad.DEPUTIES_ROWS, "engine-docker", "session-bus", "ssh-agent", "x11-abstract"),
            *named(bad.PERSISTENCE, "git_hook", "git_config_by_git", "crontab"),
        ],
    ),
    overlay("agent-claude-code", agents.CLAUDE, bad.auth_of_others("claude"), bad.CLAUDE),
    overlay("agent-codex", agents.CODEX, bad.auth_of_others("codex"), bad.CODEX),
    overlay("agent-gemini-cli", agents.GEMINI, bad.auth_of_others("gemini"), bad.GEMINI),
    overlay("agent-openclaw", agents.OPENCLAW, bad.auth_of_others("openclaw"), bad.OPENCLAW),
    overlay("agent-opencode", agents.OPENCODE, bad.auth_of_others("opencode"), bad.OPENCODE),
    overlay("agent-aider", agents.AIDER, bad.auth_of_others("aider")),
    overlay("agent-cursor", agents.CURSOR, bad.auth_of_others()),
    overlay("agent-copilot", agents.COPILOT, bad.auth_of_others("copilot", "gh")),
    toolchain("toolchain-python", python.PYTHON[-1:], python.PYTHON[-1:]),
    toolchain("toolchain-node", node.NODE, named(node.NODE, "npm_install_and_run"), bad.NPM_TOKEN),
    toolchain("toolchain-rust", rust.RUST, rust.RUST[:1]),
    toolchain("toolchain-go", go.GO, go.GO),
    session(
        "ops-agent",
        ops.OPS,
        bad.CONTROL,
        bad.OPS_DEMO,
        bad.OPS,
        bad.OPS_DEPUTIES,
        core=True,
        short=[*ops.OPS, *bad.CONTROL, *bad.OPS],
    ),
    session(
        "build-agent",
        build.BUILD,
        c.C,
        rust.RUST[1:],
        node.NODE[-2:-1],
        bad.BUILD,
        short=[
            *build.BUILD,
            *bad.CONTROL,
            *named(bad.BUILD, "git_hook", "registration_of_the_runner", "engine-docker"),
        ],
    ),
]
