/* The graph: the decode program of a model, a flat list of nodes in execution order.
 *
 * A model builder (reference/models/) turns a configuration into a graph; the reference executes it node by node; an
 * optimised backend compiles the same graph to a plan. Shapes are not part of it: graph_infer_shapes() finds them for
 * given inputs, so that one graph serves every latent size and batch.
 *
 * Values are SSA: each is an input or the output of exactly one node. Parameters are tensors of the checkpoint, named
 * as the checkpoint names them, bound to memory by graph_bind_weights() (reference/weights.h).
 *
 * The channel axis is axis 1 of every value of rank >= 2. Linears work on the channel axis, so attention needs no
 * reshaping: token n of an image is pixel (n / W, n % W).
 */
#ifndef REFERENCE_GRAPH_H
#define REFERENCE_GRAPH_H

#include "reference/tensor.h"

enum op {
    OP_CONV2D = 0,       /* x (N,C,H,W); weight (O,C/groups,kh,kw), bias (O) optional; zero padding */
    OP_LINEAR,           /* x (N,C) or (N,C,H,W); weight (O,C), bias (O) optional: y = W x + b on axis 1 */
    OP_GROUP_NORM,       /* x (N,C,H,W); weight (C), bias (C) */
    OP_SILU,             /* x / (1 + exp(-x)) */
    OP_RELU,             /* max(x, 0), NaN stays NaN */
    OP_TANH_CLAMP,       /* limit * tanh(x / limit) */
    OP_ADD,              /* alpha * a + beta * b, same shapes */
    OP_AFFINE,           /* scale[c] * x + shift[c], constants of the model, one value or one a channel */
    OP_SCALE_SHIFT,      /* x (N,C,H,W), e (1 or N, 2C): x * (1 + e[:, :C]) + e[:, C:] */
    OP_UPSAMPLE_NEAREST, /* factor */
    OP_AVG_POOL,         /* 2x2, stride 2; odd rows and columns at the end are dropped */
    OP_CONCAT,           /* a, b on axis 1 */
    OP_SLICE,            /* channels [first, first + count) of axis 1 */
    OP_EMBEDDING,        /* no input; table (rows, dim): row `row` as (1, dim) */
    OP_ATTENTION, /* q, k, v (N,C,H,W) each, or one packed qkv (N,3C,H,W); softmax(q k^T / sqrt(C)) v, one head */
    OP_LINEAR_ATTENTION,  /* heads of packed q, k, v: x (N,3D heads,H,W) -> (N,D heads,H,W); no softmax */
    OP_RMS_NORM,          /* by pixel, over channels: x / max(sqrt(mean(x^2) + epsilon), floor) * weight + bias */
    OP_BATCH_NORM,        /* (x - running_mean) / sqrt(running_var + epsilon) * weight + bias, by channel */
    OP_MULTIPLY,          /* a * b; b of a's shape, or with one channel */
    OP_MIX,               /* x m + y (1 - m), mask m (N,1,H,W); x where m or y is absent (optional inputs) */
    OP_CLAMP,             /* min(max(x, low), high), NaN stays NaN */
    OP_SUBSAMPLE,         /* every factor-th row and column from the first: nearest resizing to a whole fraction */
    OP_CHANNELS_TO_SPACE, /* channels become pixels, or are repeated; see channels_to_space below */
    OP_LOOKUP,            /* codes (N,H,W); table (rows, dim): their rows as (N,dim,H,W) */
    OP_QUANTIZE,          /* x (N,C,H,W); table (rows, C): x + (nearest row - x), the first where several are */
    OP_COUNT
};

