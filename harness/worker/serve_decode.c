/* The message decode: many timed decodes over a ring of input sets. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "harness/worker/serve_internal.h"
#include "reference/tensor.h"

struct keep {
    int64_t sample;
    void *memory;
};

struct decode_job {
    struct segment_tensor *places; /* set_count x input_count */
    struct vaemark_tensor *inputs; /* the same, as the decoder gets them */
    size_t set_count, input_count, input_total;
    struct segment_tensor image_place;
    struct vaemark_tensor image; /* as the decoder gets it */
    void *image_memory;          /* in the segment */
    int64_t image_elements;
    int64_t count, decodes_per_sample;
    struct keep *keep;
    size_t keep_count;
};

struct sample {
    int64_t wall_ns, cpu_ns;
    struct process_usage before, after;
};

struct vaemark_tensor serve_tensor(const struct segment_tensor *place, void *data) {
    struct shape shape = {.rank = place->rank};
    memcpy(shape.dims, place->shape, sizeof shape.dims);
    return tensor_make(place->name, place->dtype, &shape, data);
}

/* The address of `size_bytes` at an offset that came over the socket. */
static enum vaemark_status resolve(const struct server *server, size_t offset_bytes, size_t size_bytes, void **memory,
                                   struct error *error) {
    if (offset_bytes % SEGMENT_ALIGNMENT_BYTES != 0)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "offset %zu is no multiple of %d", offset_bytes,
                         (int)SEGMENT_ALIGNMENT_BYTES);
    if (offset_bytes > server->segment_size_bytes || size_bytes > server->segment_size_bytes - offset_bytes)
        return error_set(error, VAEMARK_INVALID_ARGUMENT,
                         "%zu bytes at offset %zu lie outside of the shared memory (%zu bytes)", size_bytes,
                         offset_bytes, server->segment_size_bytes);
    *memory = server->segment + offset_bytes;
    return VAEMARK_OK;
}

static bool overlap(const struct segment_tensor *a, size_t offset_bytes, size_t size_bytes) {
    return a->offset_bytes < offset_bytes + size_bytes && offset_bytes < a->offset_bytes + a->size_bytes;
}

static enum vaemark_status read_image(const struct server *server, const json_t *request, struct decode_job *job,
                                      struct error *error) {
    const json_t *image;
    enum vaemark_status status = wire_object(request, "image", &image, error);
    if (status == VAEMARK_OK)
        status = wire_tensor_read(image, false, true, &job->image_place, error);
    if (status == VAEMARK_OK)
        status = resolve(server, job->image_place.offset_bytes, job->image_place.size_bytes, &job->image_memory, error);
    if (status != VAEMARK_OK)
        return status;
    job->image = serve_tensor(&job->image_place, job->image_memory);
    job->image_elements = (int64_t)(job->image_place.size_bytes / dtype_size_bytes(job->image_place.dtype));
    return VAEMARK_OK;
}

static enum vaemark_status read_set(const struct server *server, const json_t *set, struct decode_job *job,
                                    size_t first, struct error *error) {
    if (!json_is_array(set) || json_array_size(set) != job->input_count)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "field 'sets': every set must be an array of %zu tensors",
                         job->input_count);
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && i < job->input_count; i++) {
        struct segment_tensor *place = &job->places[first + i];
        void *memory = NULL;
        status = wire_tensor_read(json_array_get(set, i), true, true, place, error);
        if (status == VAEMARK_OK)
            status = resolve(server, place->offset_bytes, place->size_bytes, &memory, error);
        if (status == VAEMARK_OK && overlap(&job->image_place, place->offset_bytes, place->size_bytes))
            status = error_set_at(error, VAEMARK_INVALID_ARGUMENT, place->name, "this input lies where the image goes");
        if (status == VAEMARK_OK)
            job->inputs[first + i] = serve_tensor(place, memory);
    }
    return status;
}

