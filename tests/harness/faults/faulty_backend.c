/* A decoder that is wrong on purpose: the harness tried on planted faults.
 *
 * A plug-in (vaemark_decoder_v0) around a clean backend: $VAEMARK_FAULT_BASE, "cpu" (default) or "reference". It passes
 * every verb through, but for the one fault that $VAEMARK_FAULT names; without one it is as clean as what it wraps.
 *
 * numerics     bias                     every output element is 0.05 too large
 *              wrong_tile               the 8x8 pixels in the middle are 0.3 too large
 *              nan_pixel                one element is NaN
 *              last_row_unwritten       the last row of pixels keeps what it held before
 *              range_01                 [0, 1] where [-1, 1] is meant
 *              bgr                      the first and third channel are swapped
 * behaviour    writes_past_end          one byte behind the image changes
 *              writes_before_start      one byte before the image changes
 *              writes_input             one bit of the latents changes
 *              writes_weights           a weights buffer changes with every decode
 *              nondeterministic         every decode adds another small number
 *              differs_by_process       adds a number within the bounds, another one in each process
 *              state_leaks              adds a trace of the previous image
 *              stale_after_others       adds 0.001 where the decode before was of other latents
 *              batch_members_swapped    the first two members of a batch are swapped
 *              second_member_wrong      0.001 is added to all members of a batch but the first
 *              wrong_with_many_threads  adds 0.001 unless the option threads is 1
 *              wrong_with_one_thread    adds 0.001 where it is
 *              cached_output            gives the first image for ever
 *              skips_every_second       every second decode writes nothing
 *              leak_mib_per_decode      1 MiB of workspace stays allocated after every decode
 *              hidden_leak_per_decode   the same, past the host's allocator
 *              guard_overrun            writes behind an allocation of the host
 * fuse-QKV     accepts_fuse_on_tiny     accepts where it must refuse, and does nothing
 *              refuses_fuse_on_kl       refuses where it must accept
 *              silent_noop_fuse         accepts, reports one module, does nothing
 *              forged_trace             the same, and the trace shows one projection in place of three
 *              half_fused_refusal       refuses rightly, but has allocated weights and changes the output
 *              wrong_error_code         refuses as bad_input
 *              accepts_second_time      refuses once, then accepts
 *              refused_then_broken      refuses rightly, then cannot decode
 *              refusal_allocates        refuses rightly, but has allocated weights
 *              unfuse_unfused_fails     unfuse before any fuse is an internal error
 *              unfuse_stays_fused       unfuse is taken and not done
 *              second_unfuse_fails      a second unfuse is an internal error
 *              two_fuses_stay_fused     unfuse is not done after a second fuse
 *              memory_kept_after_unfuse 1 MiB of weights from the first fuse on, until close
 *              unfuse_not_exact         after unfuse every element is 0.001 larger
 *              second_fuse_changes      a second fuse changes the output by 0.001
 * tiles        tile_seam                where two tiles meet, 6e-6 is added: within the bounds of the whole picture
 *              wrong_tiled_size         the image of tiles has two columns more
 *              ignores_tiling           accepts tiling and decodes the picture whole
 * trace        untimed_trace            tells no times
 *              five_times               tells five times in turn, whatever it took: 1000, 1, 2, 4 and 100 us
 *              changing_trace           every second one lacks its last entry
 * process      crash_at_open            SIGSEGV
 *              crash_in_decode          SIGSEGV
 *              killed_in_decode         SIGKILL, as the kernel's out-of-memory killer does it
 *              hang_in_decode           never returns
 *              exit_in_decode           ends the process with exit code 0
 *              rubbish_on_socket        writes something that is no JSON to the harness
 *              eats_memory              allocates and touches memory past the host's allocator without end
 *              eats_host_memory         asks the host for memory until that is refused, and says so
 *              eats_in_child            a child process eats memory
 *              fork_child               leaves a child in a session of its own that ignores signals
 *              typed_error_in_decode    fails with out_of_memory
 *
 * Nothing here is undefined behaviour that a sanitizer could report: signals are raised, strays go to guard bands. */
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kernels/cpu/cpu.h"
#include "reference/executor.h"
#include "reference/tensor.h"

