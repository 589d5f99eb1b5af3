/* The sentence on fuse-QKV. It claims what checks have found, never what an outcome's name suggests. */
#include <stdlib.h>
#include <string.h>

#include "results/fuse_qkv.h"
#include "results/show.h"

struct verdicts {
    const struct record *record;
    enum fuse_qkv_verdict *of_case; /* as many as cases */
};

static const struct case_row *case_at(const struct verdicts *v, size_t index) {
    return RECORD_ROW(v->record, TABLE_CASES, index, case_row);
}

static size_t case_count(const struct verdicts *v) {
    return v->record->tables[TABLE_CASES].count;
}

static size_t count_verdicts(const struct verdicts *v, enum fuse_qkv_verdict verdict) {
    size_t count = 0;
    for (size_t i = 0; i < case_count(v); i++) {
        count += v->of_case[i] == verdict;
    }
    return count;
}

/* A text of a case by which lists are made. */
typedef const char *case_text(const struct case_row *row);

static const char *text_of_type(const struct case_row *row) {
    return row->vae_type;
}

static const char *text_of_model(const struct case_row *row) {
    return row->model;
}

static const char *text_of_backend(const struct case_row *row) {
    return row->backend;
}

/* Which cases a list is made of. */
struct selection {
    enum fuse_qkv_verdict verdict;
    const char *vae_type; /* NULL: all */
    int64_t fused;        /* -1: any number */
};

static bool is_selected(const struct verdicts *v, size_t index, const struct selection *s) {
    const struct case_row *row = case_at(v, index);
    return v->of_case[index] == s->verdict && (!s->vae_type || strcmp(row->vae_type, s->vae_type) == 0) &&
           (s->fused < 0 || row->fused_modules == s->fused);
}

/* The first selected case with this text? Lists name each text once, in the order of the run. */
static bool is_first(const struct verdicts *v, size_t index, const struct selection *s, case_text *text) {
    for (size_t i = 0; i < index; i++) {
        if (is_selected(v, i, s) && strcmp(text(case_at(v, i)), text(case_at(v, index))) == 0) {
            return false;
        }
    }
    return is_selected(v, index, s);
}

static size_t count_texts(const struct verdicts *v, const struct selection *s, case_text *text) {
    size_t count = 0;
    for (size_t i = 0; i < case_count(v); i++) {
        count += is_first(v, i, s, text);
    }
    return count;
}

/* "A", "A and B", "A, B and C". */
static void print_list(FILE *out, const struct verdicts *v, const struct selection *s, case_text *text) {
    size_t count = count_texts(v, s, text);
    size_t done = 0;
    for (size_t i = 0; i < case_count(v); i++) {
        if (is_first(v, i, s, text)) {
            fprintf(out, "%s%s", done == 0 ? "" : done + 1 == count ? " and " : ", ", text(case_at(v, i)));
            done++;
        }
    }
}

/* "sd15-mini and flux1-mini: 1 attention fused each; kl-noattn-mini has none" */
static void print_models(FILE *out, const struct verdicts *v, const char *vae_type) {
    const char *separator = "";
    for (size_t i = 0; i < case_count(v); i++) {
        const struct selection s = {FUSE_QKV_RAN, vae_type, case_at(v, i)->fused_modules};
        size_t first = 0;
        while (first < i && !is_selected(v, first, &s)) {
            first++;
        }
        if (first < i || !is_selected(v, i, &s)) {
            continue; /* this number of modules was told, or is not of this type */
        }
        size_t models = count_texts(v, &s, text_of_model);
        fprintf(out, "%s", separator);
        print_list(out, v, &s, text_of_model);
        if (s.fused == 0) {
            fprintf(out, " %s none", models == 1 ? "has" : "have");
        } else {
            fprintf(out, ": %lld attention%s fused%s", (long long)s.fused, s.fused == 1 ? "" : "s",
                    models == 1 ? "" : " each");
        }
        separator = "; ";
    }
}

static void print_backends_and_count(FILE *out, const struct verdicts *v, enum fuse_qkv_verdict verdict) {
    const struct selection s = {verdict, NULL, -1};
    size_t count = count_verdicts(v, verdict);
    fprintf(out, " on ");
    print_list(out, v, &s, text_of_backend);
    fprintf(out, " (%zu case%s)", count, count == 1 ? "" : "s");
}

static void print_where_it_ran(FILE *out, const struct verdicts *v) {
    const struct selection ran = {FUSE_QKV_RAN, NULL, -1};
    size_t types = count_texts(v, &ran, text_of_type);
    size_t done = 0;
    for (size_t i = 0; i < case_count(v); i++) {
        if (is_first(v, i, &ran, text_of_type)) {
            fprintf(out, "%s%s (", done == 0 ? "" : done + 1 == types ? " and " : ", ", case_at(v, i)->vae_type);
            print_models(out, v, case_at(v, i)->vae_type);
            fprintf(out, ")");
            done++;
        }
    }
    print_backends_and_count(out, v, FUSE_QKV_RAN);
}

