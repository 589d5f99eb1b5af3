#include "results/junit.h"

#include <libxml/xmlwriter.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "results/beside.h"
#include "results/format.h"
#include "results/readable.h"
#include "results/verdict.h"

/* The shape is that of the Jenkins xUnit plugin's schema, which others follow; tests/data/junit.xsd says it again. */

/* ---- Writing XML ---- */

struct xml {
    xmlTextWriterPtr writer;
    bool failed; /* sticky: looked at once, in the end */
};

static void note(struct xml *xml, int result) {
    xml->failed |= result < 0;
}

static void begin(struct xml *xml, const char *element) {
    note(xml, xmlTextWriterStartElement(xml->writer, BAD_CAST element));
}

static void end(struct xml *xml) {
    note(xml, xmlTextWriterEndElement(xml->writer));
}

static void add_attribute(struct xml *xml, const char *name, const char *text) {
    char *readable = readable_text(text, true);
    note(xml, readable ? xmlTextWriterWriteAttribute(xml->writer, BAD_CAST name, BAD_CAST readable) : -1);
    free(readable);
}

static void add_count(struct xml *xml, const char *name, size_t count) {
    char text[24];
    snprintf(text, sizeof text, "%zu", count);
    add_attribute(xml, name, text);
}

static void add_seconds(struct xml *xml, double seconds) {
    char text[400]; /* a file's time may be any number */
    snprintf(text, sizeof text, "%.3f", seconds);
    add_attribute(xml, "time", text);
}

