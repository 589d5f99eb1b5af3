/* What the files of weights_*.c share and nobody else sees. */
#ifndef REFERENCE_WEIGHTS_INTERNAL_H
#define REFERENCE_WEIGHTS_INTERNAL_H

#include <jansson.h>
#include <stdio.h>

#include "reference/weights_names.h"

/* The largest header that is parsed: real ones are below 1 MiB, and JSON takes many times its length in memory. */
enum { WEIGHTS_MAX_HEADER_BYTES = 16 << 20, WEIGHTS_MAX_NAME_BYTES = 512 };

struct unreadable_tensor {
    const char *name; /* owned by the header */
    const char *dtype;
};

struct weights {
    char *path;
    struct weights **shards; /* by name, where `path` is an index; the items' names and data are theirs */
    size_t shard_count;
    void *mapping;
    size_t mapping_size_bytes;
    json_t *header;               /* owns the names */
    struct vaemark_tensor *items; /* by name; behind them those that weights_adopt_names() left out */
    size_t count, ignored_count;
    const char **stored_names; /* of the items, where weights_adopt_names() gave them others */
    char **owned_names;
    size_t owned_name_count;
    char layout[200];
    struct unreadable_tensor *unreadable; /* by name */
    size_t unreadable_count;
};

/* weights_open(), where an index of shards may not be welcome. */
enum vaemark_status weights_open_file(const char *path, bool index_too, struct weights **weights, struct error *error);

/* Fill in the tensors of an already mapped file, and those of an index's shards. */
enum vaemark_status weights_parse_header(struct weights *weights, struct error *error);
enum vaemark_status weights_parse_index(struct weights *weights, struct error *error);

/* By the first bytes of an already mapped file. */
bool weights_looks_like_safetensors(const struct weights *weights);
bool weights_looks_like_json(const struct weights *weights);
/* VAEMARK_BAD_INPUT that names the format of a file that is not safetensors and what to do; VAEMARK_OK where it is not
 * known. */
enum vaemark_status weights_report_foreign(const struct weights *weights, struct error *error);

/* Writes a file of these tensors, whose data `write` puts into the stream, one call a tensor, exactly its bytes. An
 * error it meets stays in the stream, which is checked at the end. `metadata` (borrowed) may be NULL. */
enum vaemark_status weights_write_stream(const char *path, const struct vaemark_tensors *tensors, json_t *metadata,
                                         void (*write)(FILE *stream, const struct vaemark_tensor *tensor, void *user),
                                         void *user, struct error *error);

/* What the file calls item `index`, and how many items there are with those left out. */
const char *weights_stored_name(const struct weights *weights, size_t index);
size_t weights_total_count(const struct weights *weights);

/* '"latent_channels" is 4': what the configuration says about a tensor; returns `text`. */
const char *weights_describe_key(char text[200], const struct naming *naming, const char *name, int32_t axis,
                                 const json_t *config);

/* "x.safetensors: tensor 'name'", with control characters of the name shown as '?'; returns `place`. */
const char *weights_place(char place[512], const char *path, const char *tensor);

#endif
