#include <criterion/criterion.h>
#include <string.h>

#include "reference/model.h"

/* The table of the specification, said a second time on purpose: it judges every backend. */
Test(capability, is_the_table_of_the_specification) {
    static const struct {
        const char *vae_type, *option;
        enum capability own, others;
    } rows[] = {
        {"AutoencoderKL", "fuse_qkv", CAPABILITY_MUST, CAPABILITY_MAY},
        {"AutoencoderTiny", "fuse_qkv", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"ConsistencyDecoderVAE", "fuse_qkv", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"AutoencoderKLFlux2", "fuse_qkv", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"AutoencoderKL", "tiling", CAPABILITY_MUST, CAPABILITY_MAY},
        {"AutoencoderTiny", "slicing", CAPABILITY_MUST, CAPABILITY_MAY},
        {"ConsistencyDecoderVAE", "tiling", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"ConsistencyDecoderVAE", "slicing", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"AsymmetricAutoencoderKL", "fuse_qkv", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"AsymmetricAutoencoderKL", "tiling", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"AsymmetricAutoencoderKL", "slicing", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"VQModel", "fuse_qkv", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"VQModel", "tiling", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"VQModel", "slicing", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"VQModel", "quantize", CAPABILITY_MUST, CAPABILITY_MAY},
        {"AutoencoderKL", "quantize", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"AutoencoderDC", "fuse_qkv", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"AutoencoderDC", "tiling", CAPABILITY_MUST, CAPABILITY_MAY},
        {"AutoencoderDC", "tile", CAPABILITY_MUST, CAPABILITY_MAY},
        {"AutoencoderDC", "slicing", CAPABILITY_MUST, CAPABILITY_MAY},
        {"AutoencoderKLFlux2", "tiling", CAPABILITY_MUST, CAPABILITY_MAY},
        {"AutoencoderKLFlux2", "tile", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"AutoencoderKLHunyuanImage", "fuse_qkv", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"AutoencoderKLHunyuanImage", "tiling", CAPABILITY_MUST, CAPABILITY_MAY},
        {"AutoencoderKLQwenImage", "fuse_qkv", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"AutoencoderKLQwenImage", "tile_stride", CAPABILITY_MUST, CAPABILITY_MAY},
        {"AutoencoderKLWan", "fuse_qkv", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
        {"AutoencoderKLWan", "tiling", CAPABILITY_MUST, CAPABILITY_MAY},
        {"AutoencoderKL", "levitation", CAPABILITY_MUST_REFUSE, CAPABILITY_MUST_REFUSE},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect_eq(capability_of(rows[i].vae_type, rows[i].option, true), rows[i].own, "row %zu", i);
        cr_expect_eq(capability_of(rows[i].vae_type, rows[i].option, false), rows[i].others, "row %zu", i);
    }
    cr_expect_str_eq(capability_name(CAPABILITY_MUST_REFUSE), "must-refuse");
}

/* Type, option, why, and who does take it. */
Test(capability, refuses_with_the_whole_story) {
    struct error error = {.status = VAEMARK_OK};

    cr_expect_eq(capability_check("AutoencoderKL", "fuse_qkv", &error), VAEMARK_OK);
    cr_expect_eq(capability_check("AutoencoderTiny", "fuse_qkv", &error), VAEMARK_UNSUPPORTED_OPTION);
    cr_expect_str_eq(error.message, "AutoencoderTiny does not support the option fuse_qkv: it has no attention whose "
                                    "projections could be fused; only AutoencoderKL takes it");
    cr_expect_eq(capability_check("ConsistencyDecoderVAE", "tiling", &error), VAEMARK_UNSUPPORTED_OPTION);
    cr_expect(strstr(error.message,
                     "AutoencoderKL, AutoencoderTiny, AutoencoderDC, AutoencoderKLFlux2, "
                     "AutoencoderKLHunyuanImage, AutoencoderKLQwenImage and AutoencoderKLWan take it") != NULL,
              "%s", error.message);
    cr_expect_eq(capability_check("AutoencoderKL", "levitation", &error), VAEMARK_UNKNOWN_OPTION);
}

/* Every VAE type that has a builder must have been thought about for every option: refusals name a reason of its own.
 */
Test(capability, has_a_refusal_or_leave_for_every_type_and_option) {
    for (size_t i = 0; i < model_type_count; i++) {
        for (size_t j = 0; capability_options[j] != NULL; j++) {
            struct error error = {.status = VAEMARK_OK};
            const enum vaemark_status status = capability_check(model_types[i].name, capability_options[j], &error);
            const bool refuse =
                capability_of(model_types[i].name, capability_options[j], true) == CAPABILITY_MUST_REFUSE;
            cr_expect_eq(status, refuse ? VAEMARK_UNSUPPORTED_OPTION : VAEMARK_OK);
            cr_expect(!refuse || strstr(error.message, model_types[i].name) == error.message, "%s", error.message);
        }
    }
}
