"""What the framework's pipelines hand to decode(): expected.json, from their own statements, in double precision.

    python make.py >expected.json        in an environment with torch and diffusers

Each case runs the statements of a pipeline's __call__ down to its `vae.decode(...)`, with a VAE that only keeps what it is given.
x is ((37 i) mod 101 - 50) / 32, i counting elements in row-major order: exact in every dtype.
"""
import ast
import importlib
import inspect
import json
import textwrap
import types

import torch

MEAN4, STD4 = [0.25, -1.5, 0.0, 2.0], [1.5, 0.75, 2.25, 1.0]
PATH = "diffusers.pipelines."
# name, VAE type, pipeline, configuration, shape of x, latents' height and width (of tokens)
CASES = [
    ("sd15", "AutoencoderKL", "stable_diffusion.pipeline_stable_diffusion.StableDiffusionPipeline",
     {"latent_channels": 4, "scaling_factor": 0.18215}, (1, 4, 2, 3)),
    ("sdxl", "AutoencoderKL", "stable_diffusion_xl.pipeline_stable_diffusion_xl.StableDiffusionXLPipeline",
     {"latent_channels": 4, "scaling_factor": 0.13025, "latents_mean": None, "latents_std": None, "force_upcast": False}, (1, 4, 2, 3)),
    ("sdxl_statistics", "AutoencoderKL", "stable_diffusion_xl.pipeline_stable_diffusion_xl.StableDiffusionXLPipeline",
     {"latent_channels": 4, "scaling_factor": 0.5, "latents_mean": MEAN4, "latents_std": STD4, "force_upcast": False}, (1, 4, 2, 3)),
    ("sd3", "AutoencoderKL", "stable_diffusion_3.pipeline_stable_diffusion_3.StableDiffusion3Pipeline",
     {"latent_channels": 16, "scaling_factor": 1.5305, "shift_factor": 0.0609}, (1, 16, 1, 2)),
    ("flux1", "AutoencoderKL", "flux.pipeline_flux.FluxPipeline",
     {"latent_channels": 16, "scaling_factor": 0.3611, "shift_factor": 0.1159}, (2, 2, 64), (2, 4)),
    ("flux1_square", "AutoencoderKL", "flux.pipeline_flux.FluxPipeline",
     {"latent_channels": 16, "scaling_factor": 0.3611, "shift_factor": 0.1159}, (1, 4, 64), (4, 4)),
    ("flux2", "AutoencoderKLFlux2", "flux2.pipeline_flux2.Flux2Pipeline",
     {"latent_channels": 3, "batch_norm_eps": 0.0001}, (2, 6, 12), (4, 6)),
    ("taesd", "AutoencoderTiny", "stable_diffusion.pipeline_stable_diffusion.StableDiffusionPipeline",
     {"latent_channels": 4, "scaling_factor": 1.0}, (1, 4, 2, 3)),
    ("taef1", "AutoencoderTiny", "flux.pipeline_flux.FluxPipeline",
     {"latent_channels": 16, "scaling_factor": 1.0, "shift_factor": 0.0}, (1, 2, 64), (4, 2)),
    ("consistency", "ConsistencyDecoderVAE", "stable_diffusion.pipeline_stable_diffusion.StableDiffusionPipeline",
     {"latent_channels": 4, "scaling_factor": 0.18215}, (1, 4, 2, 3)),
    ("asymmetric", "AsymmetricAutoencoderKL", "stable_diffusion.pipeline_stable_diffusion_inpaint.StableDiffusionInpaintPipeline",
     {"latent_channels": 4, "scaling_factor": 0.18215}, (2, 4, 1, 3)),
    ("dc_sana", "AutoencoderDC", "sana.pipeline_sana.SanaPipeline", {"latent_channels": 8, "scaling_factor": 0.41407}, (1, 8, 2, 1)),
    ("hunyuanimage", "AutoencoderKLHunyuanImage", "hunyuan_image.pipeline_hunyuanimage.HunyuanImagePipeline",
     {"latent_channels": 8, "scaling_factor": 0.75289}, (1, 8, 1, 2)),
    ("qwenimage", "AutoencoderKLQwenImage", "qwenimage.pipeline_qwenimage.QwenImagePipeline",
     {"z_dim": 4, "latents_mean": MEAN4, "latents_std": STD4}, (1, 6, 16), (4, 6)),
    ("wan", "AutoencoderKLWan", "wan.pipeline_wan.WanPipeline", {"z_dim": 4, "latents_mean": MEAN4, "latents_std": STD4}, (2, 4, 1, 2, 3)),
]


class Config(types.SimpleNamespace):
    """As FrozenDict: attributes and get()."""

    def get(self, key, default=None):
        return getattr(self, key, default)


def statements(pipeline):
    """The block of __call__ down to its first `vae.decode(`, compiled."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(pipeline.__call__)))
    for node in ast.walk(tree):
        for body in (getattr(node, part, None) for part in ("body", "orelse")):
            for i, statement in enumerate(body if isinstance(body, list) else []):
                if isinstance(statement, (ast.Assign, ast.Expr)) and "vae.decode(" in ast.unparse(statement):
                    return compile(ast.Module(body[:i + 1], []), pipeline.__name__, "exec")
    raise LookupError(pipeline)


def run(pipeline, vae_type, config, x, size, factor):
    module = importlib.import_module(pipeline.__module__)
    kept = []
    channels = config.get("latent_channels") or config["z_dim"]
    k = torch.arange(4 * channels)
    bn = types.SimpleNamespace(running_mean=(k - 5) / 8, running_var=0.5 + k / 16)
    vae = types.SimpleNamespace(config=Config(**config), dtype=torch.float64, bn=bn,
                                decode=lambda z, **more: kept.append(z) or (torch.zeros(1, 1, 1, 1, 1),))
    owner = pipeline.__new__(pipeline)
    object.__setattr__(owner, "vae", vae)
    object.__setattr__(owner, "vae_scale_factor", factor)
    height, width = (size[0] * factor, size[1] * factor) if size else (None, None)
    rows, columns = (size[0] // 2, size[1] // 2) if size else (0, 0)
    ids = torch.cartesian_prod(torch.arange(1), torch.arange(rows), torch.arange(columns), torch.arange(1))
    names = dict(vars(module), self=owner, latents=x, height=height, width=width, generator=None, output_type="pt",
                 latent_ids=ids.expand(x.shape[0], -1, -1), get_module_execution_device=lambda m: "cpu", condition_kwargs={})
    exec(statements(pipeline), names)
    return kept[0], bn


def main():
    torch.set_default_dtype(torch.float64)
    import diffusers
    cases = []
    for name, vae_type, path, config, shape, *size in CASES:
        size = size[0] if size else None
        module, cls = (PATH + path).rsplit(".", 1)
        x = ((37 * torch.arange(torch.Size(shape).numel()) % 101 - 50) / 32).reshape(shape)
        z, bn = run(getattr(importlib.import_module(module), cls), vae_type, config, x, size, 8)
        case = {"name": name, "vae_type": vae_type, "pipeline": cls, "config": config, "x_shape": list(shape),
                "size": list(size or (0, 0)), "z_shape": list(z.shape), "z": [float(f"{v:.9g}") for v in z.flatten().tolist()]}
        if vae_type == "AutoencoderKLFlux2":
            case.update(running_mean=bn.running_mean.tolist(), running_var=bn.running_var.tolist())
        cases.append(case)
    print('{"diffusers": %s, "cases": [' % json.dumps(diffusers.__version__))
    print(",\n".join(json.dumps(case) for case in cases))
    print("]}")


main()
