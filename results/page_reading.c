/* How to read the page: what outcomes mean, and what its figures are worth. */
#include "results/page_parts.h"

static const char reading[] =
    "<h3>What the figures are worth</h3>\n"
    "<ul>\n"
    "<li>Only suites that are made to time (several fresh launches of each decoder) judge latency. Everywhere else it "
    "is "
    "information and never changes an outcome.</li>\n"
    "<li>One launch is one sample of where the system put a process and its memory. The interval tells how well the "
    "median "
    "of <em>these</em> samples is known; another launch may well lie outside of it.</li>\n"
    "<li>Where intervals overlap, no difference was seen. Where they do not, there was one in this run, which is a "
    "reason to "
    "measure and not a result.</li>\n"
    "<li>The reference is there to be right. Its time comes from a single sample and is no claim.</li>\n"
    "<li>The allocator's peak is exact and does not vary from run to run; a difference there is real. The resident set "
    "of a "
    "process varies.</li>\n"
    "<li>PSNR is against the FP32 reference on the same latents and weights. The bounds come from the distance of the "
    "FP32 to "
    "the FP64 reference, not from taste; <em>exact</em> means that the pictures are equal bit by bit.</li>\n"
    "<li>A dash means that there is no such figure: the case ended before it, or it has none. It never stands for "
    "zero.</li>\n"
    "</ul>\n";

void page_write_reading(struct page *page) {
    fputs("<h3>How a case can end</h3>\n<dl class=\"outcomes\">\n", page->out);
    for (size_t i = 0; i < outcome_style_count; i++) {
        if (!outcome_styles[i].meaning[0]) {
            continue;
        }
        fputs("<div><dt>", page->out);
        page_badge(page, outcome_styles[i].outcome);
        html(page->out, "</dt><dd>@</dd></div>\n", outcome_styles[i].meaning);
    }
    fputs("</dl>\n", page->out);
    fputs(reading, page->out);
}
