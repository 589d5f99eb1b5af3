"""Worker protocol, version 0 (docs/worker-protocol.md), for decoders that take arrays in shared memory.

Knows nothing of a framework: a Framework says hello and opens decoders, a decoder has

    set_option(key, value)   property(key)   prepare(inputs) -> the image's shape   trace(inputs)   close()
    load(inputs) -> ready    decode(ready) -> result    store(result, buffer of F32)

where inputs are {name: (dtype, shape, buffer)}. decode alone is timed. Standard library only.
"""

import hashlib
import json
import math
import mmap
import os
import resource
import socket
import time

import resident_set

POISON = b"\xad\xde\xc0\x7f" * 65536  # 0x7FC0DEAD: a NaN that no decoder writes
SIZES = {"F32": 4, "F64": 8, "F16": 2, "BF16": 2, "I32": 4, "I64": 8}
MAX_LINE_BYTES = 16 << 20


class Refusal(Exception):
    """A typed error: the answer to a message that cannot be followed."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def is_out_of_memory(failure):
    """PyTorch's allocator raises RuntimeError, the others say it in their own words."""
    words = str(failure).lower()
    told = ("can't allocate memory", "cannot allocate memory", "not enough memory", "failed to allocate memory",
            "bad_alloc", "bad allocation", "out of memory")
    return isinstance(failure, MemoryError) or any(word in words for word in told)


def one_line(failure):
    return f"{type(failure).__name__}: {' '.join(str(failure).split())[:1500]}"


