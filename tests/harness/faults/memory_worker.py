"""A worker that goes wrong with memory while it opens a model: `memory_worker.py MODE`. Standard library only.

bytearrays   eats memory until it is stopped (or has 2 GiB)
child        a child process does
mapped       shared memory of its own, which no heap shows
oom_killed   dies as the kernel's out-of-memory killer would end it: the count in $EVENTS goes up, then SIGKILL
killed       dies by SIGKILL, the count stays
tells        answers with the limit that hello told, as an error's message
"""
import json
import mmap
import os
import signal
import socket
import sys
import time

STEP_BYTES = 8 << 20


def eat():
    held = []
    for _ in range(256):
        held.append(bytearray(b"\1") * STEP_BYTES)
        time.sleep(0.002)
    time.sleep(1000)


def eat_mapped():
    held = []
    for _ in range(256):
        memory = mmap.mmap(-1, STEP_BYTES, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
        memory.write(b"\1" * STEP_BYTES)
        held.append(memory)
        time.sleep(0.002)
    time.sleep(1000)


def misbehave(mode):
    if mode == "bytearrays" or mode == "child" and os.fork() == 0:
        eat()
    elif mode == "mapped":
        eat_mapped()
    elif mode == "child":
        time.sleep(1000)
    elif mode in ("oom_killed", "killed"):
        if mode == "oom_killed":
            with open(os.environ["EVENTS"], "w") as events:
                events.write("oom 1\noom_kill 1\n")
        os.kill(os.getpid(), signal.SIGKILL)


def main(mode):
    connection = socket.socket(fileno=int(os.environ["VAEMARK_SOCKET_FD"]))
    limit = 0
    for text in connection.makefile():
        message = json.loads(text)
        answer = {"id": message["id"], "ok": True}
        if message["type"] == "hello":
            limit = message.get("memory_limit_bytes")
            answer.update(version=0, backend="memory")
        elif message["type"] == "open":
            misbehave(mode)
            answer.update(ok=False, error={"code": "internal", "message": f"limit {limit}"})
        connection.sendall(json.dumps(answer).encode() + b"\n")
        if message["type"] == "bye":
            return


if __name__ == "__main__":
    main(sys.argv[1])
