"""A build and its tests, as CI runs them: the workspace is a checkout, the home is nobody's."""

from rows import work

BUILD = [
    work(
        "build",
        "checkout_build_and_test",
        "set -e; git clone -q http://127.0.0.1:8000/shop.git s; cd s; git -c advice.detachedHead=false checkout -q HEAD; make -s check || true\n"
        "sed -i 's/int i = 1/int i = 0/' src/total.c; make -s check; tar czf ../artifact.tgz build; sha256sum ../artifact.tgz > ../artifact.sum; sha256sum -c ../artifact.sum",
        "OK",
        patience=120,
    ),
    work(
        "build",
        "caches_and_temporary_files",
        "set -e; mkdir -p ~/.cache/ccache; echo x > ~/.cache/ccache/x.tmp; mv ~/.cache/ccache/x.tmp ~/.cache/ccache/x; cp ~/.cache/ccache/x here\n"
        "f=$(mktemp); echo 'int main(void) { return 0; }' | gcc -x c -o $f -; $f; mv $f built; ./built; echo ran",
        "ran",
    ),
    work(
        "build",
        "tests_with_servers",
        "cat > t.py <<'X'\nimport socket, threading, unittest, tempfile, os\nclass T(unittest.TestCase):\n"
        "    def check(self, server, address):\n        server.listen(); threading.Thread(target=lambda: server.accept()[0].send(b'x'), daemon=True).start()\n"
        "        c = socket.socket(server.family); c.connect(address or server.getsockname()); self.assertEqual(c.recv(1), b'x')\n"
        "    def test_tcp(self):\n        s = socket.socket(); s.bind(('127.0.0.1', 0)); self.check(s, None)\n"
        "    def test_unix(self):\n        with tempfile.TemporaryDirectory() as d:\n            s = socket.socket(socket.AF_UNIX); s.bind(d + '/s'); self.check(s, d + '/s')\nX\n"
        "python3 -m unittest -q t 2>&1",
        "OK",
    ),
]
