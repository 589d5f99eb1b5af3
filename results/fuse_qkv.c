#include "results/fuse_qkv.h"

#include <stdlib.h>
#include <string.h>

static const char OPTION[] = "fuse_qkv";

/* Is there a check of this case with that outcome, whose name begins so? Returns it, or NULL. */
static const struct check_row *find_check(const struct record *record, const char *case_id, const char *prefix,
                                          const char *outcome) {
    for (size_t i = 0; i < record->tables[TABLE_CHECKS].count; i++) {
        const struct check_row *check = RECORD_ROW(record, TABLE_CHECKS, i, check_row);
        if (strcmp(check->case_id, case_id) == 0 && strncmp(check->name, prefix, strlen(prefix)) == 0 &&
            strcmp(check->outcome, outcome) == 0) {
            return check;
        }
    }
    return NULL;
}

/* Where the option stands among "a+b=c+d", or NULL; `length` is that of "name" or "name=value". */
static const char *find_option(const char *options, size_t *length) {
    for (const char *at = options; (at = strstr(at, OPTION)); at++) {
        char before = at == options ? '+' : at[-1];
        char after = at[sizeof OPTION - 1];
        if (before == '+' && (after == '+' || after == '=' || after == '\0')) {
            *length = strcspn(at, "+");
            return at;
        }
    }
    return NULL;
}

enum fuse_qkv_verdict fuse_qkv_judge(const struct record *record, const struct case_row *row) {
    size_t length;
    if (!find_option(row->options, &length)) {
        return FUSE_QKV_NOT_ASKED;
    }
    if (fuse_qkv_find_failure(record, row->id)) {
        return FUSE_QKV_WENT_WRONG;
    }
    /* Failed: something else of the case failed. Anything but these three ended before all was checked. */
    bool finished = strcmp(row->outcome, "passed") == 0 || strcmp(row->outcome, "failed") == 0 ||
                    strcmp(row->outcome, "refused") == 0;
    if (finished && find_check(record, row->id, "fuse-qkv/refused", "passed")) {
        return FUSE_QKV_REFUSED;
    }
    if (finished && find_check(record, row->id, "fuse-qkv/accepted", "passed") && row->fused_modules >= 0) {
        return FUSE_QKV_RAN;
    }
    return FUSE_QKV_UNDECIDED;
}

const struct check_row *fuse_qkv_find_failure(const struct record *record, const char *case_id) {
    return find_check(record, case_id, "fuse-qkv/", "failed");
}

/* Are these the options, but for fuse_qkv? `place` and `length` say where it stands in them. */
static bool are_options_without(const char *other, const char *options, const char *place, size_t length) {
    size_t before = (size_t)(place - options);
    const char *rest = place + length;
    if (before == 0 && !rest[0]) {
        return strcmp(other, "plain") == 0;
    }
    before -= before > 0; /* the '+' before it, or else the one behind it */
    rest += place == options && rest[0] == '+';
    return strncmp(other, options, before) == 0 && strcmp(other + before, rest) == 0;
}

const struct case_row *fuse_qkv_find_plain(const struct record *record, const struct case_row *row) {
    size_t length = 0;
    const char *place = find_option(row->options, &length);
    for (size_t i = 0; place && i < record->tables[TABLE_CASES].count; i++) {
        const struct case_row *other = RECORD_ROW(record, TABLE_CASES, i, case_row);
        if (strcmp(other->model, row->model) == 0 && strcmp(other->backend, row->backend) == 0 &&
            strcmp(other->precision, row->precision) == 0 && strcmp(other->shape, row->shape) == 0 &&
            are_options_without(other->options, row->options, place, length)) {
            return other;
        }
    }
    return NULL;
}
