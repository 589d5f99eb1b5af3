#include "results/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/verdict.h"

const char compare_disclaimer[] =
    "Latency here is information, not a verdict: stored runs were not measured side by side. To compare "
    "speeds, give one run both decoders.";

const char *change_name(enum change change) {
    static const char *const names[CHANGE_COUNT] = {
        [CHANGE_NONE] = "same",       [CHANGE_WORSE] = "worse", [CHANGE_BETTER] = "better", [CHANGE_OTHER] = "changed",
        [CHANGE_MISSING] = "missing", [CHANGE_ADDED] = "added", [CHANGE_ABSENT] = "absent"};
    return names[change];
}

/* ---- One case in two runs ---- */

/* How bad an outcome is: as its exit code, and passing by decoding is better than not having been asked. */
static int badness(const char *word) {
    enum outcome outcome = outcome_find(word);
    bool compared = outcome == OUTCOME_PASSED || outcome == OUTCOME_REFUSED || outcome == OUTCOME_IMPROVED;
    int code = outcome_exit_code(outcome);
    return code == VERDICT_FAILED ? 3 : code == VERDICT_INCONCLUSIVE ? 2 : compared ? 0 : 1;
}

static enum change judge_outcomes(const struct case_row *first, const struct case_row *row) {
    if (!first || !row) {
        return first ? CHANGE_MISSING : row ? CHANGE_ADDED : CHANGE_ABSENT;
    }
    int before = badness(first->outcome), now = badness(row->outcome);
    return now > before                                ? CHANGE_WORSE
           : now < before                              ? CHANGE_BETTER
           : strcmp(first->outcome, row->outcome) != 0 ? CHANGE_OTHER
                                                       : CHANGE_NONE;
}

static void compare_latency(struct difference *d, const struct case_row *first, const struct case_row *row) {
    if (!(first->latency_median_ns > 0) || !(row->latency_median_ns > 0)) {
        return;
    }
    d->latency_ratio = row->latency_median_ns / first->latency_median_ns;
    if (first->sample_count > 1 && row->sample_count > 1 && first->latency_low_ns > 0 && row->latency_low_ns > 0) {
        d->latency_ratio_low = row->latency_low_ns / first->latency_high_ns;
        d->latency_ratio_high = row->latency_high_ns / first->latency_low_ns;
        d->latency_differs = d->latency_ratio_low > 1 || d->latency_ratio_high < 1;
    }
}

static struct difference compare_rows(const struct case_row *first, const struct case_row *row) {
    struct difference d = {.change = judge_outcomes(first, row),
                           .latency_ratio = NAN,
                           .latency_ratio_low = NAN,
                           .latency_ratio_high = NAN,
                           .psnr_db = NAN};
    if (first && row) {
        compare_latency(&d, first, row);
        d.memory_known = first->memory_peak_bytes >= 0 && row->memory_peak_bytes >= 0;
        d.memory_bytes = d.memory_known ? row->memory_peak_bytes - first->memory_peak_bytes : 0;
        bool both_exact = isinf(first->psnr_db) && isinf(row->psnr_db);
        d.psnr_db = both_exact ? 0 : row->psnr_db - first->psnr_db;
    }
    bool outcome = d.change != CHANGE_NONE && d.change != CHANGE_ABSENT;
    d.any = outcome || d.latency_differs || d.memory_bytes != 0 || (!isnan(d.psnr_db) && d.psnr_db != 0);
    return d;
}

struct difference_texts difference_describe(const struct difference *d) {
    struct difference_texts texts = {"-", "-", "-"};
    if (!isnan(d->latency_ratio)) {
        bool interval = !isnan(d->latency_ratio_low);
        snprintf(texts.latency, sizeof texts.latency, "%.3gx%s", d->latency_ratio,
                 !interval                ? " ?"
                 : !d->latency_differs    ? " ~"
                 : d->latency_ratio > 1.0 ? " slower"
                                          : " faster");
    }
    if (d->memory_known) {
        uint64_t size = d->memory_bytes < 0 ? (uint64_t)-d->memory_bytes : (uint64_t)d->memory_bytes;
        snprintf(texts.memory, sizeof texts.memory, "%s%s",
                 d->memory_bytes < 0 ? "-"
                 : d->memory_bytes   ? "+"
                                     : "",
                 size ? format_bytes((int64_t)size).text : "same");
    }
    if (isinf(d->psnr_db)) {
        snprintf(texts.psnr, sizeof texts.psnr, "%s", d->psnr_db > 0 ? "now exact" : "was exact");
    } else if (!isnan(d->psnr_db)) {
        bool same = d->psnr_db == 0;
        snprintf(texts.psnr, sizeof texts.psnr,
                 same                       ? "same"
                 : fabs(d->psnr_db) < 0.095 ? "%+.1g dB"
                                            : "%+.1f dB",
                 d->psnr_db);
    }
    return texts;
}

/* ---- Cases of all runs ---- */

static const struct case_row *find_row(const struct record *record, const char *id) {
    for (size_t i = 0; i < record->tables[TABLE_CASES].count; i++) {
        const struct case_row *row = RECORD_ROW(record, TABLE_CASES, i, case_row);
        if (strcmp(row->id, id) == 0) {
            return row;
        }
    }
    return NULL;
}

