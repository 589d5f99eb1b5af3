/* vaemark decode: one decode, to a picture or a tensor file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/text.h"
#include "harness/cli.h"
#include "harness/commands/commands.h"
#include "harness/exit_code.h"
#include "harness/image_file.h"
#include "harness/progress.h"
#include "harness/session.h"
#include "harness/worker/memory_limit.h"

struct decode_options {
    const char *model, *weights, *latents, *backend, *precision, *out, *trace;
    bool allow_nonfinite, quiet;
    bool from_diffusion_space;
    struct latent_size latents_size; /* 0x0: not said */
    double timeout_s;
    uint64_t memory_limit_bytes; /* 0: the default */
    struct option_list options;
};

static const struct cli_option option_table[] = {
    {"weights", "DIR|FILE", "a folder with config.json and weights, or a file for --model's configuration"},
    {"model", "NAME", "a preset ('vaemark list models'); without --weights its own or synthetic weights"},
    {"latents", "FILE", "safetensors with 'latents', and 'noise.0', 'noise.1' where the decoder wants noise"},
    {"from", "SPACE", "vae-space (default): as decode() takes them; diffusion-space: as pipelines hold them"},
    {"latents-size", "HxW", "of diffusion-space latents that come as tokens; without it they are a square"},
    {"out", "FILE", "where the image goes: .png, .npy or .safetensors (tensor 'image')"},
    {"backend", "B", "cpu (default), reference, plugin:FILE.so, exec:'COMMAND'"},
    {"precision", "P", "fp32 (default); fp64 on reference; fp32-strict on cpu"},
    {"fuse-qkv", NULL, "join the projections of attention (AutoencoderKL alone takes it)"},
    {"tiling", "[=HOW]", "decode in tiles as the framework does; =corrected: right where the framework is not"},
    {"quantize", NULL, "take the nearest row of the codebook for each latent pixel (VQModel alone takes it)"},
    {"tile", "PX", "with --tiling: the side of a tile in image pixels, where the class lets one set it"},
    {"tile-stride", "PX", "with --tiling: from one tile's start to the next one's (default: the class's own)"},
    {"slicing", NULL, "decode the samples of a batch one by one"},
    {"threads", "N", "threads (default 0: all CPUs)"},
    {"isa", "NAME", "instructions of backend cpu: auto (default), amx, avx512, avx2, portable"},
    {"option", "KEY=VALUE", "another option of the backend; may be repeated"},
    {"trace", "FILE", "what was launched, one JSON object a line; - for standard output"},
    {"allow-nonfinite", NULL, "decode latents that hold NaN or Inf"},
    {"timeout", "S", "seconds the decode may take (default 3600)"},
    {"memory-limit", "SIZE", "memory the worker may hold, as 4GiB, or none (default: 4/5 of what is left)"},
    {"quiet", NULL, "say nothing but errors"},
    {NULL, NULL, NULL},
};

static const struct cli_usage usage = {
    .synopsis = "vaemark decode --weights DIR --latents FILE --out FILE [options]",
    .description =
        "Decodes latents once, in a worker process, and writes the image. An existing file is replaced only by a\n"
        "complete new one.",
    .options = option_table,
    .epilogue =
        "Examples:\n"
        "  vaemark decode --weights path/to/vae --latents latents.safetensors --out image.npy --tiling\n"
        "  vaemark decode --model taef2 --latents models/taef2/portrait.safetensors --out portrait.png\n"
        "  vaemark decode --weights FLUX.1/vae --from diffusion-space --latents tokens.safetensors --out image.png\n"
        "Exit codes: 0 decoded, 1 the decoder failed or crashed, 2 usage, bad input or an option that is refused,\n"
        "4 the harness failed, or the disk or the cache folder cannot be written.",
};

