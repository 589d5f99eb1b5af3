/* vaemark oracle verify: every entry against its checksum, and on request against a fresh computation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/commands/oracle_verbs.h"
#include "harness/exit_code.h"
#include "harness/progress.h"
#include "harness/worker/worker.h"

static const struct cli_option options[] = {
    {"repair", NULL, "set what is damaged aside (KEY.safetensors.damaged), remove what killed processes left"},
    {"recompute", NULL, "also compute the suite's oracles that are there anew, and compare"},
    SELECTION_OPTIONS,
    {"threads", "N", "threads of the reference (default 0: all CPUs)"},
    {"timeout", "S", "seconds a decode may take (default: four times the suite's)"},
    {NULL, NULL, NULL},
};

static const struct cli_usage usage = {
    .synopsis = "vaemark oracle verify [--repair] [--recompute [--suite NAME|FILE]]",
    .description =
        "Reads every entry of the store and holds it against its checksum. --recompute also asks the reference again "
        "for\n"
        "the suite's oracles that are there: the images must be equal bit by bit, or, made by another compiler or C\n"
        "library, as near as an FP32 decoder must be.",
    .options = options,
    .epilogue =
        "Examples:\n"
        "  vaemark oracle verify --repair\n"
        "  vaemark oracle verify --recompute --suite full --model taesd\n"
        "Exit codes: 0 all are whole, or were moved out of the way, 1 some are damaged or differ, 2 usage or bad\n"
        "input, 4 the store cannot be read.",
};

static void release(struct oracle_entry *entry) {
    free(entry->fp32.data);
    free(entry->fp64.data);
    *entry = (struct oracle_entry){.sha256 = ""};
}

struct tally {
    size_t entries, damaged, moved, other_versions;
};

static void verify_entry(const struct oracle_arguments *arguments, const char *key, struct tally *tally) {
    struct error error = {0};
    char text[1600];
    struct oracle_entry entry;
    tally->entries++;
    if (oracle_store_load(&arguments->store, key, &entry, &error) == VAEMARK_OK) {
        tally->other_versions += !oracle_label_is_current(&entry.label);
        release(&entry);
        return;
    }
    if (!oracle_store_has(&arguments->store, key)) {
        tally->entries--; /* another process moved it away meanwhile */
        return;
    }
    tally->damaged++;
    printf("damaged: %s\n", error_text(&error, text, sizeof text));
    if (arguments->repair) {
        bool moved = oracle_store_set_aside(&arguments->store, key, &error) == VAEMARK_OK;
        tally->moved += moved;
        printf("%s\n", moved ? "  moved out of the way; the next run or build computes it anew"
                             : error_text(&error, text, sizeof text));
    }
}

static void print_tally(const struct oracle_arguments *arguments, const struct tally *tally,
                        const struct oracle_listing *listing) {
    printf("%zu oracles in %s: %zu whole, %zu damaged", tally->entries, arguments->store.folder,
           tally->entries - tally->damaged, tally->damaged);
    printf(tally->damaged > tally->moved ? " ('vaemark oracle verify --repair' moves them out of the way)\n" : "\n");
    if (tally->other_versions) {
        printf("%zu of them were made by another version of the reference and are not used\n", tally->other_versions);
    }
    if (listing->set_aside || listing->unfinished || listing->strange) {
        printf("beside them: %zu damaged ones moved out of the way earlier, %zu being written or left by a killed "
               "process, %zu other files; none is ever read\n",
               listing->set_aside, listing->unfinished, listing->strange);
    }
}

static enum vaemark_status verify_checksums(struct oracle_arguments *arguments, int *code, struct error *error) {
    struct oracle_listing listing = {.count = 0};
    struct tally tally = {.entries = 0};
    size_t swept = arguments->repair ? oracle_store_sweep(&arguments->store) : 0;
    enum vaemark_status status = oracle_store_list(&arguments->store, &listing, error);
    for (size_t i = 0; status == VAEMARK_OK && i < listing.count; i++) {
        verify_entry(arguments, listing.keys[i], &tally);
    }
    if (status == VAEMARK_OK) {
        print_tally(arguments, &tally, &listing);
        if (swept) {
            printf("%zu files that killed processes left were removed\n", swept);
        }
        *code = tally.damaged > tally.moved ? EXIT_CODE_FAILED : EXIT_CODE_PASSED;
    }
    oracle_listing_free(&listing);
    return status;
}

/* ---- Recomputing ---- */

