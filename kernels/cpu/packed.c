#include "kernels/cpu/packed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/pages.h"

enum { READ_FLOATS = 1024 };

struct packed_entry {
    const char *name; /* the graph's */
    const struct graph_parameter *parameter;
    enum packing packing;
    size_t offset_bytes, count; /* numbers */
};

struct packed {
    const struct vaemark_host *host;
    const struct packed *shared;
    struct packed_settings settings;
    char *memory;
    size_t size_bytes;
    struct packed_entry *entries;
    size_t entry_count;
};

static size_t round_to_panel(size_t count) {
    return (count + PANEL - 1) / PANEL * PANEL;
}

/* Input channels of weights in panels. */
static size_t round_to_block(size_t count, enum storage storage) {
    const size_t block = storage == STORAGE_BF16 ? 2 * PANEL : PANEL;
    return (count + block - 1) / block * block;
}

static size_t round_to_line(size_t bytes) {
    return (bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}

/* Groups of whole panels are small dense convolutions; of one channel each, what a lane does alone. */
static enum packing packing_of_convolution(const struct shape *weight, int64_t groups) {
    const int64_t group_in = weight->dims[1], group_out = weight->dims[0] / groups;
    if (groups == 1 && group_out <= NARROW_OUTPUTS && group_in >= PANEL) {
        return PACKING_NARROW;
    }
    if (groups == 1 || (group_in % PANEL == 0 && group_out % PANEL == 0)) {
        return PACKING_PANELS;
    }
    return group_in == 1 && group_out == 1 ? PACKING_LANES : PACKING_ROWS;
}

enum packing packing_of(const struct vaemark_graph *graph, const struct graph_node *node, int32_t index) {
    switch (node->op) {
    case OP_CONV2D:
        return index > 0 ? PACKING_VECTOR
                         : packing_of_convolution(&graph->parameters[node->parameters[0]].shape,
                                                  node->attributes.conv2d.groups);
    case OP_LINEAR:
        return index == 0 ? PACKING_PANELS : PACKING_VECTOR;
    case OP_EMBEDDING:
    case OP_LOOKUP:
    case OP_QUANTIZE:
        return PACKING_ROWS;
    default:
        return PACKING_VECTOR;
    }
}

/* (O,C,kh,kw) and (O,C) as (O, C, taps). */
struct matrix {
    size_t rows, columns, taps;
};

static struct matrix matrix_of(const struct shape *shape) {
    struct matrix m = {1, 1, 1};
    if (shape->rank >= 1) {
        m.rows = (size_t)shape->dims[0];
    }
    if (shape->rank >= 2) {
        m.columns = (size_t)shape->dims[1];
    }
    for (int32_t i = 2; i < shape->rank; i++) {
        m.taps *= (size_t)shape->dims[i];
    }
    return m;
}

/* Parameters have fewer than 2^57 elements (the builder's limit), so that padding to 16 x 16 can overflow only where a
 * matrix is thin: checked. */
static bool packed_count(const struct shape *shape, enum packing packing, enum storage storage, size_t *count) {
    struct matrix m = matrix_of(shape);
    size_t rows = m.rows, columns = m.columns;
    if (packing == PACKING_PANELS) {
        rows = round_to_panel(rows);
        columns = round_to_block(columns, storage);
    } else if (packing == PACKING_LANES) {
        rows = round_to_panel(rows);
    } else if (packing == PACKING_NARROW) {
        columns = round_to_panel(columns);
    }
    if (__builtin_mul_overflow(rows, columns, count) || __builtin_mul_overflow(*count, m.taps, count) ||
        *count > SIZE_MAX / 64) {
        return false;
    }
    *count = round_to_panel(*count);
    return true;
}

/* Elements [first, first + count) of a stored or joined parameter. */
static void read_elements(float *out, const struct vaemark_graph *graph, const struct graph_parameter *parameter,
                          size_t first, size_t count) {
    if (parameter->origin == PARAMETER_STORED) {
        parameter_read_f32(out, parameter, (int64_t)first, (int64_t)count);
        return;
    }
    size_t begin = 0;
    for (int i = 0; i < 3 && count > 0; i++) {
        const struct graph_parameter *source = &graph->parameters[parameter->sources[i]];
        size_t end = begin + (size_t)shape_element_count(&source->shape);
        if (first < end) {
            size_t part = end - first < count ? end - first : count;
            parameter_read_f32(out, source, (int64_t)(first - begin), (int64_t)part);
            out += part;
            first += part;
            count -= part;
        }
        begin = end;
    }
}

/* To nearest even; NaN stays. */
static uint16_t bf16_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t rounded = isnan(x) ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1);
    return (uint16_t)(rounded >> 16);
}

