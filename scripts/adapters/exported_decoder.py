"""diffusers' VAEs exported for one shape of latents, and run by ONNX Runtime or OpenVINO.

Options are told to a module of PyTorch that lives until it is exported; another option or shape is another export.
"""

import contextlib
import io
import warnings

import numpy
import op_trace
import options
import torch
import vae
from protocol import Refusal, is_out_of_memory, one_line
from vae import LEDGER

torch.set_grad_enabled(False)
warnings.filterwarnings("ignore")  # exporters warn of every branch that they take


class OnnxRuntime:
    """A session of the CPU provider."""

    name = "onnxruntime"

    def __init__(self, net, tensors, threads, _precision):
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(self.to_onnx(net, tensors), settings, providers=["CPUExecutionProvider"])

    @staticmethod
    def to_onnx(net, tensors):
        """PyTorch has two exporters: the one that traces is quicker, the one that is newer knows more operations."""
        import onnx

        arguments = {"input_names": list(tensors), "output_names": ["image"]}
        model = io.BytesIO()
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it prints whole graphs where it fails
                torch.onnx.export(net, tuple(tensors.values()), model, opset_version=18, dynamo=False,
                                  **arguments)
            onnx.shape_inference.infer_shapes(onnx.load_from_string(model.getvalue()), strict_mode=True)
            return model.getvalue()
        except Exception:  # each operation that it lacks, and each graph that it gets wrong, is another one
            program = torch.onnx.export(net, tuple(tensors.values()), dynamo=True, verbose=False, **arguments)
            return program.model_proto.SerializeToString()

    @staticmethod
    def unsupported():
        return [{"vae_type": None, "option": f"precision={precision}",
                 "reason": f"ONNX Runtime's CPU provider has no convolution in {precision}"}
                for precision in ("bf16", "fp16")]

    def run(self, arrays):
        return self.session.run(None, arrays)[0]


class OpenVino:
    """A compiled model on the CPU plug-in."""

    name = "openvino"

    def __init__(self, net, tensors, threads, precision):
        import openvino

        model = openvino.convert_model(net, example_input=tuple(tensors.values()),
                                       input=[tuple(tensor.shape) for tensor in tensors.values()])
        hint = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}[precision]
        self.compiled = openvino.Core().compile_model(
            model, "CPU", {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads,
                           "PERFORMANCE_HINT": "LATENCY"})
        self.request = self.compiled.create_infer_request()

    @staticmethod
    def unsupported():
        import openvino

        can = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return [{"vae_type": None, "option": f"precision={precision}",
                 "reason": f"OpenVINO's CPU plug-in offers no {word} on this machine (it has {', '.join(can)})"}
                for precision, word in (("bf16", "BF16"), ("fp16", "FP16")) if word not in can]

    def run(self, arrays):
        result = self.request.infer(list(arrays.values()), share_inputs=True, share_outputs=True)
        return result[self.compiled.output(0)]


RUNTIMES = {runtime.name: runtime for runtime in (OnnxRuntime, OpenVino)}


def unsupported(arguments):
    reason = f"tiles are loops of diffusers in Python around its decoder; what is exported for {arguments.framework} is " \
             "one graph"
    return [{"vae_type": None, "option": "tiling", "reason": reason}, *RUNTIMES[arguments.framework].unsupported()]


class Net(torch.nn.Module):
    """decode() as a module whose arguments are its inputs, in order."""

    def __init__(self, caller, names):
        super().__init__()
        self.vae, self.caller, self.names = caller.vae, caller, names

    def forward(self, *tensors):
        return self.caller.decode(dict(zip(self.names, tensors)))


class Export:
    """What a runtime made of a module: the image's shape, the operations that were exported, the weights' bytes."""

    def __init__(self, shape, entries, fused, engine):
        self.shape, self.entries, self.fused, self.engine = shape, entries, fused, engine