/* "equal", "near", or "different". */
static const char *compare(const struct oracle_entry *kept, const struct oracle *fresh) {
    struct metrics own, single, twofold;
    if (tensor_size_bytes(&kept->fp32) == tensor_size_bytes(&fresh->image_fp32) &&
        memcmp(kept->fp32.data, fresh->image_fp32.data, tensor_size_bytes(&kept->fp32)) == 0 &&
        memcmp(kept->fp64.data, fresh->image_fp64.data, tensor_size_bytes(&kept->fp64)) == 0) {
        return "equal";
    }
    if (metrics_compare(&fresh->image_fp32, &fresh->image_fp64, &own, NULL) != VAEMARK_OK ||
        metrics_compare(&kept->fp32, &fresh->image_fp32, &single, NULL) != VAEMARK_OK ||
        metrics_compare(&kept->fp64, &fresh->image_fp64, &twofold, NULL) != VAEMARK_OK) {
        return "different";
    }
    double bound = bound_derive(own.max_abs_error, own.oracle_max_abs, "fp32", NULL).value;
    /* FP64 images may differ by FP64's rounding only; FP32's own error is 2^29 times as large, so this is generous. */
    return single.max_abs_error <= bound && twofold.max_abs_error <= own.max_abs_error ? "near" : "different";
}

static const char *recompute_one(const struct oracle_arguments *arguments, const struct oracles *oracles,
                                 const struct oracle_want *want, char *reason, size_t capacity) {
    struct error error = {0};
    struct oracle_entry kept;
    struct oracle fresh = {.key = ""};
    struct input_set set = {.count = 0};
    const char *verdict = NULL;
    enum vaemark_status status = oracle_store_load(&arguments->store, want->label.key, &kept, &error);
    if (status == VAEMARK_OK) {
        status = case_make_inputs(want->item, oracles->seed, want->ring, &set, &error);
    }
    if (status == VAEMARK_OK) {
        status = oracle_compute(oracles, want->item, &set, &fresh, &error);
    }
    if (status == VAEMARK_OK) {
        verdict = compare(&kept, &fresh);
        snprintf(reason, capacity, "%s",
                 strcmp(verdict, "different") == 0 ? "the store's images are not what the reference says now" : "");
    } else {
        verdict = "failed";
        snprintf(reason, capacity, "%s", error.message);
    }
    free(fresh.image_fp32.data);
    free(fresh.image_fp64.data);
    inputs_free(&set);
    release(&kept);
    return verdict;
}

static enum vaemark_status verify_recomputed(struct oracle_arguments *arguments, int *code, struct error *error) {
    enum vaemark_status status = oracle_select(arguments, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    const struct suite *suite = arguments->selection.suite;
    struct oracles oracles = {.seed = arguments->selection.models.seed,
                              .threads = arguments->threads,
                              .timeout_s = arguments->timeout_s > 0 ? arguments->timeout_s : suite->timeout_s * 4};
    struct progress progress;
    double cost = 0;
    size_t count = 0, bad = 0;
    for (size_t i = 0; i < arguments->wants.count; i++) {
        if (oracle_store_has(&arguments->store, arguments->wants.items[i].label.key)) {
            arguments->wants.items[count] = arguments->wants.items[i];
            cost += arguments->wants.items[count++].cost;
        }
    }
    progress_begin(&progress, count, cost);
    for (size_t i = 0; i < count; i++) {
        const struct oracle_want *want = &arguments->wants.items[i];
        char name[400], reason[1100];
        snprintf(name, sizeof name, "%s %s, %s", want->label.model, want->label.shape, want->label.latents);
        progress_case(&progress, name);
        const char *verdict = recompute_one(arguments, &oracles, want, reason, sizeof reason);
        bad += strcmp(verdict, "equal") != 0 && strcmp(verdict, "near") != 0;
        progress_outcome(&progress, name, verdict, reason, want->cost);
    }
    progress_end(&progress);
    printf("%zu of %zu oracles of suite %s recomputed, %zu of them differ\n", count, arguments->wants.count,
           suite->name, bad);
    *code = bad ? EXIT_CODE_FAILED : *code;
    return VAEMARK_OK;
}

static int verify(struct oracle_arguments *arguments) {
    struct error error = {0};
    int code = EXIT_CODE_PASSED;
    enum vaemark_status status = oracle_open_store(arguments, &error);
    if (status == VAEMARK_OK) {
        status = verify_checksums(arguments, &code, &error);
    }
    if (status == VAEMARK_OK && arguments->recompute) {
        worker_setup_process();
        status = verify_recomputed(arguments, &code, &error);
    }
    return status == VAEMARK_OK ? code : oracle_fail(status, &error);
}

int oracle_verb_verify(int argc, char **argv) {
    struct oracle_arguments arguments = {.threads = 0};
    struct error error = {0};
    enum cli_outcome parsed = cli_parse(&usage, argc, argv, oracle_take, &arguments);
    int code = parsed == CLI_WRONG ? EXIT_CODE_USAGE : EXIT_CODE_PASSED;
    if (parsed == CLI_PARSED && (arguments.file || (arguments.selected && !arguments.recompute))) {
        error_set(&error, VAEMARK_INVALID_ARGUMENT,
                  "verify reads the whole store and takes no argument; a selection goes with --recompute");
        code = oracle_fail(error.status, &error);
    } else if (parsed == CLI_PARSED) {
        code = verify(&arguments);
    }
    oracle_arguments_free(&arguments);
    return code;
}