static bool is_known(const struct comparison *c, const char *id) {
    for (size_t i = 0; i < c->case_count; i++) {
        if (strcmp(c->cases[i].id, id) == 0) {
            return true;
        }
    }
    return false;
}

static void add_case(struct comparison *c, const char *id) {
    struct compared_case *item = &c->cases[c->case_count++];
    size_t found = 0;
    item->id = id;
    for (size_t r = 0; r < c->run_count; r++) {
        item->rows[r] = find_row(c->records[r], id);
        found += item->rows[r] != NULL;
    }
    for (size_t r = 1; r < c->run_count; r++) {
        item->differences[r] = compare_rows(item->rows[0], item->rows[r]);
        item->any |= item->differences[r].any;
    }
    c->common_count += item->rows[0] && found > 1;
}

static bool add_cases(struct comparison *c) {
    size_t most = 0;
    for (size_t r = 0; r < c->run_count; r++) {
        most += c->records[r]->tables[TABLE_CASES].count;
    }
    c->cases = calloc(most + 1, sizeof *c->cases);
    for (size_t r = 0; c->cases && r < c->run_count; r++) {
        for (size_t i = 0; i < c->records[r]->tables[TABLE_CASES].count; i++) {
            const char *id = RECORD_ROW(c->records[r], TABLE_CASES, i, case_row)->id;
            if (!is_known(c, id)) {
                add_case(c, id);
            }
        }
    }
    return c->cases != NULL;
}

/* ---- Surroundings ---- */

static const struct {
    const char *key;
    bool serious;
} telling_facts[] = {{"suite", true},
                     {"suite_sha256", true},
                     {"seed", true},
                     {"threads_asked_for", false},
                     {"cpu_model", false},
                     {"cpu_usable", false},
                     {"cpu_governor", false},
                     {"cpu_instruction_sets", false},
                     {"memory_total", false},
                     {"machine_product", false},
                     {"host_name", false},
                     {"operating_system", false},
                     {"kernel_release", false},
                     {"compiler", false},
                     {"compiler_flags", false},
                     {"library_libc", false},
                     {"openmp", false},
                     {"vaemark_version", false},
                     {"vaemark_git_commit", false},
                     {"variable_OMP_NUM_THREADS", false},
                     {"shard", false}};
enum { TELLING_FACTS = sizeof telling_facts / sizeof *telling_facts };

/* Keeps `fact` if two runs that know it differ. */
static void keep_if_it_differs(struct comparison *c, const struct compared_fact *fact) {
    const char *known = NULL;
    bool differs = false;
    for (size_t r = 0; r < c->run_count; r++) {
        const char *value = fact->values[r];
        differs |= known && value && strcmp(known, value) != 0;
        known = known ? known : value;
    }
    if (differs) {
        c->facts[c->fact_count++] = *fact;
    }
}

static const struct model_row *find_model(const struct record *record, const char *name) {
    for (size_t i = 0; i < record->tables[TABLE_MODELS].count; i++) {
        const struct model_row *row = RECORD_ROW(record, TABLE_MODELS, i, model_row);
        if (strcmp(row->name, name) == 0) {
            return row;
        }
    }
    return NULL;
}

static void add_model_facts(struct comparison *c, const char *name) {
    struct compared_fact weights = {.serious = true}, configuration = {.serious = true};
    snprintf(weights.key, sizeof weights.key, "weights of %.100s", name);
    snprintf(configuration.key, sizeof configuration.key, "configuration of %.100s", name);
    for (size_t r = 0; r < c->run_count; r++) {
        const struct model_row *row = find_model(c->records[r], name);
        weights.values[r] = row && row->weights_sha256[0] ? row->weights_sha256 : NULL;
        configuration.values[r] = row && row->config_sha256[0] ? row->config_sha256 : NULL;
    }
    keep_if_it_differs(c, &weights);
    keep_if_it_differs(c, &configuration);
}

static bool add_facts(struct comparison *c) {
    const struct table *models = &c->records[0]->tables[TABLE_MODELS];
    c->facts = calloc(TELLING_FACTS + 2 * models->count, sizeof *c->facts);
    for (int i = 0; c->facts && i < TELLING_FACTS; i++) {
        struct compared_fact fact = {.serious = telling_facts[i].serious};
        snprintf(fact.key, sizeof fact.key, "%s", telling_facts[i].key);
        for (size_t r = 0; r < c->run_count; r++) {
            fact.values[r] = record_fact(c->records[r], fact.key);
        }
        keep_if_it_differs(c, &fact);
    }
    for (size_t i = 0; c->facts && i < models->count; i++) {
        add_model_facts(c, RECORD_ROW(c->records[0], TABLE_MODELS, i, model_row)->name);
    }
    return c->facts != NULL;
}

struct comparison *compare_runs(const struct record *const *records, const char *const *paths, size_t run_count) {
    struct comparison *c = run_count <= COMPARE_MOST_RUNS ? calloc(1, sizeof *c) : NULL;
    if (c) {
        *c = (struct comparison){.run_count = run_count, .paths = paths, .records = records};
        if (!add_cases(c) || !add_facts(c)) {
            comparison_free(c);
            c = NULL;
        }
    }
    return c;
}

void comparison_free(struct comparison *comparison) {
    if (comparison) {
        free(comparison->cases);
        free(comparison->facts);
        free(comparison);
    }
}