static enum vaemark_status read_sets(const struct server *server, const json_t *request, struct decode_job *job,
                                     struct error *error) {
    const json_t *sets = NULL;
    enum vaemark_status status = wire_array(request, "sets", 1, WIRE_MAX_SETS, &sets, error);
    if (status != VAEMARK_OK)
        return status;
    job->set_count = json_array_size(sets);
    job->input_count = json_array_size(json_array_get(sets, 0));
    if (job->input_count < 1 || job->input_count > WIRE_MAX_INPUTS)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "field 'sets': wanted 1 to %d tensors a set",
                         (int)WIRE_MAX_INPUTS);
    job->input_total = job->set_count * job->input_count;
    job->places = calloc(job->input_total, sizeof *job->places);
    job->inputs = calloc(job->input_total, sizeof *job->inputs);
    if (!job->places || !job->inputs)
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for %zu inputs", job->input_total);
    for (size_t i = 0; status == VAEMARK_OK && i < job->set_count; i++)
        status = read_set(server, json_array_get(sets, i), job, i * job->input_count, error);
    return status;
}

static enum vaemark_status read_keep(const struct server *server, const json_t *request, struct decode_job *job,
                                     struct error *error) {
    const json_t *array = NULL;
    if (!json_object_get(request, "keep"))
        return VAEMARK_OK;
    enum vaemark_status status = wire_array(request, "keep", 0, WIRE_MAX_SAMPLES, &array, error);
    if (status != VAEMARK_OK || json_array_size(array) == 0)
        return status;
    job->keep = calloc(json_array_size(array), sizeof *job->keep);
    if (!job->keep)
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for the list of images to keep");
    for (size_t i = 0; status == VAEMARK_OK && i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        int64_t offset = 0;
        status = wire_integer(item, "sample", 0, job->count - 1, &job->keep[i].sample, error);
        if (status == VAEMARK_OK)
            status = wire_integer(item, "offset", 0, INT64_MAX, &offset, error);
        if (status == VAEMARK_OK)
            status = resolve(server, (size_t)offset, job->image_place.size_bytes, &job->keep[i].memory, error);
        if (status == VAEMARK_OK && overlap(&job->image_place, (size_t)offset, job->image_place.size_bytes))
            status = error_set(error, VAEMARK_INVALID_ARGUMENT, "field 'keep': offset %lld lies where the image goes",
                               (long long)offset);
        job->keep_count = i + 1;
    }
    return status;
}

static enum vaemark_status read_job(const struct server *server, const json_t *request, struct decode_job *job,
                                    struct error *error) {
    enum vaemark_status status = wire_integer(request, "count", 1, WIRE_MAX_SAMPLES, &job->count, error);
    if (status == VAEMARK_OK)
        status = wire_integer_or(request, "decodes_per_sample", 1, INT32_MAX, 1, &job->decodes_per_sample, error);
    if (status == VAEMARK_OK)
        status = read_image(server, request, job, error);
    if (status == VAEMARK_OK)
        status = read_sets(server, request, job, error);
    if (status == VAEMARK_OK)
        status = read_keep(server, request, job, error);
    return status;
}

/* For a device decoder: moves the tensor's data to a buffer of the device. */
static enum vaemark_status to_device(struct server *server, struct vaemark_tensor *tensor, bool upload,
                                     struct error *error) {
    const struct vaemark_backend *backend = server->backend;
    struct vaemark_message message = {.text = ""};
    void *memory = tensor->data, *buffer = NULL;
    size_t size_bytes = tensor_size_bytes(tensor);
    tensor->data = NULL; /* what is not a buffer must not be destroyed as one */
    enum vaemark_status status = backend->buffer_create(server->decoder, size_bytes, &buffer, &message);
    if (status == VAEMARK_OK) {
        tensor->data = buffer;
        if (upload)
            status = backend->upload(server->decoder, buffer, memory, size_bytes, &message);
    }
    return serve_backend_error(status, &message, error);
}

static enum vaemark_status job_to_device(struct server *server, struct decode_job *job, size_t *moved,
                                         struct error *error) {
    enum vaemark_status status = to_device(server, &job->image, false, error);
    for (*moved = 0; status == VAEMARK_OK && *moved < job->input_total; ++*moved)
        status = to_device(server, &job->inputs[*moved], true, error);
    return status;
}

static void job_from_device(struct server *server, struct decode_job *job, size_t moved) {
    for (size_t i = 0; i < moved; i++)
        if (job->inputs[i].data)
            server->backend->buffer_destroy(server->decoder, job->inputs[i].data);
    if (job->image.data)
        server->backend->buffer_destroy(server->decoder, job->image.data);
}

