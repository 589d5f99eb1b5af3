#include "harness/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* The output's shape for these inputs, from the graph and the tiles that are asked for. */
static enum vaemark_status infer_image_shape(const struct run_model *model, const struct input_set *set,
                                             const struct tiling_request *request, struct shape *image,
                                             struct error *error) {
    struct input_set view = *set;
    struct vaemark_tensors list = inputs_list(&view);
    struct tiling tiling;
    enum vaemark_status status = tiling_plan(model->model->graph, &list, request, &tiling, error);
    if (status == VAEMARK_OK) {
        *image = tiling.image;
    }
    return status;
}

/* Elements of the largest image: the framework's tiles may make a larger one than the graph. */
static enum vaemark_status largest_image(const struct session_start *start, int64_t *elements, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    *elements = 0;
    for (int mode = TILING_OFF; status == VAEMARK_OK && mode <= TILING_CORRECTED; mode++) {
        struct tiling_request request = options_tiling(start->options);
        request.mode = (enum tiling_mode)mode;
        request.slicing = false;
        struct error unused = {0};
        struct shape image;
        enum vaemark_status planned = infer_image_shape(start->model, &start->sets[0], &request, &image, &unused);
        if (planned == VAEMARK_OK) {
            int64_t count = shape_element_count(&image);
            *elements = count > *elements ? count : *elements;
        } else if (mode == TILING_OFF) {
            *error = unused;
            status = planned;
        }
    }
    return status;
}