static enum vaemark_status take_tiling(struct decode_options *decode, const char *how, struct error *error) {
    static const char *const known[] = {"on", "off", "corrected", NULL};
    const char *nearest = text_nearest(how, known);
    for (size_t i = 0; known[i]; i++) {
        if (strcmp(how, known[i]) == 0) {
            return option_list_set(&decode->options, "tiling", how, error);
        }
    }
    if (!*how) {
        return option_list_set(&decode->options, "tiling", "on", error);
    }
    return error_set(error, VAEMARK_INVALID_ARGUMENT, "--tiling is on, off or corrected, not '%s'%s%s%s", how,
                     nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

static enum vaemark_status take_space(struct decode_options *decode, const char *space, struct error *error) {
    static const char *const known[] = {"vae-space", "diffusion-space", NULL};
    const char *nearest = text_nearest(space, known);
    decode->from_diffusion_space = strcmp(space, known[1]) == 0;
    if (decode->from_diffusion_space || strcmp(space, known[0]) == 0) {
        return VAEMARK_OK;
    }
    return error_set(error, VAEMARK_INVALID_ARGUMENT, "--from is vae-space or diffusion-space, not '%s'%s%s%s", space,
                     nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

/* "64x96": height first, as in shapes. */
static enum vaemark_status take_latents_size(struct decode_options *decode, const char *text, struct error *error) {
    enum { MAX_LATENTS_SIDE = 1 << 24 };
    char height[32], *x = strchr(text, 'x');
    long long sides[2] = {0, 0};
    snprintf(height, sizeof height, "%.*s", x ? (int)(x - text) : 0, text);
    if (!x || cli_parse_integer("latents-size", height, 1, MAX_LATENTS_SIDE, &sides[0], NULL) != VAEMARK_OK ||
        cli_parse_integer("latents-size", x + 1, 1, MAX_LATENTS_SIDE, &sides[1], NULL) != VAEMARK_OK) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT,
                         "--latents-size wants height and width of the latents as 64x96, not '%s'", text);
    }
    decode->latents_size = (struct latent_size){.height = sides[0], .width = sides[1]};
    return VAEMARK_OK;
}

static enum vaemark_status take_option(struct decode_options *decode, const char *option, const char *value,
                                       struct error *error) {
    if (strcmp(option, "fuse-qkv") == 0) {
        return option_list_set(&decode->options, "fuse_qkv", "on", error);
    }
    if (strcmp(option, "tiling") == 0) {
        return take_tiling(decode, value, error);
    }
    if (strcmp(option, "from") == 0) {
        return take_space(decode, value, error);
    }
    if (strcmp(option, "latents-size") == 0) {
        return take_latents_size(decode, value, error);
    }
    if (strcmp(option, "isa") == 0) {
        return option_list_set(&decode->options, option, value, error);
    }
    if (strcmp(option, "slicing") == 0 || strcmp(option, "quantize") == 0) {
        return option_list_set(&decode->options, option, "on", error);
    }
    if (strcmp(option, "tile") == 0 || strcmp(option, "tile-stride") == 0) {
        long long pixels = 0;
        enum vaemark_status status = cli_parse_integer(option, value, 1, 1 << 24, &pixels, error);
        return status == VAEMARK_OK
                   ? option_list_set(&decode->options, option[4] == '\0' ? "tile" : "tile_stride", value, error)
                   : status;
    }
    if (strcmp(option, "threads") == 0) {
        long long threads = 0;
        enum vaemark_status status = cli_parse_integer(option, value, 0, 4096, &threads, error);
        return status == VAEMARK_OK ? option_list_set(&decode->options, "threads", value, error) : status;
    }
    if (strcmp(option, "timeout") == 0) {
        return cli_parse_real(option, value, 0.001, 1e7, &decode->timeout_s, error);
    }
    if (strcmp(option, "memory-limit") == 0) {
        return memory_limit_parse(value, &decode->memory_limit_bytes, error);
    }
    const char *equals = strchr(value, '=');
    char key[64];
    if (!equals) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "--option wants KEY=VALUE, not '%s'", value);
    }
    snprintf(key, sizeof key, "%.*s", (int)(equals - value), value);
    return option_list_set(&decode->options, key, equals + 1, error);
}

