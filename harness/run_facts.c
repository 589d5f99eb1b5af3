/* What the result file says about the run itself, beside the machine (harness/environment.c). */
#include <stdio.h>
#include <stdlib.h>

#include "harness/environment.h"
#include "harness/run_internal.h"

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
    snprintf(text, sizeof text, "%lld/%lld", (long long)run->selection.shard, (long long)run->selection.shard_count);
    record_add_fact(record, "shard", run->selection.shard_count ? text : "none", "");
}
