"""A decoder's options, told to the framework's objects as a user would tell them.

A messenger: it calls the framework's methods and passes on what comes. What the framework refuses in words is
unsupported_option; what it takes in silence is taken. Nothing here knows of a defect.
"""

import inspect
import os

from protocol import Refusal, one_line
from vae import PRECISIONS

BOOLEANS = ("fuse_qkv", "slicing", "quantize", "pipeline")
PIXELS = ("tile", "tile_stride")
DEFAULTS = {"precision": "fp32", "threads": 0, "fuse_qkv": False, "tiling": False, "slicing": False, "quantize": False,
            "pipeline": False, "tile": 0, "tile_stride": 0}
ORDER = ("quantize", "fuse_qkv", "slicing", "tiling")  # what is told to an open decoder


def check(key, value):
    """The value, typed; Refusal for what no decoder takes."""
    wrong = Refusal("unknown_option", f"option '{key}' does not take {value!r}")
    if key not in DEFAULTS:
        raise Refusal("unknown_option", f"the frameworks' adapter has no option '{key}'")
    if key == "precision" and value not in PRECISIONS:
        raise Refusal("unsupported_option", f"precision {value!r}: the frameworks run in {', '.join(PRECISIONS)}")
    if key in BOOLEANS and not (isinstance(value, bool) or (type(value) is int and value in (0, 1))):
        raise wrong
    if key == "tiling" and not (isinstance(value, bool) or value == "corrected" or value in (0, 1)):
        raise wrong
    if key in ("threads", *PIXELS) and (type(value) is not int or not 0 <= value <= 65536):
        raise wrong
    return value == "corrected" or bool(value) if key in BOOLEANS or key == "tiling" else value


def thread_count(value):
    return value or len(os.sched_getaffinity(0))


def tile_arguments(vae, settings):
    """What enable_tiling of this class takes, from pixels of tile and stride."""
    takes = inspect.signature(vae.enable_tiling).parameters
    tile, stride, arguments = settings["tile"], settings["tile_stride"], {}
    if tile and "tile_sample_min_size" in takes:
        arguments["tile_sample_min_size"] = tile
        if stride:
            arguments["tile_overlap_factor"] = 1 - stride / tile
        return arguments
    for value, name in ((tile, "tile_sample_min"), (stride, "tile_sample_stride")):
        for side in ("height", "width") if value else ():
            arguments[f"{name}_{side}"] = value
    if not set(arguments) <= set(takes):
        raise Refusal("unsupported_option", f"{type(vae).__name__} does not take tile: its enable_tiling() has no "
                      f"{sorted(set(arguments) - set(takes))[0]}")
    return arguments


def call(vae_type, option, target, method, **arguments):
    """target.method(), and its refusal as a typed error; any other exception is the framework's own failure."""
    if not hasattr(target, method):
        raise Refusal("unsupported_option", f"{vae_type} does not take {option}: AttributeError: "
                      f"'{type(target).__name__}' object has no attribute '{method}'")
    try:
        getattr(target, method)(**arguments)
    except NotImplementedError as refusal:
        raise Refusal("unsupported_option", f"{vae_type} does not take {option}: {one_line(refusal)}") from None
    except ValueError as refusal:
        if "support" not in str(refusal):
            raise
        raise Refusal("unsupported_option", f"{vae_type} does not take {option}: {one_line(refusal)}") from None


def tell(key, settings, vae, pipeline, caller):
    """One option to the framework's objects, as settings[key] wants it."""
    vae_type, on = type(vae).__name__, settings[key]
    if key == "fuse_qkv":
        call(vae_type, key, pipeline or vae, "fuse_qkv_projections" if on else "unfuse_qkv_projections")
    elif key == "slicing":
        call(vae_type, key, vae, "enable_slicing" if on else "disable_slicing")
    elif key == "tiling":
        call(vae_type, key, vae, "enable_tiling" if on else "disable_tiling",
             **(tile_arguments(vae, settings) if on else {}))
    elif key == "quantize":
        if on and (vae_type != "VQModel" or caller.looks_up):
            raise Refusal("unsupported_option", f"{vae_type} does not take quantize: "
                          + ("its latents are codes" if caller.looks_up else "it has no codebook"))
        caller.quantize = on


def tell_all(settings, vae, pipeline, caller):
    """What is asked for at open, on objects that are as the framework makes them."""
    for key in ORDER:
        if settings[key]:
            tell(key, settings, vae, pipeline, caller)
