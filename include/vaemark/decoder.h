/* vaemark decoder ABI, version 0 (not frozen yet).
 *
 * A backend is one `struct vaemark_backend`: a table of functions that decode latents into pictures. `reference` and
 * `cpu` are such tables; a shared library that exports vaemark_decoder_v0() is one too.
 *
 * Legend for shapes: N batch, C channels, H x W pixels, T frames, row-major, innermost last.
 * Sizes are bytes, times nanoseconds, rates operations; a name says so (size_bytes, time_ns, flops).
 *
 * Ownership: what a struct points at belongs to whoever filled it in and stays valid for the duration of the call,
 * unless a comment says longer. Strings are UTF-8 and never NULL unless a comment allows it.
 *
 * Errors: every verb that can fail returns a status and, where it is not VAEMARK_OK, a message that a user can act on.
 *
 * Growth: every struct that crosses the border starts with struct_size, set by whoever fills it in; readers ignore
 * members that lie beyond it. A decoder is used by one thread at a time.
 */
#ifndef VAEMARK_DECODER_H
#define VAEMARK_DECODER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VAEMARK_ABI_VERSION 0u
#define VAEMARK_MAX_RANK    8

/* One list of results for every room: the ABI, the worker protocol and the command line share it. */
enum vaemark_status {
    VAEMARK_OK = 0,
    VAEMARK_INVALID_ARGUMENT,   /* the caller broke the contract of a verb */
    VAEMARK_BAD_INPUT,          /* a file or tensor from outside is not what it must be */
    VAEMARK_UNKNOWN_OPTION,     /* no such option, or a value that it never takes */
    VAEMARK_UNSUPPORTED_OPTION, /* a known option that this VAE type must not have, or this backend declared it lacks */
    VAEMARK_UNSUPPORTED_MODEL,  /* a VAE type, op or shape that this backend cannot decode */
    VAEMARK_UNAVAILABLE,        /* no device, driver or library to run on */
    VAEMARK_OUT_OF_MEMORY,      /* the host's allocator or the device said no */
    VAEMARK_IO_ERROR,           /* reading or writing failed */
    VAEMARK_INTERNAL,           /* a defect of the implementation */
    VAEMARK_STATUS_COUNT
};

/* A status with its explanation. Verbs fill it in only when they fail. */
struct vaemark_message {
    char text[1024];
};

enum vaemark_dtype {
    VAEMARK_F32 = 0,
    VAEMARK_F64,
    VAEMARK_F16,
    VAEMARK_BF16,
    VAEMARK_I32,
    VAEMARK_I64,
    VAEMARK_DTYPE_COUNT
};

/* A named tensor. `strides` count elements, not bytes; tensors that cross the ABI are contiguous in version 0, and the
 * strides say so. `data` is an address that the decoder can use: host memory, or what buffer_create() returned.
 *
 * Inputs:  "latents" (N,C,H,W), (N,C,T,H,W), or integer codes (N,H,W); "noise.0", "noise.1" (N,3,8H,8W);
 *          "condition.image", "condition.mask".
 * Outputs: "image" (N,3,H',W') or (N,3,T,H',W'), nominally in [-1, 1], not clamped. */
struct vaemark_tensor {
    const char *name;
    enum vaemark_dtype dtype;
    int32_t rank;
    int64_t shape[VAEMARK_MAX_RANK];
    int64_t strides[VAEMARK_MAX_RANK];
    void *data;
};

struct vaemark_tensors {
    struct vaemark_tensor *items;
    size_t count;
};

/* A typed option. Keys of every backend: precision (text: fp32, fp64, bf16, ...), threads (integer, 0 = all),
 * isa (text), fuse_qkv (boolean), tiling (boolean: decode in tiles with the original framework's result, also where
 * that is wrong; or text "corrected": with the right one where it differs), tile and tile_stride (integers, image
 * pixels: a tile's height and width, and the way to the next one; 0: the class's own), slicing (boolean: the samples of
 * a batch one by one, tiles inside). Others are the backend's own. */
enum vaemark_option_type { VAEMARK_BOOLEAN = 0, VAEMARK_INTEGER, VAEMARK_REAL, VAEMARK_TEXT };

struct vaemark_option {
    const char *key;
    enum vaemark_option_type type;
    union {
        int32_t boolean;
        int64_t integer;
        double real;
        const char *text;
    } value;
};

struct vaemark_options {
    const struct vaemark_option *items;
    size_t count;
};

