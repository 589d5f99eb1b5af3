/* Models with their hashes, oracles, and the environment in groups. */
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/page_parts.h"

/* ---- Models ---- */

bool page_has_models(const struct page *page) {
    return page->record->tables[TABLE_MODELS].count > 0;
}

/* Runs side by side tell of the same model more than once. */
static bool is_told(const struct page *page, size_t index) {
    const struct model_row *row = RECORD_ROW(page->record, TABLE_MODELS, index, model_row);
    for (size_t i = 0; i < index; i++) {
        const struct model_row *other = RECORD_ROW(page->record, TABLE_MODELS, i, model_row);
        if (strcmp(other->name, row->name) == 0 && strcmp(other->config_sha256, row->config_sha256) == 0 &&
            strcmp(other->weights_sha256, row->weights_sha256) == 0 &&
            strcmp(other->weights_origin, row->weights_origin) == 0) {
            return true;
        }
    }
    return false;
}

/* Short to look at, whole to copy from the title and on paper. */
static void write_hash(struct page *page, const char *label, const char *hash) {
    char text[32];
    snprintf(text, sizeof text, "%.12s%s", hash, strlen(hash) > 12 ? "…" : "");
    if (hash[0]) {
        html(page->out, "<td data-label=\"@\"><code title=\"@\">@</code></td>", label, hash, text);
    } else {
        page_cell(page, label, "-");
    }
}

static void write_model(struct page *page, const struct model_row *row) {
    char flops[FIGURE_BYTES + 8], parameters[FIGURE_BYTES + 8], modules[32];
    struct figure size = format_bytes(row->weights_file_bytes);
    snprintf(flops, sizeof flops, "%sFLOP", format_scaled(row->flops_512).text);
    snprintf(parameters, sizeof parameters, "%s", format_scaled((double)row->parameters).text);
    snprintf(modules, sizeof modules, "%lld", (long long)row->attention_modules);
    html(page->out, "<tr><th scope=\"row\">@</th>", row->name);
    page_cell(page, "VAE type", row->vae_type);
    page_cell(page, "Parameters", row->parameters >= 0 ? parameters : "-");
    page_cell(page, "Attention", row->attention_modules >= 0 ? modules : "-");
    page_cell(page, "One decode to 512 × 512", flops[0] == '-' ? "-" : flops);
    page_cell(page, "Weights", size.text);
    page_cell(page, "Come from", row->weights_origin);
    write_hash(page, "Weights SHA-256", row->weights_sha256);
    write_hash(page, "Config SHA-256", row->config_sha256);
    fputs("</tr>\n", page->out);
}

static void write_columns(struct page *page, const char *const *names, size_t count, size_t first_number,
                          size_t last_number) {
    fputs("<thead><tr>", page->out);
    for (size_t i = 0; i < count; i++) {
        bool number = i >= first_number && i <= last_number;
        html(page->out, number ? "<th scope=\"col\" class=\"number\">@</th>" : "<th scope=\"col\">@</th>", names[i]);
    }
    fputs("</tr></thead>\n<tbody>\n", page->out);
}

void page_write_models(struct page *page) {
    static const char *const columns[] = {
        "Model",   "VAE type",  "Parameters",      "Attention",     "One decode to 512 × 512",
        "Weights", "Come from", "Weights SHA-256", "Config SHA-256"};
    fputs("<div class=\"scroll\" role=\"region\" aria-label=\"Table of models\" tabindex=\"0\">\n<table class=\"models "
          "stacked\">\n",
          page->out);
    write_columns(page, columns, sizeof columns / sizeof columns[0], 2, 5);
    for (size_t i = 0; i < page->record->tables[TABLE_MODELS].count; i++) {
        if (!is_told(page, i)) {
            write_model(page, RECORD_ROW(page->record, TABLE_MODELS, i, model_row));
        }
    }
    fputs("</tbody>\n</table>\n</div>\n", page->out);
}

/* ---- Oracles ---- */

bool page_has_oracles(const struct page *page) {
    return page->record->tables[TABLE_ORACLE].count > 0;
}

static const struct oracle_row *oracle_at(const struct page *page, size_t index) {
    return RECORD_ROW(page->record, TABLE_ORACLE, index, oracle_row);
}

static bool is_same_oracle(const struct oracle_row *a, const struct oracle_row *b) {
    return a->key[0] && strcmp(a->key, b->key) == 0 && strcmp(a->source, b->source) == 0;
}

static void write_oracle(struct page *page, size_t index) {
    const struct oracle_row *row = oracle_at(page, index);
    size_t count = 0;
    for (size_t i = 0; i < page->record->tables[TABLE_ORACLE].count; i++) {
        count += i == index || is_same_oracle(oracle_at(page, i), row);
    }
    char judged[32];
    struct figure l2 = format_number(row->fp32_error_l2), largest = format_number(row->fp32_error_max),
                  highest = format_number(row->image_max_abs);
    snprintf(judged, sizeof judged, "%zu", count);
    html(page->out, "<tr><th scope=\"row\">@</th>", row->case_id);
    page_cell(page, "Cases", judged);
    page_cell(page, "Source", row->source);
    page_cell(page, "FP32 − FP64, L2", l2.text);
    page_cell(page, "FP32 − FP64, largest", largest.text);
    page_cell(page, "Largest value", highest.text);
    write_hash(page, "Key", row->key);
    fputs("</tr>\n", page->out);
}

