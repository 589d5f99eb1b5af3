/* Decodes of a preset with synthetic weights: planned memory, time to open, time of the first decode and of the best,
 * rate, and where the time went, by kernel.
 *
 *   cmake --build build --target bench_cpu
 *   build/kernels/cpu/bench_cpu MODEL LATENTS [DECODES [THREADS [ISA [PRECISION]]]]     LATENTS: 64, or 48x80
 *
 * Suites measure decoders under test (`vaemark run`); this is the quick look while one works on a kernel. Weights are
 * written once to the current folder, as MODEL.safetensors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kernels/cpu/cpu.h"
#include "reference/model.h"

enum { MAX_KERNELS = 64 };

static void *bench_allocate(void *user, size_t size_bytes, size_t alignment_bytes,
                            enum vaemark_memory_class memory_class) {
    void *memory = NULL;
    (void)user, (void)memory_class;
    return posix_memalign(&memory, alignment_bytes, size_bytes) == 0 ? memory : NULL;
}

static void bench_release(void *user, void *memory) {
    (void)user;
    free(memory);
}

struct kernel_sum {
    const char *kernel;
    size_t launches;
    double time_ns, flops;
};

static void print_kernels(const struct vaemark_trace *trace) {
    struct kernel_sum sums[MAX_KERNELS];
    size_t count = 0;
    double total_ns = 0.0;
    for (size_t i = 0; i < trace->count; i++) {
        const struct vaemark_trace_entry *entry = &trace->entries[i];
        size_t k = 0;
        while (k < count && strcmp(sums[k].kernel, entry->kernel) != 0) {
            k++;
        }
        if (k == MAX_KERNELS) {
            continue;
        }
        if (k == count) {
            sums[count++] = (struct kernel_sum){.kernel = entry->kernel};
        }
        sums[k].launches++;
        sums[k].time_ns += (double)entry->time_ns;
        sums[k].flops += (double)entry->flops;
        total_ns += (double)entry->time_ns;
    }
    printf("%-34s %8s %10s %7s %10s\n", "kernel", "launches", "ms", "share", "GFLOP/s");
    for (size_t k = 0; k < count; k++) {
        printf("%-34s %8zu %10.2f %6.1f%% %10.1f\n", sums[k].kernel, sums[k].launches, sums[k].time_ns * 1e-6,
               100.0 * sums[k].time_ns / total_ns, sums[k].flops / sums[k].time_ns);
    }
}

/* "64", or "48x80": height and width. */
static bool read_size(const char *text, int64_t *height, int64_t *width) {
    char *end;
    *height = strtoll(text, &end, 10);
    *width = *end == 'x' ? strtoll(end + 1, &end, 10) : *height;
    return *end == '\0' && *height > 0 && *width > 0;
}

static bool make_inputs(const struct vaemark_graph *graph, const char *latents, struct vaemark_tensors *inputs) {
    int64_t height, width;
    (void)read_size(latents, &height, &width); /* main() has looked at it */
    for (size_t i = 0; i < graph->input_count; i++) {
        const struct graph_input *input = &graph->inputs[i];
        struct shape shape;
        if (input->optional) {
            continue;
        }
        float *data = graph_input_shape(input, 1, height, width, &shape)
                          ? calloc((size_t)shape_element_count(&shape), sizeof *data)
                          : NULL;
        if (data == NULL) {
            return false;
        }
        for (int64_t k = 0; input->rank != 3 && k < shape_element_count(&shape); k++) {
            data[k] = synthetic_normal(1, input->name, (uint64_t)k);
        }
        /* codes are all 0: any row does */
        inputs->items[inputs->count++] =
            tensor_make(input->name, input->rank == 3 ? VAEMARK_I32 : VAEMARK_F32, &shape, data);
    }
    return true;
}