static void print_what_went_wrong(FILE *out, const struct verdicts *v, size_t asked) {
    size_t wrong = count_verdicts(v, FUSE_QKV_WENT_WRONG);
    fprintf(out, "fuse-QKV went wrong in %zu of %zu cases: ", wrong, asked);
    const char *separator = "";
    for (size_t i = 0; i < case_count(v); i++) {
        if (v->of_case[i] == FUSE_QKV_WENT_WRONG) {
            const struct check_row *check = fuse_qkv_find_failure(v->record, case_at(v, i)->id);
            fprintf(out, "%s%s (%s%s%s)", separator, case_at(v, i)->id, check->name, check->message[0] ? ": " : "",
                    check->message);
            separator = "; ";
        }
    }
    fprintf(out, ".\n");
}

static void print_what_went_right(FILE *out, const struct verdicts *v) {
    const struct selection refusals = {FUSE_QKV_REFUSED, NULL, -1};
    bool ran = count_verdicts(v, FUSE_QKV_RAN) > 0;
    bool refused = count_verdicts(v, FUSE_QKV_REFUSED) > 0;
    const char *start = count_verdicts(v, FUSE_QKV_WENT_WRONG) > 0 ? "Elsewhere it" : "fuse-QKV";
    if (!ran && !refused) {
        return;
    }
    fprintf(out, "%s ", start);
    if (ran) {
        fprintf(out, "ran on ");
        print_where_it_ran(out, v);
        fprintf(out, refused ? ", and " : "; no type that must refuse it was asked.\n");
    }
    if (refused) {
        fprintf(out, "was refused on ");
        print_list(out, v, &refusals, text_of_type);
        print_backends_and_count(out, v, FUSE_QKV_REFUSED);
        fprintf(out, ", each time before any work%s.\n", ran ? "" : "; no type that must take it was asked");
    }
}

/* Is this case undecided for the same reason as the one at `first`? */
static bool is_alike(const struct verdicts *v, size_t first, size_t index) {
    const struct case_row *a = case_at(v, first), *b = case_at(v, index);
    return v->of_case[index] == FUSE_QKV_UNDECIDED && strcmp(a->outcome, b->outcome) == 0 &&
           strcmp(a->reason, b->reason) == 0;
}

static size_t count_alike(const struct verdicts *v, size_t first, size_t end) {
    size_t count = 0;
    for (size_t i = 0; i < end; i++) {
        count += is_alike(v, first, i);
    }
    return count;
}

static void print_alike(FILE *out, const struct verdicts *v, size_t first) {
    size_t count = count_alike(v, first, case_count(v));
    size_t done = 0;
    for (size_t i = first; i < case_count(v); i++) {
        if (is_alike(v, first, i)) {
            fprintf(out, "%s%s", done == 0 ? "" : done + 1 == count ? " and " : ", ", case_at(v, i)->id);
            done++;
        }
    }
}

static void print_undecided(FILE *out, const struct verdicts *v, bool brief) {
    size_t count = count_verdicts(v, FUSE_QKV_UNDECIDED);
    if (brief && count > 0) {
        fprintf(out, "fuse-QKV was not decided in %zu case%s that ended before.\n", count, count == 1 ? "" : "s");
        return;
    }
    for (size_t i = 0; i < case_count(v); i++) {
        const struct case_row *row = case_at(v, i);
        if (v->of_case[i] == FUSE_QKV_UNDECIDED && count_alike(v, i, i) == 0) {
            fprintf(out, "fuse-QKV was not decided in ");
            print_alike(out, v, i);
            fprintf(out, " (%s%s%s).\n", row->outcome, row->reason[0] ? ": " : "", row->reason);
        }
    }
}

static void print_all(FILE *out, const struct record *record, bool brief) {
    struct verdicts v = {.record = record};
    v.of_case = calloc(case_count(&v) + 1, sizeof *v.of_case);
    if (!v.of_case) {
        fprintf(out, "fuse-QKV: out of memory.\n");
        return;
    }
    for (size_t i = 0; i < case_count(&v); i++) {
        v.of_case[i] = fuse_qkv_judge(record, case_at(&v, i));
    }
    size_t asked = case_count(&v) - count_verdicts(&v, FUSE_QKV_NOT_ASKED);
    if (asked == 0) {
        fprintf(out, "fuse-QKV was not checked: no case of this run asks for it.\n");
    } else {
        if (count_verdicts(&v, FUSE_QKV_WENT_WRONG) > 0) {
            print_what_went_wrong(out, &v, asked);
        }
        print_what_went_right(out, &v);
        print_undecided(out, &v, brief);
    }
    free(v.of_case);
}

void show_fuse_qkv_sentence(FILE *out, const struct record *record) {
    print_all(out, record, false);
}

void show_fuse_qkv_brief(FILE *out, const struct record *record) {
    print_all(out, record, true);
}
