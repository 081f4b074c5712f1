"""What the agent cannot do from a shell.

Each trick prints what it got hold of. None says whether it succeeded: the stage judges that.
"""

import ctypes
import os
import socket
import time

libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    """A system call's result, or its error as an exception."""
    if result in (-1, ctypes.c_void_p(-1).value):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


# Files


def openat(directory, name):
    """Opens a file from a descriptor of its directory, so that no path is ever written down."""
    at = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    print(os.read(os.open(name, os.O_RDONLY, dir_fd=at), 4096).decode())


def exchange(one, other):
    """Trades two names for each other (RENAME_EXCHANGE)."""
    at_fdcwd, rename_exchange = -100, 2
    check(libc.renameat2(at_fdcwd, one.encode(), at_fdcwd, other.encode(), rename_exchange))


def truncate(path):
    """Empties a file without opening it."""
    os.truncate(path, 0)


# Programs


def memfd(program):
    """Runs a copy that is in no file system."""
    fd = os.memfd_create("tool", 0)
    with open(program, "rb") as file:
        os.write(fd, file.read())
    os.execv(f"/proc/self/fd/{fd}", ["tool"])


def load(library):
    """Loads a shared library into this interpreter."""
    ctypes.CDLL(library)


def mprotect(library):
    """Maps a file to be read, and makes it code afterwards."""
    read, execute, private, page = 1, 4, 2, 4096
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    at = check(libc.mmap(None, page, read, private, os.open(library, os.O_RDONLY), 0))
    check(libc.mprotect(at, page, read | execute))
    with open("/proc/self/maps") as maps:
        print(next(line for line in maps if line.startswith(f"{at:x}-")))


# Sockets


def tcp(address, port):
    """Connects, by IPv6 where the address is one."""
    socket.create_connection((address, int(port)), timeout=5)


def udp(address, port):
    """Sends a datagram to an address that only the call names."""
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"hello", (address, int(port)))


def udp_connected(address, port):
    """Sends a datagram over a socket that has a peer."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect((address, int(port)))
    sender.send(b"hello")


def fastopen(address, port):
    """Connects by sending: no connect(2) is ever made."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sender.sendto(b"hello", socket.MSG_FASTOPEN, (address, int(port)))


def listen(address, port):
    """Takes a port, and says what the kernel says it took."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, int(port)))
    server.listen()
    print("listening on {}:{}".format(*server.getsockname()))


def unix(path):
    """Connects to a unix socket; a name that begins with @ is an abstract one."""
    path = path.replace("@", "\0", 1) if path.startswith("@") else path
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(path)


def unix_datagram(path):
    """Sends a unix datagram."""
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"hello", path)


# Other processes


def ptrace(pid):
    """Stops a process and takes it over."""
    attach, detach = 16, 17
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    check(libc.ptrace(attach, int(pid), None, None))
    os.waitpid(int(pid), 0)
    with open(f"/proc/{pid}/status") as status:
        print(next(line for line in status if line.startswith("TracerPid")))
    check(libc.ptrace(detach, int(pid), None, None))


def mem(pid, address):
    """Reads a process's memory through its file."""
    fd = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    print(os.pread(fd, 64, int(address)).decode(errors="replace"))


def vm_readv(pid, address):
    """Reads a process's memory by process_vm_readv(2)."""

    class Slice(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    buffer = ctypes.create_string_buffer(64)
    here = Slice(ctypes.cast(buffer, ctypes.c_void_p), 64)
    there = Slice(int(address), 64)
    check(libc.process_vm_readv(int(pid), ctypes.byref(here), 1, ctypes.byref(there), 1, 0))
    print(buffer.raw.decode(errors="replace"))


# Getting away


def daemon(source, target):
    """Forks twice and starts a session of its own; the orphan, whose parents are gone, copies a
    file, or writes down why it cannot."""
    if os.fork():
        for _ in range(200):
            if os.path.exists(target):
                with open(target) as file:
                    print(file.read())
                return
            time.sleep(0.05)
        return
    os.setsid()
    leader = os.getpid()
    if os.fork():
        os._exit(0)
    for _ in range(200):
        if os.getppid() != leader:  # it has gone
            break
        time.sleep(0.01)
    os.chdir("/")
    try:
        with open(source) as file:
            found = file.read()
    except OSError as error:
        found = f"{error}"
    # Renamed when it is whole, so that nobody reads half of it.
    with open(target + ".part", "w") as file:
        file.write(found)
    os.rename(target + ".part", target)
    os._exit(0)