/* What an allocation is for; the harness counts each class apart. */
enum vaemark_memory_class {
    VAEMARK_MEMORY_WEIGHTS = 0, /* parameters, also packed, converted or fused ones */
    VAEMARK_MEMORY_ACTIVATIONS, /* tensors between nodes */
    VAEMARK_MEMORY_WORKSPACE,   /* scratch inside a node */
    VAEMARK_MEMORY_TENSORS,     /* buffers of inputs and outputs, made by buffer_create() */
    VAEMARK_MEMORY_CLASS_COUNT
};

/* The host: where a decoder gets memory. Every large allocation of a decoder goes through it, so that the harness can
 * count bytes, fail the n-th request and place guards. allocate() returns NULL when memory is refused; contents are
 * not zeroed, `alignment` is a power of two. release() takes NULL. Both may be called from the decoding thread only. */
struct vaemark_host {
    uint32_t struct_size;
    void *user;
    void *(*allocate)(void *user, size_t size_bytes, size_t alignment_bytes, enum vaemark_memory_class memory_class);
    void (*release)(void *user, void *memory);
};

/* The graph of a model, read through functions, never by layout: new ops do not break old plug-ins. Nodes are in
 * execution order. Values and parameters are named by small integers. A backend may ignore the graph and build its own.
 * Op and attribute names are listed in docs/graph.md. */
struct vaemark_graph;

struct vaemark_graph_api {
    uint32_t struct_size;
    size_t (*node_count)(const struct vaemark_graph *graph);
    const char *(*node_op)(const struct vaemark_graph *graph, size_t node);     /* "conv2d", "group_norm", ... */
    const char *(*node_module)(const struct vaemark_graph *graph, size_t node); /* the checkpoint's module path */
    size_t (*node_input_count)(const struct vaemark_graph *graph, size_t node);
    size_t (*node_input)(const struct vaemark_graph *graph, size_t node, size_t index); /* a value */
    size_t (*node_output)(const struct vaemark_graph *graph, size_t node);              /* a value */
    size_t (*node_parameter_count)(const struct vaemark_graph *graph, size_t node);
    size_t (*node_parameter)(const struct vaemark_graph *graph, size_t node, size_t index); /* a parameter */
    /* An attribute by name; `fallback` where the op has no such attribute. */
    double (*node_attribute)(const struct vaemark_graph *graph, size_t node, const char *name, double fallback);
    size_t (*input_count)(const struct vaemark_graph *graph);
    const char *(*input_name)(const struct vaemark_graph *graph, size_t input);
    size_t (*input_value)(const struct vaemark_graph *graph, size_t input);
    size_t (*output_value)(const struct vaemark_graph *graph);
    size_t (*value_count)(const struct vaemark_graph *graph);
    size_t (*parameter_count)(const struct vaemark_graph *graph);
    /* The stored tensor of a parameter: the checkpoint's dtype and, up to trailing ones, shape; memory is read-only
     * and lives as long as the decoder. */
    const struct vaemark_tensor *(*parameter_tensor)(const struct vaemark_graph *graph, size_t parameter);
};

/* What is to be opened. All of it stays valid until close(). */
struct vaemark_model {
    uint32_t struct_size;
    const char *name;        /* a preset's name, or a folder's */
    const char *vae_type;    /* "AutoencoderKL", ... */
    const char *config_json; /* the checkpoint's config.json, whole */
    /* A safetensors file or the *.safetensors.index.json of its shards, as the user gave it. Its names may be of
     * another layout (docs/models.md); the graph's parameters are bound and carry the names of its modules. */
    const char *weights_path;
    const struct vaemark_graph *graph;
    const struct vaemark_graph_api *graph_api;
};

/* Bytes by class: now, at the highest point since open or the last reset, and as planned for the prepared shape. */
struct vaemark_memory {
    uint32_t struct_size;
    uint64_t planned_bytes[VAEMARK_MEMORY_CLASS_COUNT]; /* 0 where the decoder does not plan */
    uint64_t device_current_bytes;                      /* device memory, where there is any of its own */
    uint64_t device_peak_bytes;
};

/* One launch of the last decode. Strings live until the next decode or close. */
struct vaemark_trace_entry {
    const char *module; /* the checkpoint's module path, "decoder.mid_block.attentions.0.to_q" */
    const char *op;     /* "linear" */
    const char *kernel; /* what ran, "linear_panel_avx2" */
    uint64_t time_ns;
    uint64_t flops;  /* 2 x multiply-adds of convolutions, linears and attention products; else 0 */
    uint64_t bytes;  /* least traffic: inputs, parameters and output once each */
    const char *why; /* why this kernel where there was a choice, for people: what others would cost; may be NULL */
};

struct vaemark_trace {
    uint32_t struct_size;
    const struct vaemark_trace_entry *entries;
    size_t count;
};

/* A fact about the device or the backend, for the record. */
struct vaemark_fact {
    const char *key;
    const char *value;
};

