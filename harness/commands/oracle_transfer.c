/* vaemark oracle export and import: oracles as one file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "harness/commands/oracle_verbs.h"
#include "harness/exit_code.h"
#include "reference/executor.h"

static const struct cli_option export_options[] = {
    SELECTION_OPTIONS,
    {"out", "FILE", "the file to write, as full-oracles.safetensors"},
    {NULL, NULL, NULL},
};

static const struct cli_usage export_usage = {
    .synopsis = "vaemark oracle export --out FILE [--suite NAME|FILE] [options]",
    .description =
        "Writes every oracle that a run of the suite may ask for into one safetensors file. Each is checked first.",
    .options = export_options,
    .epilogue = "Examples:\n"
                "  vaemark oracle export --suite full --out full-oracles.safetensors\n"
                "Exit codes: 0 written, 2 usage, or some are missing or damaged, 4 the file cannot be written.",
};

static const struct cli_option import_options[] = {{NULL, NULL, NULL}};

static const struct cli_usage import_usage = {
    .synopsis = "vaemark oracle import FILE",
    .description = "Adds the oracles of a file that 'vaemark oracle export' wrote. All of them are checked before the "
                   "first is added:\n"
                   "a file with one bad entry adds nothing. What the store holds already stays as it is.",
    .options = import_options,
    .epilogue =
        "Examples:\n"
        "  vaemark oracle import full-oracles.safetensors\n"
        "Exit codes: 0 added or there already, 2 the file is not to be believed, 4 the store cannot be written.",
};

/* ---- Export ---- */

/* Entries that point into open files. */
struct parcel {
    struct oracle_file *files;
    struct oracle_entry *entries;
    size_t count;
};

static void parcel_free(struct parcel *parcel) {
    for (size_t i = 0; i < parcel->count; i++) {
        oracle_file_close(&parcel->files[i]);
    }
    free(parcel->files);
    free(parcel->entries);
}

/* Adds the wanted entry, checked. */
static enum vaemark_status add_entry(const struct oracle_arguments *arguments, const struct oracle_want *want,
                                     struct parcel *parcel, struct error *error) {
    struct oracle_file *file = &parcel->files[parcel->count];
    char *path = oracle_store_path(&arguments->store, want->label.key);
    enum vaemark_status status = path ? oracle_file_open(path, file, error)
                                      : error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for a path");
    if (status == VAEMARK_OK) {
        parcel->entries[parcel->count++] = file->entries[0];
        status = file->count == 1 && strcmp(file->entries[0].label.key, want->label.key) == 0
                     ? oracle_entry_check(&file->entries[0], path, error)
                     : error_set_at(error, VAEMARK_BAD_INPUT, path, "holds another oracle than its name says");
    }
    free(path);
    return status;
}

static enum vaemark_status fill_parcel(const struct oracle_arguments *arguments, const char *build_command,
                                       struct parcel *parcel, struct error *error) {
    size_t wanted = arguments->wants.count, missing = 0;
    *parcel = (struct parcel){.files = calloc(wanted + 1, sizeof *parcel->files),
                              .entries = calloc(wanted + 1, sizeof *parcel->entries)};
    if (!parcel->files || !parcel->entries) {
        return error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory for an export");
    }
    for (size_t i = 0; i < wanted; i++) {
        const struct oracle_want *want = &arguments->wants.items[i];
        if (!oracle_store_has(&arguments->store, want->label.key)) {
            missing++;
        } else if (add_entry(arguments, want, parcel, error) != VAEMARK_OK) {
            cli_print_error(error);
            missing++;
        }
    }
    if (missing > 0) {
        return error_set(
            error, VAEMARK_BAD_INPUT,
            "%zu of %zu oracles of suite %s are missing or damaged, so nothing was exported; '%s' computes "
            "them",
            missing, wanted, oracle_suite_name(arguments), build_command ? build_command : "vaemark oracle build");
    }
    return wanted > 0 ? VAEMARK_OK : error_set(error, VAEMARK_INVALID_ARGUMENT, "the cases selected need no oracle");
}

static int export_selected(struct oracle_arguments *arguments, const char *build_command) {
    struct error error = {0};
    struct parcel parcel = {.count = 0};
    enum vaemark_status status = oracle_open_store(arguments, &error);
    if (status == VAEMARK_OK) {
        status = oracle_select(arguments, &error);
    }
    if (status == VAEMARK_OK) {
        status = fill_parcel(arguments, build_command, &parcel, &error);
    }
    if (status == VAEMARK_OK) {
        status = oracle_file_write(arguments->out, parcel.entries, parcel.count, &error);
    }
    int code = status == VAEMARK_OK ? EXIT_CODE_PASSED : oracle_fail(status, &error);
    if (status == VAEMARK_OK) {
        printf("%zu oracles of suite %s written to %s; 'vaemark oracle import' takes them\n", parcel.count,
               oracle_suite_name(arguments), arguments->out);
    }
    parcel_free(&parcel);
    return code;
}

