#!/usr/bin/env python3
"""The smallest worker for vaemark: "decodes" by showing the latents' first three channels, enlarged 8 times.

Run it as a decoder under test:

    vaemark run --suite smoke --decoder "exec:python3 examples/nearest_worker.py"

It will fail every check of quality, as it should. Replace Decoder by one that decodes. The messages are explained in
docs/worker-protocol.md. Standard library only.
"""

import array
import hashlib
import json
import math
import mmap
import os
import socket
import time

SCALE = 8  # pixels of the image for one of the latents
POISON = b"\xad\xde\xc0\x7f"  # 0x7FC0DEAD: a NaN that no decoder writes


class Refusal(Exception):
    """A typed error: the answer to a message that cannot be followed."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Decoder:
    """Nearest neighbour: image (N,3,8H,8W) from latents (N,C,H,W)."""

    def __init__(self, config, options):
        self.vae_type = config.get("_class_name", "?")
        for key, value in options.items():
            self.set_option(key, value)

    def set_option(self, key, value):
        if key == "precision" and value == "fp32" or key == "threads" or value is False:
            return
        if key in ("fuse_qkv", "tiling", "slicing", "precision"):
            raise Refusal("unsupported_option", f"{self.vae_type} on nearest does not take {key}={value}")
        raise Refusal("unknown_option", f"nearest has no option '{key}'")

    def image_shape(self, latents):
        if latents["dtype"] != "F32" or len(latents["shape"]) != 4:
            raise Refusal("unsupported_model", "nearest wants F32 latents (N,C,H,W)")
        n, _, h, w = latents["shape"]
        return [n, 3, SCALE * h, SCALE * w]

    def decode(self, latents, shape):
        """Both are array.array('f'), row-major; returns the image."""
        n, c, h, w = shape
        image = array.array("f")
        for index in range(n * 3):
            plane = (index // 3 * c + index % 3 % c) * h * w
            for y in range(h):
                row = latents[plane + y * w : plane + (y + 1) * w]
                image.extend(array.array("f", [x for x in row for _ in range(SCALE)]) * SCALE)
        return image


class Worker:
    def __init__(self):
        self.socket = socket.socket(fileno=int(os.environ["VAEMARK_SOCKET_FD"]))
        segment_fd = int(os.environ["VAEMARK_SEGMENT_FD"])
        self.segment = mmap.mmap(segment_fd, os.fstat(segment_fd).st_size)
        self.decoder = None

    def place(self, tensor):
        """Start and end of a tensor in the shared memory, checked."""
        start, size = tensor["offset"], 4 * math.prod(tensor["shape"])
        if tensor["dtype"] != "F32" or start < 0 or start % 64 or start + size > len(self.segment):
            raise Refusal("invalid_argument", f"a tensor at {start} of {size} bytes does not fit")
        return start, start + size

    def opened(self):
        if not self.decoder:
            raise Refusal("invalid_argument", "nothing is open")
        return self.decoder

    def on_hello(self, message):
        if 0 not in message["versions"]:
            raise Refusal("invalid_argument", "this worker speaks version 0")
        unsupported = [{"vae_type": None, "option": "fuse_qkv", "reason": "nearest has no attention"}]
        return {"version": 0, "backend": "nearest", "program": "nearest_worker 1", "deterministic": True,
                "description": "the latents, enlarged", "unsupported": unsupported}

    def on_open(self, message):
        if self.decoder:
            raise Refusal("invalid_argument", "a decoder is open already")
        with open(message["config"], encoding="utf-8") as file:
            config = json.load(file)
        self.decoder = Decoder(config, message.get("options", {}))

    def on_option(self, message):
        self.opened().set_option(message["key"], message["value"])

    def on_property(self, message):
        if message["key"] + "" != "fuse_qkv.modules":  # what is no text is a TypeError
            raise Refusal("unknown_option", f"nearest has no property '{message['key']}'")
        return {"value": 0}

    def on_prepare(self, message):
        shape = self.opened().image_shape(message["inputs"][0])
        return {"image": {"dtype": "F32", "shape": shape}}

    def on_decode(self, message):
        decoder, samples = self.opened(), []
        start, end = self.place(message["image"])
        keep = [(item["sample"], self.place({**message["image"], "offset": item["offset"]}))
                for item in message.get("keep", [])]
        for index in range(message["count"]):
            wall_ns = cpu_ns = 0
            for left in reversed(range(message.get("decodes_per_sample", 1))):
                latents = message["sets"][(index - left) % len(message["sets"])][0]
                first, last = self.place(latents)
                if message["image"]["shape"] != decoder.image_shape(latents):
                    raise Refusal("invalid_argument", "the image has another shape than prepare said")
                self.segment[start:end] = POISON * ((end - start) // 4)
                began = time.monotonic_ns(), time.process_time_ns()
                values = array.array("f", self.segment[first:last])
                self.segment[start:end] = decoder.decode(values, latents["shape"]).tobytes()
                wall_ns += time.monotonic_ns() - began[0]
                cpu_ns += time.process_time_ns() - began[1]
            image = self.segment[start:end]
            samples.append({"wall_ns": wall_ns, "cpu_ns": cpu_ns, "output_hash": hashlib.sha256(image).hexdigest()})
            for sample, (kept, kept_end) in keep:
                if sample == index:
                    self.segment[kept:kept_end] = image
        return {"samples": samples}

    def on_memory(self, message):
        return {"host_allocator": False}

    def on_trace(self, message):
        self.opened()
        return {"entries": [{"module": "decoder", "op": "upsample_nearest", "kernel": "python"}]}

    def on_close(self, message):
        self.decoder = None

    def answer(self, message):
        handlers = {name[3:]: getattr(self, name) for name in dir(self) if name.startswith("on_")}
        try:
            if message["type"] == "bye":
                return {"ok": True}
            if message["type"] not in handlers:
                raise Refusal("invalid_argument", f"no message type is called '{message['type']}'")
            return {"ok": True, **(handlers[message["type"]](message) or {})}
        except Refusal as refusal:
            return {"ok": False, "error": {"code": refusal.code, "message": str(refusal)}}
        except (KeyError, TypeError, IndexError, ValueError) as wrong:
            return {"ok": False, "error": {"code": "invalid_argument", "message": f"malformed message: {wrong!r}"}}
        except OSError as failure:
            return {"ok": False, "error": {"code": "io_error", "message": str(failure)}}

    def run(self):
        for line in self.socket.makefile("rb"):
            message = json.loads(line)  # what is not JSON ends us
            message = message if isinstance(message, dict) else {}
            answer = {"id": message.get("id"), **self.answer(message)}
            self.socket.sendall(json.dumps(answer).encode() + b"\n")
            if message.get("type") == "bye":
                return


if __name__ == "__main__":
    Worker().run()
