"""diffusers on PyTorch: eager, channels_last or through torch.compile, alone or in a pipeline."""

import gc
import os

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # its pool of processes would be watched as ours

import op_trace
import options
import torch
import vae
from protocol import Refusal, one_line
from vae import LEDGER

torch.set_grad_enabled(False)


def unsupported(_arguments):
    return []  # what PyTorch does not do it says itself


def build_pipeline(model):
    """The VAE inside of a Stable Diffusion pipeline, whose UNet is as small as its class allows: seeded, never run."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel(sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
                                down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=8,
                                attention_head_dim=4)
    scheduler = DDIMScheduler(steps_offset=1, clip_sample=False)
    return StableDiffusionPipeline(vae=model, text_encoder=None, tokenizer=None, unet=unet.eval().requires_grad_(False),
                                   scheduler=scheduler, safety_checker=None, feature_extractor=None,
                                   requires_safety_checker=False)


class Decoder:
    def __init__(self, arguments, config_path, weights_path, wanted):
        self.settings = {**options.DEFAULTS, **{key: options.check(key, value) for key, value in wanted.items()}}
        self.channels_last, self.compiled = arguments.layout == "channels_last", arguments.compile
        config = vae.read_config(config_path)
        self.ask_first(config)
        self.dtype = vae.PRECISIONS[self.settings["precision"]]
        torch.set_num_threads(options.thread_count(self.settings["threads"]))
        model = vae.build(config)
        missing = vae.fill(model, weights_path)
        self.vae = model.to(self.dtype)
        if self.channels_last:
            self.vae = self.vae.to(memory_format=torch.channels_last)
        self.pipeline = self.make_pipeline(self.vae)
        self.caller = vae.Caller(self.vae, missing)
        self.count_weights()
        options.tell_all(self.settings, self.vae, self.pipeline, self.caller)
        self.count_weights()
        if self.compiled:
            self.compile()
        self.shapes = {}

    def make_pipeline(self, model):
        if not self.settings["pipeline"]:
            return None
        try:
            return build_pipeline(model)
        except (AttributeError, ValueError, TypeError) as failure:
            raise Refusal("unsupported_option", f"{type(model).__name__} does not take pipeline: {one_line(failure)}")

    def ask_first(self, config):
        """What is asked for at open is asked of an object without weights first: refused before any work."""
        if any(self.settings[key] for key in (*options.ORDER, "pipeline")):
            probe = vae.build(config, "meta")
            with torch.device("meta"):
                options.tell_all(self.settings, probe, self.make_pipeline(probe), vae.Caller(probe))

    def decoder_modules(self):
        """What torch.compile is given: the network, not the code around it."""
        return [module for name in ("decoder", "decoder_unet") if (module := getattr(self.vae, name, None)) is not None]

    def compile(self):
        for module in self.decoder_modules():
            module.compile()

    def count_weights(self):
        LEDGER.look_at([self.vae] + ([self.pipeline.unet] if self.pipeline else []))

    # ---- What the protocol asks ----

    def set_option(self, key, value):
        value = options.check(key, value)
        if key in ("precision", "pipeline") and value != self.settings[key]:
            raise Refusal("unsupported_option", f"{self.caller.vae_type}: {key} is chosen at open")
        before, self.settings[key] = self.settings[key], value
        try:
            if key == "threads":
                torch.set_num_threads(options.thread_count(value))
            elif key in options.ORDER:
                options.tell(key, self.settings, self.vae, self.pipeline, self.caller)
            elif key in options.PIXELS and self.settings["tiling"]:
                options.tell("tiling", self.settings, self.vae, self.pipeline, self.caller)
        except Exception:
            self.settings[key] = before
            raise
        finally:
            self.count_weights()
            self.shapes = {}

    def property(self, key):
        if key != "fuse_qkv.modules":
            raise Refusal("unknown_option", f"the frameworks' adapter has no property '{key}'")
        processors = [getattr(module, "processor", None) for module in self.vae.modules()]
        return sum(type(processor).__name__.startswith("Fused") for processor in processors)

    def prepare(self, inputs):
        """The shape that the framework gives an image: asked without computing it where that can be done."""
        known = tuple(sorted((name, dtype, shape) for name, (dtype, shape, _) in inputs.items()))
        if known not in self.shapes:
            self.caller.check({name: (dtype, shape) for name, dtype, shape in known})
            self.shapes[known] = op_trace.infer_shape(self.run_eagerly, self.blank(known))
        return self.shapes[known]

    def blank(self, known):
        return {name: self.as_wanted(torch.zeros(shape, dtype=vae.DTYPES[dtype])) for name, dtype, shape in known}

    def as_wanted(self, tensor):
        """Codes as indices, all else in the decoder's precision and memory format."""
        if not tensor.is_floating_point():
            return tensor.long()
        tensor = tensor.to(self.dtype)
        if self.channels_last and tensor.ndim == 4:
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    def load(self, inputs):
        return {name: self.as_wanted(torch.frombuffer(buffer, dtype=vae.DTYPES[dtype]).view(shape))
                for name, (dtype, shape, buffer) in inputs.items()}

    def decode(self, tensors):
        return self.caller.decode(tensors)

    def store(self, result, buffer):
        torch.frombuffer(buffer, dtype=torch.float32).view(result.shape).copy_(result)

    def run_eagerly(self, tensors):
        """Not through what was compiled: what a trace or a shape needs to see are the modules."""
        saved = [(module, module._compiled_call_impl) for module in self.decoder_modules()]
        for module, _ in saved:
            module._compiled_call_impl = None
        try:
            return self.caller.decode(tensors)
        finally:
            for module, compiled in saved:
                module._compiled_call_impl = compiled

    def trace(self, inputs):
        kernel = "inductor" if self.compiled else "aten"
        return op_trace.record(self.vae, self.run_eagerly, self.load(inputs), kernel)

    def close(self):
        self.vae = self.pipeline = self.caller = None
        torch.compiler.reset()
        gc.collect()  # what was compiled is held in circles