struct vaemark_decoder {
    struct vaemark_decoder *inner;
    struct vaemark_host host;
    const char *vae_type;
    void *weights, *extra_weights; /* of the host; NULL: none */
    void *leaks[4096];
    size_t leak_count;
    unsigned char *first_image, *previous_image, *row;
    size_t image_bytes;
    long decodes, refusals;
    long long threads;    /* as asked for last */
    uint64_t last_inputs; /* a hash */
    int fused;            /* the last fuse_qkv that was asked for */
    int fuses, unfuses;   /* in a row, until now */
    bool tiled;
    bool broken;
    float shift; /* added to every element from now on */
    struct vaemark_trace_entry *trace;
};

enum { EXTRA_BYTES = 1 << 20 };
/* Of the small models: the first tile, and what of it comes into the picture. */
enum { TILE_PIXELS = 64, TILE_KEEP = 48 };

static const struct vaemark_backend *base(void) {
    const char *name = getenv("VAEMARK_FAULT_BASE");
    return name && strcmp(name, "reference") == 0 ? &reference_backend : &cpu_backend;
}

static bool fault(const char *name) {
    const char *wanted = getenv("VAEMARK_FAULT");
    return wanted && strcmp(wanted, name) == 0;
}

static enum vaemark_status fail(struct vaemark_message *message, enum vaemark_status status, const char *text) {
    snprintf(message->text, sizeof message->text, "%s", text);
    return status;
}

/* By signal, also where a sanitizer has a handler of its own, and without leaving a core behind. */
static void die(int signal_number) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void fork_child(void) {
    pid_t child = fork();
    if (child != 0)
        return;
    setsid();
    for (int i = 1; i < 32; i++)
        signal(i, SIG_IGN);
    for (;;)
        pause();
}

static enum vaemark_status faulty_probe(struct vaemark_probe *probe, struct vaemark_message *message) {
    return base()->probe(probe, message);
}

static void note_option(struct vaemark_decoder *d, const struct vaemark_option *option) {
    d->tiled = d->tiled || strcmp(option->key, "tiling") == 0;
    if (strcmp(option->key, "threads") == 0)
        d->threads = (long long)option->value.integer;
}

/* Unfuse, taken or failing in a wrong way; false: pass it on. */
static bool answer_unfuse(const struct vaemark_decoder *d, enum vaemark_status *status,
                          struct vaemark_message *message) {
    bool before_any = fault("unfuse_unfused_fails") && !d->fuses && !d->unfuses;
    if (before_any || (fault("second_unfuse_fails") && d->unfuses && !d->fused)) {
        *status = fail(message, VAEMARK_INTERNAL, "there is nothing to restore");
        return true;
    }
    return fault("unfuse_stays_fused") || (fault("two_fuses_stay_fused") && d->fuses > 1);
}

/* Takes over or refuses fuse_qkv in a wrong way; false: pass it on. */
static bool answer_fuse(struct vaemark_decoder *d, bool on, enum vaemark_status *status,
                        struct vaemark_message *message) {
    bool kl = strcmp(d->vae_type, "AutoencoderKL") == 0;
    *status = VAEMARK_OK;
    if (!on)
        return kl && answer_unfuse(d, status, message);
    if (!kl) {
        d->refusals++;
        if (fault("refusal_allocates") && !d->extra_weights)
            d->extra_weights = d->host.allocate(d->host.user, EXTRA_BYTES, 64, VAEMARK_MEMORY_WEIGHTS);
        if (fault("accepts_fuse_on_tiny") || (fault("accepts_second_time") && d->refusals > 1))
            return true;
        if (fault("half_fused_refusal")) {
            if (!d->extra_weights)
                d->extra_weights = d->host.allocate(d->host.user, EXTRA_BYTES, 64, VAEMARK_MEMORY_WEIGHTS);
            d->shift = 0.01f;
        }
        d->broken = fault("refused_then_broken");
        if (fault("wrong_error_code")) {
            *status = fail(message, VAEMARK_BAD_INPUT, "this type does not take the option fuse_qkv");
            return true;
        }
        return false;
    }
    if (fault("refuses_fuse_on_kl")) {
        *status = fail(message, VAEMARK_UNSUPPORTED_OPTION, "AutoencoderKL does not take the option fuse_qkv");
        return true;
    }
    return fault("silent_noop_fuse") || fault("forged_trace");
}

/* True: tiling is taken over in silence, and nothing is done. */
static bool swallows(const struct vaemark_option *option) {
    return fault("ignores_tiling") && strcmp(option->key, "tiling") == 0;
}