static enum vaemark_status decode_once(struct server *server, struct decode_job *job, size_t set, struct sample *sample,
                                       struct error *error) {
    const struct vaemark_backend *backend = server->backend;
    bool device = backend->buffer_create != NULL;
    struct vaemark_message message = {.text = ""};
    struct vaemark_tensors inputs = {.items = job->inputs + set * job->input_count, .count = job->input_count};
    struct vaemark_tensor image = job->image;
    struct vaemark_tensors outputs = {.items = &image, .count = 1};
    enum vaemark_status status = VAEMARK_OK;
    poison_fill(job->image_memory, job->image_place.dtype, job->image_elements);
    if (device)
        status =
            backend->upload(server->decoder, job->image.data, job->image_memory, job->image_place.size_bytes, &message);
    if (status == VAEMARK_OK && device)
        status = backend->synchronize(server->decoder, &message);
    if (status != VAEMARK_OK)
        return serve_backend_error(status, &message, error);
    int64_t cpu_ns = clock_process_cpu_ns(), wall_ns = clock_monotonic_ns();
    status = backend->decode(server->decoder, &inputs, &outputs, &message);
    if (status == VAEMARK_OK && device)
        status = backend->synchronize(server->decoder, &message);
    sample->wall_ns += clock_monotonic_ns() - wall_ns;
    sample->cpu_ns += clock_process_cpu_ns() - cpu_ns;
    if (status == VAEMARK_OK && device)
        status = backend->download(server->decoder, job->image_memory, job->image.data, job->image_place.size_bytes,
                                   &message);
    return serve_backend_error(status, &message, error);
}

/* -1 where a counter is unknown on either side. */
static json_t *difference(int64_t before, int64_t after) {
    return json_integer(before < 0 || after < before ? -1 : after - before);
}

static json_t *sample_write(const struct sample *sample, const char *output_hash) {
    const struct process_usage *before = &sample->before, *after = &sample->after;
    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:s}", "wall_ns", (json_int_t)sample->wall_ns, "cpu_ns",
                     (json_int_t)sample->cpu_ns, "run_delay_ns", difference(before->run_delay_ns, after->run_delay_ns),
                     "involuntary_switches", difference(before->involuntary_switches, after->involuntary_switches),
                     "minor_faults", difference(before->minor_faults, after->minor_faults), "major_faults",
                     difference(before->major_faults, after->major_faults), "steal_ns",
                     difference(before->steal_ns, after->steal_ns), "output_hash", output_hash);
}

static enum vaemark_status run_sample(struct server *server, struct decode_job *job, int64_t index, json_t *samples,
                                      struct error *error) {
    struct sample sample = {.wall_ns = 0};
    int64_t set_count = (int64_t)job->set_count;
    enum vaemark_status status = VAEMARK_OK;
    process_usage_read(&sample.before);
    /* The ring turns within a sample, too, so that no decode repeats the one before; it ends at the sample's own set.
     */
    for (int64_t left = job->decodes_per_sample - 1; status == VAEMARK_OK && left >= 0; left--)
        status = decode_once(server, job, (size_t)((index + set_count - left % set_count) % set_count), &sample, error);
    process_usage_read(&sample.after);
    if (status != VAEMARK_OK)
        return status;
    char output_hash[65];
    hash_bytes(job->image_memory, job->image_place.size_bytes, output_hash);
    json_array_append_new(samples, sample_write(&sample, output_hash));
    for (size_t i = 0; i < job->keep_count; i++)
        if (job->keep[i].sample == index)
            memcpy(job->keep[i].memory, job->image_memory, job->image_place.size_bytes);
    return VAEMARK_OK;
}

enum vaemark_status serve_decode(struct server *server, const json_t *request, json_t *answer, struct error *error) {
    struct decode_job job = {.set_count = 0};
    size_t moved = 0;
    bool device = server->backend->buffer_create != NULL;
    if (!server->decoder)
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "no decoder is open: send open first");
    json_t *samples = json_array();
    enum vaemark_status status = read_job(server, request, &job, error);
    bool read = status == VAEMARK_OK;
    if (read && device)
        status = job_to_device(server, &job, &moved, error);
    for (int64_t i = 0; status == VAEMARK_OK && i < job.count; i++)
        status = run_sample(server, &job, i, samples, error);
    if (read && device)
        job_from_device(server, &job, moved);
    json_object_set_new(answer, "samples", samples);
    free(job.places);
    free(job.inputs);
    free(job.keep);
    return status;
}
