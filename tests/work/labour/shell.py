"""A shell and the programs that every script uses."""

from rows import PS, work


def shell(name, command, prints="", **more):
    return work("shell", name, f"set -e\n{command}", prints, **more)


SHELL = [
    shell(
        "files",
        "mkdir -p a/b; echo x > a/b/c; cp -a a z; mv z y; ln y/b/c hard; ln -s y/b soft; chmod 600 soft/c\n"
        "touch -d 2020-01-01 a/b/c; cat hard; rm -r a y hard soft; ls -A | wc -l",
        "0",
    ),
    shell(
        "find_and_xargs",
        "mkdir d; touch d/{1..20}; find d -type f -print0 | xargs -0 -n 5 -P 4 ls | wc -l",
        "20",
    ),
    shell(
        "search",
        "mkdir d; echo needle > d/x; rg -n needle; grep -rn needle d; find . -name x -exec cat {} +",
        "1:needle",
    ),
    shell(
        "text",
        "printf 'b 2\\na 1\\n' | sort | awk '{s += $2; print $1} END {print s}' | sed 's/a/A/' | tr -d '\\n'",
        "Ab3",
    ),
    shell(
        "sed_in_place",
        "echo one > f; sed -i s/one/two/ f; perl -pi -e s/two/three/ f; cat f",
        "three",
    ),
    shell(
        "archives",
        "mkdir d; seq 1000 > d/n; tar czf a.tgz d; tar cJf a.txz d; rm -r d; tar xzf a.tgz; tar xJf a.txz; tail -n1 d/n",
        "1000",
    ),
    shell(
        "rsync",
        "mkdir d; seq 1000 > d/n; rsync -a d/ e/; echo x >> d/n; rsync -a --delete d/ e/; cmp d/n e/n && echo same",
        "same",
    ),
    shell(
        "patches",
        "seq 5 > a; seq 6 > b; diff -u a b > p || true; patch -s a p; cmp a b && echo same",
        "same",
    ),
    # What is made in /tmp and then moved to its place, by rename where they are one file system.
    shell("from_tmp_to_its_place", "f=$(mktemp); echo x > $f; mv $f here; cat here", "x"),
    shell(
        "a_directory_from_tmp",
        "d=$(mktemp -d); mkdir $d/p; echo x > $d/p/q; mv $d/p here; cat here/q; rm -r $d",
        "x",
    ),
    shell(
        "and_back", "echo x > here; mv here /tmp/there.$$; cat /tmp/there.$$; rm /tmp/there.$$", "x"
    ),
    shell(
        "scripts",
        "printf '#!/bin/sh\\necho \"ran $1\"\\n' > s; chmod +x s; ./s one; cp s /tmp/s.$$; /tmp/s.$$ two; rm /tmp/s.$$",
        "ran two",
    ),
    shell("here_documents", "cat <<'X' > f\nfrom here\nX\ncat <<< more; cat f", "from here"),
    shell(
        "processes",
        "sleep 60 & p=$!; kill -0 $p; kill $p; wait $p || echo $?; (exit 3) || echo $?; timeout 0.1 sleep 9 || echo $?",
        "124",
    ),
    shell(
        "pipes_and_fifos",
        "mkfifo p; (echo through > p) & cat p; diff <(seq 3) <(seq 3) && echo same",
        "same",
    ),
    shell("locks", "flock lock -c 'echo locked'", "locked"),
    shell(
        "looking",
        "ps aux > p; ps -ef | grep -c bash; pgrep -c bash; id -un; uname -sr; nproc; date > /dev/null; hostname; free > f; uptime > u",
        "agent",
        meets=PS,
    ),
    shell(
        "processes_without_arguments",
        "ps -e > p; ps -o pid,ppid,stat,time,comm > p; pgrep -l bash; tail -n 1 p",
        "ps",
        meets=PS,
    ),
    shell(
        "disks",
        "df -h . > f; du -sh . > d; stat -c %s f; file f; readlink -f f; realpath .",
        "project/try",
    ),
    shell("json", "echo '{\"a\": [1, 2]}' | jq -c .a", "[1,2]"),
    shell(
        "locale", "locale > l; export LC_ALL=C.UTF-8; echo ü | wc -m; getconf PAGESIZE", "2\n4096"
    ),
    shell(
        "tty",
        "export TERM=vt100 LESSHISTFILE=-; script -qec 'stty size; tput cols; less -F /etc/hostname; echo done' /dev/null < /dev/null",
        "done",
    ),
    shell("login_shell", "bash -lc 'echo $HOME; umask; type -t ls'", "/home/agent"),
    shell(
        "curl",
        "curl -sf http://127.0.0.1:8000/shop.git/HEAD -o head; cat head; curl -sI http://localhost:8000/ | head -n1",
        "ref: refs/heads/main",
    ),
    shell(
        "dd_and_tee",
        "dd if=/dev/urandom of=r bs=4k count=4 status=none; wc -c < r; echo x | tee a b > /dev/null; cat a b; truncate -s 0 r; shred -u r",
        "16384",
    ),
    shell(
        "own_files_in_proc",
        "cat /proc/self/status > s; cat /proc/$$/cmdline > c; ls /proc/self/fd > f; cat /proc/meminfo /proc/cpuinfo > m; wc -l < m",
    ),
    shell("strace", "strace -f -o t -e trace=execve sh -c 'ls > /dev/null'; grep -c execve t"),
]

EDITORS = [
    work(
        "editors",
        "vim",
        "echo one > f; vim.tiny -i NONE -es -c '%s/one/two/' -c wq f; cat f",
        "two",
    ),
    work(
        "editors",
        "vim_on_a_terminal",
        "echo one > f; printf ':set backup writebackup\\r:s/one/two/\\r:wq\\r' > k\n"
        "script -qec 'vim.tiny -i NONE -s k f' /dev/null > /dev/null; cat f; ls -A",
        "two",
    ),
    work(
        "editors",
        "nano",
        "echo one > f; (sleep 2; printf 'zero \\017\\r\\030') | script -qec 'nano --ignorercfiles f' /dev/null > /dev/null; cat f",
        "zero one",
    ),
    work(
        "editors",
        "python_write_and_rename",
        "echo one > f; python3 -c 'import os, tempfile\n"
        'fd, name = tempfile.mkstemp(dir="."); os.write(fd, b"two"); os.fsync(fd); os.close(fd)\n'
        'os.replace(name, "f")\'; cat f',
        "two",
    ),
    work(
        "editors",
        "backup_and_swap",
        "echo one > f; cp -p f f~; echo two > .f.swp; mv .f.swp f; mv f~ f.orig; cat f f.orig",
        "two\none",
    ),
]