class Decoder:
    def __init__(self, arguments, config_path, weights_path, wanted):
        self.settings = {**options.DEFAULTS, **{key: options.check(key, value) for key, value in wanted.items()}}
        self.runtime = RUNTIMES[arguments.framework]
        self.config, self.weights_path = vae.read_config(config_path), weights_path
        self.check_export(self.settings)
        self.known = self.export = None
        self.fused = self.make_module()[1]  # what is wrong with the weights is said here

    def check_export(self, settings):
        """Options that this adapter cannot export, then those that the framework's object refuses."""
        vae_type = self.config["_class_name"]
        for key in ("tiling", "pipeline"):
            if settings[key]:
                raise Refusal("unsupported_option", f"{vae_type} on {self.runtime.name} does not take {key}")
        if any(settings[key] for key in options.ORDER):
            probe = vae.build(self.config, "meta")
            with torch.device("meta"):
                options.tell_all(settings, probe, None, vae.Caller(probe))

    def make_module(self):
        model = vae.build(self.config)
        caller = vae.Caller(model, vae.fill(model, self.weights_path))
        model.float()
        options.tell_all(self.settings, model, None, caller)
        fused = sum(type(getattr(module, "processor", None)).__name__.startswith("Fused") for module in model.modules())
        return caller, fused

    def export_for(self, known):
        """In FP32: a runtime that computes in fewer bits converts by itself."""
        caller, fused = self.make_module()
        caller.check({name: (dtype, shape) for name, dtype, shape in known})
        tensors = {name: self.as_wanted(torch.zeros(shape, dtype=vae.DTYPES[dtype])) for name, dtype, shape in known}
        entries, shape = self.look_through(caller, tensors)
        weights = sum(tensor.nbytes for tensor in [*caller.vae.parameters(), *caller.vae.buffers()])
        try:
            engine = self.runtime(Net(caller, list(tensors)).eval(), tensors,
                                  options.thread_count(self.settings["threads"]), self.settings["precision"])
        except Exception as failure:  # exporters and runtimes have many
            if is_out_of_memory(failure):
                raise
            raise Refusal("unsupported_model", f"{caller.vae_type} cannot be exported for {self.runtime.name}: "
                          + one_line(failure)[:600]) from None
        LEDGER.add_bytes(engine, weights)
        return Export(shape, entries, fused, engine)

    def look_through(self, caller, tensors):
        """The module's operations and the image's shape; where a decode depends on data, by running it."""
        shapes = []

        def run(these):
            shapes.append(tuple(caller.decode(these).shape))

        kernel = f"exported for {self.runtime.name}"
        try:
            entries = op_trace.record(caller.vae, lambda these: op_trace.run_without_data(run, these), tensors, kernel)
        except Exception:  # torch has many for this
            entries = op_trace.record(caller.vae, run, tensors, kernel)
        return entries, shapes[-1]

    @staticmethod
    def as_wanted(tensor):
        return tensor.float() if tensor.is_floating_point() else tensor.long()

    # ---- What the protocol asks ----

    def set_option(self, key, value):
        value = options.check(key, value)
        settings = {**self.settings, key: value}
        if key == "precision" and value != self.settings[key]:
            raise Refusal("unsupported_option", f"{self.config['_class_name']}: {key} is chosen at open")
        if key == "fuse_qkv" and not value and not self.settings[key]:
            return  # what is exported is a new module each time, which nobody ever fused
        self.check_export(settings)
        if settings != self.settings or self.export is None:
            self.settings, known = settings, self.known
            self.export = self.known = None
            self.fused = self.make_module()[1]
            if known:
                self.ready(known)

    def property(self, key):
        if key != "fuse_qkv.modules":
            raise Refusal("unknown_option", f"the frameworks' adapter has no property '{key}'")
        return self.fused

    def ready(self, known):
        if self.known != known:
            self.export = None
            self.export, self.known = self.export_for(known), known
        return self.export

    def prepare(self, inputs):
        known = tuple((name, dtype, shape) for name, (dtype, shape, _) in inputs.items())
        return self.ready(known).shape

    def load(self, inputs):
        return {name: self.as_wanted(torch.frombuffer(buffer, dtype=vae.DTYPES[dtype]).view(shape)).numpy()
                for name, (dtype, shape, buffer) in inputs.items()}

    def decode(self, arrays):
        return self.export.engine.run(arrays)

    def store(self, result, buffer):
        numpy.frombuffer(buffer, dtype=numpy.float32).reshape(result.shape)[:] = result

    def trace(self, _inputs):
        """The operations of the module as it was exported; what the runtime makes of them it does not tell by module."""
        return self.export.entries

    def close(self):
        self.export = None
