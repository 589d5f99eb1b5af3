/* What the page's sections share: words, symbols and tones of outcomes, cells, sections. */
#include <math.h>
#include <string.h>

#include "results/format.h"
#include "results/page_parts.h"

const struct outcome_style outcome_styles[] = {
    {"failed", "failed", "✗", "bad", true, "A check does not hold; the reason says which."},
    {"crashed", "crashed", "✗", "bad", true, "The worker process died during the case. It cost this case alone."},
    {"timed_out", "timed out", "✗", "bad", true, "The worker gave no answer in time and was ended."},
    {"out_of_memory", "out of memory", "✗", "bad", true, "The worker was denied memory, or passed its limit."},
    {"mistrusted", "mistrusted", "?", "doubt", true,
     "The decoder's own figures and what was seen from outside do not agree, so neither is believed."},
    {"unstable", "unstable", "?", "doubt", true, "Latency kept drifting: there is no single figure to report."},
    {"invalid", "invalid", "✗", "bad", true, ""},
    {"regressed", "regressed", "✗", "bad", true, ""},
    {"inconclusive", "inconclusive", "?", "doubt", true, ""},
    {"waived", "waived", "!", "doubt", true, "It fails, somebody has said so beforehand, and the waiver still holds."},
    {"improved", "improved", "✓", "good", false, ""},
    {"passed", "passed", "✓", "good", false, "All checks of the case hold."},
    {"refused", "refused", "⊘", "good", false,
     "An option was asked for that this VAE type must refuse, and it was refused before any work: counts as passed."},
    {"unsupported", "unsupported", "–", "quiet", false,
     "The backend declared beforehand that it cannot do this, with its reason. Neither good nor bad."},
    {"skipped", "skipped", "–", "quiet", false, "Left out by whoever started the run."},
};
const size_t outcome_style_count = sizeof outcome_styles / sizeof outcome_styles[0];

const struct outcome_style *outcome_style_find(const char *outcome) {
    static const struct outcome_style unknown = {
        "", "unknown", "✗", "bad", true, "An outcome that this version of vaemark does not know."};
    for (size_t i = 0; i < outcome_style_count; i++) {
        if (strcmp(outcome_styles[i].outcome, outcome) == 0) {
            return &outcome_styles[i];
        }
    }
    return &unknown;
}

void page_badge(struct page *page, const char *outcome) {
    const struct outcome_style *style = outcome_style_find(outcome);
    const char *words = style->outcome[0] ? style->words : outcome[0] ? outcome : "no outcome";
    html(page->out, "<span class=\"badge @\"><span aria-hidden=\"true\">@</span> @</span>", style->tone, style->symbol,
         words);
}

void page_cell(struct page *page, const char *label, const char *text) {
    bool unknown = strcmp(text, "-") == 0 || !text[0];
    html(page->out, unknown ? "<td class=\"none\" data-label=\"@\">–</td>" : "<td data-label=\"@\">@</td>", label,
         text);
}

void page_latency_text(char text[LATENCY_TEXT_BYTES], const struct case_row *row) {
    struct figure time = format_time(row->latency_median_ns);
    double arm = fmax(row->latency_high_ns - row->latency_median_ns, row->latency_median_ns - row->latency_low_ns);
    double percent = 100 * arm / row->latency_median_ns;
    if (!isfinite(row->latency_median_ns)) {
        snprintf(text, LATENCY_TEXT_BYTES, "-");
    } else if (row->sample_count == 1) {
        snprintf(text, LATENCY_TEXT_BYTES, "%s (n=1)", time.text);
    } else if (isfinite(percent)) {
        snprintf(text, LATENCY_TEXT_BYTES, "%s ±%.*f %%", time.text, percent < 9.95 ? 1 : 0, percent);
    } else {
        snprintf(text, LATENCY_TEXT_BYTES, "%s", time.text);
    }
}

const char *page_anchor_of(const struct page *page, const char *case_id) {
    for (size_t i = 0; i < page->case_count; i++) {
        if (strcmp(page->cases[i].row->id, case_id) == 0) {
            return page->cases[i].anchor;
        }
    }
    return NULL;
}
