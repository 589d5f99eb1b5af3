/* Fuse-QKV: the sentence, then every case that asked for it beside the same case without it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/fuse_qkv.h"
#include "results/page_parts.h"
#include "results/show.h"

static void write_sentence(struct page *page) {
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *out = open_memstream(&text, &size_bytes);
    if (!out) {
        page->failed = true;
        return;
    }
    show_fuse_qkv_brief(out, page->record);
    fclose(out);
    html(page->out, "<p class=\"sentence\">@</p>\n", text);
    free(text);
}

enum { LEAST_SAMPLES = 6 }; /* fewer have no 95 % interval */

/* Two medians are called different only where their intervals do not meet, and even then one launch is one launch. */
static void describe_change(char text[LATENCY_TEXT_BYTES], const struct case_row *off, const struct case_row *on) {
    double percent = 100 * (on->latency_median_ns / off->latency_median_ns - 1);
    bool apart = on->latency_low_ns > off->latency_high_ns || on->latency_high_ns < off->latency_low_ns;
    int64_t samples = off->sample_count < on->sample_count ? off->sample_count : on->sample_count;
    char few[32];
    snprintf(few, sizeof few, "n=%lld", (long long)(samples > 0 ? samples : 1));
    if (!isfinite(percent)) {
        snprintf(text, LATENCY_TEXT_BYTES, "-");
    } else {
        snprintf(text, LATENCY_TEXT_BYTES, "%+.*f %% (%s)", fabs(percent) < 9.95 ? 1 : 0, percent,
                 samples < LEAST_SAMPLES ? few
                 : apart                 ? "apart"
                                         : "overlap");
    }
}

static void write_verdict(struct page *page, const struct case_row *row, enum fuse_qkv_verdict verdict) {
    char words[64];
    const char *tone = "doubt", *symbol = "?";
    snprintf(words, sizeof words, "not decided");
    if (verdict == FUSE_QKV_RAN) {
        tone = "good", symbol = "✓";
        snprintf(words, sizeof words, "ran, %lld fused", (long long)row->fused_modules);
    } else if (verdict == FUSE_QKV_REFUSED) {
        tone = "good", symbol = "⊘";
        snprintf(words, sizeof words, "refused, as it must");
    } else if (verdict == FUSE_QKV_WENT_WRONG) {
        tone = "bad", symbol = "✗";
        snprintf(words, sizeof words, "went wrong");
    }
    html(page->out,
         "<td data-label=\"Fuse-QKV\"><span class=\"badge @\"><span aria-hidden=\"true\">@</span> @</span></td>", tone,
         symbol, words);
}

static void write_pair(struct page *page, const struct case_row *on, enum fuse_qkv_verdict verdict) {
    const struct case_row *off = fuse_qkv_find_plain(page->record, on);
    const struct case_row *both[] = {off, on};
    static const char *const labels[][2] = {
        {"Latency off", "Latency on"}, {"Memory off", "Memory on"}, {"Weights off", "Weights on"}};
    const char *anchor = page_anchor_of(page, on->id);
    char text[LATENCY_TEXT_BYTES];
    html(page->out, "<tr><th scope=\"row\" title=\"@\"><a href=\"#@\">@</a></th>", on->id, anchor ? anchor : "",
         on->model);
    html(page->out, "<td data-label=\"Decoder\"><span>@ <span class=\"precision\">@</span></span></td>", on->backend,
         on->precision);
    page_cell(page, "Shape", on->shape);
    write_verdict(page, on, verdict);
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, "-");
        if (both[i]) {
            page_latency_text(text, both[i]);
        }
        page_cell(page, labels[0][i], text);
    }
    snprintf(text, sizeof text, "-");
    if (off) {
        describe_change(text, off, on);
    }
    page_cell(page, "Change", text);
    for (int i = 0; i < 2; i++) {
        page_cell(page, labels[1][i], format_bytes(both[i] ? both[i]->memory_peak_bytes : -1).text);
    }
    for (int i = 0; i < 2; i++) {
        page_cell(page, labels[2][i], format_bytes(both[i] ? both[i]->memory_weights_bytes : -1).text);
    }
    fputs("</tr>\n", page->out);
}

static void write_table_head(struct page *page) {
    fputs("<p>Off and on are the same case without and with <code>fuse_qkv</code>, on the same decoder. "
          "<em>Overlap</em>: the intervals meet, no difference was seen. <em>Apart</em>: they do not, which one launch "
          "on a "
          "busy machine can do by itself; it is information, no claim. What fusing costs in memory is in the "
          "weights.</p>\n"
          "<div class=\"scroll\" role=\"region\" aria-label=\"Table of fuse-QKV\" tabindex=\"0\">\n"
          "<table class=\"fuse stacked\">\n<thead>\n<tr><th scope=\"col\" rowspan=\"2\">Model</th>"
          "<th scope=\"col\" rowspan=\"2\">Decoder</th><th scope=\"col\" rowspan=\"2\">Shape</th>"
          "<th scope=\"col\" rowspan=\"2\">Fuse-QKV</th><th scope=\"colgroup\" colspan=\"3\" "
          "class=\"number\">Latency</th>"
          "<th scope=\"colgroup\" colspan=\"2\" class=\"number\">Memory peak</th>"
          "<th scope=\"colgroup\" colspan=\"2\" class=\"number\">Weights</th></tr>\n<tr>",
          page->out);
    static const char *const names[] = {"off", "on", "change", "off", "on", "off", "on"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        html(page->out, "<th scope=\"col\" class=\"number\">@</th>", names[i]);
    }
    fputs("</tr>\n</thead>\n", page->out);
}

static void write_type(struct page *page, const char *type, bool first) {
    fputs(first ? "<tbody>\n" : "</tbody>\n<tbody>\n", page->out);
    html(page->out, "<tr class=\"type\"><th scope=\"rowgroup\" colspan=\"11\"><span>@</span></th></tr>\n",
         type[0] ? type : "unknown VAE type");
}

void page_write_fuse_qkv(struct page *page) {
    bool begun = false;
    size_t type = 0;
    write_sentence(page);
    for (size_t i = 0; i < page->case_count; i++) {
        const struct page_case *place = &page->cases[i];
        enum fuse_qkv_verdict verdict = fuse_qkv_judge(page->record, place->row);
        if (verdict == FUSE_QKV_NOT_ASKED) {
            continue;
        }
        if (!begun) {
            write_table_head(page);
        }
        if (!begun || type != place->type_first) {
            write_type(page, place->row->vae_type, !begun);
        }
        begun = true;
        type = place->type_first;
        write_pair(page, place->row, verdict);
    }
    fputs(begun ? "</tbody>\n</table>\n</div>\n" : "", page->out);
}