static void note_fuse(struct vaemark_decoder *d, bool on) {
    if (on && fault("memory_kept_after_unfuse") && !d->extra_weights)
        d->extra_weights = d->host.allocate(d->host.user, EXTRA_BYTES, 64, VAEMARK_MEMORY_WEIGHTS);
    if (on && d->fused && fault("second_fuse_changes"))
        d->shift += 0.001f;
    if (!on && d->fused && fault("unfuse_not_exact"))
        d->shift = 0.001f;
    d->fuses = on ? d->fuses + 1 : 0;
    d->unfuses = on ? 0 : d->unfuses + (d->fused ? 1 : 0);
    d->fused = on;
}

static void faulty_close(struct vaemark_decoder *d) {
    if (!d)
        return;
    base()->close(d->inner);
    d->host.release(d->host.user, d->weights);
    if (!fault("half_fused_refusal"))
        d->host.release(d->host.user, d->extra_weights);
    free(d->first_image);
    free(d->previous_image);
    free(d->row);
    free(d->trace);
    free(d);
}

/* Opens the inner decoder with all options but a fuse_qkv that this fault answers itself. */
static enum vaemark_status open_inner(struct vaemark_decoder *d, const struct vaemark_model *model,
                                      const struct vaemark_options *options, struct vaemark_message *message) {
    struct vaemark_option passed[64];
    struct vaemark_options list = {.items = passed};
    for (size_t i = 0; i < options->count && i < 64; i++) {
        enum vaemark_status status = VAEMARK_OK;
        bool fuse = strcmp(options->items[i].key, "fuse_qkv") == 0;
        if (swallows(&options->items[i]))
            continue;
        if (!fuse || !answer_fuse(d, options->items[i].value.boolean, &status, message))
            passed[list.count++] = options->items[i];
        if (status != VAEMARK_OK)
            return status;
    }
    enum vaemark_status status = base()->open(&d->host, model, &list, &d->inner, message);
    for (size_t i = 0; status == VAEMARK_OK && i < options->count; i++)
        note_option(d, &options->items[i]);
    for (size_t i = 0; status == VAEMARK_OK && i < options->count; i++)
        if (strcmp(options->items[i].key, "fuse_qkv") == 0)
            note_fuse(d, options->items[i].value.boolean);
    return status;
}

static enum vaemark_status faulty_open(const struct vaemark_host *host, const struct vaemark_model *model,
                                       const struct vaemark_options *options, struct vaemark_decoder **decoder,
                                       struct vaemark_message *message) {
    if (fault("crash_at_open"))
        die(SIGSEGV);
    if (fault("fork_child"))
        fork_child();
    struct vaemark_decoder *d = calloc(1, sizeof *d);
    if (!d)
        return fail(message, VAEMARK_OUT_OF_MEMORY, "no memory");
    d->host = *host;
    d->vae_type = model->vae_type;
    enum vaemark_status status = open_inner(d, model, options, message);
    if (status == VAEMARK_OK && fault("writes_weights")) {
        d->weights = host->allocate(host->user, 4096, 64, VAEMARK_MEMORY_WEIGHTS);
        memset(d->weights, 1, 4096);
    }
    if (status == VAEMARK_OK)
        *decoder = d;
    else
        faulty_close(d);
    return status;
}

static enum vaemark_status faulty_set_option(struct vaemark_decoder *d, const struct vaemark_option *option,
                                             struct vaemark_message *message) {
    bool fuse = strcmp(option->key, "fuse_qkv") == 0;
    enum vaemark_status status = VAEMARK_OK;
    if (!swallows(option) && (!fuse || !answer_fuse(d, option->value.boolean, &status, message)))
        status = base()->set_option(d->inner, option, message);
    if (status == VAEMARK_OK && fuse)
        note_fuse(d, option->value.boolean);
    if (status == VAEMARK_OK)
        note_option(d, option);
    return status;
}

static enum vaemark_status faulty_get_property(struct vaemark_decoder *d, const char *key, struct vaemark_option *value,
                                               struct vaemark_message *message) {
    enum vaemark_status status = base()->get_property(d->inner, key, value, message);
    bool forged = fault("silent_noop_fuse") || fault("forged_trace");
    if (status == VAEMARK_OK && forged && d->fused && strcmp(key, "fuse_qkv.modules") == 0)
        value->value.integer = 1;
    return status;
}

static enum vaemark_status faulty_prepare(struct vaemark_decoder *d, const struct vaemark_tensors *inputs,
                                          struct vaemark_tensor *image, struct vaemark_message *message) {
    enum vaemark_status status = base()->prepare(d->inner, inputs, image, message);
    if (status == VAEMARK_OK && d->tiled && fault("wrong_tiled_size"))
        image->shape[image->rank - 1] += 2;
    return status;
}