/* The weight of input channel c, tap `tap`, and output channel o of a panel. */
static void put_weight(void *out, size_t c, size_t tap, size_t taps, size_t o, float weight, enum storage storage) {
    if (storage == STORAGE_BF16) {
        ((uint16_t *)out)[(c / PAIR_LINE * taps + tap) * PAIR_BLOCK + c % PAIR_LINE / 2 * PAIR_LINE + 2 * o + c % 2] =
            bf16_of(weight);
    } else {
        ((float *)out)[((c / PANEL * taps + tap) * PANEL + c % PANEL) * PANEL + o] = weight;
    }
}

/* Output channels [16 p, 16 p + 16) of a weight, read a few numbers at a time: no scratch but the stack. */
static void pack_panel(void *out, enum storage storage, const struct vaemark_graph *graph,
                       const struct graph_parameter *parameter, size_t panel) {
    const struct matrix m = matrix_of(&parameter->shape);
    const size_t row_floats = m.columns * m.taps, first = panel * PANEL;
    const size_t used = m.rows - first < PANEL ? m.rows - first : PANEL;
    float part[READ_FLOATS] = {0};

    memset(out, 0, round_to_block(m.columns, storage) * m.taps * PANEL * storage_bytes(storage));
    for (size_t o = 0; o < used; o++) {
        for (size_t begin = 0; begin < row_floats; begin += READ_FLOATS) {
            const size_t count = row_floats - begin < READ_FLOATS ? row_floats - begin : READ_FLOATS;
            read_elements(part, graph, parameter, (first + o) * row_floats + begin, count);
            size_t c = begin / m.taps, tap = begin % m.taps;
            for (size_t i = 0; i < count; i++) {
                put_weight(out, c, tap, m.taps, o, part[i], storage);
                if (++tap == m.taps) {
                    tap = 0;
                    c++;
                }
            }
        }
    }
}

/* 16 channels side by side, tap by tap. */
static void pack_lanes(float *out, const struct vaemark_graph *graph, const struct packed_entry *entry) {
    const struct matrix m = matrix_of(&entry->parameter->shape);
    memset(out, 0, entry->count * sizeof *out);
    for (size_t i = 0; i < m.rows * m.taps; i++) {
        const size_t channel = i / m.taps, tap = i % m.taps;
        read_elements(&out[(channel / PANEL * m.taps + tap) * PANEL + channel % PANEL], graph, entry->parameter, i, 1);
    }
}

/* The taps of an output and an input channel lie side by side as stored, a lane of O lines apart as packed. */
static void pack_narrow(float *out, const struct vaemark_graph *graph, const struct packed_entry *entry) {
    const struct matrix m = matrix_of(&entry->parameter->shape);
    memset(out, 0, entry->count * sizeof *out);
    for (size_t i = 0; i < m.rows * m.columns * m.taps; i++) {
        const size_t tap = i % m.taps, c = i / m.taps % m.columns, o = i / m.taps / m.columns;
        read_elements(&out[((c / PANEL * m.taps + tap) * m.rows + o) * PANEL + c % PANEL], graph, entry->parameter, i,
                      1);
    }
}

static void pack_panels(char *out, const struct packed_settings *settings, const struct vaemark_graph *graph,
                        const struct packed_entry *entry) {
    const struct matrix m = matrix_of(&entry->parameter->shape);
    const size_t panel_bytes =
        round_to_block(m.columns, settings->panels) * m.taps * PANEL * storage_bytes(settings->panels);
#pragma omp parallel for num_threads(settings->threads) schedule(dynamic)
    for (size_t panel = 0; panel < round_to_panel(m.rows) / PANEL; panel++) {
        pack_panel(out + panel * panel_bytes, settings->panels, graph, entry->parameter, panel);
    }
}

static void pack_entry(void *out, const struct packed_settings *settings, const struct vaemark_graph *graph,
                       const struct packed_entry *entry) {
    const size_t used = (size_t)shape_element_count(&entry->parameter->shape);
    switch (entry->packing) {
    case PACKING_PANELS:
        pack_panels(out, settings, graph, entry);
        break;
    case PACKING_LANES:
        pack_lanes(out, graph, entry);
        break;
    case PACKING_NARROW:
        pack_narrow(out, graph, entry);
        break;
    case PACKING_ROWS:
    case PACKING_VECTOR:
    default:
        read_elements(out, graph, entry->parameter, 0, used);
        memset((float *)out + used, 0, (entry->count - used) * sizeof(float));
        break;
    }
}

enum storage packed_storage(const struct packed *packed, enum packing packing) {
    return packing == PACKING_PANELS ? packed->settings.panels : STORAGE_F32;
}

const void *packed_find(const struct packed *packed, const char *name, enum packing packing) {
    for (; packed != NULL; packed = packed->shared) {
        for (size_t i = 0; i < packed->entry_count; i++) {
            const struct packed_entry *entry = &packed->entries[i];
            if (entry->packing == packing && strcmp(entry->name, name) == 0) {
                return packed->memory + entry->offset_bytes;
            }
        }
    }
    return NULL;
}