static enum vaemark_status run_decodes(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                       int decodes, struct vaemark_message *message) {
    struct vaemark_tensor image;
    struct vaemark_tensors outputs = {.items = &image, .count = 1};
    struct vaemark_memory memory;
    struct vaemark_trace trace;
    double flops = 0.0, first_ns = 0.0, best_ns = 0.0, least_cpu_s = 0.0;
    enum vaemark_status status = cpu_backend.prepare(decoder, inputs, &image, message);
    if (status != VAEMARK_OK) {
        return status;
    }
    cpu_backend.memory(decoder, &memory, message);
    printf("planned: weights %.1f MiB, activations and scratch %.1f MiB\n",
           (double)memory.planned_bytes[VAEMARK_MEMORY_WEIGHTS] / 1048576.0,
           (double)memory.planned_bytes[VAEMARK_MEMORY_ACTIVATIONS] / 1048576.0);
    image.data = malloc(tensor_size_bytes(&image));
    if (image.data == NULL) {
        snprintf(message->text, sizeof message->text, "no memory for the image");
        return VAEMARK_OUT_OF_MEMORY;
    }
    for (int i = 0; i < decodes && status == VAEMARK_OK; i++) {
        const int64_t start_ns = clock_monotonic_ns();
        const int64_t start_cpu_ns = clock_process_cpu_ns();
        status = cpu_backend.decode(decoder, inputs, &outputs, message);
        const double time_ns = (double)(clock_monotonic_ns() - start_ns);
        const double cpu_s = (double)(clock_process_cpu_ns() - start_cpu_ns) * 1e-9;
        first_ns = i == 0 ? time_ns : first_ns;
        best_ns = i == 0 || time_ns < best_ns ? time_ns : best_ns;
        least_cpu_s = i == 0 || cpu_s < least_cpu_s ? cpu_s : least_cpu_s;
    }
    free(image.data);
    if (status == VAEMARK_OK && decodes > 0) {
        cpu_backend.trace(decoder, &trace, message);
        for (size_t i = 0; i < trace.count; i++) {
            flops += (double)trace.entries[i].flops;
        }
        printf("first decode: %.3f s\n", first_ns * 1e-9);
        printf("best of %d: %.3f s, %.3f s of CPU, %.2f GFLOP, %.1f GFLOP/s\n", decodes, best_ns * 1e-9, least_cpu_s,
               flops * 1e-9, flops / best_ns);
        print_kernels(&trace);
    }
    return status;
}

static enum vaemark_status open_model(const char *name, struct model **model, struct error *error) {
    char config[1024], weights[256];
    struct model *bare = NULL;
    snprintf(config, sizeof config, "%s/models/%s/config.json", VAEMARK_SOURCE_DIR, name);
    snprintf(weights, sizeof weights, "%s.safetensors", name);
    enum vaemark_status status = model_open_config(config, name, &bare, error);
    if (status == VAEMARK_OK) {
        status = weights_synthesize(bare->graph, 1, weights, error);
    }
    model_free(bare);
    return status == VAEMARK_OK ? model_open(config, weights, name, model, error) : status;
}

int main(int argc, char **argv) {
    static const struct vaemark_host host = {
        .struct_size = sizeof host, .allocate = bench_allocate, .release = bench_release};
    struct model *model = NULL;
    struct vaemark_decoder *decoder = NULL;
    struct vaemark_tensor items[4];
    struct vaemark_tensors inputs = {.items = items, .count = 0};
    struct error error = {.status = VAEMARK_OK};
    struct vaemark_message message = {""};
    int64_t height, width;
    if (argc < 3 || !read_size(argv[2], &height, &width)) {
        fprintf(stderr, "usage: %s MODEL LATENTS [DECODES [THREADS [ISA [PRECISION]]]]      LATENTS: 64, or 48x80\n",
                argv[0]);
        return 2;
    }
    const struct vaemark_option items_of_options[] = {
        {"threads", VAEMARK_INTEGER, {.integer = argc > 4 ? atoi(argv[4]) : 0}},
        {"isa", VAEMARK_TEXT, {.text = argc > 5 ? argv[5] : "auto"}},
        {"precision", VAEMARK_TEXT, {.text = argc > 6 ? argv[6] : "fp32"}}};
    const struct vaemark_options options = {.items = items_of_options, .count = 3};
    enum vaemark_status status = open_model(argv[1], &model, &error);
    if (status != VAEMARK_OK) {
        snprintf(message.text, sizeof message.text, "%.300s %.700s", error.where, error.message);
    } else if (!make_inputs(model->graph, argv[2], &inputs)) {
        status = VAEMARK_OUT_OF_MEMORY;
    } else {
        const struct vaemark_model abi = model_abi(model);
        const int64_t start_ns = clock_monotonic_ns();
        status = cpu_backend.open(&host, &abi, &options, &decoder, &message);
        printf("opened in %.3f s\n", (double)(clock_monotonic_ns() - start_ns) * 1e-9);
        if (status == VAEMARK_OK) {
            status = run_decodes(decoder, &inputs, argc > 3 ? atoi(argv[3]) : 3, &message);
        }
    }
    if (status != VAEMARK_OK) {
        fprintf(stderr, "%s: %s\n", status_name(status), message.text);
    }
    cpu_backend.close(decoder);
    for (size_t i = 0; i < inputs.count; i++) {
        free(items[i].data);
    }
    model_free(model);
    return status == VAEMARK_OK ? 0 : 1;
}
