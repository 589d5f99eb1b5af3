/* vaemark oracle list: what the store holds, or which of a suite's oracles it holds. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "harness/commands/oracle_verbs.h"
#include "harness/exit_code.h"

static const struct cli_option options[] = {
    SELECTION_OPTIONS,
    {"json", NULL, "as JSON"},
    {NULL, NULL, NULL},
};

static const struct cli_usage usage = {
    .synopsis = "vaemark oracle list [--suite NAME|FILE] [--json]",
    .description = "Shows the oracles in the store, or with --suite (or another option of a selection) those that the "
                   "suite wants\n"
                   "and whether they are there. Reads descriptions only; 'vaemark oracle verify' reads the images.",
    .options = options,
    .epilogue = "Examples:\n"
                "  vaemark oracle list\n"
                "  vaemark oracle list --suite full --json\n"
                "Exit codes: 0 listed, also where some are missing, 2 usage or bad input, 4 the store cannot be read.",
};

/* One line of the list. */
struct line {
    struct oracle_label label;
    const char *state; /* "present", "missing", "damaged", "other version" */
    double size_bytes; /* of the file; 0 where there is none */
};

static double file_size_bytes(const char *path) {
    struct stat facts;
    return path && stat(path, &facts) == 0 ? (double)facts.st_size : 0;
}

/* What the file of that key says of itself. */
static void look_at(const struct oracle_store *store, const char *key, struct line *line) {
    struct oracle_file file = {.count = 0};
    char *path = oracle_store_path(store, key);
    bool good = path && oracle_file_open(path, &file, NULL) == VAEMARK_OK && file.count == 1 &&
                strcmp(file.entries[0].label.key, key) == 0;
    *line = (struct line){.state = "damaged", .size_bytes = file_size_bytes(path)};
    if (good) {
        line->label = file.entries[0].label;
        line->state = oracle_label_is_current(&line->label) ? "present" : "other version";
    } else {
        snprintf(line->label.key, sizeof line->label.key, "%s", key);
    }
    oracle_file_close(&file);
    free(path);
}

static void print_line(const struct line *line) {
    char size[32];
    text_format_bytes(line->size_bytes, size, sizeof size);
    printf("%-12.12s  %-18s %-12s %-36s %-9s %10s  %-20s  %s\n", line->label.key, line->label.model, line->label.shape,
           line->label.latents, line->label.tiling, line->size_bytes > 0 ? size : "-", line->label.made_at,
           line->state);
}

static json_t *line_json(const struct line *line) {
    const struct oracle_label *label = &line->label;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "key", label->key, "model", label->model,
                     "shape", label->shape, "latents", label->latents, "tiling", label->tiling, "recipe", label->recipe,
                     "made_by", label->made_by, "made_at", label->made_at, "size_bytes", (json_int_t)line->size_bytes,
                     "state", line->state);
}

static void print_json(const struct oracle_arguments *arguments, const struct line *lines, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, line_json(&lines[i]));
    }
    json_t *all = json_pack("{s:s, s:s, s:o}", "folder", arguments->store.folder, "suite",
                            arguments->selected ? oracle_suite_name(arguments) : "", "oracles", list);
    json_dumpf(all, stdout, JSON_INDENT(2));
    printf("\n");
    json_decref(all);
}

static void print_table(const struct oracle_arguments *arguments, const struct line *lines, size_t count,
                        const char *build_command) {
    size_t present = 0;
    double size_bytes = 0;
    char size[32];
    if (count > 0) {
        printf("%-12s  %-18s %-12s %-36s %-9s %10s  %-20s  %s\n", "key", "model", "shape", "latents", "tiling", "size",
               "made", "state");
    }
    for (size_t i = 0; i < count; i++) {
        print_line(&lines[i]);
        present += strcmp(lines[i].state, "present") == 0;
        size_bytes += lines[i].size_bytes;
    }
    text_format_bytes(size_bytes, size, sizeof size);
    if (!arguments->selected) {
        printf("%zu oracles, %s, in %s\n", count, count ? size : "empty", arguments->store.folder);
        return;
    }
    printf("%zu of %zu oracles of suite %s are in %s\n", present, count, oracle_suite_name(arguments),
           arguments->store.folder);
    if (present < count) {
        printf("'%s' computes the others\n", build_command ? build_command : "vaemark oracle build");
    }
}

static enum vaemark_status collect(struct oracle_arguments *arguments, struct line **lines, size_t *count,
                                   struct error *error) {
    struct oracle_listing listing = {.count = 0};
    enum vaemark_status status =
        arguments->selected ? oracle_select(arguments, error) : oracle_store_list(&arguments->store, &listing, error);
    *count = arguments->selected ? arguments->wants.count : listing.count;
    *lines = calloc(*count + 1, sizeof **lines);
    if (status == VAEMARK_OK && !*lines) {
        status = error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for the list of oracles");
    }
    for (size_t i = 0; status == VAEMARK_OK && i < *count; i++) {
        const struct oracle_label *label = arguments->selected ? &arguments->wants.items[i].label : NULL;
        if (label && !oracle_store_has(&arguments->store, label->key)) {
            (*lines)[i] = (struct line){.label = *label, .state = "missing"};
            (*lines)[i].label.made_by[0] = '\0'; /* by nobody yet */
        } else {
            look_at(&arguments->store, label ? label->key : listing.keys[i], &(*lines)[i]);
        }
    }
    oracle_listing_free(&listing);
    return status;
}

int oracle_verb_list(int argc, char **argv) {
    struct oracle_arguments arguments = {.threads = 0};
    struct error error = {0};
    struct line *lines = NULL;
    size_t count = 0;
    enum cli_outcome parsed = cli_parse(&usage, argc, argv, oracle_take, &arguments);
    int code = parsed == CLI_WRONG ? EXIT_CODE_USAGE : EXIT_CODE_PASSED;
    if (parsed == CLI_PARSED && arguments.file) {
        error_set(&error, VAEMARK_INVALID_ARGUMENT, "unexpected argument '%s'; a suite is given as --suite %s",
                  arguments.file, arguments.file);
        code = oracle_fail(error.status, &error);
    } else if (parsed == CLI_PARSED) {
        enum vaemark_status status = oracle_open_store(&arguments, &error);
        status = status == VAEMARK_OK ? collect(&arguments, &lines, &count, &error) : status;
        char *command = oracle_build_command(argc, argv);
        if (status != VAEMARK_OK) {
            code = oracle_fail(status, &error);
        } else if (arguments.json) {
            print_json(&arguments, lines, count);
        } else {
            print_table(&arguments, lines, count, command);
        }
        free(command);
    }
    free(lines);
    oracle_arguments_free(&arguments);
    return code;
}
