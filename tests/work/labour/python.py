"""Python, with what its programs do to processes, files and sockets."""

from rows import work


def python(name, program, prints="", **more):
    """A program of its own in a file, as multiprocessing wants it."""
    return work("python", name, f"cat > p.py <<'X'\n{program}\nX\npython3 p.py", prints, **more)


WHEEL = """set -e
mkdir -p w/nice w/nice-1.0.dist-info
echo 'def main(): print("nice to meet you")' > w/nice/__init__.py
printf 'Metadata-Version: 2.1\\nName: nice\\nVersion: 1.0\\n' > w/nice-1.0.dist-info/METADATA
printf 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n' > w/nice-1.0.dist-info/WHEEL
printf '[console_scripts]\\nnice = nice:main\\n' > w/nice-1.0.dist-info/entry_points.txt
printf 'nice/__init__.py,,\\nnice-1.0.dist-info/METADATA,,\\nnice-1.0.dist-info/WHEEL,,\\n' > w/nice-1.0.dist-info/RECORD
(cd w && python3 -m zipfile -c ../nice-1.0-py3-none-any.whl nice nice-1.0.dist-info)
"""

PYTHON = [
    python("hello", "print(sum(range(101)))", "5050"),
    python(
        "subprocess",
        "import subprocess, sys\n"
        "print(subprocess.run(['sh', '-c', 'echo $0; cat', 'x'], input=b'in', capture_output=True).stdout)\n"
        "subprocess.run([sys.executable, '-c', 'print(1)'], check=True, cwd='/', env={}, close_fds=True)",
        "b'x\\nin'",
    ),
    python(
        "multiprocessing",
        "import multiprocessing as m\ndef square(x): return x * x\n"
        "if __name__ == '__main__':\n"
        "    for kind in ('fork', 'spawn', 'forkserver'):\n"
        "        with m.get_context(kind).Pool(2) as pool: print(kind, sum(pool.map(square, range(10))))",
        "forkserver 285",
        patience=120,
    ),
    python(
        "shared_memory_and_managers",
        "import multiprocessing as m\nfrom multiprocessing import shared_memory\n"
        "def work(name, queue, shared):\n"
        "    memory = shared_memory.SharedMemory(name=name); memory.buf[0] = 7; queue.put(1); shared['k'] = 'v'; memory.close()\n"
        "if __name__ == '__main__':\n"
        "    with m.Manager() as manager:\n"
        "        shared, memory, queue = manager.dict(), shared_memory.SharedMemory(create=True, size=64), m.Queue()\n"
        "        p = m.Process(target=work, args=(memory.name, queue, shared)); p.start(); queue.get(); p.join()\n"
        "        print(memory.buf[0], shared['k']); memory.close(); memory.unlink()",
        "7 v",
        patience=120,
    ),
    python(
        "sqlite",
        "import sqlite3\nfor mode in ('delete', 'wal'):\n"
        "    c = sqlite3.connect('d.db'); c.execute(f'pragma journal_mode={mode}')\n"
        "    c.execute('create table if not exists t (x)'); c.executemany('insert into t values (?)', [(i,) for i in range(100)]); c.commit()\n"
        "    print(c.execute('select count(*) from t').fetchone()); c.execute('vacuum'); c.close()",
        "(200,)",
    ),
    python(
        "asyncio",
        "import asyncio\nasync def main():\n"
        "    async def serve(r, w): w.write(await r.readline()); await w.drain(); w.close()\n"
        "    for unix in (False, True):\n"
        "        s = await (asyncio.start_unix_server(serve, 'sock') if unix else asyncio.start_server(serve, '127.0.0.1', 0))\n"
        "        r, w = await (asyncio.open_unix_connection('sock') if unix else asyncio.open_connection(*s.sockets[0].getsockname()))\n"
        "        w.write(b'echoed\\n'); print(await r.read()); w.close(); s.close()\n"
        "    p = await asyncio.create_subprocess_shell('echo child', stdout=-1); print((await p.communicate())[0])\n"
        "    print(await asyncio.to_thread(sum, [1, 2]))\nasyncio.run(main())",
        "b'child\\n'",
    ),
    python(
        "http_server",
        "import http.server, threading, urllib.request as u\n"
        "s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\n"
        "threading.Thread(target=s.serve_forever, daemon=True).start()\n"
        "print(u.urlopen(f'http://127.0.0.1:{s.server_port}/p.py').status, u.urlopen('http://127.0.0.1:8000').status)",
        "200 200",
    ),
    python(
        "sockets",
        "import socket, select\na, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))\n"
        "for family, host in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):\n"
        "    u = socket.socket(family, socket.SOCK_DGRAM); u.bind((host, 0)); v = socket.socket(family, socket.SOCK_DGRAM)\n"
        "    v.sendto(b'dgram', u.getsockname()); print(u.recv(9))\nprint(socket.getaddrinfo('localhost', 8000)[0][4][1])",
        "8000",
    ),
    python(
        "files",
        "import os, shutil, tempfile, pathlib, mmap, fcntl, zipfile\n"
        "with tempfile.TemporaryDirectory() as d:\n"
        "    p = pathlib.Path(d, 'a'); p.write_text('x' * 5000); shutil.copy2(p, 'b'); shutil.move(p, 'c'); os.link('c', 'e')\n"
        "    shutil.copytree('.', pathlib.Path(d, 't')); shutil.move(pathlib.Path(d, 't'), 'moved'); shutil.rmtree('moved')\n"
        "with open('c', 'r+b') as f: m = mmap.mmap(f.fileno(), 0); m[0] = 65; m.flush(); fcntl.flock(f, fcntl.LOCK_EX)\n"
        "os.chmod('c', 0o640); os.utime('c', (1, 1)); os.symlink('c', 'l'); os.truncate('c', 10)\n"
        "try: os.setxattr('c', 'user.note', b'n')\nexcept OSError as e: print(e)\n"
        "zipfile.ZipFile('z', 'w').write('c'); print(os.path.getsize('l'), sorted(os.listdir()))",
        "10 ['b', 'c', 'e', 'l', 'p.py', 'z']",
    ),
    python(
        "native_code",
        "import ctypes, ctypes.util, subprocess\nopen('x.c', 'w').write('int seven(void) { return 7; }')\n"
        "subprocess.run(['gcc', '-shared', '-fPIC', '-o', 'x.so', 'x.c'], check=True)\n"
        "print(ctypes.CDLL('./x.so').seven()); print(ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 8)())\n"
        "print(ctypes.CDLL(ctypes.util.find_library('m')).abs(-9))",
        "7\n8\n9",
    ),
    python(
        "threads_and_signals",
        "import threading, signal, os, time, resource\n"
        "ts = [threading.Thread(target=time.sleep, args=(0.1,), name=f't{i}') for i in range(8)]\n"
        "[t.start() for t in ts]; [t.join() for t in ts]\nsignal.signal(signal.SIGUSR1, lambda *_: print('signalled'))\n"
        "os.kill(os.getpid(), signal.SIGUSR1)\nif os.fork() == 0: os.setsid(); os._exit(4)\nprint(os.waitstatus_to_exitcode(os.wait()[1]))\n"
        "os.nice(1); resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.sched_setaffinity(0, os.sched_getaffinity(0))",
        "4",
    ),
    python(
        "pty",
        "import pty\npty.spawn(['sh', '-c', 'test -t 0 && echo on a terminal'])",
        "on a terminal",
    ),
    python(
        "tls_and_random",
        "import ssl, secrets, uuid, hashlib\nprint(ssl.create_default_context().cert_store_stats()['x509_ca'] > 50); uuid.uuid4(); secrets.token_hex()",
        "True",
    ),
    work(
        "python",
        "unittest",
        "printf 'import unittest\\nclass T(unittest.TestCase):\\n    def test_it(self): self.assertEqual(1, 1)\\n' > test_it.py\n"
        "python3 -m unittest -v 2>&1; python3 -m compileall -q .; ls __pycache__",
        "Ran 1 test",
    ),
    work(
        "python",
        "venv_and_pip",
        f"{WHEEL}python3 -m venv v; v/bin/pip install -q --no-index --no-deps ./nice-1.0-py3-none-any.whl; v/bin/nice\n"
        "v/bin/pip list 2>/dev/null | grep nice; v/bin/pip uninstall -qy nice; ! v/bin/python -c 'import nice' 2>/dev/null",
        "nice to meet you",
        patience=300,
    ),
]