static void add(const struct vaemark_tensor *image, int64_t index, double value) {
    if (image->dtype == VAEMARK_F64)
        ((double *)image->data)[index] += value;
    else
        ((float *)image->data)[index] += (float)value;
}

static double get(const struct vaemark_tensor *image, int64_t index) {
    return image->dtype == VAEMARK_F64 ? ((double *)image->data)[index] : (double)((float *)image->data)[index];
}

/* Faults of the picture. image (N,C,H,W), F32 or F64. */
static void spoil_image(struct vaemark_decoder *d, const struct vaemark_tensor *image) {
    int64_t channels = image->shape[1], height = image->shape[2], width = image->shape[3];
    int64_t plane = height * width, count = image->shape[0] * channels * plane;
    double shift = (double)d->shift;
    if (fault("bias"))
        shift += 0.05;
    if (fault("nondeterministic"))
        shift += 1e-3 * (double)(d->decodes + 1);
    if (fault("differs_by_process"))
        shift += 6e-8 * (double)(1 + getpid() % 61);
    if ((fault("wrong_with_many_threads") && d->threads != 1) || (fault("wrong_with_one_thread") && d->threads == 1))
        shift += 1e-3;
    for (int64_t i = 0; i < count && shift != 0.0; i++)
        add(image, i, shift);
    for (int64_t i = 0; i < count && fault("range_01"); i++)
        add(image, i, 0.5 - 0.5 * get(image, i));
    for (int64_t i = 0; i < plane && fault("bgr"); i++) {
        double difference = get(image, i + 2 * plane) - get(image, i);
        add(image, i, difference);
        add(image, i + 2 * plane, -difference);
    }
    for (int64_t y = height / 2; y < height / 2 + 8 && y < height && fault("wrong_tile"); y++)
        for (int64_t x = width / 2; x < width / 2 + 8 && x < width; x++)
            add(image, y * width + x, 0.3);
    for (int64_t i = 0; i < count && fault("tile_seam"); i++)
        if (i % width >= TILE_KEEP && i % width < TILE_PIXELS)
            add(image, i, 6e-6);
    if (fault("nan_pixel"))
        add(image, plane / 2, (double)NAN);
}

/* Faults of a batch: image (N,C,H,W). */
static void spoil_batch(const struct vaemark_tensor *image) {
    const int64_t batch = image->shape[0], member = image->shape[1] * image->shape[2] * image->shape[3];
    for (int64_t i = 0; i < member && batch > 1 && fault("batch_members_swapped"); i++) {
        double difference = get(image, i + member) - get(image, i);
        add(image, i, difference);
        add(image, i + member, -difference);
    }
    for (int64_t i = member; i < batch * member && fault("second_member_wrong"); i++)
        add(image, i, 1e-3);
}

/* FNV-1a of the latents, held against those of the decode before. */
static void spoil_after_others(struct vaemark_decoder *d, const struct vaemark_tensors *inputs,
                               const struct vaemark_tensor *image) {
    const unsigned char *bytes = inputs->items[0].data;
    const int64_t count = (int64_t)(d->image_bytes / dtype_size_bytes(image->dtype));
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < tensor_size_bytes(&inputs->items[0]); i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    for (int64_t i = 0; i < count && d->decodes > 0 && hash != d->last_inputs && fault("stale_after_others"); i++)
        add(image, i, 1e-3);
    d->last_inputs = hash;
}

