/* What the result file says about the run itself, beside the machine (harness/environment.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "base/hash.h"
#include "harness/environment.h"
#include "harness/run/run_internal.h"
#include "harness/worker/worker_process.h"

/* A word of a decoder that is a file: its SHA-256 as a fact. A program is looked for as a shell would. */
static void record_file(struct record *record, size_t decoder, size_t *file_count, const char *path) {
    struct stat status;
    char key[64], hash[65];
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && hash_file(path, hash, NULL) == VAEMARK_OK) {
        snprintf(key, sizeof key, "decoder_%zu_file_%zu_sha256", decoder, ++*file_count);
        record_add_fact(record, key, hash, "");
    }
}

static void record_program(struct record *record, size_t decoder, size_t *file_count, const char *name) {
    const char *folders = strchr(name, '/') ? NULL : getenv("PATH");
    char *copy = folders ? strdup(folders) : NULL, *rest = NULL;
    size_t before = *file_count;
    if (!copy) {
        record_file(record, decoder, file_count, name);
    }
    for (char *folder = copy ? strtok_r(copy, ":", &rest) : NULL; folder && *file_count == before;
         folder = strtok_r(NULL, ":", &rest)) {
        char *path = path_join(folder, name);
        if (path && access(path, X_OK) == 0) {
            record_file(record, decoder, file_count, path);
        }
        free(path);
    }
    free(copy);
}

/* The decoders, and what of a plug-in or a command is a file: another one must not go on with their run. */
static void record_decoders(struct record *record, const struct selection *selection) {
    static const char plugin[] = "plugin:", exec[] = "exec:";
    for (size_t i = 0; i < selection->spec_count; i++) {
        const struct decoder_spec *spec = &selection->specs[i];
        char key[64], **words = NULL;
        size_t file_count = 0;
        snprintf(key, sizeof key, "decoder_%zu", i + 1);
        record_add_fact(record, key, spec->text, "");
        if (strncmp(spec->backend, plugin, sizeof plugin - 1) == 0) {
            record_file(record, i + 1, &file_count, spec->backend + sizeof plugin - 1);
        } else if (strncmp(spec->backend, exec, sizeof exec - 1) == 0 &&
                   worker_command_make(spec->backend, &words, NULL) == VAEMARK_OK) {
            for (size_t k = 0; words[k]; k++) {
                (k == 0 ? record_program : record_file)(record, i + 1, &file_count, words[k]);
            }
            worker_command_free(words);
        }
    }
}

double run_timeout_s(const struct run *run) {
    return run->timeout_s > 0 ? run->timeout_s : run->selection.suite->timeout_s;
}

uint64_t run_memory_limit_bytes(const struct run *run) {
    return run->memory_limit_bytes ? run->memory_limit_bytes : run->selection.suite->memory_limit_bytes;
}

void run_record_facts(const struct run *run, struct record *record, int argc, char **argv) {
    char text[64];
    environment_record(record);
    char *line = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&line, &size_bytes);
    if (out) {
        fputs("vaemark", out);
        for (int i = 0; i < argc; i++) {
            fprintf(out, " %s", argv[i]);
        }
        fclose(out);
        record_add_fact(record, "command_line", line, "");
        free(line);
    }
    const struct suite *suite = run->selection.suite;
    record_add_fact(record, "suite", suite->name, "");
    record_add_fact(record, "suite_sha256", suite->sha256, "");
    snprintf(text, sizeof text, "%u", suite->version);
    record_add_fact(record, "suite_version", text, "");
    snprintf(text, sizeof text, "%llu", (unsigned long long)run->selection.models.seed);
    record_add_fact(record, "seed", text, "");
    snprintf(text, sizeof text, "%lld", run->threads);
    record_add_fact(record, "threads_asked_for", text, "1");
    record_add_fact(record, "profile", run->profile ? "yes" : "no", "");
    snprintf(text, sizeof text, "%g", run_timeout_s(run));
    record_add_fact(record, "worker_timeout", text, "s");
    snprintf(text, sizeof text, "%llu", (unsigned long long)run_memory_limit_bytes(run));
    record_add_fact(record, "worker_memory_limit", run_memory_limit_bytes(run) ? text : "default",
                    run_memory_limit_bytes(run) ? "bytes" : "");
    record_decoders(record, &run->selection);
    snprintf(text, sizeof text, "%lld/%lld", (long long)run->selection.shard, (long long)run->selection.shard_count);
    record_add_fact(record, "shard", run->selection.shard_count ? text : "none", "");
}
