"""Looking into a machine, and writing down what was seen."""

from rows import PS, work

# lsof wants the descriptors of every process that it lists.
DESCRIPTORS = (("list", r"/proc/\d+/fd"),)
# top makes itself a directory for settings, whether it has any to keep or not.
TOP = (("create", r"/home/agent/\.config/procps"),)
# ss wants kinds of sock_diag that are modules here and not loaded, and then reads /proc/net.
DIAG = (("kernel", r"module net-pf-16-proto-4-type-\d+"),)


def ops(name, command, prints="", **more):
    return work("ops", name, f"set -e\n{command}", prints, **more)


OPS = [
    ops(
        "logs",
        "grep -c kernel /var/log/syslog; tail -n 1 /var/log/app/app.log; zcat /var/log/app/app.log.1.gz; ls -la /var/log > l; wc -c /var/log/app/*.log",
        "app is well",
    ),
    ops(
        "journal",
        "journalctl --no-pager -n 5 -D /var/log/journal; journalctl --no-pager -D /var/log/journal -t picket-test -o json | jq -r .MESSAGE",
        "the disk is nearly full",
    ),
    ops(
        "settings",
        "cat /etc/fstab /etc/passwd /etc/nsswitch.conf /etc/ssh/sshd_config > c 2>/dev/null || true; grep -rl localhost /etc/hosts; find /etc -maxdepth 1 -name '*.conf' -readable | wc -l",
    ),
    ops(
        "processes",
        "ps aux > p; ps -eo pid,ppid,rss,comm --sort=-rss | head -n 5; pgrep -c . > n; top -bn1 | head -n 3; pstree 2>/dev/null || true; cat /proc/1/status | grep Name",
        "Name:",
        meets=PS + TOP,
    ),
    ops(
        "other_processes",
        "for p in /proc/[0-9]*; do cat $p/stat $p/cmdline $p/status $p/limits $p/cgroup > /dev/null 2>&1 || true; done; echo looked",
        "looked",
    ),
    ops(
        "network",
        "ip -br address; ip route; ss -tlnu > l; ss -xa > x; cat /proc/net/dev > d; cat /proc/net/tcp /proc/net/udp /proc/net/unix > s; head -n 1 s",
        "sl",
        meets=DIAG,
    ),
    ops(
        "disks",
        "df -h; df -i > i; du -sh /var/log/app; lsblk > b || true; findmnt > m; cat /proc/mounts /proc/partitions > p; cat /sys/block/*/stat > t; echo seen",
        "seen",
    ),
    ops(
        "memory_and_load",
        "free -m; uptime; vmstat 1 2; cat /proc/loadavg /proc/pressure/* /proc/meminfo > m; lscpu > c; who > w; echo seen",
        "seen",
    ),
    ops("open_files", "lsof -p $$ > f; lsof -i > i || true; wc -l < f", meets=DESCRIPTORS),
    ops(
        "packages",
        "dpkg-query -W -f='${Version}\\n' bash; dpkg-query -S /usr/bin/git; stat /etc/hostname > s; file /usr/bin/git > f; md5sum /usr/bin/git > m",
        "git: /usr/bin/git",
    ),
    ops(
        "notes",
        "printf '# Found\\n' > report.md; date >> report.md; sed -i s/Found/Seen/ report.md; mkdir d; mv report.md d/; head -n 1 d/report.md; git -C .. log --oneline | wc -l",
        "# Seen",
    ),
    ops(
        "python",
        "python3 -c 'import pathlib, re, collections\nc = collections.Counter(w for l in pathlib.Path(\"/var/log/syslog\").open() for w in l.split())\nprint(len(c) > 3)'",
        "True",
    ),
    ops(
        "tls",
        "openssl version; openssl x509 -noout -subject -in /etc/ssl/certs/ISRG_Root_X1.pem",
        "ISRG",
    ),
]
