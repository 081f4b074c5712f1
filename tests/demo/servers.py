"""Servers that the agent may or may not reach.

All but the repository only listen, and are looked at after each attempt: on one machine, a
connection or a datagram is in the socket's queue before the sender's call returns, so that to look
there misses nothing and waits for nothing.
"""

import functools
import http.server
import os
import socket
import threading


class Stream:
    """A listening socket."""

    def __init__(self, server):
        server.listen()
        server.setblocking(False)
        self.server = server

    @classmethod
    def inet(cls, address, port):
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        return cls(server)

    @classmethod
    def unix(cls, path):
        return cls(bound(socket.SOCK_STREAM, path))

    def heard(self):
        """Whether anybody has connected since it was last asked."""
        count = 0
        try:
            while True:
                self.server.accept()[0].close()
                count += 1
        except BlockingIOError:
            return count > 0


class Datagrams:
    """A socket that receives datagrams."""

    def __init__(self, server):
        server.setblocking(False)
        self.server = server

    @classmethod
    def inet(cls, address, port):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind((address, port))
        return cls(server)

    @classmethod
    def unix(cls, path):
        return cls(bound(socket.SOCK_DGRAM, path))

    def heard(self):
        """Whether anything has arrived since it was last asked."""
        count = 0
        try:
            while True:
                self.server.recv(4096)
                count += 1
        except BlockingIOError:
            return count > 0


def bound(kind, path):
    """A unix socket that everybody may connect to."""
    server = socket.socket(socket.AF_UNIX, kind)
    server.bind(path)
    if not path.startswith("\0"):
        os.chmod(path, 0o666)
    return server


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files, without a word about each."""

    def log_message(self, *_):
        pass


def serve_repository(directory, port):
    """The one server that the agent may reach."""
    handler = functools.partial(Handler, directory=directory)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
