"""The stand-in for an agent: does what it is told, one attempt after the other.

It reads one JSON object a line and answers each with another. Whether an attempt succeeded is not
for it to say: it only reports what it saw, and the stage looks at what really happened. The same
program runs once under Picket and once free, for the controls.
"""

import json
import os
import select
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import tricks

PATIENCE = 30  # seconds for one attempt; in an emulated machine a compiler takes its time


def attempt(task):
    """Does one attempt in a process and a session of its own; its exit status and what it wrote."""
    out, out_end = os.pipe()
    err, err_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.chdir(task["directory"])
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(out_end, 1)
        os.dup2(err_end, 2)
        os.closerange(3, 64)
        os._exit(perform(task))
    os.close(out_end)
    os.close(err_end)
    status, written = collect(pid, task.get("patience", PATIENCE), out, err)
    return {"status": status, "out": written[out], "err": written[err]}


def perform(task):
    """In the new process: the command, then the trick."""
    try:
        if task["command"] and not task["trick"]:
            os.execvp("bash", ["bash", "-c", task["command"]])
        if task["command"]:
            os.spawnvp(os.P_WAIT, "bash", ["bash", "-c", task["command"]])
        name, *arguments = task["trick"]
        getattr(tricks, name)(*arguments)
        sys.stdout.flush()
        return 0
    except OSError as error:
        os.write(2, f"{error.strerror or error}\n".encode())
    except Exception:
        os.write(2, traceback.format_exc().encode())
    return 1


def collect(pid, patience, *pipes):
    """A process's exit status, and what arrives in the pipes until it ends. What it left behind may
    still hold their other ends, so that waiting for those to be closed would be waiting for it."""
    written = {pipe: b"" for pipe in pipes}
    end = time.monotonic() + patience
    ended = False
    while not ended:
        select.select([woken, *pipes], [], [], max(0, end - time.monotonic()))
        available(woken)
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended and time.monotonic() > end:
            os.killpg(pid, signal.SIGKILL)
            written[pipes[-1]] += b"timed out\n"
            end += patience
        for pipe in pipes:
            written[pipe] += available(pipe)
    for pipe in pipes:
        os.close(pipe)
    text = {pipe: text.decode(errors="replace") for pipe, text in written.items()}
    return os.waitstatus_to_exitcode(status), text


def available(pipe):
    """What can be read without waiting."""
    os.set_blocking(pipe, False)
    found = b""
    try:
        while chunk := os.read(pipe, 65536):
            found += chunk
    except BlockingIOError:
        pass
    return found


def wake_up():
    """A pipe in which something arrives whenever a child ends."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    return woken


woken = wake_up()


def main():
    # Ctrl-C ends it without a word: the stage, which gets the signal too, says what there is to say.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # The policy of the demo allows this file to be read and reports it: an event that marks in
    # Picket's log where the attempt ended.
    bookmark = sys.argv[1]
    for line in sys.stdin:
        seen = attempt(json.loads(line))
        with open(bookmark) as file:
            file.read()
        print(json.dumps(seen), flush=True)


main()
