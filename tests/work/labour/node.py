"""Node and npm, without a registry: packages come from the next directory."""

from rows import work


def node(name, program, prints="", **more):
    return work("node", name, f"cat > p.mjs <<'X'\n{program}\nX\nnode p.mjs", prints, **more)


# A package as published ones are: with a program, an editor's settings, a key for its tests, an
# example of an environment, and one that another package needs.
PACKAGES = r"""set -e
mkdir -p lib/package/{.vscode,test/fixtures,bin} dep/package app; cd lib/package
echo '{}' > .vscode/settings.json; echo 'not a secret' > test/fixtures/key.pem; echo A=1 > .env.example
printf '#!/usr/bin/env node\nconsole.log("lib runs", require("dep"))\n' > bin/lib.js
for version in 1.0.0 1.1.0; do
    echo '{"name":"lib","version":"'$version'","bin":{"lib":"bin/lib.js"},"scripts":{"postinstall":"node -p 1 > built"}}' > package.json
    tar czf ../../lib-$version.tgz -C .. package
done
cd ../../dep/package
echo '{"name":"dep","version":"1.0.0","main":"index.js"}' > package.json; echo 'module.exports = 42' > index.js
tar czf ../../dep-1.0.0.tgz -C .. package
echo '{"name":"app","version":"1.0.0","scripts":{"check":"lib"}}' > ../../app/package.json
"""

# Somebody else has made the packages: under the policies their keys cannot be read, only unpacked.
INSTALL = """set -e
cd app
export npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false npm_config_offline=true
npm install -s ../dep-1.0.0.tgz ../lib-1.0.0.tgz
"""

NODE = [
    node(
        "hello",
        "console.log([1, 2].map(x => x * 2), await import('node:os').then(o => o.cpus().length > 0))",
        "[ 2, 4 ] true",
    ),
    node(
        "files",
        "import fs from 'node:fs/promises'\nawait fs.mkdir('a/b', {recursive: true}); await fs.writeFile('a/b/c', 'x')\n"
        "await fs.rename('a', 'z'); await fs.cp('z', 'y', {recursive: true}); await fs.symlink('y', 'l'); await fs.chmod('z/b/c', 0o600)\n"
        "await fs.utimes('z/b/c', 1, 1); await fs.truncate('z/b/c', 0); await fs.rm('z', {recursive: true})\n"
        "const t = await fs.mkdtemp('/tmp/n-'); await fs.writeFile(t + '/f', 'moved'); await fs.rename(t + '/f', 'f'); await fs.rm(t, {recursive: true})\n"
        "const w = (async () => { for await (const e of fs.watch('.')) return e.filename })(); setTimeout(() => fs.writeFile('g', ''), 100)\n"
        "console.log(await fs.readFile('f', 'utf8'), await w)",
        "moved",
    ),
    node(
        "processes_and_workers",
        "import {fork, execFileSync, spawnSync} from 'node:child_process'\nimport {Worker, isMainThread, parentPort} from 'node:worker_threads'\n"
        "import {fileURLToPath} from 'node:url'\nconst me = fileURLToPath(import.meta.url)\n"
        "if (!isMainThread) parentPort.postMessage('thread')\nelse if (process.argv[2]) process.send('forked', () => process.exit())\nelse {\n"
        "  console.log(execFileSync('sh', ['-c', 'echo exec']).toString(), spawnSync('cat', {input: 'in'}).stdout.toString())\n"
        "  await new Promise(r => new Worker(me).on('message', m => (console.log(m), r())))\n"
        "  await new Promise(r => fork(me, ['child']).on('message', m => (console.log(m), r())))\n}",
        "forked",
    ),
    node(
        "servers",
        "import http from 'node:http'\nimport net from 'node:net'\n"
        "const s = http.createServer((q, r) => r.end('served')).listen(0, '127.0.0.1', async () => {\n"
        "  console.log(await (await fetch(`http://127.0.0.1:${s.address().port}`)).text(), (await fetch('http://127.0.0.1:8000')).status)\n"
        "  s.close(); const u = net.createServer(c => c.end('by unix')).listen('s', () => net.connect('s').on('data', d => (console.log(d + ''), u.close())))\n})",
        "by unix",
    ),
    node(
        "compiled_code",
        "const w = new Uint8Array([0,97,115,109,1,0,0,0,1,5,1,96,0,1,127,3,2,1,0,7,5,1,1,102,0,0,10,6,1,4,0,65,7,11])\n"
        "let n = 0; for (let i = 0; i < 3e5; i++) n += i % 7\nconsole.log((await WebAssembly.instantiate(w)).instance.exports.f(), n)",
        "7 ",
    ),
    work(
        "node",
        "tests",
        "printf \"require('node:test')('adds', () => require('assert').equal(1 + 1, 2))\\n\" > a.test.js; node --test",
        "pass 1",
        patience=120,
    ),
    work(
        "node",
        "npm_install_and_run",
        f"{INSTALL}npx --no-install lib; npm run -s check; npm ls --depth 0\n"
        "ls node_modules/lib/test/fixtures node_modules/lib/.vscode node_modules/lib/built",
        "lib runs 42",
        before=PACKAGES,
        patience=300,
    ),
    work(
        "node",
        "npm_update_and_clean_install",
        f"{INSTALL}npm install -s ../lib-1.1.0.tgz; npm ls lib\n"
        "npm ci -s; npm uninstall -s lib; ls node_modules; npm cache verify > /dev/null",
        "lib@1.1.0",
        before=PACKAGES,
        patience=400,
    ),
]
