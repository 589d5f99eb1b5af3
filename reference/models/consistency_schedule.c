#include "reference/models/consistency_schedule.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

/* How much signal is left at u in [0, 1]. */
static double signal_left(double u) {
    double c = cos((u + 0.008) / 1.008 * PI / 2);
    return c * c;
}

struct consistency_step consistency_schedule_at(int32_t t) {
    const float deviation = 0.5f, variance = deviation * deviation; /* of the pictures trained on */
    /* Betas, and what is left of the signal, are stored in single precision; PyTorch's cumulative product on a CPU runs
     * in double precision between them. */
    double product = 1.0;
    for (int32_t i = 0; i <= t; i++) {
        double beta =
            1 - signal_left((double)(i + 1) / CONSISTENCY_TIMESTEPS) / signal_left((double)i / CONSISTENCY_TIMESTEPS);
        product *= (double)(1.0f - (float)fmin(beta, 0.999));
    }
    const float signal = (float)product;
    const float sigma = sqrtf(1.0f / signal - 1.0f), reciprocal = sqrtf(1.0f / signal);
    const float total = sigma * sigma + variance;
    return (struct consistency_step){
        .sqrt_signal = sqrtf(signal),
        .sqrt_noise = sqrtf(1.0f - signal),
        .c_skip = reciprocal * variance / total,
        .c_out = sigma * deviation / sqrtf(total),
        .c_in = reciprocal / sqrtf(total),
    };
}