static void add_text(struct xml *xml, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add_text(struct xml *xml, const char *format, ...) {
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    char *readable = vasprintf(&text, format, arguments) < 0 ? NULL : readable_text(text, true);
    va_end(arguments);
    note(xml, readable ? xmlTextWriterWriteString(xml->writer, BAD_CAST readable) : -1);
    if (readable) {
        free(text);
    }
    free(readable);
}

/* ---- What a case becomes ---- */

enum element { ELEMENT_NONE, ELEMENT_FAILURE, ELEMENT_ERROR, ELEMENT_SKIPPED };
static const char *const element_names[] = {NULL, "failure", "error", "skipped"};

static enum element element_of(enum outcome outcome) {
    switch (outcome) {
    case OUTCOME_PASSED:
    case OUTCOME_REFUSED:
    case OUTCOME_IMPROVED:
        return ELEMENT_NONE;
    case OUTCOME_UNSUPPORTED:
    case OUTCOME_SKIPPED:
    case OUTCOME_WAIVED:
        return ELEMENT_SKIPPED;
    case OUTCOME_FAILED:
    case OUTCOME_INVALID:
    case OUTCOME_REGRESSED:
        return ELEMENT_FAILURE;
    default:
        return ELEMENT_ERROR;
    }
}

struct totals {
    size_t tests, count[4]; /* by element */
    double time_s;
};

static double case_time_s(const struct case_row *row) {
    return row->duration_ns > 0 ? (double)row->duration_ns * 1e-9 : 0;
}

static struct totals total(const struct record *record) {
    struct totals totals = {.tests = record->tables[TABLE_CASES].count};
    for (size_t i = 0; i < totals.tests; i++) {
        const struct case_row *row = RECORD_ROW(record, TABLE_CASES, i, case_row);
        totals.count[element_of(outcome_find(row->outcome))]++;
        totals.time_s += case_time_s(row);
    }
    if (record_fact(record, "run_failure")) {
        totals.tests++;
        totals.count[ELEMENT_ERROR]++;
    }
    return totals;
}

/* "smoke.AutoencoderKL.sd15-mini": servers fold at the dots, so names keep none of their own. */
static void add_class(struct xml *xml, const char *const parts[3]) {
    char name[400] = "";
    for (int i = 0; i < 3 && parts[i]; i++) {
        size_t length = strlen(name);
        snprintf(name + length, sizeof name - length, "%s%s", i ? "." : "", parts[i]);
        for (char *dot = name + length + (i ? 1 : 0); (dot = strchr(dot, '.'));) {
            *dot = '_';
        }
    }
    add_attribute(xml, "classname", name);
}

static void add_failing_checks(struct xml *xml, const struct record *record, const struct case_row *row) {
    for (size_t i = 0; i < record->tables[TABLE_CHECKS].count; i++) {
        const struct check_row *check = RECORD_ROW(record, TABLE_CHECKS, i, check_row);
        if (strcmp(check->case_id, row->id) != 0 || strcmp(check->outcome, "failed") != 0) {
            continue;
        }
        add_text(xml, "check %s: %s\n", check->name, check->message);
        if (isfinite(check->value) || isfinite(check->bound)) {
            add_text(xml, "  found %s, bound %s%s%s\n", format_number(check->value).text,
                     format_number(check->bound).text, check->derivation[0] ? ": " : "", check->derivation);
        }
    }
}

static void add_verdict(struct xml *xml, const struct record *record, const struct case_row *row) {
    enum outcome outcome = outcome_find(row->outcome);
    enum element element = element_of(outcome);
    const char *reason = row->reason[0] ? row->reason : "no reason was given";
    if (element == ELEMENT_NONE) {
        return;
    }
    begin(xml, element_names[element]);
    add_attribute(xml, "message", reason);
    add_attribute(xml, "type", row->outcome[0] ? row->outcome : outcome_name(OUTCOME_OTHER));
    if (element != ELEMENT_SKIPPED) {
        add_text(xml, "%s: %s\n", row->outcome, reason);
        add_failing_checks(xml, record, row);
        if (row->repro[0]) {
            add_text(xml, "repeat: %s\n", row->repro);
        }
    }
    end(xml);
}

/* ---- What was found, in words ---- */

static void add_figures(struct xml *xml, const struct case_row *row) {
    if (!isnan(row->latency_median_ns)) {
        add_text(xml, "latency %s", format_time(row->latency_median_ns).text);
        if (row->sample_count > 1) {
            add_text(xml, " (%s %s to %s)", row->sample_count < 6 ? "few samples:" : "95 % interval",
                     format_time(row->latency_low_ns).text, format_time(row->latency_high_ns).text);
        }
        add_text(xml, ", %lld sample%s\n", (long long)row->sample_count, row->sample_count == 1 ? "" : "s");
    }
    if (row->memory_peak_bytes >= 0) {
        add_text(xml, "memory peak %s, weights %s\n", format_bytes(row->memory_peak_bytes).text,
                 format_bytes(row->memory_weights_bytes).text);
    }
    if (!isnan(row->psnr_db)) {
        add_text(xml, "PSNR %s, worst tile %s\n", format_decibels(row->psnr_db).text,
                 format_decibels(row->psnr_worst_tile_db).text);
    }
    if (row->fused_modules >= 0) {
        add_text(xml, "fused attention modules %lld\n", (long long)row->fused_modules);
    }
}

static void add_output(struct xml *xml, const struct record *record, const struct case_row *row) {
    begin(xml, "system-out");
    add_text(xml, "%s%s%s\n", row->outcome, row->reason[0] ? ": " : "", row->reason);
    add_figures(xml, row);
    for (size_t i = 0; i < record->tables[TABLE_CHECKS].count; i++) {
        const struct check_row *check = RECORD_ROW(record, TABLE_CHECKS, i, check_row);
        if (strcmp(check->case_id, row->id) != 0) {
            continue;
        }
        add_text(xml, "check %s: %s", check->name, check->outcome);
        if (isfinite(check->value) && isfinite(check->bound)) {
            add_text(xml, ", found %s, bound %s", format_number(check->value).text, format_number(check->bound).text);
        }
        add_text(xml, "%s\n",
                 strcmp(check->evidence, "decoder") == 0 ? " (the decoder's word)"
                 : check->evidence[0]                    ? " (seen from outside)"
                                                         : "");
    }
    end(xml);
}

/* ---- The document ---- */

static void add_case(struct xml *xml, const struct record *record, const char *suite, const struct case_row *row) {
    begin(xml, "testcase");
    add_attribute(xml, "name", row->id[0] ? row->id : "a case without a name");
    add_class(xml, (const char *const[3]){suite, row->vae_type, row->model});
    add_seconds(xml, case_time_s(row));
    add_verdict(xml, record, row);
    add_output(xml, record, row);
    end(xml);
}

static void add_run_failure(struct xml *xml, const char *suite, const char *message) {
    begin(xml, "testcase");
    add_attribute(xml, "name", "vaemark itself");
    add_class(xml, (const char *const[3]){suite, "vaemark", NULL});
    begin(xml, "error");
    add_attribute(xml, "message", message);
    add_attribute(xml, "type", "harness");
    end(xml);
    end(xml);
}

static void add_properties(struct xml *xml, const struct record *record) {
    begin(xml, "properties");
    for (size_t i = 0; i < record->fact_count; i++) {
        const struct environment_fact *fact = &record->facts[i];
        bool number = fact->unit[0] == '\0' || strcmp(fact->unit, "1") == 0;
        char *value = NULL;
        note(xml, asprintf(&value, "%s%s%s", fact->value, number ? "" : " ", number ? "" : fact->unit));
        if (xml->failed) {
            break;
        }
        begin(xml, "property");
        add_attribute(xml, "name", fact->key);
        add_attribute(xml, "value", value);
        end(xml);
        free(value);
    }
    end(xml);
}

static void add_totals(struct xml *xml, const struct totals *totals) {
    add_count(xml, "tests", totals->tests);
    add_count(xml, "failures", totals->count[ELEMENT_FAILURE]);
    add_count(xml, "errors", totals->count[ELEMENT_ERROR]);
    add_seconds(xml, totals->time_s);
}

/* "2026-11-24T17:19:47Z" and nothing else: the schema wants a date. */
static bool is_date(const char *text) {
    unsigned year, month, day, hour, minute, second;
    int length = 0;
    sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2uZ%n", &year, &month, &day, &hour, &minute, &second, &length);
    return length == 20 && text[length] == '\0' && month >= 1 && month <= 12 && day >= 1 && day <= 28 + 3 &&
           hour < 24 && minute < 60 && second < 60;
}

static void add_suite(struct xml *xml, const struct record *record, const struct totals *totals) {
    const char *suite = record_fact(record, "suite");
    const char *started = record_fact(record, "run_started");
    const char *host = record_fact(record, "host_name");
    const char *failure = record_fact(record, "run_failure");
    suite = suite && suite[0] ? suite : "vaemark";
    begin(xml, "testsuite");
    add_attribute(xml, "name", suite);
    add_totals(xml, totals);
    add_count(xml, "skipped", totals->count[ELEMENT_SKIPPED]);
    if (started && is_date(started)) {
        add_attribute(xml, "timestamp", started);
    }
    if (host) {
        add_attribute(xml, "hostname", host);
    }
    add_properties(xml, record);
    for (size_t i = 0; i < record->tables[TABLE_CASES].count; i++) {
        add_case(xml, record, suite, RECORD_ROW(record, TABLE_CASES, i, case_row));
    }
    if (failure) {
        add_run_failure(xml, suite, failure);
    }
    end(xml);
}

static void add_document(struct xml *xml, const struct record *record) {
    struct totals totals = total(record);
    note(xml, xmlTextWriterSetIndent(xml->writer, 1));
    note(xml, xmlTextWriterStartDocument(xml->writer, NULL, "UTF-8", NULL));
    begin(xml, "testsuites");
    add_attribute(xml, "name", "vaemark");
    add_totals(xml, &totals);
    add_suite(xml, record, &totals);
    end(xml);
    note(xml, xmlTextWriterEndDocument(xml->writer));
}

bool junit_format(const struct record *record, char **text, size_t *size_bytes, struct results_error *error) {
    xmlBufferPtr buffer = xmlBufferCreate();
    struct xml xml = {.writer = buffer ? xmlNewTextWriterMemory(buffer, 0) : NULL};
    *text = NULL;
    if (xml.writer) {
        add_document(&xml, record);
        xmlFreeTextWriter(xml.writer); /* flushes */
        *size_bytes = (size_t)xmlBufferLength(buffer);
        *text = xml.failed ? NULL : strndup((const char *)xmlBufferContent(buffer), *size_bytes);
    }
    xmlBufferFree(buffer);
    return *text || results_fail(error, "the JUnit file cannot be made: out of memory");
}
