#include "results/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* "2 of 24 cases failed": the phrase that leads a sentence, with its verb; later ones go without: "1 crashed". */
static const struct {
    const char *word, *phrase;
    bool needs_verb; /* is, are */
    int exit_code;
} outcomes[OUTCOME_COUNT] = {
    [OUTCOME_FAILED] = {"failed", "failed", false, VERDICT_FAILED},
    [OUTCOME_CRASHED] = {"crashed", "crashed", false, VERDICT_FAILED},
    [OUTCOME_TIMED_OUT] = {"timed_out", "timed out", false, VERDICT_FAILED},
    [OUTCOME_OUT_OF_MEMORY] = {"out_of_memory", "ran out of memory", false, VERDICT_FAILED},
    [OUTCOME_INVALID] = {"invalid", "invalid", true, VERDICT_FAILED},
    [OUTCOME_REGRESSED] = {"regressed", "regressed", false, VERDICT_FAILED},
    [OUTCOME_OTHER] = {"other", "ended in a way that this version does not know", false, VERDICT_FAILED},
    [OUTCOME_MISTRUSTED] = {"mistrusted", "mistrusted", true, VERDICT_INCONCLUSIVE},
    [OUTCOME_UNSTABLE] = {"unstable", "unstable", true, VERDICT_INCONCLUSIVE},
    [OUTCOME_INCONCLUSIVE] = {"inconclusive", "inconclusive", true, VERDICT_INCONCLUSIVE},
    [OUTCOME_WAIVED] = {"waived", "waived", true, VERDICT_PASSED},
    [OUTCOME_UNSUPPORTED] = {"unsupported", "unsupported", true, VERDICT_PASSED},
    [OUTCOME_SKIPPED] = {"skipped", "skipped", true, VERDICT_PASSED},
    [OUTCOME_REFUSED] = {"refused", "refused as they must be", true, VERDICT_PASSED},
    [OUTCOME_IMPROVED] = {"improved", "improved", false, VERDICT_PASSED},
    [OUTCOME_PASSED] = {"passed", "passed", false, VERDICT_PASSED},
};

enum outcome outcome_find(const char *word) {
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        if (i != OUTCOME_OTHER && strcmp(outcomes[i].word, word) == 0) {
            return (enum outcome)i;
        }
    }
    return OUTCOME_OTHER;
}

const char *outcome_name(enum outcome outcome) {
    return outcomes[outcome].word;
}

int outcome_exit_code(enum outcome outcome) {
    return outcomes[outcome].exit_code;
}

/* ---- The sentence ---- */

static void add(struct verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct verdict *verdict, const char *format, ...) {
    size_t length = strlen(verdict->sentence);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(verdict->sentence + length, sizeof verdict->sentence - length, format, arguments);
    va_end(arguments);
}

static const char *phrase(const struct verdict *verdict, enum outcome outcome) {
    bool one = verdict->count[outcome] == 1;
    return outcome == OUTCOME_REFUSED && one ? "refused as it must be" : outcomes[outcome].phrase;
}

/* "2 of 24 cases are mistrusted", "all 24 cases passed". */
static void add_lead(struct verdict *verdict, enum outcome outcome) {
    size_t count = verdict->count[outcome];
    const char *verb = !outcomes[outcome].needs_verb ? "" : count == 1 ? "is " : "are ";
    if (count == verdict->case_count && count > 1) {
        add(verdict, "all %zu cases %s%s", count, verb, phrase(verdict, outcome));
    } else {
        add(verdict, "%zu of %zu case%s %s%s", count, verdict->case_count, verdict->case_count == 1 ? "" : "s", verb,
            phrase(verdict, outcome));
    }
}

static void add_count(struct verdict *verdict, enum outcome outcome, const char *separator) {
    if (verdict->count[outcome] == 0) {
        return;
    }
    if (separator[0]) {
        add(verdict, "%s%zu %s", separator, verdict->count[outcome], phrase(verdict, outcome));
    } else {
        add_lead(verdict, outcome);
    }
}

/* What decided the verdict, worst first; then the rest, those that passed first. */
static void add_counts(struct verdict *verdict) {
    const char *separator = "";
    for (int i = 0; i < OUTCOME_COUNT && verdict->exit_code != VERDICT_PASSED; i++) {
        if (outcomes[i].exit_code == verdict->exit_code) {
            add_count(verdict, (enum outcome)i, separator);
            separator = verdict->count[i] ? ", " : separator;
        }
    }
    separator = separator[0] ? "; " : "";
    for (int i = OUTCOME_COUNT - 1; i >= 0; i--) {
        if (verdict->exit_code == VERDICT_PASSED || outcomes[i].exit_code != verdict->exit_code) {
            add_count(verdict, (enum outcome)i, separator);
            separator = verdict->count[i] ? ", " : separator;
        }
    }
}

static void write_sentence(struct verdict *verdict, bool compared) {
    verdict->sentence[0] = '\0';
    if (verdict->case_count == 0) {
        add(verdict, "Inconclusive: no case was run.");
        return;
    }
    add(verdict, "%s: ",
        verdict->exit_code == VERDICT_FAILED         ? "Failed"
        : verdict->exit_code == VERDICT_INCONCLUSIVE ? "Inconclusive"
                                                     : "Passed");
    if (!compared) {
        add(verdict, "nothing was compared, ");
    }
    add_counts(verdict);
    add(verdict, ".");
}

void verdict_of(const struct record *record, struct verdict *verdict) {
    *verdict = (struct verdict){.exit_code = VERDICT_PASSED, .case_count = record->tables[TABLE_CASES].count};
    for (size_t i = 0; i < verdict->case_count; i++) {
        enum outcome outcome = outcome_find(RECORD_ROW(record, TABLE_CASES, i, case_row)->outcome);
        int code = outcomes[outcome].exit_code;
        verdict->count[outcome]++;
        if (code == VERDICT_FAILED || verdict->exit_code == VERDICT_PASSED) {
            verdict->exit_code = code;
        }
    }
    bool compared = verdict->count[OUTCOME_UNSUPPORTED] + verdict->count[OUTCOME_SKIPPED] < verdict->case_count;
    if (verdict->exit_code == VERDICT_PASSED && !compared) {
        verdict->exit_code = VERDICT_INCONCLUSIVE;
    }
    write_sentence(verdict, compared);
}
