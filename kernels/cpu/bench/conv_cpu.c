/* A layer by backend cpu, through the ABI: a model of one operation, decoded. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/bench/conv.h"
#include "kernels/cpu/cpu.h"

struct cpu_form {
    struct vaemark_decoder *decoder;
    struct vaemark_tensor latents, image;
};

static void *allocate(void *user, size_t size_bytes, size_t alignment_bytes, enum vaemark_memory_class memory_class) {
    void *memory = NULL;
    (void)user, (void)memory_class;
    return posix_memalign(&memory, alignment_bytes, size_bytes) == 0 ? memory : NULL;
}

static void release(void *user, void *memory) {
    (void)user;
    free(memory);
}

static bool is_border(const struct vaemark_trace_entry *entry) {
    return strncmp(entry->kernel, "pack_panels", strlen("pack_panels")) == 0 ||
           strncmp(entry->kernel, "unpack_panels", strlen("unpack_panels")) == 0;
}

static enum vaemark_status open_decoder(struct cpu_form *state, const struct conv_problem *problem, const char *form,
                                        struct vaemark_message *message) {
    static const struct vaemark_host host = {.struct_size = sizeof host, .allocate = allocate, .release = release};
    const struct vaemark_option items[] = {{"threads", VAEMARK_INTEGER, {.integer = problem->threads}},
                                           {"precision", VAEMARK_TEXT, {.text = form}}};
    const struct vaemark_options options = {.items = items, .count = sizeof items / sizeof items[0]};
    const struct vaemark_model model = model_abi(problem->model);
    const struct vaemark_tensors inputs = {.items = &state->latents, .count = 1};
    const struct shape shape = {.rank = 4, .dims = {1, problem->in, problem->height, problem->width}};
    state->latents = tensor_make("latents", VAEMARK_F32, &shape, problem->input);
    enum vaemark_status status = cpu_backend.open(&host, &model, &options, &state->decoder, message);
    return status == VAEMARK_OK ? cpu_backend.prepare(state->decoder, &inputs, &state->image, message) : status;
}

static void read_facts(const struct cpu_form *state, struct conv_facts *facts) {
    struct vaemark_memory memory;
    struct vaemark_trace trace;
    struct vaemark_message message;
    cpu_backend.memory(state->decoder, &memory, &message);
    cpu_backend.trace(state->decoder, &trace, &message);
    *facts = (struct conv_facts){.activation_bytes = (size_t)memory.planned_bytes[VAEMARK_MEMORY_ACTIVATIONS],
                                 .weight_bytes = (size_t)memory.planned_bytes[VAEMARK_MEMORY_WEIGHTS]};
    for (size_t i = 0; i < trace.count; i++) {
        if (!is_border(&trace.entries[i])) {
            snprintf(facts->kernel, sizeof facts->kernel, "%s", trace.entries[i].kernel);
        }
    }
}

static void cpu_close(void *opened) {
    struct cpu_form *state = opened;
    if (state != NULL) {
        cpu_backend.close(state->decoder);
        free(state);
    }
}

static enum vaemark_status cpu_open(const struct conv_problem *problem, const char *form, void **opened,
                                    struct conv_facts *facts, struct error *error) {
    struct vaemark_message message = {""};
    struct cpu_form *state = calloc(1, sizeof *state);
    *opened = NULL;
    if (state == NULL) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for a decoder");
    }
    const enum vaemark_status status = open_decoder(state, problem, form, &message);
    if (status != VAEMARK_OK) {
        cpu_close(state);
        return error_set_at(error, status, problem->name, "%s", message.text);
    }
    read_facts(state, facts);
    *opened = state;
    return VAEMARK_OK;
}

/* The trace has the time of each step: all but the border are the layer. */
static enum vaemark_status cpu_run(void *opened, float *output, double *time_ns, struct error *error) {
    struct cpu_form *state = opened;
    struct vaemark_message message = {""};
    struct vaemark_trace trace;
    const struct vaemark_tensors inputs = {.items = &state->latents, .count = 1};
    struct vaemark_tensors outputs = {.items = &state->image, .count = 1};
    state->image.data = output;
    const enum vaemark_status status = cpu_backend.decode(state->decoder, &inputs, &outputs, &message);
    if (status != VAEMARK_OK) {
        return error_set(error, status, "%s", message.text);
    }
    cpu_backend.trace(state->decoder, &trace, &message);
    *time_ns = 0.0;
    for (size_t i = 0; i < trace.count; i++) {
        *time_ns += is_border(&trace.entries[i]) ? 0.0 : (double)trace.entries[i].time_ns;
    }
    return VAEMARK_OK;
}

const struct conv_library conv_cpu = {.open = cpu_open, .run = cpu_run, .close = cpu_close};