/* Attributes by op. Only the member of the node's op is meaningful. graph_digest.c reads them all. */
union op_attributes {
    struct {
        int32_t stride;
        int32_t padding; /* the same on all four sides */
        int32_t groups;
    } conv2d;
    struct {
        int32_t groups;
        double epsilon;
    } group_norm;
    struct {
        double limit;
    } tanh_clamp;
    struct {
        double alpha, beta;
    } add;
    struct {
        const double *scale, *shift; /* `count` each, owned by the graph */
        int32_t count;               /* 1, or the number of channels */
    } affine;
    struct {
        int32_t factor;
    } upsample_nearest;
    struct {
        int64_t first, count;
    } slice;
    struct {
        int64_t row;
    } embedding;
    struct {
        int32_t head_channels; /* D; up to D pixels the sums are formed the other way round, as the framework does */
        double epsilon;
    } linear_attention;
    struct {
        double epsilon, floor;
    } rms_norm;
    struct {
        double epsilon;
    } batch_norm;
    struct {
        double low, high;
    } clamp;
    struct {
        int32_t factor;
    } subsample;
    /* out[c, factor i + a, factor j + b] = in[(by_channel c + by_row a + by_column b + offset) / divisor, i, j] */
    struct {
        int32_t factor;   /* 1: channels are picked, pixels stay */
        int64_t channels; /* of the output */
        int64_t by_channel, by_row, by_column, offset, divisor;
    } channels_to_space;
};

enum { GRAPH_MAX_NODE_INPUTS = 3, GRAPH_MAX_NODE_PARAMETERS = 4 };

struct graph_node {
    enum op op;
    const char *module; /* owned by the graph: "decoder.mid_block.attentions.0.to_q"; "" where there is none */
    int32_t inputs[GRAPH_MAX_NODE_INPUTS];
    int32_t input_count;
    int32_t output;
    /* weight, bias (batch norm: running_mean, running_var, weight, bias); conv2d, linear, rms_norm: bias may be absent
     */
    int32_t parameters[GRAPH_MAX_NODE_PARAMETERS];
    int32_t parameter_count;
    union op_attributes attributes;
};

/* How a parameter gets its numbers. */
enum parameter_origin {
    PARAMETER_STORED, /* read from the checkpoint */
    PARAMETER_JOINED  /* the rows of `sources` one below the other (fused QKV: q, k, v) */
};

/* What a parameter is, so that synthetic weights can be given a fitting distribution. */
enum parameter_role { PARAMETER_WEIGHT, PARAMETER_BIAS, PARAMETER_NORM_SCALE, PARAMETER_TABLE };

struct graph_parameter {
    const char *name;   /* owned by the graph: "decoder.conv_in.weight" */
    struct shape shape; /* as nodes use it */
    /* Convolutions over frames, stored as (O,C,frames,kh,kw): of one picture only tap number `frame` sees anything but
     * padding, and the parameter is that slice of the stored tensor. frames 0: stored as it is. */
    int32_t frames, frame;
    enum parameter_origin origin;
    enum parameter_role role;
    double synthetic_gain;        /* standard deviation is gain / sqrt(fan-in) for weights */
    double synthetic_mean;        /* of biases */
    int32_t sources[3];           /* PARAMETER_JOINED: parameters of the same graph */
    struct vaemark_tensor tensor; /* bound memory; data is NULL before binding and for joined parameters */
};

struct graph_input {
    const char *name; /* "latents", "noise.0", ... */
    int32_t value;
    int32_t rank;
    int64_t channels; /* of axis 1 */
    int32_t scale;    /* height and width are the latents' times this */
    /* rank 5: (N,C,1,H,W), one frame; as a value it is (N,C,H,W). rank 3: integer codes (N,H,W), I32 or I64. */
    int64_t code_count; /* of rank 3: codes are 0 to code_count - 1 */
    bool optional;      /* may be absent; what is computed from it alone is then absent, too (graph_infer_shapes()) */
};

/* How the framework's class decodes in tiles (reference/tiling.h); filled in by the model's builder. */
enum graph_tiling_algorithm {
    GRAPH_TILING_NONE = 0,
    GRAPH_TILING_NEIGHBOURS, /* a tile is mixed with those above and to the left, and cropped (AutoencoderKL) */
    GRAPH_TILING_CANVAS,     /* tiles are laid over one another with rising weights (AutoencoderTiny) */
    GRAPH_TILING_STRIDES     /* as neighbours, by a size and a stride that users set (AutoencoderDC, Qwen-Image, Wan) */
};