static enum vaemark_status take(void *context, const char *option, const char *value, struct error *error) {
    struct decode_options *decode = context;
    if (!option) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "unexpected argument '%s'", value);
    }
    const struct {
        const char *name;
        const char **target;
    } texts[] = {{"model", &decode->model},     {"weights", &decode->weights},     {"latents", &decode->latents},
                 {"backend", &decode->backend}, {"precision", &decode->precision}, {"out", &decode->out},
                 {"trace", &decode->trace}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(option, texts[i].name) == 0) {
            *texts[i].target = value;
            return VAEMARK_OK;
        }
    }
    if (strcmp(option, "allow-nonfinite") == 0) {
        decode->allow_nonfinite = true;
        return VAEMARK_OK;
    }
    if (strcmp(option, "quiet") == 0) {
        decode->quiet = true;
        return VAEMARK_OK;
    }
    return take_option(decode, option, value, error);
}

/* What is written must replace neither what is read nor what else is written. */
static enum vaemark_status check_files(const struct decode_options *decode, struct error *error) {
    bool to_file = decode->trace && strcmp(decode->trace, "-") != 0;
    const char *const written[] = {decode->out, to_file ? decode->trace : NULL};
    const char *const others[] = {decode->latents, decode->weights, to_file ? decode->trace : NULL};
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; written[i] && k < 3 - i; k++) {
            if (others[k] && path_is_same(written[i], others[k])) {
                return error_set_at(error, VAEMARK_INVALID_ARGUMENT, written[i],
                                    "would be written over by another file of this command: choose another name");
            }
        }
    }
    enum vaemark_status status = image_file_check(decode->out, error);
    struct atomic_file probe;
    if (status == VAEMARK_OK && to_file && (status = atomic_file_open(&probe, decode->trace, error)) == VAEMARK_OK) {
        atomic_file_abandon(&probe);
    }
    return status;
}

static enum vaemark_status check_complete(const struct decode_options *decode, struct error *error) {
    if (!decode->model && !decode->weights) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT,
                         "decode what? --weights FOLDER, or --model NAME ('vaemark list models' names them)");
    }
    if (option_list_find(&decode->options, "tile_stride") || option_list_find(&decode->options, "tile")) {
        if (!option_is_asked(option_list_find(&decode->options, "tiling"))) {
            return error_set(error, VAEMARK_INVALID_ARGUMENT, "--tile and --tile-stride say how to tile: add --tiling");
        }
    }
    if (!decode->latents) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "--latents FILE.safetensors is missing");
    }
    if (!decode->out) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT, "--out FILE is missing (.png, .npy or .safetensors)");
    }
    if (decode->latents_size.height && !decode->from_diffusion_space) {
        return error_set(error, VAEMARK_INVALID_ARGUMENT,
                         "--latents-size is for latents that are converted: give --from diffusion-space, too");
    }
    return check_files(decode, error);
}

/* ---- What is told afterwards ---- */

static enum vaemark_status write_trace(const struct decode_options *decode, struct session *session,
                                       struct error *error) {
    struct worker_trace trace = {0};
    enum vaemark_status status = decode->trace ? worker_trace(session->worker, &trace, error) : VAEMARK_OK;
    bool to_stdout = decode->trace && strcmp(decode->trace, "-") == 0;
    struct atomic_file file = {0};
    if (status != VAEMARK_OK || !decode->trace) {
        return status;
    }
    if (!to_stdout && (status = atomic_file_open(&file, decode->trace, error)) != VAEMARK_OK) {
        worker_trace_free(&trace);
        return status;
    }
    for (size_t i = 0; i < trace.count; i++) {
        const struct worker_trace_entry *entry = &trace.entries[i];
        json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "module", entry->module, "op", entry->op,
                                   "kernel", entry->kernel, "why", entry->why, "time_ns", (json_int_t)entry->time_ns,
                                   "flops", (json_int_t)entry->flops, "bytes", (json_int_t)entry->bytes);
        json_dumpf(object, to_stdout ? stdout : file.stream, 0);
        fputc('\n', to_stdout ? stdout : file.stream);
        json_decref(object);
    }
    worker_trace_free(&trace);
    return to_stdout ? VAEMARK_OK : atomic_file_commit(&file, error);
}

