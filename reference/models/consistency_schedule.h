/* The noise schedule of the consistency decoder (diffusers' ConsistencyDecoderScheduler; the cosine schedule of Nichol
 * and Dhariwal, Improved Denoising Diffusion Probabilistic Models, ICML 2021), with the roundings of the framework. */
#ifndef REFERENCE_MODELS_CONSISTENCY_SCHEDULE_H
#define REFERENCE_MODELS_CONSISTENCY_SCHEDULE_H

#include <stdint.h>

enum { CONSISTENCY_TIMESTEPS = 1024, CONSISTENCY_FIRST_STEP = 1008, CONSISTENCY_SECOND_STEP = 512 };

struct consistency_step {
    float sqrt_signal, sqrt_noise; /* sqrt(A), sqrt(1 - A), A the product of 1 - beta up to t */
    float c_skip, c_out, c_in;
};
/* t from 0 to CONSISTENCY_TIMESTEPS - 1. */
struct consistency_step consistency_schedule_at(int32_t t);

#endif
