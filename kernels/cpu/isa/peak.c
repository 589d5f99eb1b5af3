/* The limits of one instruction set: see kernels/cpu/peak.h. */
#include "kernels/cpu/peak.h"

#include "kernels/cpu/isa/isa.h"

#define NAME_OF(x)       #x
#define NAME_EXPANDED(x) NAME_OF(x)

/* Enough chains that none waits for its own last result (4 cycles x 2 units, or x 4 narrow ones), few enough for the
 * registers, and no more than UNROLLED unrolls. */
#if defined(__AVX512F__) || defined(__aarch64__)
enum { CHAINS = 16 };
#else
enum { CHAINS = 12 };
#endif

#if defined(__FMA__) || defined(__aarch64__)
#define FUSED true
#else
#define FUSED false
#endif

/* x -> 0.9999 x + c: every chain runs towards c / 0.0001, far from zero and from infinity. */
static double multiply_add(size_t iterations, double seed) {
    vec chain[CHAINS], sum = {0};
    vec factor = vec_set(0.9999f), summand = vec_set((float)(1e-4 * (1 + seed)));
    UNROLLED(i, CHAINS) {
        chain[i] = vec_set((float)(1 + seed + (double)i));
    }
    for (size_t n = 0; n < iterations; n++) {
        UNROLLED(i, CHAINS) {
            chain[i] = chain[i] * factor + summand;
        }
        /* Keeps factor and summand in registers, and the compiler from seeing through several rounds. */
        __asm__ volatile("" ::: "memory");
    }
    UNROLLED(i, CHAINS) {
        sum += chain[i];
    }
    double total = 0;
    UNROLLED(i, VECTOR_LANES) {
        total += (double)sum[i];
    }
    return total;
}

enum { STREAMS = 8 };

static double read_all(const float *in, size_t count) {
    vec sums[STREAMS] = {{0}}, sum = {0};
    for (size_t i = 0; i < count; i += (size_t)STREAMS * VECTOR_LANES) {
        UNROLLED(s, STREAMS) {
            sums[s] += vec_load(in + i + s * VECTOR_LANES);
        }
    }
    UNROLLED(s, STREAMS) {
        sum += sums[s];
    }
    double total = 0;
    UNROLLED(i, VECTOR_LANES) {
        total += (double)sum[i];
    }
    return total;
}

static void copy_all(float *out, const float *in, size_t count) {
    for (size_t i = 0; i < count; i += (size_t)STREAMS * VECTOR_LANES) {
        vec line[STREAMS];
        UNROLLED(s, STREAMS) {
            line[s] = vec_load(in + i + s * VECTOR_LANES);
        }
        UNROLLED(s, STREAMS) {
            vec_store(out + i + s * VECTOR_LANES, line[s]);
        }
        /* Or it becomes a call of memcpy(), which has its own mind about caches. */
        __asm__ volatile("" ::: "memory");
    }
}

static bool is_supported(void) {
    return VARIANT(kernel_set).is_supported();
}

const struct peak_kernels VARIANT(peak_kernels) = {
    .name = NAME_EXPANDED(KERNEL_VARIANT),
    .lanes = VECTOR_LANES,
    .accumulators = CHAINS,
    .fused = FUSED,
    .is_supported = is_supported,
    .multiply_add = multiply_add,
    .read = read_all,
    .copy = copy_all,
};
