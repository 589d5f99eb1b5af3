/* The keys of `doctor --json`: docs/list-json.md. */
#include <string.h>

#include "harness/doctor/doctor.h"
#include "harness/list_json.h"

static json_t *text(const char *value) {
    json_t *string = *value ? json_string(value) : NULL;
    return string ? string : json_null();
}

/* Counts start at 1, so 0 is "not known". */
static json_t *count(int value) {
    return value > 0 ? json_integer(value) : json_null();
}

static json_t *size(double size_bytes) {
    return size_bytes >= 0 && size_bytes < 0x1p62 ? json_integer((json_int_t)size_bytes) : json_null();
}

static json_t *yes_no(int value) {
    return value < 0 ? json_null() : json_boolean(value);
}

static json_t *caches_json(const struct machine *machine) {
    json_t *rows = json_array();
    for (size_t i = 0; i < machine->cache_count; i++) {
        const struct machine_cache *cache = &machine->caches[i];
        json_array_append_new(rows,
                              json_pack("{s:i, s:o, s:o, s:o}", "level", cache->level, "type", text(cache->type),
                                        "size_bytes", size(cache->size_bytes), "shared_by", count(cache->shared_by)));
    }
    return rows;
}

static json_t *machine_json(const struct machine *m) {
    json_t *object = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "cpu_model",
                               text(m->cpu_model), "cpu_vendor", text(m->cpu_vendor), "architecture",
                               text(m->architecture), "instruction_sets", text(m->instruction_sets), "sockets",
                               count(m->sockets), "cores", count(m->cores), "threads_online", count(m->threads_online),
                               "threads_usable", count(m->threads_usable), "threads_a_core", count(m->siblings),
                               "numa_nodes", count(m->numa_nodes), "caches", caches_json(m), "kernel", text(m->kernel));
    json_t *more = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:[o, o, o], s:o, s:o}", "governor",
        text(m->governor), "turbo", yes_no(m->turbo), "clock_now_hz", json_number_or_null(m->clock_now_hz),
        "clock_limit_hz", json_number_or_null(m->clock_limit_hz), "virtual_machine", yes_no(m->virtual_machine),
        "hypervisor", text(m->hypervisor), "container", (int)m->container, "memory_total_bytes",
        size(m->memory_total_bytes), "memory_available_bytes", size(m->memory_available_bytes), "swap_total_bytes",
        size(m->swap_total_bytes), "swap_free_bytes", size(m->swap_free_bytes), "transparent_huge_pages",
        text(m->huge_pages), "load_average", json_number_or_null(m->load[0]), json_number_or_null(m->load[1]),
        json_number_or_null(m->load[2]), "steal_share_since_boot", json_number_or_null(m->steal_share),
        "perf_event_paranoid", json_number_or_null(m->perf_event_paranoid));
    json_t *cgroup =
        json_pack("{s:o, s:o, s:o}", "memory_limit_bytes", size(m->cgroup.memory_limit_bytes), "memory_left_bytes",
                  size(m->cgroup.memory_left_bytes), "cpu_limit", json_number_or_null(m->cgroup.cpu_limit));
    json_object_update_new(object, more);
    json_object_set_new(object, "cgroup", cgroup);
    return object;
}

static json_t *rate_json(const struct peak_rate *rate) {
    return json_pack("{s:o, s:o}", "one_thread", json_number_or_null(rate->one_thread), "all_threads",
                     json_number_or_null(rate->all_threads));
}

static json_t *peaks_json(const struct peaks *peaks) {
    json_t *sets = json_array(), *levels = json_array();
    for (size_t i = 0; i < peaks->set_count; i++) {
        json_array_append_new(sets, json_pack("{s:s, s:o, s:o}", "isa", peaks->sets[i].isa, "flops_per_s",
                                              rate_json(&peaks->sets[i].flops), "predicted_flops_per_s",
                                              rate_json(&peaks->sets[i].predicted_flops)));
    }
    for (int i = 0; i < PEAKS_LEVELS; i++) {
        json_array_append_new(levels, json_pack("{s:s, s:o, s:o, s:I, s:I}", "level", peaks->levels[i].name,
                                                "read_bytes_per_s", rate_json(&peaks->levels[i].read_bytes),
                                                "copy_bytes_per_s", rate_json(&peaks->levels[i].copy_bytes),
                                                "one_thread_bytes", (json_int_t)peaks->levels[i].one_bytes,
                                                "each_thread_bytes", (json_int_t)peaks->levels[i].each_bytes));
    }
    return json_pack("{s:i, s:o, s:o, s:o}", "threads", peaks->threads, "clock_hz", rate_json(&peaks->clock_hz),
                     "multiply_add", sets, "bandwidth", levels);
}

static json_t *noise_json(const struct noise *n) {
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:o, s:o, s:o, s:o, s:i}", "samples", (json_int_t)n->sample_count,
                     "median_ns", n->median_ns, "mad_ns", n->mad_ns, "p99_ns", n->p99_ns, "slowest_ns", n->slowest_ns,
                     "run_delay_share", json_number_or_null(n->run_delay_share), "steal_share",
                     json_number_or_null(n->steal_share), "involuntary_switches",
                     json_number_or_null(n->involuntary_switches), "smallest_difference",
                     json_number_or_null(n->smallest_difference), "smallest_difference_samples", (int)NOISE_GROUP);
}

static json_t *advice_json(const struct advice_list *list) {
    json_t *rows = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const struct advice *advice = &list->items[i];
        json_array_append_new(rows,
                              json_pack("{s:s, s:s, s:o, s:s, s:s}", "id", advice->id, "effect",
                                        advice_effect_name(advice->effect), "share", json_number_or_null(advice->share),
                                        "text", advice->text, "command", advice->command));
    }
    return rows;
}

json_t *doctor_json(const struct doctor *doctor) {
    return json_pack("{s:s, s:b, s:f, s:o, s:o, s:o, s:O, s:O, s:O, s:o}", "vaemark_version", VAEMARK_VERSION, "quick",
                     (int)doctor->quick, "duration_s", doctor->duration_s, "machine", machine_json(&doctor->machine),
                     "peaks", peaks_json(&doctor->peaks), "noise", noise_json(&doctor->noise), "backends",
                     doctor->backends, "tools", doctor->tools, "folders", doctor->folders, "advice",
                     advice_json(&doctor->advice));
}
