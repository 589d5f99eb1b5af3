"""A worker that answers every message well but one: `hostile_worker.py MODE` spoils its answer to `property`.

The modes are the keys of SPOILED; test_protocol.c has a row for each. Standard library only.
"""

import json
import os
import socket
import sys
import time

GOOD = {"id": None, "ok": True, "value": 1}


def line(**changes):
    """The good answer with changes; None removes a field."""
    answer = {**GOOD, **changes}
    return json.dumps({key: value for key, value in answer.items() if value is not None}).encode() + b"\n"


def typed(error):
    return lambda i: line(id=i, ok=False, error=error)


SPOILED = {
    "good": lambda i: line(id=i),
    "true": lambda i: line(id=i, value=True),
    "wrong_id": lambda i: line(id=i + 1),
    "text_id": lambda i: line(id=str(i)),
    "no_id": lambda i: line(id=None),
    "no_ok": lambda i: line(id=i, ok=None),
    "text_ok": lambda i: line(id=i, ok="true"),
    "no_value": lambda i: line(id=i, value=None),
    "real_value": lambda i: line(id=i, value=1.5),
    "text_value": lambda i: line(id=i, value="1"),
    "not_an_object": lambda i: b"[1, 2, 3]\n",
    "a_number": lambda i: b"12\n",
    "empty_line": lambda i: b"\n",
    "binary": lambda i: bytes(range(255, -1, -1)) + b"\n",
    "nan": lambda i: b'{"id": %d, "ok": true, "value": NaN}\n' % i,
    "huge_number": lambda i: b'{"id": %d, "ok": true, "value": 1%s}\n' % (i, b"0" * 400),
    "huge_real": lambda i: b'{"id": %d, "ok": true, "value": 1e999}\n' % i,
    "duplicate_key": lambda i: b'{"id": %d, "ok": true, "value": 1, "value": 2}\n' % i,
    "bad_utf8": lambda i: b'{"id": %d, "ok": true, "value": 1, "x": "\xff\xfe"}\n' % i,
    "deep": lambda i: b"[" * 100000 + b"\n",
    "too_long": lambda i: b"x" * (17 << 20) + b"\n",
    "endless": lambda i: b"x" * (64 << 20),
    "stale": lambda i: line(id=i - 1) + line(id=i),
    "code_ok": typed({"code": "ok", "message": "fine"}),
    "no_code": typed({"message": "no code"}),
    "error_is_text": typed("wrong"),
    "unknown_code": typed({"code": "gone_fishing", "message": "never heard of"}),
    "typed": typed({"code": "unknown_option", "message": "no such property", "where": "here"}),
    "partial": lambda i: line(id=i)[:-5],
    "slow_drip": None,
    "silent": lambda i: b"",
    "closes": None,
    "chatters": None,
}


def spoil(mode, connection, number):
    if mode == "closes":
        connection.shutdown(socket.SHUT_RDWR)
        time.sleep(1000)
    elif mode == "slow_drip":
        while True:
            connection.sendall(b" ")
            time.sleep(0.01)
    elif mode == "chatters":
        sys.stderr.write("word " * 1000000 + "\n")  # more than a pipe holds
        sys.stderr.flush()
        connection.sendall(line(id=number))
    else:
        connection.sendall(SPOILED[mode](number))
        if mode in ("partial", "silent"):
            time.sleep(1000)


def main(mode):
    connection = socket.socket(fileno=int(os.environ["VAEMARK_SOCKET_FD"]))
    for text in connection.makefile("rb"):
        message = json.loads(text)
        if message["type"] == "property":
            spoil(mode, connection, message["id"])
        else:
            hello = {"version": 0, "backend": "hostile"} if message["type"] == "hello" else {}
            connection.sendall(json.dumps({"id": message["id"], "ok": True, **hello}).encode() + b"\n")
        if message["type"] == "bye":
            return


if __name__ == "__main__":
    main(sys.argv[1])
