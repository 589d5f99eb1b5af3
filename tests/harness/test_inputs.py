"""Inputs that few VAE types have, wrong ones: codes, one frame, a condition in two halves. Each is refused with exit code 2, the file,
the tensor, what was found and what is wanted."""
import os
import struct
import unittest

from support_cli import CommandLine, floats, pack, vaemark


def tensor(*shape, value=0.5):
    count = 1
    for size in shape:
        count *= size
    return ("F32", list(shape), floats(count, value))


def codes(shape, values, dtype="I32"):
    return (dtype, list(shape), struct.pack(f"<{len(values)}{'i' if dtype == 'I32' else 'q'}", *values))


class Inputs(CommandLine):
    def decode(self, model, tensors, backend="cpu"):
        file = self.write("in.safetensors", pack(tensors))
        return vaemark("decode", "--model", model, "--backend", backend, "--latents", file, "--out", self.path("x.npy"))

    def refuse(self, model, tensors, *words):
        process = self.decode(model, tensors)
        self.assert_exit(process, 2)
        for word in ("in.safetensors: ", *words):
            self.assertIn(word, process.stderr)
        self.assertFalse(os.path.exists(self.path("x.npy")))

    def test_ranks(self):
        self.refuse("movq-mini", {"latents": tensor(1, 4, 1, 2, 2)}, "input latents: wanted (N,4,H,W), found 1x4x1x2x2")
        self.refuse("movq-mini", {"latents": tensor(4, 2, 2)}, "wanted (N,4,H,W), found 4x2x2")
        self.refuse("flux2-mini", {"latents": tensor(1, 4, 32)}, "wanted (N,8,H,W), found 1x4x32", "--from diffusion-space")
        self.refuse("amused-mini", {"latents": codes((2, 2), [1] * 4)}, "wanted integer codes (N,H,W), found 2x2")

    def test_types_of_films_take_one_frame(self):
        for model in ("qwenimage-mini", "wan21-mini"):
            with self.subTest(model):
                self.refuse(model, {"latents": tensor(1, 16, 2, 2)}, "input latents: wanted (N,16,1,H,W)", "found 1x16x2x2")
                self.refuse(model, {"latents": tensor(1, 16, 2, 2, 2)}, "wanted one frame, (N,16,1,H,W)", "found 1x16x2x2x2")

    def test_channels(self):
        self.refuse("asymmetric-mini", {"latents": tensor(1, 16, 2, 2)}, "wanted (N,4,H,W), found 1x16x2x2")
        self.refuse("flux2-mini", {"latents": tensor(1, 16, 2, 2)}, "wanted (N,8,H,W), found 1x16x2x2")
        self.refuse("hunyuanimage-mini", {"latents": tensor(1, 64, 2, 2)}, "wanted (N,16,H,W), found 1x64x2x2")

    def test_codes(self):
        for dtype in ("I32", "I64"):
            self.assert_exit(self.decode("amused-mini", {"latents": codes((1, 2, 2), [0, 127, 5, 64], dtype)}), 0)
            os.remove(self.path("x.npy"))
        self.refuse("amused-mini", {"latents": codes((1, 2, 2), [0, 1, 128, 2])}, "element 2 is 128", "rows 0 to 127")
        self.refuse("amused-mini", {"latents": codes((1, 2, 2), [0, -1, 1, 2])}, "element 1 is -1", "rows 0 to 127")
        self.refuse("amused-mini", {"latents": codes((1, 1, 2), [0, 1 << 32], "I64")}, "element 1 is 4294967296")
        self.refuse("amused-mini", {"latents": tensor(1, 2, 2)}, "wanted integer codes (I32 or I64)", "found F32")
        self.refuse("amused-mini", {"latents": tensor(1, 16, 2, 2)}, "wanted integer codes (N,H,W), found 1x16x2x2 of F32")
        self.refuse("movq-mini", {"latents": codes((1, 2, 2), [0, 1, 2, 3])}, "wanted (N,4,H,W), found 1x2x2 of I32")
        self.refuse("movq-mini", {"latents": codes((1, 4, 1, 1), [0, 1, 2, 3])}, "wanted floating point", "found I32")

    def test_conditions_come_in_two_halves_of_the_image_s_size(self):
        z, image, mask = tensor(1, 4, 2, 2), tensor(1, 3, 16, 16), tensor(1, 1, 16, 16, value=1.0)
        both = {"latents": z, "condition.image": image, "condition.mask": mask}
        self.refuse("asymmetric-mini", {"latents": z, "condition.mask": mask},
                    "input condition.image is missing", "(N,3,H,W)", "beside condition.mask")
        self.refuse("asymmetric-mini", {"latents": z, "condition.image": image},
                    "input condition.mask is missing", "(N,1,H,W)", "beside condition.image")
        for name, wrong, wanted, found in (("condition.image", tensor(1, 3, 8, 16), "1x3x16x16", "1x3x8x16"),
                                           ("condition.image", tensor(2, 3, 16, 16), "1x3x16x16", "2x3x16x16"),
                                           ("condition.image", tensor(1, 1, 16, 16), "(N,3,H,W)", "1x1x16x16"),
                                           ("condition.image", tensor(3, 16, 16), "(N,3,H,W)", "3x16x16"),
                                           ("condition.mask", tensor(1, 1, 2, 2), "1x1x16x16", "1x1x2x2"),
                                           ("condition.mask", tensor(1, 3, 16, 16), "(N,1,H,W)", "1x3x16x16"),
                                           ("condition.mask", codes((1, 1, 16, 16), [1] * 256), "floating point", "I32")):
            with self.subTest(name=name, found=found):
                self.refuse("asymmetric-mini", {**both, name: wrong}, f"input {name}: wanted", wanted, f"found {found}")
        self.refuse("asymmetric-mini", {**both, "condition.mask": tensor(1, 1, 16, 16, value=float("nan"))}, "'condition.mask'", "NaN")
        self.assert_exit(self.decode("asymmetric-mini", both), 0)

    def test_conditions_are_never_left_out_in_silence(self):
        z, image, mask = tensor(1, 4, 2, 2), tensor(1, 3, 16, 16), tensor(1, 1, 16, 16, value=1.0)
        both = {"latents": z, "condition.image": image, "condition.mask": mask}
        self.refuse("sd15-mini", both, "'condition.image' is a condition that this model does not take")
        self.refuse("asymmetric-mini", {**both, "condition.masks": mask}, "'condition.masks'", "did you mean 'condition.mask'?")
        self.refuse("asymmetric-mini", {**both, "condition.mask": ("BOOL", [1, 1, 16, 16], bytes(256))},
                    "'condition.mask' is BOOL", "convert it to F32")
        self.assert_exit(self.decode("asymmetric-mini", {"latents": z, "image_fp64": image, "notes": mask}), 0)


if __name__ == "__main__":
    unittest.main()
