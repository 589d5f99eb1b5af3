/* Weights: safetensors files, read by mmap and hostile until parsed; and synthetic weights for sizes that can't ship.
 */
#ifndef REFERENCE_WEIGHTS_H
#define REFERENCE_WEIGHTS_H

#include <jansson.h>

#include "reference/graph.h"

/* An open safetensors file, or all shards of an index. Tensors point into the mapping, which is read-only. */
struct weights;

/* Opens and checks the whole header: lengths, JSON (size and depth limited), dtypes (F64 F32 F16 BF16 I32 I64; others
 * are kept out but not an error unless asked for), shapes against byte counts, overlaps, gaps, end of file, duplicates.
 * VAEMARK_BAD_INPUT names file, tensor, what was found and what was wanted; of a file of another format, the format and
 * what to do. An index of shards (x.safetensors.index.json) opens all of them: its "weight_map" and what the files hold
 * must agree, and a shard is a plain name beside the index. */
enum vaemark_status weights_open(const char *path, struct weights **weights, struct error *error);
void weights_free(struct weights *weights);
const char *weights_path(const struct weights *weights);
/* The files: the path itself, and behind an index its shards by name. */
size_t weights_file_count(const struct weights *weights);
const char *weights_file_path(const struct weights *weights, size_t index);
int64_t weights_file_bytes(const struct weights *weights); /* of all */
size_t weights_count(const struct weights *weights);
const struct vaemark_tensor *weights_at(const struct weights *weights, size_t index);
const struct vaemark_tensor *weights_find(const struct weights *weights, const char *name); /* NULL if there is none */
/* The dtype, "I8", of a tensor that the file holds in a dtype which nothing here computes with; NULL otherwise. Such
 * tensors are neither counted nor found. */
const char *weights_unreadable_dtype(const struct weights *weights, const char *name);

/* The texts of the header's __metadata__, hostile like all of it: any key, any value. Keys are unique. */
size_t weights_metadata_count(const struct weights *weights);
const char *weights_metadata_find(const struct weights *weights, const char *key); /* NULL if there is none */
void weights_metadata_visit(const struct weights *weights,
                            void (*visit)(const char *key, const char *value, void *user), void *user);

/* A command line that converts a PyTorch checkpoint. */
void weights_describe_conversion(const char *path, char *text, size_t size_bytes);

/* Writes tensors to a safetensors file: beside it first, then renamed, so that an existing file is never harmed. */
enum vaemark_status weights_write(const char *path, const struct vaemark_tensors *tensors, struct error *error);
struct weights_text {
    const char *key, *value;
};
/* The same with these texts as its __metadata__. */
enum vaemark_status weights_write_described(const char *path, const struct vaemark_tensors *tensors,
                                            const struct weights_text *texts, size_t text_count, struct error *error);

/* Binds every stored parameter of the graph to the tensor of its name. Trailing dimensions of 1 may be missing or
 * extra. Tensors that nobody asks for are ignored; one that is missing or misshapen is VAEMARK_BAD_INPUT with its name,
 * the shape wanted, the shape found and, where `naming` and `config` are given, the configuration's key. */
struct naming;
enum vaemark_status graph_bind_weights(struct vaemark_graph *graph, const struct weights *weights,
                                       const struct naming *naming, const json_t *config, struct error *error);

/* Reads a parameter, joined or stored, into `out` (shape_element_count of its shape). */
void graph_read_parameter_f32(float *out, const struct vaemark_graph *graph, int32_t parameter);
void graph_read_parameter_f64(double *out, const struct vaemark_graph *graph, int32_t parameter);

/* Synthetic weights for every stored parameter: an integer counter-based generator keyed by seed and tensor name,
 * uniform, F32, bit-identical on every machine. Written to `path` as safetensors if it is not there yet (atomically;
 * safe for several processes at once). */
enum vaemark_status weights_synthesize(const struct vaemark_graph *graph, uint64_t seed, const char *path,
                                       struct error *error);
/* A file name for them in a cache, "sd15-seed0-0123456789abcdef.safetensors", allocated; it changes with whatever
 * changes the numbers: model name, seed, parameter names, shapes, roles and gains, the generator's version. NULL when
 * memory is short. */
char *weights_synthetic_name(const struct vaemark_graph *graph, const char *model_name, uint64_t seed);
/* Seeded latents and noise, close to normal (sum of uniforms, no libm): element `index` of stream `stream`. */
float synthetic_normal(uint64_t seed, const char *stream, uint64_t index);

#endif
