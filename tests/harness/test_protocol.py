"""Workers asked by hand: `vaemark serve` and the example against docs/worker-protocol.md.

The C tests talk through the harness, which never sends anything wrong; here everything wrong is sent.
"""

import array
import fcntl
import hashlib
import json
import mmap
import os
import re
import select
import socket
import subprocess
import sys
import unittest

SOURCE = os.environ["VAEMARK_SOURCE"]
SERVE = [os.environ["VAEMARK_BINARY"], "serve", "--backend", "cpu"]
EXAMPLE = [sys.executable, "-B", os.path.join(SOURCE, "examples", "nearest_worker.py")]
MODEL = os.path.join(SOURCE, "models", "taef2")
SEGMENT_BYTES = 1 << 20
CHANNELS = 32
LATENTS = {"name": "latents", "dtype": "F32", "shape": [1, CHANNELS, 2, 2]}
IMAGE_OFFSET, KEEP_OFFSET = 65536, 131072
F_ADD_SEALS, F_SEAL_SHRINK, F_SEAL_GROW = 1033, 2, 4


class Worker:
    """A worker started by hand, as the last section of the protocol's page says."""

    def __init__(self, command):
        self.socket, theirs = socket.socketpair()
        segment = os.memfd_create("segment", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(segment, SEGMENT_BYTES)
        fcntl.fcntl(segment, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)
        self.memory = mmap.mmap(segment, SEGMENT_BYTES)
        environment = dict(os.environ, VAEMARK_SOCKET_FD=str(theirs.fileno()), VAEMARK_SEGMENT_FD=str(segment))
        self.process = subprocess.Popen(command, env=environment, pass_fds=(theirs.fileno(), segment),
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        theirs.close()
        os.close(segment)
        self.lines = self.socket.makefile("rb")
        self.number = 0

    def raw(self, data):
        """The answer to some bytes, or None when the connection ended."""
        self.socket.sendall(data)
        if not select.select([self.socket], [], [], 120)[0]:
            raise TimeoutError("no answer")
        try:
            answer = self.lines.readline()
        except ConnectionResetError:
            return None
        return json.loads(answer) if answer else None

    def ask(self, **message):
        self.number += 1
        answer = self.raw(json.dumps({"id": self.number, **message}).encode() + b"\n")
        assert answer["id"] == self.number, answer
        return answer

    def hello(self):
        return self.ask(type="hello", versions=[0])

    def open(self, **changes):
        weights = os.path.join(MODEL, "diffusion_pytorch_model.safetensors")
        return self.ask(**{"type": "open", "model": "taef2", "config": os.path.join(MODEL, "config.json"),
                           "weights": weights, "options": {"precision": "fp32"}, **changes})

    def decode(self, **changes):
        image = {**self.ask(type="prepare", inputs=[LATENTS])["image"], "offset": IMAGE_OFFSET}
        return self.ask(**{"type": "decode", "count": 1, "sets": [[{**LATENTS, "offset": 4096}]], "image": image,
                           **changes})

    def close(self):
        self.socket.close()
        self.lines.close()
        self.process.wait(60)
        self.memory.close()


class Protocol(unittest.TestCase):
    def start(self, command):
        worker = Worker(command)
        self.addCleanup(worker.close)
        return worker

    def assertRefused(self, answer, code, part=""):
        self.assertIs(answer["ok"], False, answer)
        self.assertEqual(answer["error"]["code"], code, answer)
        self.assertIn(part, answer["error"]["message"])

    def both(self):
        return [self.start(SERVE), self.start(EXAMPLE)]

    def test_round_trip(self):
        """One conversation, every message type, with both workers."""
        for worker in self.both():
            self.assertEqual(worker.hello()["version"], 0)
            self.assertTrue(worker.open()["ok"])
            self.assertEqual(worker.ask(type="property", key="fuse_qkv.modules")["value"], 0)
            self.assertRefused(worker.ask(type="option", key="fuse_qkv", value=True), "unsupported_option", "fuse_qkv")
            latents = array.array("f", [((i * 37) % 101) / 50 - 1 for i in range(CHANNELS * 4)])
            worker.memory[4096:4096 + 4 * len(latents)] = latents.tobytes()
            answer = worker.decode(count=3, decodes_per_sample=2, keep=[{"sample": 1, "offset": KEEP_OFFSET}])
            self.assertTrue(answer["ok"], answer)
            self.assertEqual(len(answer["samples"]), 3)
            size = 4 * 3 * 16 * 16
            image = worker.memory[IMAGE_OFFSET:IMAGE_OFFSET + size]
            self.assertEqual(answer["samples"][2]["output_hash"], hashlib.sha256(image).hexdigest())
            self.assertEqual(worker.memory[KEEP_OFFSET:KEEP_OFFSET + size], image)
            self.assertNotIn(0x7FC0DEAD, array.array("I", image))
            self.assertGreater(answer["samples"][0]["wall_ns"], 0)
            self.assertTrue(worker.ask(type="memory", reset=True)["ok"])
            self.assertTrue(worker.ask(type="trace")["entries"])
            self.assertTrue(worker.ask(type="close")["ok"])
            self.assertRefused(worker.ask(type="prepare", inputs=[LATENTS]), "invalid_argument")
            self.assertTrue(worker.open()["ok"], "opens again after close")
            self.assertTrue(worker.ask(type="bye")["ok"])
            self.assertEqual(worker.process.wait(60), 0)

    def test_ring_of_inputs(self):
        """Sample i ends at set i modulo the sets; the decodes before it in the sample turn the ring, too."""
        for worker in self.both():
            worker.hello()
            worker.open()
            sets = []
            for number in range(3):
                values = array.array("f", [number / 3] * (CHANNELS * 4))
                offset = 4096 * (1 + number)
                worker.memory[offset:offset + 4 * len(values)] = values.tobytes()
                sets.append([{**LATENTS, "offset": offset}])
            hashes = {}
            for decodes in (1, 2, 4):
                samples = worker.decode(count=5, decodes_per_sample=decodes, sets=sets)["samples"]
                hashes[decodes] = [sample["output_hash"] for sample in samples]
            self.assertEqual(len(set(hashes[1])), 3)
            self.assertEqual(hashes[1][:2], hashes[1][3:])
            self.assertEqual(hashes[2], hashes[1])
            self.assertEqual(hashes[4], hashes[1])

    def test_ring_turns_within_a_sample(self):
        """Seen with a decoder whose image depends on the one before: the set before a sample's own is decoded first."""
        os.environ["VAEMARK_FAULT"] = "state_leaks"
        self.addCleanup(os.environ.pop, "VAEMARK_FAULT")
        sets = [[{**LATENTS, "offset": 4096}], [{**LATENTS, "offset": 8192}]]

        def hashes(*messages):
            worker = self.start(SERVE[:-1] + ["plugin:" + os.environ["VAEMARK_FAULTY"]])
            worker.hello()
            worker.open()
            for number in (1, 2):
                values = array.array("f", [number / 3] * (CHANNELS * 4))
                worker.memory[4096 * number:4096 * number + 4 * len(values)] = values.tobytes()
            return [worker.decode(**message)["samples"][-1]["output_hash"] for message in messages][-1]

        within = hashes({"sets": sets, "decodes_per_sample": 2})
        self.assertEqual(within, hashes({"sets": sets[1:]}, {"sets": sets[:1]}))
        self.assertNotEqual(within, hashes({"sets": sets[:1]}, {"sets": sets[:1]}))

    def test_unknown_messages_are_answered(self):
        for worker in self.both():
            worker.hello()
            self.assertRefused(worker.ask(type="decoed"), "invalid_argument", "decoed")
            self.assertTrue(worker.ask(type="memory")["ok"], "it lives on")

    def test_misspelt_types_get_a_hint(self):
        worker = self.start(SERVE)
        worker.hello()
        self.assertRefused(worker.ask(type="decoed"), "invalid_argument", "did you mean decode")

    def test_versions(self):
        for worker in self.both():
            self.assertRefused(worker.ask(type="hello", versions=[7, 8]), "invalid_argument", "version 0")
            self.assertTrue(worker.ask(type="hello", versions=[9, 0])["ok"])

    def test_hello_comes_first(self):
        self.assertRefused(self.start(SERVE).open(), "invalid_argument", "hello")

    def test_malformed_messages_are_answered(self):
        """Whatever is JSON gets an answer, with the id if there was one, and the worker lives on."""
        for worker in self.both():
            worker.hello()
            for text in (b"[]", b"12", b'"x"', b"null", b"{}", b'{"id": 5}', b'{"type": "memory"}',
                         b'{"id": "x", "type": 7}', b'{"id": 1, "type": ["open"]}'):
                answer = worker.raw(text + b"\n")
                if text != b'{"type": "memory"}' or worker.process.args is SERVE:
                    self.assertRefused(answer, "invalid_argument")
            for message in ({"type": "open"}, {"type": "open", "model": 1, "config": 2, "weights": 3},
                            {"type": "option"}, {"type": "property", "key": None}, {"type": "decode", "count": 1},
                            {"type": "prepare", "inputs": 5}):
                answer = worker.ask(**message)
                self.assertRefused(answer, "invalid_argument")
            self.assertTrue(worker.ask(type="memory")["ok"])

    def test_what_is_not_json_ends_the_connection(self):
        for text in (b"rubbish\n", b"\xff\xfe\x00\n", b'{"id": 1, "type": "hello"\n', b"\n"):
            for worker in self.both():
                worker.hello()
                self.assertIsNone(worker.raw(text))
                worker.process.wait(60)

    def test_a_line_without_end_ends_the_connection(self):
        worker = self.start(SERVE)
        worker.hello()
        try:
            self.assertIsNone(worker.raw(b"x" * (17 << 20)))
        except (BrokenPipeError, ConnectionResetError):
            pass
        worker.process.wait(60)

    def test_hostile_decodes(self):
        """No number of a decode message reaches memory unchecked. Each row spoils one field of a good message."""
        good = {**LATENTS, "offset": 4096}
        image = {"dtype": "F32", "shape": [1, 3, 16, 16], "offset": IMAGE_OFFSET}
        rows = {
            "offset beyond": {"sets": [[{**good, "offset": SEGMENT_BYTES}]]},
            "offset close to the end": {"sets": [[{**good, "offset": SEGMENT_BYTES - 64}]]},
            "offset that overflows": {"sets": [[{**good, "offset": 2**63 - 64}]]},
            "offset negative": {"sets": [[{**good, "offset": -64}]]},
            "offset unaligned": {"sets": [[{**good, "offset": 4100}]]},
            "offset real": {"sets": [[{**good, "offset": 4096.0}]]},
            "no offset": {"sets": [[LATENTS]]},
            "shape that overflows": {"sets": [[{**good, "shape": [2**31, 2**31, 2**31]}]]},
            "shape with zero": {"sets": [[{**good, "shape": [1, 0, 2, 2]}]]},
            "shape of rank 9": {"sets": [[{**good, "shape": [1] * 9}]]},
            "shape text": {"sets": [[{**good, "shape": "1x4"}]]},
            "dtype unknown": {"sets": [[{**good, "dtype": "F8"}]]},
            "name missing": {"sets": [[{key: good[key] for key in good if key != "name"}]]},
            "name long": {"sets": [[{**good, "name": "x" * 1000}]]},
            "no sets": {"sets": []},
            "empty set": {"sets": [[]]},
            "sets of different size": {"sets": [[good], [good, good]]},
            "count zero": {"count": 0},
            "count huge": {"count": 2**62},
            "decodes zero": {"decodes_per_sample": 0},
            "image over inputs": {"image": {**image, "offset": 4096 + 64}},
            "image outside": {"image": {**image, "offset": SEGMENT_BYTES - 1024}},
            "image huge": {"image": {**image, "shape": [1, 3, 2**40, 2**20]}},
            "keep outside": {"keep": [{"sample": 0, "offset": SEGMENT_BYTES - 64}]},
            "keep over image": {"keep": [{"sample": 0, "offset": IMAGE_OFFSET + 64}]},
            "keep of no sample": {"keep": [{"sample": 1, "offset": KEEP_OFFSET}]},
            "keep not objects": {"keep": [5]},
        }
        worker = self.start(SERVE)
        worker.hello()
        worker.open()
        self.assertTrue(worker.decode()["ok"])
        worker.memory[:] = b"\x55" * SEGMENT_BYTES
        for name, changes in rows.items():
            with self.subTest(name):
                self.assertRefused(worker.decode(**changes), "invalid_argument")
        self.assertEqual(worker.memory[:], b"\x55" * SEGMENT_BYTES, "a refused decode wrote something")
        self.assertTrue(worker.decode()["ok"])

    def test_wrong_inputs_are_typed(self):
        """A tensor that is well-formed but not this model's is the decoder's to refuse."""
        worker = self.start(SERVE)
        worker.hello()
        worker.open()
        answer = worker.ask(type="prepare", inputs=[{**LATENTS, "shape": [1, 5, 2, 2]}])
        self.assertRefused(answer, "bad_input", "5")

    def test_refusal_at_open_leaves_nothing(self):
        worker = self.start(SERVE)
        worker.hello()
        before = worker.ask(type="memory")["allocated_bytes"]
        for _ in range(2):
            self.assertRefused(worker.open(options={"fuse_qkv": True}), "unsupported_option", "AutoencoderTiny")
        self.assertEqual(worker.ask(type="memory")["allocated_bytes"], before)
        self.assertTrue(worker.open()["ok"])
        self.assertRefused(worker.open(), "invalid_argument", "close")

    def test_peer_gone_in_mid_decode(self):
        """The watching thread: a worker that decodes for nobody ends itself, without a harness to kill it."""
        environment = {"VAEMARK_FAULT": "hang_in_decode"}
        os.environ.update(environment)
        self.addCleanup(lambda: [os.environ.pop(key) for key in environment])
        worker = self.start(SERVE[:-1] + ["plugin:" + os.environ["VAEMARK_FAULTY"]])
        worker.hello()
        worker.open()
        image = {**worker.ask(type="prepare", inputs=[LATENTS])["image"], "offset": IMAGE_OFFSET}
        message = {"id": 9, "type": "decode", "count": 1, "sets": [[{**LATENTS, "offset": 4096}]], "image": image}
        worker.socket.sendall(json.dumps(message).encode() + b"\n")
        self.assertFalse(select.select([worker.socket], [], [], 0.2)[0], "it hangs")
        self.assertIsNone(worker.process.poll())
        worker.socket.shutdown(socket.SHUT_RDWR)
        self.assertEqual(worker.process.wait(60), -9)

    def test_started_by_hand_explains_itself(self):
        environment = {key: value for key, value in os.environ.items() if key != "VAEMARK_SOCKET_FD"}
        found = subprocess.run(SERVE, env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(found.returncode, 2)
        self.assertIn("started by vaemark itself", found.stderr)
        found = subprocess.run(SERVE[:2], env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(found.returncode, 2)
        self.assertIn("--backend", found.stderr)

    def test_page_names_every_message(self):
        """docs/worker-protocol.md against the table in serve.c and the codes in use."""
        with open(os.path.join(SOURCE, "docs", "worker-protocol.md"), encoding="utf-8") as file:
            page = file.read()
        with open(os.path.join(SOURCE, "harness", "worker", "serve.c"), encoding="utf-8") as file:
            types = re.findall(r'\{"(\w+)", serve_\w+\}', file.read())
        self.assertGreaterEqual(len(types), 10)
        for name in types:
            self.assertRegex(page, rf'"type": "{name}"|`{name}`')
        for code in ("invalid_argument", "bad_input", "unknown_option", "unsupported_option", "unsupported_model",
                     "unavailable", "out_of_memory", "io_error", "internal"):
            self.assertIn(f"| `{code}` |", page)


if __name__ == "__main__":
    unittest.main()