/* Class by class, as the check does: the two peaks need not fall on the same moment. */
static void print_memory(struct session *session) {
    static const char *const names[VAEMARK_MEMORY_CLASS_COUNT] = {
        [VAEMARK_MEMORY_ACTIVATIONS] = "activations", [VAEMARK_MEMORY_WORKSPACE] = "workspace"};
    struct worker_memory memory;
    char peak[32], planned[32], weights[32];
    if (worker_memory(session->worker, false, &memory, NULL) != VAEMARK_OK) {
        return;
    }
    fprintf(stderr, "memory:");
    for (int c = 0; c < VAEMARK_MEMORY_CLASS_COUNT; c++) {
        if (names[c]) {
            fprintf(stderr, " %s %s (planned %s),", names[c],
                    text_format_bytes((double)memory.peak_bytes[c], peak, sizeof peak),
                    text_format_bytes((double)session->plan.planned_bytes[c], planned, sizeof planned));
        }
    }
    fprintf(stderr, " weights %s\n",
            text_format_bytes((double)memory.current_bytes[VAEMARK_MEMORY_WEIGHTS], weights, sizeof weights));
}

static void print_summary(const struct decode_options *decode, struct session *session,
                          const struct worker_sample *sample) {
    char shape_text[128], time_text[32];
    struct vaemark_tensor image = session_image(session);
    struct shape shape = tensor_shape(&image);
    fprintf(stderr, "%s: %s, %s on %s %s in %s\n", decode->out, session->model->model->type->name,
            shape_format(&shape, shape_text, sizeof shape_text), decode->backend, decode->precision,
            text_format_time((double)sample->wall_ns, time_text, sizeof time_text));
    fprintf(stderr, "weights: %s\n", session->model->origin);
    if (decode->from_diffusion_space) {
        char step[LATENT_SPACE_TEXT_BYTES];
        struct shape latents = tensor_shape(&session->sets[0].tensors[0]);
        fprintf(stderr, "latents: of diffusion space, %s; decoded as %s\n",
                latent_space_describe(session->model->model, step),
                shape_format(&latents, shape_text, sizeof shape_text));
    }
    print_memory(session);
    if (option_is_on(option_list_find(&decode->options, "fuse_qkv"))) {
        int64_t modules = -1;
        if (worker_property(session->worker, "fuse_qkv.modules", &modules, NULL) == VAEMARK_OK) {
            fprintf(stderr, "fuse_qkv: %lld module%s fused\n", (long long)modules, modules == 1 ? "" : "s");
        }
    }
}

/* ---- The decode ---- */

static int code_of(enum vaemark_status status) {
    switch (status) {
    case VAEMARK_OK:
        return EXIT_CODE_PASSED;
    case VAEMARK_INVALID_ARGUMENT:
    case VAEMARK_BAD_INPUT:
    case VAEMARK_UNKNOWN_OPTION:
    case VAEMARK_UNSUPPORTED_OPTION:
    case VAEMARK_UNSUPPORTED_MODEL:
    case VAEMARK_IO_ERROR:
        return EXIT_CODE_USAGE;
    default:
        return EXIT_CODE_FAILED;
    }
}

static enum vaemark_status decode_once(const struct decode_options *decode, struct session *session,
                                       const struct session_start *start, bool *unwritten, struct error *error) {
    struct worker_sample sample;
    enum vaemark_status status = session_start(session, start, error);
    if (status == VAEMARK_OK && !worker_hello(session->worker)->available) {
        status = error_set(error, VAEMARK_UNAVAILABLE, "backend '%s' is not available: %s", decode->backend,
                           worker_hello(session->worker)->reason);
    }
    if (status == VAEMARK_OK) {
        status = session_open(session, &decode->options, decode->precision, error);
    }
    if (status == VAEMARK_OK) {
        status = session_prepare(session, error);
    }
    if (status == VAEMARK_OK) {
        status = session_decode(session, 0, 1, 1, 1, &sample, NULL, error);
    }
    if (status == VAEMARK_OK) {
        struct vaemark_tensor image = session_image(session);
        status = image_file_write(decode->out, &image, error);
        *unwritten = status == VAEMARK_IO_ERROR; /* it could be before the decode: a full disk, say */
    }
    if (status == VAEMARK_OK) {
        status = write_trace(decode, session, error);
        *unwritten = status == VAEMARK_IO_ERROR;
    }
    if (status == VAEMARK_OK && !decode->quiet) {
        print_summary(decode, session, &sample);
    }
    return status;
}

