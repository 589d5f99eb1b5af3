/* Stored parameters as nodes use them: whole, or one tap of a kernel over frames. */
#include "reference/graph.h"

struct shape parameter_stored_shape(const struct graph_parameter *parameter) {
    struct shape shape = parameter->shape;

    if (parameter->frames > 0) { /* (O,C,kh,kw) is stored as (O,C,frames,kh,kw) */
        shape = (struct shape){.rank = 5,
                               .dims = {shape.dims[0], shape.dims[1], parameter->frames, shape.dims[2], shape.dims[3]}};
    }
    return shape;
}

/* One loop for both precisions: `read` stores `count` elements at `out`, element_bytes apart. */
static void read_elements(char *out, size_t element_bytes, const struct graph_parameter *parameter, int64_t first,
                          int64_t count,
                          void (*read)(char *out, const struct vaemark_tensor *tensor, int64_t first, int64_t count)) {
    const struct shape *shape = &parameter->shape;

    if (parameter->frames == 0) {
        read(out, &parameter->tensor, first, count);
        return;
    }
    const int64_t taps = shape->dims[2] * shape->dims[3]; /* of one frame, side by side */
    while (count > 0) {
        const int64_t kernel = first / taps, tap = first % taps, part = taps - tap < count ? taps - tap : count;
        read(out, &parameter->tensor, (kernel * parameter->frames + parameter->frame) * taps + tap, part);
        out += (size_t)part * element_bytes;
        first += part;
        count -= part;
    }
}

static void read_f32(char *out, const struct vaemark_tensor *tensor, int64_t first, int64_t count) {
    tensor_read_f32((float *)(void *)out, tensor, first, count);
}

static void read_f64(char *out, const struct vaemark_tensor *tensor, int64_t first, int64_t count) {
    tensor_read_f64((double *)(void *)out, tensor, first, count);
}

void parameter_read_f32(float *out, const struct graph_parameter *parameter, int64_t first, int64_t count) {
    read_elements((char *)out, sizeof *out, parameter, first, count, read_f32);
}

void parameter_read_f64(double *out, const struct graph_parameter *parameter, int64_t first, int64_t count) {
    read_elements((char *)out, sizeof *out, parameter, first, count, read_f64);
}
