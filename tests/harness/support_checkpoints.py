"""Reading, renaming and writing checkpoints in every layout that people have, with the standard library alone."""
import json
import os
import re
import struct

from support_cli import SOURCE, pack


def read_checkpoint(path):
    """{name: (dtype, shape, bytes)} of a safetensors file."""
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    header.pop("__metadata__", None)
    return {name: (t["dtype"], t["shape"], data[slice(*t["data_offsets"])]) for name, t in header.items()}


def golden(name):
    folder = os.path.join(SOURCE, "tests", "data", name)
    return read_checkpoint(os.path.join(folder, "diffusion_pytorch_model.safetensors"))


def rename(tensors, pairs, finish=lambda name, tensor: (name, tensor)):
    """Each name with every (pattern, replacement) applied, then what `finish` makes of name and tensor."""
    out = {}
    for name, tensor in tensors.items():
        for pattern, replacement in pairs:
            name = re.sub(pattern, replacement, name)
        name, tensor = finish(name, tensor)
        out[name] = tensor
    return out


def to_ldm(tensors, prefix="", levels=4, trailing=(1, 1)):
    """Latent diffusion's names: levels from the finest, attention as 1x1 convolutions."""
    def finish(name, tensor):
        dtype, shape, raw = tensor
        if re.search(r"attn_1\.(q|k|v|proj_out)\.weight$", name):
            tensor = (dtype, [*shape, *trailing], raw)
        return prefix + name, tensor
    return rename(tensors, [
        (r"^decoder\.mid_block\.resnets\.0", "decoder.mid.block_1"),
        (r"^decoder\.mid_block\.resnets\.1", "decoder.mid.block_2"),
        (r"^decoder\.mid_block\.attentions\.0\.group_norm", "decoder.mid.attn_1.norm"),
        (r"^decoder\.mid_block\.attentions\.0\.to_([qkv])\.", r"decoder.mid.attn_1.\1."),
        (r"^decoder\.mid_block\.attentions\.0\.to_out\.0", "decoder.mid.attn_1.proj_out"),
        (r"^decoder\.up_blocks\.(\d+)", lambda m: f"decoder.up.{levels - 1 - int(m[1])}"),
        (r"^(decoder\.up\.\d+)\.resnets", r"\1.block"),
        (r"^(decoder\.up\.\d+)\.upsamplers\.0", r"\1.upsample"),
        (r"conv_shortcut", "nin_shortcut"),
        (r"^decoder\.conv_norm_out", "decoder.norm_out"),
    ], finish)


def to_old_attention(tensors):
    return rename(tensors, [(r"to_q\.", "query."), (r"to_k\.", "key."), (r"to_v\.", "value."),
                            (r"to_out\.0\.", "proj_attn.")])


def to_qkv(tensors, keep_parts):
    out = dict(tensors)
    for name, (dtype, shape, raw) in tensors.items():
        if ".to_q." in name:
            parts = [tensors[name.replace(".to_q.", f".to_{p}.")] for p in "qkv"]
            joined = b"".join(p[2] for p in parts)
            if keep_parts:
                joined = bytes(len(joined))  # left behind, and not to be looked at
            out[name.replace(".to_q.", ".to_qkv.")] = (dtype, [3 * shape[0], *shape[1:]], joined)
            for p in () if keep_parts else "qkv":
                del out[name.replace(".to_q.", f".to_{p}.")]
    return out


def to_taesd(tensors, prefix=""):
    return rename({n: t for n, t in tensors.items() if n.startswith("decoder.layers.")},
                  [(r"^decoder\.layers\.(\d+)", lambda m: f"{prefix}{int(m[1]) + 1}")])


def to_openai(tensors, levels, blocks="blocks."):
    tensors = {n: t for n, t in tensors.items() if n.startswith("decoder_unet.")}
    return rename(tensors, [
        (r"^decoder_unet\.conv_in\.weight$", "embed_image.f.w"), (r"^decoder_unet\.conv_in\.bias$", "embed_image.f.b"),
        (r"^decoder_unet\.time_proj\.weight$", "embed_time.emb"),
        (r"^decoder_unet\.time_embedding\.linear_(\d)", r"embed_time.f_\1"),
        (r"^decoder_unet\.conv_norm_out\.weight", "output.gn.g"), (r"^decoder_unet\.conv_norm_out", "output.gn"),
        (r"^decoder_unet\.conv_out", "output.f"),
        (r"^decoder_unet\.down_blocks\.(\d)\.resnets\.(\d)", blocks + r"down_\1_conv_\2"),
        (r"^decoder_unet\.down_blocks\.(\d)\.downsamplers\.0", blocks + r"down_\1_downsamp"),
        (r"^decoder_unet\.mid_block\.resnets\.(\d)", blocks + r"mid_\1"),
        (r"^decoder_unet\.up_blocks\.(\d)\.resnets\.(\d)",
         lambda m: f"{blocks}up_{levels - 1 - int(m[1])}_conv_{m[2]}"),
        (r"^decoder_unet\.up_blocks\.(\d)\.upsamplers\.0", lambda m: f"{blocks}up_{levels - 1 - int(m[1])}_upsamp"),
        (r"norm(\d)\.weight", r"gn_\1.g"), (r"norm(\d)\.bias", r"gn_\1.b"), (r"\bconv(\d)\.", r"f_\1."),
        (r"time_emb_proj", "f_t"), (r"conv_shortcut", "f_s"), (r"\.weight$", ".w"), (r"\.bias$", ".b"),
    ])


def save(path, tensors):
    with open(path, "wb") as f:
        f.write(pack(tensors))
    return path


def save_shards(folder, tensors, count=3, stem="diffusion_pytorch_model"):
    """A sharded checkpoint as the framework saves it; answers the index's path."""
    names = sorted(tensors)
    files = [f"{stem}-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    for i, file in enumerate(files):
        save(os.path.join(folder, file), {n: tensors[n] for n in names[i::count]})
    index = {"metadata": {"total_size": sum(len(t[2]) for t in tensors.values())},
             "weight_map": {n: files[i % count] for i, n in enumerate(names)}}
    path = os.path.join(folder, f"{stem}.safetensors.index.json")
    with open(path, "w") as f:
        json.dump(index, f)
    return path