static void note(const char *text) {
    progress_note(text);
}

/* The refusals that need no worker: nobody has to wait for weights to hear them. */
static enum vaemark_status check_capabilities(const struct decode_options *decode, const char *vae_type,
                                              struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && i < decode->options.count; i++) {
        const struct option_text *option = &decode->options.items[i];
        for (size_t k = 0; capability_options[k]; k++) {
            if (strcmp(option->key, capability_options[k]) == 0 && option_is_asked(option->value)) {
                status = capability_check(vae_type, option->key, error);
            }
        }
    }
    return status;
}

static enum vaemark_status need_weights(struct models *models, struct run_model *model, bool *unwritten,
                                        struct error *error) {
    bool synthetic = !model->weights_path;
    enum vaemark_status status = models_need_weights(models, model, note, error);
    *unwritten = status == VAEMARK_IO_ERROR && synthetic; /* the cache folder cannot be used */
    return status;
}

static enum vaemark_status read_latents(const struct decode_options *decode, const struct model *model,
                                        struct input_set *set, struct error *error) {
    return decode->from_diffusion_space
               ? inputs_read_diffusion_space(model, decode->latents, &decode->latents_size, decode->allow_nonfinite,
                                             set, error)
               : inputs_read(model->graph, decode->latents, 0, decode->allow_nonfinite, set, error);
}

static enum vaemark_status run_decode(const struct decode_options *decode, struct models *models, bool *worker_lost,
                                      bool *unwritten, struct error *error) {
    struct decoder_spec spec;
    struct run_model *model = NULL;
    struct input_set set = {0};
    struct session session = {0};
    enum vaemark_status status = check_complete(decode, error);
    if (status == VAEMARK_OK) {
        status = decoder_spec_parse(decode->backend, &spec, error);
    }
    if (status == VAEMARK_OK) {
        status = models_open_path(models, decode->model, decode->weights, &model, error);
    }
    if (status == VAEMARK_OK && spec.own) {
        status = check_capabilities(decode, model->model->type->name, error);
    }
    if (status == VAEMARK_OK && decode->from_diffusion_space) {
        status = need_weights(models, model, unwritten, error); /* statistics of latents may be among them */
    }
    if (status == VAEMARK_OK) {
        status = read_latents(decode, model->model, &set, error);
    }
    if (status == VAEMARK_OK) {
        status = need_weights(models, model, unwritten, error);
    }
    if (status == VAEMARK_OK) {
        struct session_start start = {.decoder = &spec,
                                      .options = &decode->options,
                                      .model = model,
                                      .sets = &set,
                                      .set_count = 1,
                                      .timeout_s = decode->timeout_s,
                                      .memory_limit_bytes = decode->memory_limit_bytes};
        status = decode_once(decode, &session, &start, unwritten, error);
        const struct worker_fate *fate = session_fate(&session);
        *worker_lost = fate->kind != WORKER_ALIVE;
        if (*worker_lost) {
            error_set(error, VAEMARK_INTERNAL, "the worker was lost: %s", fate->reason);
        }
    }
    session_stop(&session);
    inputs_free(&set);
    return status;
}

int command_decode(int argc, char **argv) {
    struct decode_options decode = {.backend = "cpu", .precision = "fp32", .timeout_s = 3600};
    struct models models = {0};
    struct error error = {0};
    enum cli_outcome parsed = cli_parse(&usage, argc, argv, take, &decode);
    if (parsed != CLI_PARSED) {
        return parsed == CLI_WRONG ? EXIT_CODE_USAGE : EXIT_CODE_PASSED;
    }
    worker_setup_process();
    bool worker_lost = false, unwritten = false;
    enum vaemark_status status = run_decode(&decode, &models, &worker_lost, &unwritten, &error);
    models_free(&models);
    if (status != VAEMARK_OK) {
        cli_print_error(&error);
    }
    if (unwritten) {
        return EXIT_CODE_HARNESS;
    }
    return worker_lost ? EXIT_CODE_FAILED : code_of(status);
}
