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
    core: list  # those of them that are tried on every kernel

    def rows(self, core):
        return self.core if core else self.every


def session(name, *parts, beside=(), core=()):
    every = list(itertools.chain(*parts))
    return Session(name, [*beside, f"{name}.yaml"], every, list(core))


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
BESIDE = ("coding-agent.yaml",)

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
        core=[
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
    session(
        "agent-claude-code", [agents.CLAUDE], SOME, CODING, bad.auth_of_others("claude"), bad.CLAUDE
    ),
    session("agent-codex", [agents.CODEX], SOME, CODING, bad.auth_of_others("codex"), bad.CODEX),
    session(
        "agent-gemini-cli", [agents.GEMINI], SOME, CODING, bad.auth_of_others("gemini"), bad.GEMINI
    ),
    session(
        "agent-openclaw",
        [agents.OPENCLAW],
        SOME,
        CODING,
        bad.auth_of_others("openclaw"),
        bad.OPENCLAW,
    ),
    session(
        "agent-opencode",
        [agents.OPENCODE],
        SOME,
        CODING,
        bad.auth_of_others("opencode"),
        bad.OPENCODE,
    ),
    session("agent-aider", [agents.AIDER], SOME, CODING, bad.auth_of_others("aider")),
    session("agent-cursor", [agents.CURSOR], SOME, CODING, bad.auth_of_others()),
    session("agent-copilot", [agents.COPILOT], SOME, CODING, bad.auth_of_others("copilot", "gh")),
    session("toolchain-python", python.PYTHON[-1:], CODING, beside=BESIDE),
    session("toolchain-node", node.NODE, CODING, bad.NPM_TOKEN, beside=BESIDE),
    session("toolchain-rust", rust.RUST, CODING, beside=BESIDE),
    session("toolchain-go", go.GO, CODING, beside=BESIDE),
    session(
        "ops-agent",
        ops.OPS,
        bad.CONTROL,
        bad.OPS_DEMO,
        bad.OPS,
        bad.OPS_DEPUTIES,
        core=[*ops.OPS, *bad.OPS],
    ),
    session("build-agent", build.BUILD, c.C, rust.RUST[1:], node.NODE[-1:], bad.BUILD),
]