void page_write_oracles(struct page *page) {
    static const char *const columns[] = {"First case",           "Cases",         "Source", "FP32 − FP64, L2",
                                          "FP32 − FP64, largest", "Largest value", "Key"};
    fputs("<p>An oracle is the reference's picture of a model, weights and latents, in FP32 and in FP64. How far the "
          "two are "
          "apart is what bounds are made of.</p>\n<details>\n<summary>Oracles used</summary>\n"
          "<div class=\"scroll\" role=\"region\" aria-label=\"Table of oracles\" tabindex=\"0\">\n"
          "<table class=\"oracles stacked\">\n",
          page->out);
    write_columns(page, columns, sizeof columns / sizeof columns[0], 3, 5);
    for (size_t i = 0; i < page->record->tables[TABLE_ORACLE].count; i++) {
        bool told = false;
        for (size_t j = 0; j < i && !told; j++) {
            told = is_same_oracle(oracle_at(page, j), oracle_at(page, i));
        }
        if (!told) {
            write_oracle(page, i);
        }
    }
    fputs("</tbody>\n</table>\n</div>\n</details>\n", page->out);
}

/* ---- Environment ---- */

/* Facts by the start of their names; the last group takes the rest. */
static const struct {
    const char *title;
    const char *prefixes[12];
} groups[] = {
    {"Run", {"command_line", "suite", "seed", "shard", "threads", "run_", "oracle", "resume", "journal"}},
    {"Processor", {"cpu_", "clock_"}},
    {"Memory", {"memory_"}},
    {"Machine and system", {"machine_", "operating_", "kernel_", "host_", "load_", "address_"}},
    {"Build and libraries", {"vaemark_", "compiler", "library_", "openmp"}},
    {"Variables", {"variable_"}},
    {"More", {""}},
};
enum { GROUP_COUNT = sizeof groups / sizeof groups[0] };

static size_t find_group(const char *key) {
    for (size_t g = 0; g < GROUP_COUNT; g++) {
        for (size_t p = 0; p < sizeof groups[g].prefixes / sizeof groups[g].prefixes[0] && groups[g].prefixes[p]; p++) {
            if (strncmp(key, groups[g].prefixes[p], strlen(groups[g].prefixes[p])) == 0) {
                return g;
            }
        }
    }
    return GROUP_COUNT - 1;
}

void page_write_fact_value(struct page *page, const char *value, const char *unit) {
    char *end;
    double number = strtod(value, &end);
    bool bytes = strcmp(unit, "bytes") == 0 && value[0] && !*end && number >= 0 && number < 0x1p62;
    struct figure size = format_bytes(bytes ? (int64_t)number : -1);
    if (bytes) {
        html(page->out, "@", size.text);
    } else if (!value[0]) {
        fputs("–", page->out);
    } else {
        bool told = unit[0] && strcmp(unit, "1") != 0 && strcmp(value, "unknown") != 0;
        html(page->out, told ? "@ @" : "@@", value, told ? unit : "");
    }
}

static void write_group(struct page *page, size_t group) {
    bool begun = false;
    for (size_t i = 0; i < page->record->fact_count; i++) {
        const struct environment_fact *fact = &page->record->facts[i];
        bool told = strcmp(fact->key, "command_line") == 0; /* above, in full width */
        if (find_group(fact->key) == group && !told) {
            if (!begun) {
                html(page->out, "<div class=\"group\">\n<h3>@</h3>\n<dl>\n", groups[group].title);
            }
            begun = true;
            html(page->out, "<div><dt>@</dt><dd>", fact->key);
            page_write_fact_value(page, fact->value, fact->unit);
            fputs("</dd></div>\n", page->out);
        }
    }
    fputs(begun ? "</dl>\n</div>\n" : "", page->out);
}

void page_write_environment(struct page *page) {
    if (page->record->fact_count == 0) {
        fputs("<p>The file holds no facts on where it was made.</p>\n", page->out);
        return;
    }
    const char *line = record_fact(page->record, "command_line");
    if (line && line[0]) {
        html(page->out, "<p class=\"repeat\"><span>The whole run:</span> <code>@</code></p>\n", line);
    }
    fprintf(page->out, "<details>\n<summary>%zu facts%s</summary>\n<div class=\"groups\">\n", page->record->fact_count,
            page->run_count > 1 ? " in which all runs agree" : " on the run and the machine");
    for (size_t g = 0; g < GROUP_COUNT; g++) {
        write_group(page, g);
    }
    fputs("</div>\n</details>\n", page->out);
}