class Worker:
    def __init__(self, framework):
        self.framework = framework
        self.socket = socket.socket(fileno=int(os.environ["VAEMARK_SOCKET_FD"]))
        segment_fd = int(os.environ["VAEMARK_SEGMENT_FD"])
        self.segment = memoryview(mmap.mmap(segment_fd, os.fstat(segment_fd).st_size))
        self.decoder = None
        self.peak = resident_set.Peak()
        self.last_inputs = None

    # ---- Tensors ----

    def place(self, tensor):
        """A tensor's bytes in the shared memory, checked."""
        start, size = tensor["offset"], SIZES[tensor["dtype"]] * math.prod(tensor["shape"])
        if start < 0 or start % 64 or min(tensor["shape"]) < 1 or start + size > len(self.segment):
            raise Refusal("invalid_argument", f"a tensor at {start} of {size} bytes does not fit")
        return self.segment[start:start + size]

    def inputs_of(self, tensors):
        return {tensor["name"]: (tensor["dtype"], tuple(tensor["shape"]), self.place(tensor)) for tensor in tensors}

    @staticmethod
    def fill_with_poison(buffer):
        for start in range(0, len(buffer), len(POISON)):
            size = min(len(POISON), len(buffer) - start)
            buffer[start:start + size] = POISON[:size]

    def opened(self):
        if not self.decoder:
            raise Refusal("invalid_argument", "nothing is open")
        return self.decoder

    # ---- Messages ----

    def on_hello(self, message):
        if 0 not in message["versions"]:
            raise Refusal("invalid_argument", "this worker speaks version 0")
        return {"version": 0, **self.framework.hello()}

    def on_open(self, message):
        if self.decoder:
            raise Refusal("invalid_argument", "a decoder is open already")
        self.decoder = self.framework.open(message["config"], message["weights"], message.get("options", {}))
        self.peak.restart()

    def on_option(self, message):
        self.opened().set_option(message["key"] + "", message["value"])

    def on_property(self, message):
        return {"value": self.opened().property(message["key"] + "")}

    def on_prepare(self, message):
        inputs = {tensor["name"]: (tensor["dtype"], tuple(tensor["shape"]), None) for tensor in message["inputs"]}
        return {"image": {"dtype": "F32", "shape": list(self.opened().prepare(inputs))}}

    def check_image(self, decoder, image, inputs):
        if image["dtype"] != "F32" or tuple(image["shape"]) != tuple(decoder.prepare(inputs)):
            raise Refusal("invalid_argument", "the image has another shape or type than prepare said")

    def on_decode(self, message):
        decoder, samples = self.opened(), []
        sets = [self.inputs_of(tensors) for tensors in message["sets"]]
        image = self.place(message["image"])
        keep = [(item["sample"], self.place({**message["image"], "offset": item["offset"]}))
                for item in message.get("keep", [])]
        self.check_image(decoder, message["image"], sets[0])
        for index in range(message["count"]):
            sample = dict.fromkeys(["wall_ns", "cpu_ns", "involuntary_switches", "minor_faults", "major_faults"], 0)
            for left in reversed(range(message.get("decodes_per_sample", 1))):
                self.last_inputs = sets[(index - left) % len(sets)]
                self.fill_with_poison(image)
                self.time_decode(decoder, image, sample)
            sample["output_hash"] = hashlib.sha256(image).hexdigest()
            samples.append(sample)
            for _, kept in (item for item in keep if item[0] == index):
                kept[:] = image
        return {"samples": samples}

    def time_decode(self, decoder, image, sample):
        """The framework's call alone is counted: what it makes of the latents is copied to the image afterwards."""
        ready = decoder.load(self.last_inputs)
        before, cpu_ns, wall_ns = resource.getrusage(resource.RUSAGE_SELF), time.process_time_ns(), time.monotonic_ns()
        result = decoder.decode(ready)
        sample["wall_ns"] += time.monotonic_ns() - wall_ns
        sample["cpu_ns"] += time.process_time_ns() - cpu_ns
        after = resource.getrusage(resource.RUSAGE_SELF)
        sample["involuntary_switches"] += after.ru_nivcsw - before.ru_nivcsw
        sample["minor_faults"] += after.ru_minflt - before.ru_minflt
        sample["major_faults"] += after.ru_majflt - before.ru_majflt
        decoder.store(result, image)

    def memory(self, reset):
        weights, asked = self.framework.weights_bytes()
        peak = self.peak.bytes()
        answer = {"host_allocator": False, "current_bytes": {"weights": weights}, "allocated_bytes": {"weights": asked},
                  "device_current_bytes": -1, "device_peak_bytes": -1}
        if peak is not None:
            answer.update(peak_bytes={"activations": peak}, peak_total_bytes=peak)
        if reset:
            self.peak.restart()
        return answer

    def on_memory(self, message):
        return self.memory(message.get("reset", False))

    def on_trace(self, message):
        if not self.last_inputs:
            raise Refusal("invalid_argument", "nothing was decoded")
        return {"entries": self.opened().trace(self.last_inputs)}

    def on_close(self, message):
        if self.decoder:
            self.decoder.close()
        self.decoder = self.last_inputs = None
        return self.memory(False)

    # ---- The conversation ----

    def refuse(self, failure, kind):
        if isinstance(failure, Refusal):
            code, text = failure.code, str(failure)
        elif is_out_of_memory(failure):
            code, text = "out_of_memory", one_line(failure)
        elif isinstance(failure, OSError):
            code, text = "io_error", one_line(failure)
        else:
            code, text = "internal", f"{kind}: {one_line(failure)}"
        return {"ok": False, "error": {"code": code, "message": text}}

    def check_shape(self, message):
        """Fields that must be there, before the framework is asked: what it raises later is its own."""
        needed = {"hello": {"versions": list}, "open": {"config": str, "weights": str}, "prepare": {"inputs": list},
                  "option": {"key": str, "value": (bool, int, float, str)}, "property": {"key": str},
                  "decode": {"count": int, "sets": list, "image": dict}}
        for field, kind in needed.get(message["type"], {}).items():
            if not isinstance(message.get(field), kind):
                raise Refusal("invalid_argument", f"{message['type']}: '{field}' is missing or misshapen")
        for tensor in [t for s in message.get("sets", []) for t in s] + message.get("inputs", []):
            dims = tensor["shape"]
            if tensor["dtype"] not in SIZES or not dims or not all(type(n) is int and n > 0 for n in dims):
                raise Refusal("invalid_argument", "a tensor's type or shape is none")
        if message["type"] == "decode" and not (0 < message["count"] <= 32768 and 0 < len(message["sets"]) <= 4096):
            raise Refusal("invalid_argument", "decode: 1 to 32768 samples of 1 to 4096 sets")

    def answer(self, message):
        kind = message.get("type")
        handler = getattr(self, f"on_{kind}", None) if isinstance(kind, str) else None
        try:
            if kind == "bye":
                return {"ok": True}
            if not handler:
                raise Refusal("invalid_argument", f"no message type is called '{kind}'")
            try:
                self.check_shape(message)
            except (KeyError, TypeError, AttributeError) as wrong:
                raise Refusal("invalid_argument", f"malformed message: {wrong!r}") from None
            return {"ok": True, **(handler(message) or {})}
        except Exception as failure:  # everything that a framework may raise is an answer
            return self.refuse(failure, kind)

    def run(self):
        lines = self.socket.makefile("rb")
        while line := lines.readline(MAX_LINE_BYTES + 1):
            message = json.loads(line)  # what is not JSON, or too long, ends us
            message = message if isinstance(message, dict) else {}
            answer = {"id": message.get("id"), **self.answer(message)}
            self.socket.sendall(json.dumps(answer).encode() + b"\n")
            if message.get("type") == "bye":
                return