struct graph_tiling {
    enum graph_tiling_algorithm algorithm;
    int64_t factor;       /* image pixels a latent pixel, each way */
    int64_t out_channels; /* of the image */
    int64_t sample_size;  /* neighbours: of config.json, in image pixels, the first of a list; 0: none that is usable */
    bool sample_size_is_list;
    int64_t tile, stride; /* strides: the class's own, in image pixels */
    int64_t patch;        /* strides: tiles are mixed and cut in squares of so many image pixels; 0: 1 */
    bool crops;           /* strides: the framework cuts the result to the size of a whole decode */
    bool ends_in_clamp;   /* the last node is a clamp, which comes behind mixing: tiles are decoded without it, */
    bool clamps;          /* and this says whether the framework then clamps at all */
};

struct vaemark_graph {
    struct graph_node *nodes;
    size_t node_count, node_capacity;
    struct graph_parameter *parameters;
    size_t parameter_count, parameter_capacity;
    struct graph_input inputs[4];
    size_t input_count;
    int32_t value_count;
    int32_t output;  /* the value that is the image */
    bool has_frames; /* the image is (N,C,1,H,W) outside, (N,C,H,W) as a value */
    struct graph_tiling tiling;
    struct graph_arena *arena; /* strings and constants */
};

struct vaemark_graph *graph_create(void);
/* A deep copy; bound tensors still point at the same weights. NULL when memory is short. */
struct vaemark_graph *graph_clone(const struct vaemark_graph *graph);
void graph_free(struct vaemark_graph *graph);

/* The name of an op, "conv2d". */
const char *op_name(enum op op);

/* The graph that decodes one tile: without the clamp that comes behind mixing. A view, which shares everything with
 * `graph` and is never freed. */
struct vaemark_graph graph_of_tile(const struct vaemark_graph *graph);

/* Checks the inputs (names, rank, channels, dtype, sizes > 0, equal batches) and fills in the shape of every value:
 * shapes[value_count]. VAEMARK_BAD_INPUT names the input, what was wanted and what was found. Of optional inputs all or
 * none are given. A value that needs an absent one has rank 0: it is not computed. */
enum vaemark_status graph_infer_shapes(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs,
                                       struct shape *shapes, struct error *error);

/* The shape of an input for latents of that size; false where it cannot be addressed. Codes are I32, all others F32. */
bool graph_input_shape(const struct graph_input *input, int64_t batch, int64_t height, int64_t width,
                       struct shape *shape);
/* The image as it leaves the decoder, from the shapes that graph_infer_shapes() found. */
struct shape graph_image_shape(const struct vaemark_graph *graph, const struct shape *shapes);
/* Integer codes must lie within their table, or memory would not be safe. VAEMARK_BAD_INPUT names the first that does
 * not. Inputs without data pass. */
enum vaemark_status graph_check_codes(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs,
                                      struct error *error);
/* The shape in the file: with its frames. */
struct shape parameter_stored_shape(const struct graph_parameter *parameter);
/* Elements [first, first + count) of a stored parameter, as nodes use it. */
void parameter_read_f32(float *out, const struct graph_parameter *parameter, int64_t first, int64_t count);
void parameter_read_f64(double *out, const struct graph_parameter *parameter, int64_t first, int64_t count);

/* 2 x multiply-adds of convolutions, linears and attention products; 0 for other ops. */
uint64_t graph_node_flops(const struct vaemark_graph *graph, const struct graph_node *node, const struct shape *shapes);
/* The least traffic of a node in bytes, its inputs, parameters and output once each, at that many bytes an element. */
uint64_t graph_node_bytes(const struct vaemark_graph *graph, const struct graph_node *node, const struct shape *shapes,
                          size_t element_size_bytes);
uint64_t graph_flops(const struct vaemark_graph *graph, const struct shape *shapes);
/* Numbers in all stored parameters, with all their frames. */
uint64_t graph_parameter_elements(const struct vaemark_graph *graph);

/* last_use[value]: index of the last node that reads it (node_count for the output, -1 if nobody does). */
void graph_last_uses(const struct vaemark_graph *graph, int32_t *last_use);

/* SHA-256 of all that decides what the graph computes from given inputs and weights: nodes, attributes, names and
 * shapes of parameters; not modules' names, not the weights bound. A new attribute goes into graph_digest.c, too. */
enum vaemark_status graph_digest(const struct vaemark_graph *graph, char hex[65], struct error *error);

/* The accessor functions that a backend behind the ABI reads a graph through. */
extern const struct vaemark_graph_api graph_api;

#endif
