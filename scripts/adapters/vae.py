"""A VAE of diffusers as a checkpoint's config.json and safetensors describe it, its decode, and its weights counted.

Only the side that decodes: encoder and quant_conv are never filled and are dropped before anything is counted, because
the files need not hold them and decode does not run them.
"""

import contextlib
import json
import os
import weakref

import diffusers
import torch
from protocol import Refusal
from safetensors.torch import load_file

CLASSES = ("AutoencoderKL", "AutoencoderTiny", "ConsistencyDecoderVAE", "AsymmetricAutoencoderKL", "VQModel",
           "AutoencoderDC", "AutoencoderKLFlux2", "AutoencoderKLHunyuanImage", "AutoencoderKLQwenImage",
           "AutoencoderKLWan")
ENCODE_ONLY = ("encoder.", "quant_conv.")
# Tensors that only some decodes need: with masks, with codes or --quantize, outside decode, with more than one frame.
SOMETIMES = ("decoder.condition_encoder.", "quantize.", "bn.", ".time_conv.")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
DTYPES = {"F32": torch.float32, "F64": torch.float64, "F16": torch.float16, "BF16": torch.bfloat16,
          "I32": torch.int32, "I64": torch.int64}


class Ledger:
    """Bytes of parameters and buffers: which are alive, and all that ever were, also of decoders that were closed."""

    def __init__(self):
        self.known, self.asked = {}, 0

    def add_bytes(self, owner, size):
        """Weights that are no tensors of PyTorch's; they live as long as `owner`."""
        self.known[id(owner)] = (weakref.ref(owner), lambda _: size)
        self.asked += size

    def look_at(self, modules):
        for module in modules:
            for tensor in [*module.parameters(), *module.buffers()]:
                if id(tensor) not in self.known or self.known[id(tensor)][0]() is not tensor:
                    self.known[id(tensor)] = (weakref.ref(tensor), lambda alive: alive.nbytes)
                    self.asked += tensor.nbytes

    def bytes(self):
        alive = [(reference(), size) for reference, size in self.known.values()]
        return sum(size(owner) for owner, size in alive if owner is not None), self.asked


LEDGER = Ledger()


def read_config(path):
    with open(path, encoding="utf-8") as file:
        try:
            config = json.load(file)
        except ValueError as wrong:
            raise Refusal("bad_input", f"{path} is not JSON: {wrong}") from None
    vae_type = config.get("_class_name") if isinstance(config, dict) else None
    if vae_type not in CLASSES:
        raise Refusal("unsupported_model", f"{path}: this adapter drives no {vae_type}")
    return config


@contextlib.contextmanager
def no_random_weights():
    """Weights come from a file: drawing random ones first takes longer than reading these."""
    names = [name for name in dir(torch.nn.init) if name.endswith("_") and not name.startswith("_")]
    saved = {name: getattr(torch.nn.init, name) for name in names}
    for name in names:
        setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)
    try:
        yield
    finally:
        for name, function in saved.items():
            setattr(torch.nn.init, name, function)


def build(config, device="cpu"):
    """The framework's own class, without weights. On device "meta" it takes no memory and answers questions."""
    with torch.device(device), no_random_weights():
        vae = getattr(diffusers, config["_class_name"]).from_config(config)
    for side in ("encoder", "quant_conv"):
        if getattr(vae, side, None) is not None:
            setattr(vae, side, torch.nn.Identity())
    return vae.eval().requires_grad_(False)


def read_tensors(path):
    files = [path]
    if path.endswith(".json"):
        with open(path, encoding="utf-8") as file:
            names = sorted(set(json.load(file)["weight_map"].values()))
        files = [os.path.join(os.path.dirname(path), name) for name in names]
    tensors = {}
    for name in files:
        try:
            tensors.update(load_file(name))
        except OSError:
            raise
        except Exception as wrong:  # safetensors has an exception of its own
            raise Refusal("bad_input", f"{name}: {wrong}") from None
    return tensors


def fitted(tensor, wanted):
    """The same numbers in the shape that the class has. Synthetic weights have the graph's: a matrix where the framework
    has a convolution of one by one, and of a causal convolution over time the one tap that a single frame meets."""
    if [n for n in tensor.shape if n != 1] == [n for n in wanted.shape if n != 1]:
        return tensor.view(wanted.shape)
    if tensor.ndim == 4 and wanted.ndim == 5 and wanted.shape[:2] + wanted.shape[3:] == tensor.shape:
        whole = torch.zeros(wanted.shape, dtype=tensor.dtype)
        whole[:, :, -1] = tensor
        return whole
    return tensor


