"""The agent: in one loop, tries what it may not read and what it may, and keeps count in a file.

Waits for a line before it begins, so that it has its tag by then. The file has three numbers: how often it
read what it may not, how often it could not read what it may, and how often it tried both.
"""

import os
import sys

forbidden, allowed, counts = sys.argv[1:]
sys.stdin.readline()
to = os.open(counts, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
escaped = hindered = rounds = 0
while True:
    try:
        os.close(os.open(forbidden, os.O_RDONLY))
        escaped += 1
    except PermissionError:
        pass
    try:
        os.close(os.open(allowed, os.O_RDONLY))
    except OSError:
        hindered += 1
    rounds += 1
    os.pwrite(to, b"%12d %12d %12d\n" % (escaped, hindered, rounds), 0)
