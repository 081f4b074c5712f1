"""A process of the same user that is none of the agent's: to be killed, traced and read.

It has a secret in its environment and in its memory, and says on its first line where.
"""

import ctypes
import os
import signal

PR_SET_PTRACER, PR_SET_PTRACER_ANY = 0x59616D61, -1

# Where Yama keeps processes from being traced by their equals, this one waives that, so that it is
# the fence and nothing else that keeps the agent out.
ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(PR_SET_PTRACER_ANY), 0, 0, 0)
signal.signal(signal.SIGINT, signal.SIG_DFL)
secret = ctypes.create_string_buffer(os.environ["NEIGHBOUR_SECRET"].encode())
print(ctypes.addressof(secret), flush=True)
while True:
    signal.pause()
