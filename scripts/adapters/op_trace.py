"""The operations that PyTorch dispatches in a decode, each with its module and the FLOPs of its shapes."""

import math

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

VIEWS = ("view", "reshape", "permute", "transpose", "t", "expand", "unsqueeze", "squeeze", "slice", "select", "detach",
         "alias", "unbind", "split", "split_with_sizes", "chunk", "as_strided", "_unsafe_view", "empty", "narrow",
         "lift_fresh", "is_same_size", "new_empty", "empty_like")


def shape_of(value):
    return tuple(value.shape) if isinstance(value, torch.Tensor) else ()


def conv_cost(arguments, result):
    """2 x products an output element; a transposed convolution multiplies each element of its input instead."""
    weight, transposed = arguments[1], arguments[6]
    spread = arguments[0] if transposed else result
    return 2 * spread.numel() * math.prod(weight.shape[1:])


def attention_cost(arguments, _):
    """q k^T and P v."""
    query, key, value = arguments[:3]
    return 2 * math.prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def operation(name, arguments, result, is_linear):
    """(op, FLOPs) of a dispatched function."""
    if name == "convolution":
        kind = "conv_transpose" if arguments[6] else "conv"
        return f"{kind}{arguments[1].ndim - 2}d", conv_cost(arguments, result)
    if name in ("mm", "bmm"):
        return "linear" if is_linear else "matmul", 2 * result.numel() * arguments[0].shape[-1]
    if name in ("addmm", "baddbmm"):
        return "linear" if is_linear else "matmul", 2 * result.numel() * arguments[1].shape[-1]
    if "scaled_dot_product" in name:
        return "attention", attention_cost(arguments, result)
    return {"native_group_norm": "group_norm", "upsample_nearest2d": "upsample_nearest"}.get(name, name), 0


class Recorder(TorchDispatchMode):
    """Names what is dispatched after the innermost module that runs it."""

    def __init__(self, names, kernel):
        super().__init__()
        self.names, self.kernel = names, kernel
        self.stack, self.entries = [], []

    def enter(self, module, _):
        self.stack.append(module)

    def leave(self, *_):
        self.stack.pop()

    def __torch_dispatch__(self, function, types, arguments=(), kwargs=None):
        result = function(*arguments, **(kwargs or {}))
        name = function.overloadpacket.__name__
        first = result[0] if isinstance(result, (tuple, list)) and result else result
        if name in VIEWS or not isinstance(first, torch.Tensor):
            return result
        module = self.stack[-1] if self.stack else None
        op, flops = operation(name, arguments, first, isinstance(module, torch.nn.Linear))
        self.entries.append({"module": self.names.get(id(module), ""), "op": op, "kernel": f"{self.kernel}::{name}",
                             "flops": flops})
        return result


def record(root, run, tensors, kernel):
    recorder = Recorder({id(module): name for name, module in root.named_modules()}, kernel)
    hooks = [torch.nn.modules.module.register_module_forward_pre_hook(recorder.enter),
             torch.nn.modules.module.register_module_forward_hook(recorder.leave, always_call=True)]
    try:
        with recorder:
            run(tensors)
    finally:
        for hook in hooks:
            hook.remove()
    return recorder.entries


def run_without_data(run, tensors):
    """run() on tensors that have a shape and no data; what the framework does to shapes is what it does."""
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with mode:
        return run({name: mode.from_tensor(tensor) for name, tensor in tensors.items()})


def infer_shape(run, tensors):
    """Where a decode depends on data it cannot be followed without: then it is run."""
    try:
        return tuple(run_without_data(run, tensors).shape)
    except Exception:  # torch has many for this
        return tuple(run(tensors).shape)