def fill(vae, path):
    """Non-strict for what decode does not need; a tensor that it needs and that is not there is bad input."""
    tensors = {name: tensor for name, tensor in read_tensors(path).items() if not name.startswith(ENCODE_ONLY)}
    wanted = vae.state_dict()
    missing = [name for name in wanted if name not in tensors]
    needed = [name for name in missing if not any(part in name for part in SOMETIMES)]
    if len(needed) > len(wanted) / 2:
        raise Refusal("unsupported_model", f"{path}: the tensors are not named as diffusers names them (no '{needed[0]}' "
                      f"and {len(needed) - 1} more); this adapter converts no checkpoints")
    if needed:
        raise Refusal("bad_input", f"{path}: no tensor '{needed[0]}' (and {len(needed) - 1} more are missing)")
    stored = {tensors[name].dtype for name in wanted if name in tensors and tensors[name].is_floating_point()}
    if len(stored) == 1:
        vae.to(stored.pop())  # in what it is stored in first, as a user of 16-bit weights has it: buffers are rounded, too
    try:
        vae.load_state_dict({name: fitted(tensors[name], wanted[name]) for name in wanted if name in tensors}, strict=False)
    except RuntimeError as wrong:  # sizes that do not fit
        raise Refusal("bad_input", f"{path}: {' '.join(str(wrong).split())[:600]}") from None
    return set(missing)


def inject_noise():
    """ConsistencyDecoderVAE draws noise with randn_tensor: the queue that is returned is drawn from instead."""
    import diffusers.models.autoencoders.consistency_decoder_vae as vae
    import diffusers.schedulers.scheduling_consistency_decoder as scheduler

    queue = []
    vae.randn_tensor = scheduler.randn_tensor = lambda shape, **_: queue.pop(0)
    return queue


class Caller:
    """The framework's decode with the arguments that its pipelines give it."""

    def __init__(self, vae, missing=frozenset()):
        self.vae, self.missing = vae, missing
        self.vae_type = type(vae).__name__
        self.noise = inject_noise() if self.vae_type == "ConsistencyDecoderVAE" else None
        self.looks_up = bool(self.vae_type == "VQModel" and vae.config.get("lookup_from_codebook"))
        self.quantize = False

    def check(self, shapes):
        """{name: (dtype, shape)} against what the configuration says, so that what is refused is not the framework."""
        if "latents" not in shapes:
            raise Refusal("bad_input", "there is no tensor 'latents'")
        dtype, shape = shapes["latents"]
        config, rank = self.vae.config, 4
        if self.looks_up:
            rank = 3
        elif self.vae_type in ("AutoencoderKLQwenImage", "AutoencoderKLWan"):
            rank = 5
        if len(shape) != rank or dtype.startswith("I") != self.looks_up:
            raise Refusal("bad_input", f"{self.vae_type} takes {'codes' if self.looks_up else 'latents'} of rank {rank}, "
                          f"not {dtype} {list(shape)}")
        channels = 4 if self.noise is not None else config.get("latent_channels") or config.get("z_dim")
        if not self.looks_up and shape[1] != channels:
            raise Refusal("bad_input", f"latents have {shape[1]} channels, {self.vae_type} takes {channels}")
        if self.noise is not None and not {"noise.0", "noise.1"} <= set(shapes):
            raise Refusal("bad_input", "ConsistencyDecoderVAE needs noise.0 and noise.1")
        if ("condition.image" in shapes) != ("condition.mask" in shapes):
            raise Refusal("bad_input", "condition.image and condition.mask go together")
        self.check_tensors("condition.image" in shapes)

    def check_tensors(self, conditioned):
        for part, wanted in (("decoder.condition_encoder.", conditioned), ("quantize.", self.looks_up or self.quantize)):
            absent = [name for name in self.missing if name.startswith(part)]
            if wanted and absent:
                raise Refusal("bad_input", f"the weights' file has no '{absent[0]}'")

    def decode(self, tensors):
        """{name: tensor} to the image, as the framework answers it."""
        arguments = {}
        if self.vae_type == "VQModel":
            arguments["force_not_quantize"] = self.looks_up or not self.quantize
        if self.looks_up:
            arguments["shape"] = (*tensors["latents"].shape, self.vae.config.latent_channels)
        if "condition.image" in tensors:
            arguments.update(image=tensors["condition.image"], mask=tensors["condition.mask"])
        if self.noise is not None:
            self.noise[:] = [tensors["noise.0"], tensors["noise.1"]]
        return self.vae.decode(tensors["latents"], return_dict=False, **arguments)[0]