static void spoil_memory(struct vaemark_decoder *d, const struct vaemark_tensors *inputs,
                         const struct vaemark_tensor *image) {
    unsigned char *bytes = image->data;
    if (fault("writes_past_end"))
        bytes[d->image_bytes] ^= 0xFF;
    if (fault("writes_before_start"))
        bytes[-1] ^= 0xFF;
    if (fault("writes_input"))
        ((unsigned char *)inputs->items[0].data)[0] ^= 1;
    if (d->weights)
        ((unsigned char *)d->weights)[d->decodes % 4096] ^= 0xFF;
    if (fault("leak_mib_per_decode") && d->leak_count < 4096)
        d->leaks[d->leak_count++] = d->host.allocate(d->host.user, EXTRA_BYTES, 64, VAEMARK_MEMORY_WORKSPACE);
    if (fault("hidden_leak_per_decode")) {
        void *hidden = mmap(NULL, EXTRA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (hidden != MAP_FAILED)
            memset(hidden, 1, EXTRA_BYTES);
    }
    if (fault("guard_overrun")) {
        unsigned char *memory = d->host.allocate(d->host.user, 64, 64, VAEMARK_MEMORY_WORKSPACE);
        unsigned char *volatile behind = memory + 64;
        *behind ^= 0xFF;
        d->host.release(d->host.user, memory);
    }
}

/* A little memory a step, so that a limit of some hundred MiB ends it long before the machine feels it; and should
 * nobody end it, it stops by itself. */
static void eat_memory(void) {
    enum { STEP_BYTES = 8 << 20, STEPS = 256 };
    for (int i = 0; i < STEPS; i++) {
        void *memory = mmap(NULL, STEP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory != MAP_FAILED)
            memset(memory, 1, STEP_BYTES);
        poll(NULL, 0, 2);
    }
    for (;;)
        pause();
}

static enum vaemark_status eat_host_memory(struct vaemark_decoder *d, struct vaemark_message *message) {
    enum { STEP_BYTES = 8 << 20, STEPS = 256 };
    void *blocks[STEPS];
    int count = 0;
    while (count < STEPS && (blocks[count] = d->host.allocate(d->host.user, STEP_BYTES, 64, VAEMARK_MEMORY_WORKSPACE)))
        memset(blocks[count++], 1, STEP_BYTES);
    bool refused = count < STEPS;
    while (count > 0)
        d->host.release(d->host.user, blocks[--count]);
    return refused ? fail(message, VAEMARK_OUT_OF_MEMORY, "the host refused 8 MiB")
                   : fail(message, VAEMARK_INTERNAL, "the host never refused");
}

/* Faults that do not let the inner decoder have its way. True: the decode is over. */
static bool spoil_process(struct vaemark_decoder *d, enum vaemark_status *status, struct vaemark_message *message) {
    static const char rubbish[] = "\x01\x02 this is not JSON {{{\n";
    *status = VAEMARK_OK;
    if (fault("crash_in_decode"))
        die(SIGSEGV);
    if (fault("killed_in_decode"))
        die(SIGKILL);
    if (fault("exit_in_decode"))
        _exit(0);
    if (fault("eats_memory") || (fault("eats_in_child") && fork() == 0))
        eat_memory();
    while (fault("hang_in_decode") || fault("eats_in_child"))
        pause();
    if (fault("eats_host_memory"))
        *status = eat_host_memory(d, message);
    if (fault("rubbish_on_socket") && getenv("VAEMARK_SOCKET_FD"))
        (void)!write(atoi(getenv("VAEMARK_SOCKET_FD")), rubbish, sizeof rubbish - 1);
    if (fault("typed_error_in_decode"))
        *status = fail(message, VAEMARK_OUT_OF_MEMORY, "the device said no");
    if (d->broken)
        *status = fail(message, VAEMARK_INTERNAL, "broken since the refusal");
    return *status != VAEMARK_OK || (fault("skips_every_second") && d->decodes % 2 == 1);
}

/* Copies of images that later decodes need. */
static bool remember(struct vaemark_decoder *d, const struct vaemark_tensor *image) {
    size_t size_bytes = tensor_size_bytes(image);
    if (d->image_bytes == size_bytes)
        return true;
    free(d->first_image);
    free(d->previous_image);
    free(d->row);
    d->first_image = NULL;
    d->previous_image = calloc(1, size_bytes);
    d->row = malloc(size_bytes);
    d->image_bytes = size_bytes;
    return d->previous_image && d->row;
}

static void restore_last_row(struct vaemark_decoder *d, const struct vaemark_tensor *image) {
    size_t row_bytes = (size_t)image->shape[3] * dtype_size_bytes(image->dtype);
    size_t last = d->image_bytes - row_bytes;
    memcpy((unsigned char *)image->data + last, d->row + last, row_bytes);
}

static void replay(struct vaemark_decoder *d, const struct vaemark_tensor *image) {
    if (!d->first_image) {
        d->first_image = malloc(d->image_bytes);
        if (d->first_image)
            memcpy(d->first_image, image->data, d->image_bytes);
    } else {
        memcpy(image->data, d->first_image, d->image_bytes);
    }
}

static void leak_state(struct vaemark_decoder *d, const struct vaemark_tensor *image) {
    struct vaemark_tensor previous = *image;
    previous.data = d->previous_image;
    int64_t count = (int64_t)(d->image_bytes / dtype_size_bytes(image->dtype));
    for (int64_t i = 0; i < count; i++)
        add(image, i, 0.01 * get(&previous, i));
    memcpy(d->previous_image, image->data, d->image_bytes);
}

static enum vaemark_status faulty_decode(struct vaemark_decoder *d, const struct vaemark_tensors *inputs,
                                         struct vaemark_tensors *outputs, struct vaemark_message *message) {
    enum vaemark_status status;
    struct vaemark_tensor *image = &outputs->items[0];
    if (!remember(d, image))
        return fail(message, VAEMARK_OUT_OF_MEMORY, "no memory");
    bool over = spoil_process(d, &status, message);
    if (!over) {
        memcpy(d->row, image->data, d->image_bytes);
        status = base()->decode(d->inner, inputs, outputs, message);
    }
    if (!over && status == VAEMARK_OK) {
        spoil_image(d, image);
        spoil_batch(image);
        spoil_after_others(d, inputs, image);
        spoil_memory(d, inputs, image);
        if (fault("last_row_unwritten"))
            restore_last_row(d, image);
        if (fault("cached_output"))
            replay(d, image);
        if (fault("state_leaks"))
            leak_state(d, image);
    }
    d->decodes++;
    return status;
}

static enum vaemark_status faulty_memory(struct vaemark_decoder *d, struct vaemark_memory *memory,
                                         struct vaemark_message *message) {
    return base()->memory(d->inner, memory, message);
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* One projection in place of three, with their work, as if it had been fused. */
static enum vaemark_status forge_trace(struct vaemark_decoder *d, struct vaemark_trace *trace) {
    size_t count = 0;
    free(d->trace);
    d->trace = calloc(trace->count + 1, sizeof *d->trace);
    for (size_t i = 0; d->trace && i < trace->count; i++) {
        const struct vaemark_trace_entry *entry = &trace->entries[i];
        if (ends_with(entry->module, ".to_k") || ends_with(entry->module, ".to_v"))
            continue;
        d->trace[count] = *entry;
        if (ends_with(entry->module, ".to_q")) {
            d->trace[count].module = "decoder.mid_block.attentions.0.to_qkv";
            d->trace[count].flops *= 3;
            d->trace[count].time_ns *= 3;
        }
        count++;
    }
    trace->entries = d->trace;
    trace->count = count;
    return VAEMARK_OK;
}

/* 0: as of a framework that tells what it runs, but not how long each takes. */
static enum vaemark_status forge_times(struct vaemark_decoder *d, struct vaemark_trace *trace, uint64_t time_ns) {
    free(d->trace);
    d->trace = calloc(trace->count + 1, sizeof *d->trace);
    for (size_t i = 0; d->trace && i < trace->count; i++) {
        d->trace[i] = trace->entries[i];
        d->trace[i].time_ns = time_ns;
    }
    trace->entries = d->trace;
    trace->count = d->trace ? trace->count : 0;
    return VAEMARK_OK;
}

static enum vaemark_status faulty_trace(struct vaemark_decoder *d, struct vaemark_trace *trace,
                                        struct vaemark_message *message) {
    enum vaemark_status status = base()->trace(d->inner, trace, message);
    if (status == VAEMARK_OK && d->fused && fault("forged_trace"))
        return forge_trace(d, trace);
    if (status == VAEMARK_OK && fault("untimed_trace"))
        return forge_times(d, trace, 0);
    if (status == VAEMARK_OK && fault("five_times"))
        return forge_times(d, trace, (const uint64_t[]){1000000, 1000, 2000, 4000, 100000}[d->decodes % 5]);
    if (status == VAEMARK_OK && fault("changing_trace"))
        trace->count -= trace->count > 0 && d->decodes % 2;
    return status;
}

static const struct vaemark_backend faulty_backend = {
    .abi_version = VAEMARK_ABI_VERSION,
    .struct_size = sizeof(struct vaemark_backend),
    .name = "faulty",
    .description = "a clean decoder with one planted fault, for tests",
    .probe = faulty_probe,
    .open = faulty_open,
    .set_option = faulty_set_option,
    .get_property = faulty_get_property,
    .prepare = faulty_prepare,
    .decode = faulty_decode,
    .memory = faulty_memory,
    .trace = faulty_trace,
    .close = faulty_close,
};

const struct vaemark_backend *vaemark_decoder_v0(void);
const struct vaemark_backend *vaemark_decoder_v0(void) {
    return &faulty_backend;
}