static bool packed_lists(const struct packed *packed, const char *name, enum packing packing) {
    for (size_t i = 0; i < packed->entry_count; i++) {
        if (packed->entries[i].packing == packing && strcmp(packed->entries[i].name, name) == 0) {
            return true;
        }
    }
    return packed_find(packed->shared, name, packing) != NULL;
}

/* The entry behind what is listed already, whose end is packed->size_bytes. */
static bool place_entry(struct packed *packed, struct packed_entry *entry) {
    const enum storage storage = packed_storage(packed, entry->packing);
    entry->offset_bytes = packed->size_bytes;
    return packed_count(&entry->parameter->shape, entry->packing, storage, &entry->count) &&
           !__builtin_add_overflow(packed->size_bytes, round_to_line(entry->count * storage_bytes(storage)),
                                   &packed->size_bytes) &&
           packed->size_bytes <= SIZE_MAX / 64;
}

/* Lists what must be packed and finds the size of the block. */
static enum vaemark_status list_entries(struct packed *packed, const struct vaemark_graph *graph, struct error *error) {
    for (size_t n = 0; n < graph->node_count; n++) {
        const struct graph_node *node = &graph->nodes[n];
        for (int32_t i = 0; i < node->parameter_count; i++) {
            const struct graph_parameter *parameter = &graph->parameters[node->parameters[i]];
            struct packed_entry entry = {
                .name = parameter->name, .parameter = parameter, .packing = packing_of(graph, node, i)};
            if (packed_lists(packed, entry.name, entry.packing)) {
                continue;
            }
            if (!place_entry(packed, &entry)) {
                packed->size_bytes = 0;
                return error_set(error, VAEMARK_OUT_OF_MEMORY, "the weights do not fit any memory");
            }
            packed->entries[packed->entry_count++] = entry;
        }
    }
    return VAEMARK_OK;
}

static enum vaemark_status check_bound(const struct vaemark_graph *graph, struct error *error) {
    for (size_t i = 0; i < graph->parameter_count; i++) {
        const struct graph_parameter *parameter = &graph->parameters[i];
        if (parameter->origin == PARAMETER_STORED && parameter->tensor.data == NULL) {
            return error_set_at(error, VAEMARK_INVALID_ARGUMENT, parameter->name,
                                "the parameter has no tensor: open the model with its weights");
        }
    }
    return VAEMARK_OK;
}

static enum vaemark_status pack_all(struct packed *packed, const struct vaemark_graph *graph, struct error *error) {
    const struct vaemark_host *host = packed->host;
    if (packed->size_bytes == 0) {
        return VAEMARK_OK;
    }
    packed->memory = host->allocate(host->user, packed->size_bytes, LINE_BYTES, VAEMARK_MEMORY_WEIGHTS);
    if (packed->memory == NULL) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for %zu bytes of packed weights", packed->size_bytes);
    }
    pages_touch(packed->memory, packed->size_bytes, packed->settings.threads);
    for (size_t i = 0; i < packed->entry_count; i++) {
        const struct packed_entry *entry = &packed->entries[i];
        pack_entry(packed->memory + entry->offset_bytes, &packed->settings, graph, entry);
    }
    return VAEMARK_OK;
}

enum vaemark_status packed_create(const struct vaemark_host *host, const struct vaemark_graph *graph,
                                  const struct packed *shared, const struct packed_settings *settings,
                                  struct packed **result, struct error *error) {
    struct packed *packed = calloc(1, sizeof *packed);
    enum vaemark_status status = check_bound(graph, error);

    *result = NULL;
    if (status != VAEMARK_OK) {
        goto cleanup;
    }
    if (packed != NULL) {
        packed->host = host;
        packed->shared = shared;
        packed->settings = *settings;
        packed->entries = calloc(graph->node_count * GRAPH_MAX_NODE_PARAMETERS + 1, sizeof *packed->entries);
    }
    if (packed == NULL || packed->entries == NULL) {
        status = error_set(error, VAEMARK_OUT_OF_MEMORY, "no memory for the list of weights");
        goto cleanup;
    }
    status = list_entries(packed, graph, error);
    if (status == VAEMARK_OK) {
        status = pack_all(packed, graph, error);
    }
cleanup:
    if (status != VAEMARK_OK) {
        packed_free(packed);
        return status;
    }
    *result = packed;
    return VAEMARK_OK;
}

void packed_free(struct packed *packed) {
    if (packed == NULL) {
        return;
    }
    if (packed->memory != NULL) {
        packed->host->release(packed->host->user, packed->memory);
    }
    free(packed->entries);
    free(packed);
}

size_t packed_size_bytes(const struct packed *packed) {
    return packed == NULL ? 0 : packed->size_bytes;
}
