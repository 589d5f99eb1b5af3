/* Tiled and sliced decode: which parts of the latents are decoded alone, and how their images become one.
 *
 * A pass decodes one tile of one slice. Slices (the samples of a batch, one by one) are outermost, tiles inside, in
 * raster order. `on` is the original framework's result (diffusers), also where that is wrong; `corrected` has the size
 * that the whole decode has, and equals `on` wherever the framework's tiles fit together. Geometry and blending are the
 * same for every backend; a backend brings the decode of a pass.
 *
 * Legend: lengths of tiles and steps are latent pixels, all others image pixels, and a name or comment says which. */
#ifndef REFERENCE_TILING_H
#define REFERENCE_TILING_H

#include "reference/graph.h"

enum tiling_mode { TILING_OFF = 0, TILING_ON, TILING_CORRECTED };

/* What a decoder is asked for. */
struct tiling_request {
    enum tiling_mode mode;
    bool slicing;
    int64_t tile, stride; /* image pixels, both axes; 0: the class's own */
};

/* Takes the options `tiling` (boolean, or text "corrected"), `slicing` (boolean), `tile` and `tile_stride` (integers)
 * over into `request`, the capability table permitting, or refuses and changes nothing. */
enum vaemark_status tiling_option_take(struct tiling_request *request, const char *vae_type,
                                       const struct vaemark_option *option, struct error *error);
/* Whether the key is one of them. */
bool tiling_option_is(const char *key);
/* The current value of one of them, or false where the key is another. */
bool tiling_option_get(const struct tiling_request *request, const char *key, struct vaemark_option *value);
/* What `on` cannot do with this model whatever the latents: VAEMARK_UNSUPPORTED_OPTION, naming the remedy. */
enum vaemark_status tiling_check(const struct vaemark_graph *graph, enum tiling_mode mode, struct error *error);

/* Where a stride is under a sixteenth of the tile there would be more sizes; such a plan is refused. */
enum { TILING_MAX_SIZES = 16, TILING_MAX_SHAPES = TILING_MAX_SIZES * TILING_MAX_SIZES };

/* Rows, or columns, of tiles. */
struct tiling_axis {
    int64_t length, tile, step;      /* latents: all of them, of one tile, from one tile's start to the next one's */
    int64_t factor;                  /* image pixels a latent pixel */
    int64_t blend, keep;             /* image: mixed with the tile before at most; kept of a tile (INT64_MAX: all) */
    int64_t patch;                   /* image: pixels that share their weight in mixing; 1 or more */
    int64_t limit;                   /* image: where the result is cut; INT64_MAX: nowhere */
    int64_t count;                   /* tiles */
    int64_t image_length;            /* of the result */
    int64_t sizes[TILING_MAX_SIZES]; /* latents: the different sizes that tiles have */
    int32_t size_count;
};

/* Where one tile lies along an axis. */
struct tiling_span {
    int64_t index;
    int64_t start, size;             /* latents */
    int64_t image_start, image_size; /* image: of what is kept; of the whole decoded tile */
    int64_t kept;                    /* image: pixels that go into the result */
    int64_t blend;                   /* image: pixels that are mixed with what lies before; 0 in the first */
    int32_t size_index;              /* into the axis' sizes */
};

struct tiling {
    int64_t slices; /* decoded one by one; 1: the batch whole */
    bool tiled;     /* false: a pass is a whole slice */
    bool clamped;   /* the result is clamped to [-1, 1] behind mixing */
    enum graph_tiling_algorithm algorithm;
    struct tiling_axis rows, columns;
    struct shape image;      /* of the result */
    struct shape pass_image; /* of one pass, its last two axes those of the largest tile */
};

/* Plans for inputs of these shapes, which must fit the graph. VAEMARK_UNSUPPORTED_OPTION where the framework has no
 * result to agree with. */
enum vaemark_status tiling_plan(const struct vaemark_graph *graph, const struct vaemark_tensors *inputs,
                                const struct tiling_request *request, struct tiling *tiling, struct error *error);
struct tiling_span tiling_span(const struct tiling_axis *axis, int64_t index);
/* False: one decode of everything, straight into the image. */
bool tiling_divides(const struct tiling *tiling);
int64_t tiling_pass_count(const struct tiling *tiling);

/* The passes' different shapes, at most TILING_MAX_SHAPES, and how often each comes. */
int32_t tiling_shape_count(const struct tiling *tiling);
int64_t tiling_shape_uses(const struct tiling *tiling, int32_t shape);
/* The inputs of a pass of that shape: `items` has room for all of the graph's. Data is NULL. */
struct vaemark_tensors tiling_shape_inputs(const struct tiling *tiling, const struct vaemark_tensors *inputs,
                                           int32_t shape, struct vaemark_tensor *items);
/* 2 x multiply-adds of all passes. */
enum vaemark_status tiling_flops(const struct vaemark_graph *graph, const struct tiling *tiling,
                                 const struct vaemark_tensors *inputs, uint64_t *flops, struct error *error);

/* Bytes of scratch for a run, class ACTIVATIONS, 64-byte aligned: one tile's latents and image, and of the tiles above
 * and to the left what is still needed. 0 where nothing is tiled. */
size_t tiling_scratch_bytes(const struct tiling *tiling, const struct vaemark_tensors *inputs,
                            enum vaemark_dtype image_dtype);

/* A run over all passes. */
struct tiling_run {
    const struct tiling *tiling;
    const struct vaemark_tensors *inputs;
    const struct vaemark_tensor *image; /* F32 or F64, the result's shape */
    void *scratch;
    int threads;
    /* Decodes `inputs`, of shape number `shape`, into `image`. */
    enum vaemark_status (*decode)(void *context, int32_t shape, const struct vaemark_tensors *inputs,
                                  const struct vaemark_tensor *image, struct error *error);
    void *context;
    /* What cutting and blending took, for the trace; 0 where nothing is tiled. */
    uint64_t blend_time_ns, blend_bytes;
};
enum vaemark_status tiling_run(struct tiling_run *run, struct error *error);
/* What a tiled run adds to the trace behind its last pass. */
struct vaemark_trace_entry tiling_trace_entry(const struct tiling_run *run);

/* ---- Blending, in both precisions (reference/ops/tile_blend.c) ---- */

/* One decoded tile on its way into the image. Each strip keeps what the next neighbour is mixed with. */
struct tile_blend {
    enum graph_tiling_algorithm algorithm;
    const struct tiling_axis *rows, *columns;
    struct tiling_span row, column;
    int64_t planes; /* batch x channels (x frames) */
    void *tile;     /* (planes, row.image_size, column.image_size); mixed in place by GRAPH_TILING_NEIGHBOURS */
    void *image;    /* (planes, rows.image_length, columns.image_length) */
    void *above;    /* (planes, blend, column.image_size): the end of the tile above, then of this one */
    void *left;     /* (planes, row.image_size, blend): of the tile to the left, likewise */
    int threads;
};
void tile_blend_fp32(const struct tile_blend *blend);
void tile_blend_fp64(const struct tile_blend *blend);

#endif
