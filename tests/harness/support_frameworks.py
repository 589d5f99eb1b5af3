"""A worker made of the adapter's protocol.py, for tests: with a stub in place of a framework, or the real one, and with one
fault in the decodes of one model.

    python3 support_frameworks.py stub|torch|onnxruntime|openvino FAULT MODEL
"""

import os
import signal
import sys
import time

sys.dont_write_bytecode = True
ADAPTERS = os.path.join(os.environ["VAEMARK_SOURCE"], "scripts", "adapters")
sys.path.insert(0, ADAPTERS)

import environment  # noqa: E402
import protocol  # noqa: E402


class StubDecoder:
    """Eight times enlarged: the first sample's first latent, everywhere."""

    def set_option(self, key, value):
        if key == "fuse_qkv" and value:
            raise protocol.Refusal("unsupported_option", "the stub does not take fuse_qkv")

    def property(self, key):
        return 0

    def prepare(self, inputs):
        n, _, h, w = inputs["latents"][1]
        return n, 3, 8 * h, 8 * w

    def load(self, inputs):
        return bytes(inputs["latents"][2][:4])

    def decode(self, ready):
        return ready

    def store(self, result, buffer):
        buffer[:] = result * (len(buffer) // 4)

    def trace(self, inputs):
        return [{"module": "stub", "op": "enlarge"}]

    def close(self):
        pass


class StubFramework:
    def hello(self):
        return {"backend": "stub", "available": True, "deterministic": True}

    def weights_bytes(self):
        return 0, 0

    def open(self, config, weights, options):
        if "missing" in config:
            raise FileNotFoundError(config)
        return StubDecoder()


def real_framework(name):
    import frameworks_worker

    sys.argv = [sys.argv[0], "--framework", name]
    return frameworks_worker.Framework(frameworks_worker.parse_arguments())


def kill(_worker):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(_worker):
    time.sleep(600)


def print_rubbish(_worker):
    os.write(1, b"rubbish \xff\n" * 100000)


def answer_rubbish(worker):
    worker.socket.sendall(b"rubbish in the middle\n")


def answer_twice(worker):
    worker.socket.sendall(b'{"id": 0, "ok": true}\n')


def raise_error(_worker):
    raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")


FAULTS = {"none": lambda _worker: None, "kill": kill, "hang": hang, "print_rubbish": print_rubbish,
          "answer_rubbish": answer_rubbish, "answer_twice": answer_twice, "out_of_memory": raise_error}


def main():
    kind, fault, model = sys.argv[1:]
    if kind != "stub":
        environment.enter()
    framework = StubFramework() if kind == "stub" else real_framework(kind)
    worker = protocol.Worker(framework)
    whole_open = framework.open

    def open_with_fault(config, weights, options):
        decoder = whole_open(config, weights, options)
        whole_decode = decoder.decode

        def decode(ready):
            FAULTS[fault](worker)
            return whole_decode(ready)

        if model in config:
            decoder.decode = decode
        return decoder

    framework.open = open_with_fault
    worker.run()


if __name__ == "__main__":
    main()
