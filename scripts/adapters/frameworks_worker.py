#!/usr/bin/env python3
"""The original framework as a decoder under test: diffusers' VAEs on PyTorch, ONNX Runtime or OpenVINO.

    vaemark run --suite frameworks
    vaemark run --decoder "exec:'python3 {data}/scripts/adapters/frameworks_worker.py --framework torch',name=torch"

    --framework torch | onnxruntime | openvino
    --layout channels_last      torch: weights and latents in that memory format
    --compile                   torch: the decoder through torch.compile

Starts with any python3 and its standard library, and goes on in the virtual environment that scripts/setup-frameworks.sh
makes. Without it, hello says so. docs/frameworks.md explains what is measured; protocol.py speaks the worker protocol.
"""

import argparse
import os
import sys

sys.dont_write_bytecode = True  # the folder may be a checkout, or not ours to write to
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import environment
import protocol


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--framework", choices=["torch", "onnxruntime", "openvino"], required=True)
    parser.add_argument("--layout", choices=["contiguous", "channels_last"], default="contiguous")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    if arguments.framework != "torch" and (arguments.compile or arguments.layout != "contiguous"):
        parser.error("--layout and --compile are torch's")
    return arguments


class Framework:
    """What hello says, and how decoders are made. Nothing of a framework is imported before hello."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.name = arguments.framework
        self.ledger = None

    def hello(self):
        answer = {"backend": self.name, "program": "frameworks_worker 1", "deterministic": True,
                  "description": self.describe()}
        reason = environment.why_unavailable(self.name, self.arguments.compile)
        if not reason:
            try:
                answer.update(self.import_framework())
            except Exception as failure:  # whatever a broken installation raises
                reason = f"{self.name} is installed, but does not start: {type(failure).__name__}: {failure}"
        return {**answer, "available": not reason, "reason": reason}

    def describe(self):
        how = [self.name] + ["channels_last"] * (self.arguments.layout != "contiguous")
        return "diffusers on " + ", ".join(how + ["torch.compile"] * self.arguments.compile)

    def import_framework(self):
        if self.name == "torch":
            import torch_decoder as module
        else:
            import exported_decoder as module
        self.make_decoder, self.ledger = module.Decoder, module.LEDGER
        return {"facts": environment.versions(self.name), "unsupported": module.unsupported(self.arguments)}

    def weights_bytes(self):
        """Of weights that are alive, and of all that ever were asked for; the worker's, so also after close."""
        return self.ledger.bytes() if self.ledger else (0, 0)

    def open(self, config_path, weights_path, options):
        return self.make_decoder(self.arguments, config_path, weights_path, options)


def main():
    arguments = parse_arguments()
    environment.enter()
    protocol.Worker(Framework(arguments)).run()


if __name__ == "__main__":
    main()
