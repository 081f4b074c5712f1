"""What each agent does when it starts: its own files, locks and programs, done by scripts in their
places. The agents themselves come from registries that a test cannot reach; what they read, write
and rename is from their documentation and from public traces."""

from rows import PS, work


def agent(name, install, start, **more):
    return work(
        "start",
        name,
        f"set -e\n{start}\necho started",
        "started",
        before=f"set -e\n{install}",
        patience=90,
        **more,
    )


# An interpreter in place of a single-file program, where its installer puts it.
def program(path, link=""):
    linked = f"; mkdir -p ~/.local/bin; ln -sf {path} {link}" if link else ""
    return f"mkdir -p $(dirname {path}); cp /usr/bin/bash {path}{linked}\n"


# Files that are written beside and renamed, as all of them do with what must not be half written.
def replaces(path):
    return f"echo '{{}}' > {path}.tmp.$$.1; mv {path}.tmp.$$.1 {path}; cat {path} > /dev/null\n"


CLAUDE = agent(
    "claude",
    program("~/.local/share/claude/versions/2.0.1", "~/.local/bin/claude")
    + "mkdir -p ~/.claude; echo {} > ~/.claude.json",
    # What it looks for and starts first.
    "claude=$(readlink -f ~/.local/bin/claude); ~/.local/bin/claude -c 'echo version'\n"
    "$claude <<'X'\nset -e\n"
    'for p in npm bun yarn deno pnpm node git zsh bash bwrap socat; do /bin/sh -c "which $p" || true; done\n'
    "ps aux | grep -c code || true; uname -sr; git --version; npm root -g\n"
    "mkdir ~/.claude.json.lock; cp ~/.claude.json ~/.claude.json.backup.1\n"
    + replaces("~/.claude.json")
    + "rmdir ~/.claude.json.lock; cat ~/.claude/settings.json ~/.claude/.credentials.json > /dev/null\n"
    + replaces("~/.claude/.credentials.json")
    + "mkdir -p ~/.claude/{projects/x,todos,shell-snapshots,statsig} ~/.local/state/claude/locks ~/.cache/claude-cli-nodejs/x ~/.config/claude\n"
    "echo '{}' >> ~/.claude/projects/x/session.jsonl; echo 1 > ~/.local/state/claude/locks/2.0.1.lock; echo x > ~/.cache/claude-cli-nodejs/x/log\n"
    "/bin/bash -c -l 'SNAPSHOT=~/.claude/shell-snapshots/s.sh; { declare -f; shopt -p; set -o | grep on$ | head -n2 | while read -r o _; do echo set -o $o; done; alias; echo \"export PATH=$PATH\"; } > $SNAPSHOT; awk 1 $SNAPSHOT | sed -n 1p | cut -c1 | head -n1'\n"
    "mkdir -p /tmp/claude-$UID; bash -c '. ~/.claude/shell-snapshots/s.sh; pwd -P > /tmp/claude-77-cwd'; cat /tmp/claude-77-cwd; rm /tmp/claude-77-cwd\n"
    "cat ../.claude/settings.json ../.mcp.json ../AGENTS.md > /dev/null\n"
    "echo ready\nX",
    meets=PS,
)

CODEX = agent(
    "codex",
    program("~/.codex/packages/standalone/codex", "~/.local/bin/codex")
    + "mkdir -p ~/.agents/skills; echo s > ~/.agents/skills/s",
    "~/.local/bin/codex <<'X'\nset -e\ncat ~/.codex/config.toml ~/.codex/auth.json ~/.agents/skills/s > /dev/null; cat ../AGENTS.md > /dev/null\n"
    + replaces("~/.codex/auth.json")
    + "mkdir -p ~/.codex/{sessions/2026/01/01,log,tmp} ~/.cache/codex; echo '{}' >> ~/.codex/sessions/2026/01/01/rollout.jsonl; echo x >> ~/.codex/history.jsonl; echo l > ~/.codex/log/codex-tui.log; echo 1 > ~/.codex/version.json\n"
    "python3 -c 'import sqlite3; sqlite3.connect(\"'$HOME'/.codex/state.sqlite\").execute(\"create table if not exists t (x)\")'\n"
    "python3 -c 'import socket; s = socket.socket(); s.bind((\"127.0.0.1\", 1455)); s.listen()'\nX",
)

