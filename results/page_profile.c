/* The profiles of cases: where the time of a decode goes, by op and by kernel, and how close that is to the roofline.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/format.h"
#include "results/page_parts.h"
#include "results/roofline.h"

static const char *const columns[] = {"Op or kernel", "Time",      "Share", "Steps",  "FLOP/s",
                                      "B/s",          "FLOP/byte", "Limit", "Of roof"};
enum { COLUMN_COUNT = sizeof columns / sizeof columns[0] };

bool page_has_profiles(const struct page *page) {
    return page->record->tables[TABLE_PROFILES].count > 0;
}

static void write_columns(struct page *page) {
    fputs("<thead><tr>", page->out);
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        html(page->out, i == 0 ? "<th scope=\"col\">@</th>" : "<th scope=\"col\" class=\"number\">@</th>", columns[i]);
    }
    fputs("</tr></thead>\n", page->out);
}

static void write_rate(struct page *page, const char *label, double amount, double time_ns) {
    page_cell(page, label, amount > 0 && time_ns > 0 ? format_scaled(amount / time_ns * 1e9).text : "-");
}

static void write_group(struct page *page, const struct roofline_group *group, double total_ns) {
    char share[32], steps[32], intensity[32], roof[32];
    const char *limit = roofline_group_limit(group);
    double of_roof = group->least_ns / group->time_ns;
    snprintf(share, sizeof share, "%.1f %%", 100 * group->time_ns / total_ns);
    snprintf(steps, sizeof steps, "%zu", group->steps);
    snprintf(intensity, sizeof intensity, "%.1f", group->flops / group->bytes);
    snprintf(roof, sizeof roof, "%.1f %%", 100 * of_roof);
    html(page->out, "<tr><th scope=\"row\"><code>@</code></th>", group->name[0] ? group->name : "(no name)");
    page_cell(page, "Time", format_time(group->time_ns).text);
    page_cell(page, "Share", total_ns > 0 ? share : "-");
    page_cell(page, "Steps", steps);
    write_rate(page, "FLOP/s", group->flops, group->time_ns);
    write_rate(page, "B/s", group->bytes, group->time_ns);
    page_cell(page, "FLOP/byte", group->flops > 0 && group->bytes > 0 ? intensity : "-");
    page_cell(page, "Limit", limit[0] ? limit : "-");
    page_cell(page, "Of roof", isfinite(of_roof) ? roof : "-");
    fputs("</tr>\n", page->out);
}

static void write_groups(struct page *page, const struct trace_row *const *steps, size_t step_count, double total_ns,
                         enum roofline_key key) {
    size_t count = 0;
    struct roofline_group *groups = roofline_group_steps(steps, step_count, key, &count);
    page->failed |= !groups;
    fprintf(page->out,
            "<tbody>\n<tr class=\"type\"><th scope=\"rowgroup\" colspan=\"%d\"><span>By %s</span></th></tr>\n",
            (int)COLUMN_COUNT, roofline_key_names[key]);
    for (size_t i = 0; i < count; i++) {
        write_group(page, &groups[i], total_ns);
    }
    fputs("</tbody>\n", page->out);
    free(groups);
}

/* "27.4 GB/s", "not measured". */
static struct figure format_ceiling(double value, const char *unit) {
    struct figure figure = {"not measured"}, rate = format_scaled(value);
    if (isfinite(value)) {
        snprintf(figure.text, sizeof figure.text, "%.40s%s", rate.text, unit);
    }
    return figure;
}

static void write_ceilings(struct page *page, const struct profile_row *profile) {
    char threads[48];
    snprintf(threads, sizeof threads, "%lld thread%s", (long long)profile->threads, profile->threads == 1 ? "" : "s");
    fputs("<p>", page->out);
    if (profile->peak_flops_per_s > 0) {
        html(page->out, "Ceilings, measured with @: compute @ (@), bandwidth @. ", threads,
             format_ceiling(profile->peak_flops_per_s, "FLOP/s").text, profile->isa,
             format_ceiling(profile->peak_bytes_per_s, "B/s").text);
    }
    html(page->out, profile->note[0] ? "<strong>@.</strong></p>\n" : "@</p>\n", profile->note);
}

static void write_profile(struct page *page, const struct profile_row *profile, const struct trace_row *const *steps,
                          size_t step_count, bool open) {
    char facts[256];
    snprintf(facts, sizeof facts, "%s in %zu step%s; %lld decode%s of %s", format_time(profile->steps_ns).text,
             step_count, step_count == 1 ? "" : "s", (long long)profile->decodes, profile->decodes == 1 ? "" : "s",
             format_time(profile->decode_ns).text);
    html(page->out,
         open ? "<details open>\n<summary><code>@</code>: @</summary>\n"
              : "<details>\n<summary><code>@</code>: @</summary>\n",
         profile->case_id, facts);
    write_ceilings(page, profile);
    html(page->out,
         "<div class=\"scroll\" role=\"region\" aria-label=\"Profile of @\" tabindex=\"0\">\n<table class=\"profile "
         "stacked\">\n",
         profile->case_id);
    write_columns(page);
    for (int key = 0; key < ROOFLINE_KEYS; key++) {
        write_groups(page, steps, step_count, profile->steps_ns, (enum roofline_key)key);
    }
    fputs("</table>\n</div>\n</details>\n", page->out);
}

void page_write_profiles(struct page *page) {
    size_t told = 0;
    html(
        page->out,
        "<p>A step's time is its median over a few decodes after the timed ones, by the decoder's own trace. "
        "<em>Limit</em> is the ceiling that asks for more time at its FLOPs a byte, <em>of roof</em> the least time "
        "that "
        "both ceilings allow by the time taken. Ops without multiply-adds are judged by bandwidth alone.@ Above 100 %: "
        "@</p>\n",
        page->plots_missing[0] ? "" : " The roofline among the plots shows the same.", roofline_above);
    for (size_t i = 0; i < page->record->tables[TABLE_PROFILES].count; i++) {
        const struct profile_row *profile = RECORD_ROW(page->record, TABLE_PROFILES, i, profile_row);
        size_t step_count = 0;
        const struct trace_row **steps = roofline_find_steps(page->record, profile->case_id, &step_count);
        page->failed |= !steps;
        if (step_count > 0) {
            write_profile(page, profile, steps, step_count, told++ == 0);
        } else {
            html(page->out, "<p><code>@</code> has no profile: @.</p>\n", profile->case_id,
                 profile->note[0] ? profile->note : "no step was recorded");
        }
        free(steps);
    }
}