int oracle_verb_export(int argc, char **argv) {
    struct oracle_arguments arguments = {.threads = 0};
    struct error error = {0};
    enum cli_outcome parsed = cli_parse(&export_usage, argc, argv, oracle_take, &arguments);
    int code = parsed == CLI_WRONG ? EXIT_CODE_USAGE : EXIT_CODE_PASSED;
    if (parsed == CLI_PARSED && (!arguments.out || arguments.file)) {
        error_set(
            &error, VAEMARK_INVALID_ARGUMENT,
            "export wants --out FILE and takes no other argument but options; try 'vaemark oracle export --help'");
        code = oracle_fail(error.status, &error);
    } else if (parsed == CLI_PARSED) {
        char *command = oracle_build_command(argc, argv);
        code = export_selected(&arguments, command);
        free(command);
    }
    oracle_arguments_free(&arguments);
    return code;
}

/* ---- Import ---- */

static enum vaemark_status check_all(const struct oracle_file *file, const char *path, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && i < file->count; i++) {
        const struct oracle_entry *entry = &file->entries[i];
        status = oracle_entry_check(entry, path, error);
        if (status == VAEMARK_OK && !oracle_label_is_current(&entry->label)) {
            status = error_set_at(error, VAEMARK_BAD_INPUT, path,
                                  "oracle %.12s was made by another version of the reference (%.24s; this program has "
                                  "reference %d) and would never be used; nothing was added. Export it anew with a "
                                  "program of this version",
                                  entry->label.key, entry->label.recipe, REFERENCE_VERSION);
        }
    }
    return status;
}

static bool is_whole(const struct oracle_store *store, const char *key) {
    struct error error = {0};
    struct oracle_entry entry;
    bool whole = oracle_store_has(store, key) && oracle_store_load(store, key, &entry, &error) == VAEMARK_OK;
    if (whole) {
        free(entry.fp32.data);
        free(entry.fp64.data);
    }
    return whole;
}

/* A damaged entry is replaced; a folder that has its name first has to go. */
static enum vaemark_status add_all(const struct oracle_store *store, const struct oracle_file *file, size_t *added,
                                   struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; status == VAEMARK_OK && i < file->count; i++) {
        const char *key = file->entries[i].label.key;
        if (is_whole(store, key)) {
            continue;
        }
        if (oracle_store_has(store, key)) {
            status = oracle_store_set_aside(store, key, error);
        }
        if (status == VAEMARK_OK) {
            status = oracle_store_save(store, &file->entries[i], error);
        }
        *added += status == VAEMARK_OK;
    }
    return status;
}

static int import_file(struct oracle_arguments *arguments) {
    struct error error = {0};
    struct oracle_file file = {.count = 0};
    size_t added = 0;
    enum vaemark_status status = oracle_file_open(arguments->file, &file, &error);
    if (status == VAEMARK_OK) {
        status = check_all(&file, arguments->file, &error);
    }
    if (status == VAEMARK_OK) {
        status = oracle_open_store(arguments, &error);
    }
    if (status == VAEMARK_OK) {
        status = add_all(&arguments->store, &file, &added, &error);
    }
    int code = status == VAEMARK_OK ? EXIT_CODE_PASSED : oracle_fail(status, &error);
    if (status == VAEMARK_OK) {
        printf("%zu oracles read, %zu added, %zu were there. Store: %s\n", file.count, added, file.count - added,
               arguments->store.folder);
    }
    oracle_file_close(&file);
    return code;
}

int oracle_verb_import(int argc, char **argv) {
    struct oracle_arguments arguments = {.threads = 0};
    struct error error = {0};
    enum cli_outcome parsed = cli_parse(&import_usage, argc, argv, oracle_take, &arguments);
    int code = parsed == CLI_WRONG ? EXIT_CODE_USAGE : EXIT_CODE_PASSED;
    if (parsed == CLI_PARSED && !arguments.file) {
        error_set(&error, VAEMARK_INVALID_ARGUMENT, "import wants a file: vaemark oracle import FILE");
        code = oracle_fail(error.status, &error);
    } else if (parsed == CLI_PARSED) {
        code = import_file(&arguments);
    }
    oracle_arguments_free(&arguments);
    return code;
}