/* Room for every input set and an image of doubles. */
static enum vaemark_status size_segment(const struct session_start *start, size_t *size_bytes, struct error *error) {
    int64_t image_elements;
    enum vaemark_status status = largest_image(start, &image_elements, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    *size_bytes = segment_footprint_bytes((size_t)image_elements * sizeof(double));
    for (size_t s = 0; s < start->set_count; s++) {
        for (size_t i = 0; i < start->sets[s].count; i++) {
            *size_bytes += segment_footprint_bytes(tensor_size_bytes(&start->sets[s].tensors[i]));
        }
    }
    return VAEMARK_OK;
}

static enum vaemark_status place_input(struct session *session, size_t set, size_t index, struct error *error) {
    const struct vaemark_tensor *tensor = &session->sets[set].tensors[index];
    struct segment_tensor *placed = &session->inputs[set][index];
    snprintf(placed->name, sizeof placed->name, "%s", session->sets[set].names[index]);
    placed->dtype = tensor->dtype;
    placed->rank = tensor->rank;
    memcpy(placed->shape, tensor->shape, sizeof placed->shape);
    struct segment *segment = worker_segment(session->worker);
    enum vaemark_status status = segment_place(segment, placed, error);
    if (status == VAEMARK_OK) {
        memcpy(segment_data(segment, placed), tensor->data, placed->size_bytes);
    }
    return status;
}

enum vaemark_status session_start(struct session *session, const struct session_start *start, struct error *error) {
    *session = (struct session){.model = start->model, .sets = start->sets, .set_count = start->set_count};
    if (start->set_count > SESSION_MAX_SETS) {
        return error_set(error, VAEMARK_INTERNAL, "%zu input sets, at most %d", start->set_count, SESSION_MAX_SETS);
    }
    struct worker_start worker = {.backend = start->decoder->backend,
                                  .timeout_s = start->timeout_s,
                                  .memory_limit_bytes = start->memory_limit_bytes};
    enum vaemark_status status = size_segment(start, &worker.segment_size_bytes, error);
    if (status == VAEMARK_OK) {
        status = worker_start(&worker, &session->worker, &session->fate, error);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    worker_set_timeout(session->worker, start->timeout_s);
    session->inputs_per_set = start->sets[0].count;
    for (size_t s = 0; s < start->set_count; s++) {
        session->input_pointers[s] = session->inputs[s];
        for (size_t i = 0; status == VAEMARK_OK && i < start->sets[s].count; i++) {
            status = place_input(session, s, i, error);
        }
    }
    return status;
}

void session_stop(struct session *session) {
    worker_stop(session->worker);
    session->worker = NULL;
}

enum vaemark_status session_open(struct session *session, const struct option_list *options, const char *precision,
                                 struct error *error) {
    struct vaemark_option typed[DECODER_MAX_OPTIONS + 1];
    typed[0] = (struct vaemark_option){.key = "precision", .type = VAEMARK_TEXT, .value.text = precision};
    size_t count = 1;
    for (size_t i = 0; options && i < options->count; i++) {
        typed[count++] = option_typed(&options->items[i]);
    }
    struct worker_model model = {.name = session->model->name,
                                 .config_path = session->model->config_path,
                                 .weights_path = session->model->weights_path};
    struct vaemark_options list = {.items = typed, .count = count};
    int64_t before_ns = clock_monotonic_ns();
    session->tiling = options_tiling(options);
    enum vaemark_status status = worker_open(session->worker, &model, &list, error);
    session->open_ns = clock_monotonic_ns() - before_ns;
    return status;
}

enum vaemark_status session_set_option(struct session *session, const char *key, const char *value,
                                       struct error *error) {
    struct option_text text;
    snprintf(text.key, sizeof text.key, "%s", key);
    snprintf(text.value, sizeof text.value, "%s", value);
    struct vaemark_option option = option_typed(&text);
    enum vaemark_status status = worker_set_option(session->worker, &option, error);
    if (status == VAEMARK_OK) {
        option_take_tiling(&text, &session->tiling);
    }
    return status;
}

enum vaemark_status session_prepare(struct session *session, struct error *error) {
    struct shape wanted = {0};
    session->plan = (struct worker_plan){0};
    enum vaemark_status status = infer_image_shape(session->model, &session->sets[0], &session->tiling, &wanted, error);
    session->wanted_image = wanted;
    if (status == VAEMARK_OK) {
        status = worker_prepare(session->worker, session->inputs[0], session->inputs_per_set, &session->plan, error);
    }
    if (status != VAEMARK_OK) {
        return status;
    }
    struct shape found = {.rank = session->plan.image_rank};
    memcpy(found.dims, session->plan.image_shape, sizeof found.dims);
    bool real = session->plan.image_dtype == VAEMARK_F32 || session->plan.image_dtype == VAEMARK_F64;
    if (!shape_equal(&found, &wanted) || !real) {
        char found_text[160], wanted_text[160];
        return error_set(error, VAEMARK_BAD_INPUT, "the decoder plans an image of %s %s, wanted %s in F32 or F64",
                         dtype_name(session->plan.image_dtype), shape_format(&found, found_text, sizeof found_text),
                         shape_format(&wanted, wanted_text, sizeof wanted_text));
    }
    if (!session->image.size_bytes) {
        session->image = (struct segment_tensor){
            .name = "image", .dtype = session->plan.image_dtype, .rank = session->plan.image_rank};
        memcpy(session->image.shape, session->plan.image_shape, sizeof session->image.shape);
        status = segment_place(worker_segment(session->worker), &session->image, error);
    }
    return status;
}

enum vaemark_status session_decode(struct session *session, size_t first_set, size_t ring, int64_t count,
                                   int64_t decodes_per_sample, struct worker_sample *samples, int64_t *outside_ns,
                                   struct error *error) {
    const struct segment_tensor *sets[SESSION_MAX_SETS];
    for (size_t i = 0; i < ring; i++) {
        sets[i] = session->input_pointers[first_set < ring ? (first_set + i) % ring : first_set];
    }
    struct worker_decode decode = {.sets = sets,
                                   .set_count = first_set < ring ? ring : 1,
                                   .inputs_per_set = session->inputs_per_set,
                                   .image = session->image,
                                   .count = count,
                                   .decodes_per_sample = decodes_per_sample,
                                   .samples = samples};
    segment_poison(worker_segment(session->worker), &session->image);
    enum vaemark_status status = worker_decode(session->worker, &decode, error);
    if (outside_ns) {
        *outside_ns = decode.outside_ns;
    }
    return status;
}

struct vaemark_tensor session_image(const struct session *session) {
    struct shape shape = {.rank = session->image.rank};
    memcpy(shape.dims, session->image.shape, sizeof shape.dims);
    return tensor_make("image", session->image.dtype, &shape,
                       segment_data(worker_segment(session->worker), &session->image));
}

struct vaemark_tensor session_copy_image(const struct session *session) {
    struct vaemark_tensor image = session_image(session);
    void *copy = malloc(session->image.size_bytes);
    if (copy) {
        memcpy(copy, image.data, session->image.size_bytes);
    }
    image.data = copy;
    return image;
}

const struct worker_fate *session_fate(const struct session *session) {
    return session->worker ? worker_fate(session->worker) : &session->fate;
}