/* What a backend declares beforehand that it does not do. NULL matches everything. */
struct vaemark_unsupported {
    const char *vae_type;
    const char *option; /* "fuse_qkv", or "precision=bf16" */
    const char *reason;
};

struct vaemark_probe {
    uint32_t struct_size;
    int32_t available;                /* 0: `reason` says why it cannot run here */
    const char *reason;               /* "" when available */
    int32_t deterministic;            /* 1: two decodes of the same inputs are bit-identical */
    const struct vaemark_fact *facts; /* facts and declarations live as long as the backend */
    size_t fact_count;
    const struct vaemark_unsupported *unsupported;
    size_t unsupported_count;
};

struct vaemark_decoder; /* the backend's own */

struct vaemark_backend {
    uint32_t abi_version; /* VAEMARK_ABI_VERSION */
    uint32_t struct_size;
    const char *name;        /* "reference", "cpu", ... */
    const char *description; /* one line for `vaemark list backends` */

    /* Device facts and declarations. Cheap; opens nothing. */
    enum vaemark_status (*probe)(struct vaemark_probe *probe, struct vaemark_message *message);

    /* Opens a model. An option that must be refused is refused here before any work: *decoder stays NULL. */
    enum vaemark_status (*open)(const struct vaemark_host *host, const struct vaemark_model *model,
                                const struct vaemark_options *options, struct vaemark_decoder **decoder,
                                struct vaemark_message *message);

    /* Changes an option of an open decoder. A refusal changes nothing: same output, same memory. */
    enum vaemark_status (*set_option)(struct vaemark_decoder *decoder, const struct vaemark_option *option,
                                      struct vaemark_message *message);

    /* Reads a property: "fuse_qkv.modules" (integer: attention modules whose projections are fused now), or the
     * current value of an option. Text lives until the next call. VAEMARK_UNKNOWN_OPTION where there is none. */
    enum vaemark_status (*get_property)(struct vaemark_decoder *decoder, const char *key, struct vaemark_option *value,
                                        struct vaemark_message *message);

    /* Plans for inputs of these shapes (data is not read) and allocates what decode() will need, so that the peak is
     * known before the run. Fills in the output's dtype and shape. Optional to call: decode() prepares as needed. */
    enum vaemark_status (*prepare)(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                   struct vaemark_tensor *image, struct vaemark_message *message);

    /* Decodes. `outputs` names tensors whose data the caller allocated with prepare()'s dtype and shape. A device
     * decoder may return before the device is done; synchronize() waits. */
    enum vaemark_status (*decode)(struct vaemark_decoder *decoder, const struct vaemark_tensors *inputs,
                                  struct vaemark_tensors *outputs, struct vaemark_message *message);

    enum vaemark_status (*memory)(struct vaemark_decoder *decoder, struct vaemark_memory *memory,
                                  struct vaemark_message *message);
    enum vaemark_status (*trace)(struct vaemark_decoder *decoder, struct vaemark_trace *trace,
                                 struct vaemark_message *message);
    void (*close)(struct vaemark_decoder *decoder); /* takes NULL */

    /* Device verbs. All NULL for decoders that work in host memory. Buffers are what tensor.data points at. */
    enum vaemark_status (*buffer_create)(struct vaemark_decoder *decoder, size_t size_bytes, void **buffer,
                                         struct vaemark_message *message);
    void (*buffer_destroy)(struct vaemark_decoder *decoder, void *buffer);
    enum vaemark_status (*upload)(struct vaemark_decoder *decoder, void *buffer, const void *host_memory,
                                  size_t size_bytes, struct vaemark_message *message);
    enum vaemark_status (*download)(struct vaemark_decoder *decoder, void *host_memory, const void *buffer,
                                    size_t size_bytes, struct vaemark_message *message);
    enum vaemark_status (*synchronize)(struct vaemark_decoder *decoder, struct vaemark_message *message);
    enum vaemark_status (*event_time)(struct vaemark_decoder *decoder, uint64_t *time_ns,
                                      struct vaemark_message *message); /* the device's own time of the last decode */

    /* Optional (NULL): runs one op by name, for the kernel suite. attributes are real-valued options. */
    enum vaemark_status (*run_op)(const struct vaemark_host *host, const char *op,
                                  const struct vaemark_options *attributes, const struct vaemark_tensors *inputs,
                                  const struct vaemark_tensors *parameters, struct vaemark_tensor *output,
                                  struct vaemark_message *message);
};

/* The one symbol that a plug-in exports. */
typedef const struct vaemark_backend *vaemark_decoder_entry(void);

#ifdef __cplusplus
}
#endif

#endif