GEMINI = agent(
    "gemini",
    "mkdir -p ~/.gemini",
    "node - <<'X'\nconst fs = require('fs'), h = require('os').homedir(), d = h + '/.gemini'\n"
    "for (const f of ['oauth_creds.json', 'settings.json']) fs.readFileSync(`${d}/${f}`)\n"
    "fs.writeFileSync(d + '/oauth_creds.json', '{}', {mode: 0o600}); fs.mkdirSync(d + '/tmp/hash/chats', {recursive: true})\n"
    "fs.writeFileSync(d + '/tmp/hash/logs.json.tmp', '[]'); fs.renameSync(d + '/tmp/hash/logs.json.tmp', d + '/tmp/hash/logs.json'); fs.writeFileSync(d + '/installation_id', 'x')\n"
    "fs.mkdirSync(h + '/.cache/gemini', {recursive: true}); for (const f of ['/etc/gemini-cli/settings.json', h + '/.gemini/GEMINI.md']) try { fs.readFileSync(f) } catch (e) { if (e.code != 'ENOENT') throw e }\n"
    "require('child_process').execSync('git status'); require('child_process').execSync('bash -c \"ls\"')\nX",
)

OPENCODE = agent(
    "opencode",
    program("~/.opencode/bin/opencode") + "mkdir -p ~/.config/opencode",
    "~/.opencode/bin/opencode <<'X'\nset -e\ncat ~/.config/opencode/opencode.json ~/.local/share/opencode/auth.json > /dev/null\n"
    "mkdir -p ~/.cache/opencode/bin ~/.local/share/{opencode/{log,storage/session},opentui} ~/.local/state/opencode; cp /usr/bin/rg ~/.cache/opencode/bin/rg; ~/.cache/opencode/bin/rg -c x < ../AGENTS.md || true\n"
    + replaces("~/.local/share/opencode/storage/session/x.json")
    + "echo l > ~/.local/share/opencode/log/l; echo x > ~/.local/state/opencode/tui; git rev-parse HEAD\n"
    "python3 -c 'import socket; s = socket.socket(); s.bind((\"127.0.0.1\", 4096)); s.listen(); socket.create_connection(s.getsockname())'\nX",
)

OPENCLAW = agent(
    "openclaw",
    program("~/.openclaw/bin/openclaw", "~/.local/bin/openclaw"),
    "~/.local/bin/openclaw <<'X'\nset -e\ncat ~/.openclaw/credentials/x.json ~/.openclaw/exec-approvals.json > /dev/null\n"
    "mkdir -p ~/.openclaw/{agents/main/sessions,logs,workspace} /tmp/openclaw-$UID ~/.config/openclaw; echo x >> ~/.openclaw/agents/main/sessions/s.jsonl\n"
    + replaces("~/.openclaw/openclaw.json")
    + "python3 -c 'import socket; s = socket.socket(); s.bind((\"127.0.0.1\", 18789)); s.listen(); socket.create_connection(s.getsockname())'\nX",
)

AIDER = agent(
    "aider",
    "mkdir -p ~/.local/share/uv/tools; python3 -m venv --without-pip ~/.local/share/uv/tools/aider-chat; mkdir -p ~/.local/bin\n"
    "printf '#!%s\\nimport runpy; print(\"aider\")\\n' ~/.local/share/uv/tools/aider-chat/bin/python > ~/.local/share/uv/tools/aider-chat/bin/aider\n"
    "chmod +x ~/.local/share/uv/tools/aider-chat/bin/aider; ln -sf ~/.local/share/uv/tools/aider-chat/bin/aider ~/.local/bin/aider",
    "~/.local/bin/aider; cat ~/.aider.conf.yml > /dev/null; mkdir -p ~/.aider/caches ~/.cache/aider; echo x > ~/.aider/analytics.json\n"
    + replaces("~/.aider/caches/models.json")
    + "echo h >> .aider.chat.history.md; echo h >> .aider.input.history; mkdir .aider.tags.cache.v4\n"
    'python3 -c \'import sqlite3; sqlite3.connect(".aider.tags.cache.v4/cache.db").execute("create table t (x)")\'; git -C .. ls-files > /dev/null',
)

CURSOR = agent(
    "cursor",
    program("~/.local/share/cursor-agent/versions/1/cursor-agent", "~/.local/bin/cursor-agent"),
    "~/.local/bin/cursor-agent <<'X'\nset -e\nmkdir -p ~/.cursor/{chats/x,projects/x} ~/.config/cursor ~/.cache/cursor-compile-cache\n"
    + replaces("~/.config/cursor/auth.json")
    + replaces("~/.cursor/cli-config.json")
    + "cat ~/.cursor/mcp.json > /dev/null; echo x > ~/.cursor/chats/x/store.db; echo x > ~/.cache/cursor-compile-cache/x; git status > /dev/null\nX",
)

COPILOT = agent(
    "copilot",
    "mkdir -p ~/.copilot",
    "cat ~/.config/gh/hosts.yml ~/.copilot/config.json > /dev/null; mkdir -p ~/.copilot/{logs,session-state,pkg/x} ~/.cache/copilot\n"
    + replaces("~/.copilot/config.json")
    + 'echo l > ~/.copilot/logs/l; cp /usr/bin/rg ~/.copilot/pkg/x/rg; node -e \'require("child_process").execSync("git status")\'',
)
