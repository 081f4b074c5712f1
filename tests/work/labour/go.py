"""What go does to files, by a script in its place: the compiler itself would add more than 300 MB to
the guest. It makes and runs its tests in /tmp, keeps a build cache and read-only modules."""

from rows import work

# Where the toolchain is when its person has unpacked it.
INSTALL = r"""set -e; mkdir -p ~/sdk/go1.22/bin ~/go ~/.config/go; echo GOFLAGS=-mod=mod > ~/.config/go/env
cat > ~/sdk/go1.22/bin/go <<'X'
#!/bin/bash
set -e
cat ~/.config/go/env > /dev/null; ls ~/go > /dev/null
mkdir -p ~/.cache/go-build/00 ~/go/pkg/mod/cache/download/example.com ~/go/pkg/mod/example.com/lib@v1.0.0
echo 'package lib' > ~/go/pkg/mod/cache/download/example.com/x.tmp
mv ~/go/pkg/mod/cache/download/example.com/x.tmp ~/go/pkg/mod/cache/download/example.com/x.zip
cat < ~/go/pkg/mod/cache/download/example.com/x.zip > ~/go/pkg/mod/example.com/lib@v1.0.0/lib.go
exec 9> ~/go/pkg/mod/cache/lock; flock 9
w=$(mktemp -d /tmp/go-build123XXXX); mkdir $w/b001
echo 'int main(void) { return 0; }' | gcc -x c -o $w/b001/x.test -
$w/b001/x.test; cp $w/b001/x.test ~/.cache/go-build/00/x-d; ~/.cache/go-build/00/x-d
mv $w/b001/x.test x.test; ./x.test; rm -r $w; chmod -R u+w ~/go/pkg/mod/example.com; echo "ok example.com/x"
X
chmod +x ~/sdk/go1.22/bin/go
"""

GO = [
    work(
        "go",
        "test_as_go_does_it",
        "PATH=~/sdk/go1.22/bin:$PATH; go test",
        "ok example.com/x",
        before=INSTALL,
    )
]
