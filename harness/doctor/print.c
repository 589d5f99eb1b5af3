/* The page for people. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "harness/doctor/doctor.h"

static const double MUCH_DELAY = 0.02;

enum { LABEL_WIDTH = 14, TEXT_BYTES = 48 };

static void __attribute__((format(printf, 3, 4))) line(FILE *out, const char *label, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(out, "  %-*s ", LABEL_WIDTH, label);
    vfprintf(out, format, arguments);
    fputc('\n', out);
    va_end(arguments);
}

static const char *known(const char *text) {
    return *text ? text : "unknown";
}

static const char *bytes(double size_bytes, char text[TEXT_BYTES]) {
    return isnan(size_bytes) ? "unknown" : text_format_bytes(size_bytes, text, TEXT_BYTES);
}

/* A rate in its own unit; "-" where nothing was measured. */
static const char *rate(double number, double unit, char text[TEXT_BYTES]) {
    snprintf(text, TEXT_BYTES, number / unit < 99.95 ? "%.1f" : "%.0f", number / unit);
    return isnan(number) ? "-" : text;
}

static const char *clock_text(double hz, char text[TEXT_BYTES]) {
    snprintf(text, TEXT_BYTES, "%.2f GHz", hz / 1e9);
    return isnan(hz) ? "unknown" : text;
}

static const char *percent(double share, char text[TEXT_BYTES]) {
    snprintf(text, TEXT_BYTES, "%.2g %%", share * 100);
    return isnan(share) ? "unknown" : text;
}

static const char *count(int number, char text[TEXT_BYTES]) {
    snprintf(text, TEXT_BYTES, "%d", number);
    return number > 0 ? text : "unknown";
}

static void print_cpu(FILE *out, const struct machine *m) {
    char a[TEXT_BYTES], b[TEXT_BYTES], c[TEXT_BYTES], d[TEXT_BYTES];
    line(out, "CPU", "%s (%s, %s)", known(m->cpu_model), known(m->cpu_vendor), known(m->architecture));
    line(out, "threads", "%d usable of %s; sockets %s, cores %s, threads a core %s, NUMA nodes %d", m->threads_usable,
         count(m->threads_online, a), count(m->sockets, b), count(m->cores, c), count(m->siblings, d),
         m->numa_nodes > 0 ? m->numa_nodes : 1);
    line(out, "instructions", "%s", known(m->instruction_sets));
    for (size_t i = 0; i < m->cache_count; i++) {
        const struct machine_cache *cache = &m->caches[i];
        snprintf(a, sizeof a, "L%d %s", cache->level, strcmp(cache->type, "Unified") == 0 ? "" : cache->type);
        line(out, a, "%s, shared by %s thread%s", bytes(cache->size_bytes, b), count(cache->shared_by, c),
             cache->shared_by == 1 ? "" : "s");
    }
    if (m->cache_count == 0) {
        line(out, "caches", "unknown");
    }
    line(out, "clock", "now %s, limit %s, governor %s, turbo %s", clock_text(m->clock_now_hz, a),
         clock_text(m->clock_limit_hz, b), known(m->governor),
         m->turbo < 0 ? "unknown"
         : m->turbo   ? "on"
                      : "off");
}

static void print_machine(FILE *out, const struct machine *m) {
    char a[TEXT_BYTES], b[TEXT_BYTES], c[TEXT_BYTES];
    fprintf(out, "Machine\n");
    print_cpu(out, m);
    line(out, "memory", "%s, %s available; swap %s, %s free; huge pages %s", bytes(m->memory_total_bytes, a),
         bytes(m->memory_available_bytes, b), bytes(m->swap_total_bytes, c),
         isnan(m->swap_free_bytes) ? "unknown"
                                   : text_format_bytes(m->swap_free_bytes, (char[TEXT_BYTES]){0}, TEXT_BYTES),
         known(m->huge_pages));
    snprintf(a, sizeof a, "%.3g", m->cgroup.cpu_limit);
    line(out, "cgroup", "memory limit %s, CPU limit %s",
         isnan(m->cgroup.memory_limit_bytes) ? "none" : bytes(m->cgroup.memory_limit_bytes, b),
         isnan(m->cgroup.cpu_limit) ? "none" : a);
    line(out, "virtual", "%s%s%s%s",
         m->virtual_machine < 0 ? "unknown"
         : m->virtual_machine   ? "yes"
                                : "no",
         m->hypervisor[0] ? ", " : "", m->hypervisor, m->container ? ", in a container" : "");
    snprintf(b, sizeof b, "load %.2f %.2f %.2f", m->load[0], m->load[1], m->load[2]);
    line(out, "system", "%s; %s; steal since boot %s", known(m->kernel), isnan(m->load[0]) ? "load unknown" : b,
         percent(m->steal_share, a));
}

static void print_peaks(FILE *out, const struct peaks *p, bool busy) {
    char a[TEXT_BYTES], b[TEXT_BYTES], c[TEXT_BYTES], d[TEXT_BYTES];
    fprintf(out, "\nMeasured peaks%24s%16s\n", "one thread", "all threads");
    line(out, "clock", "%18s %15s   measured by a chain of one-cycle operations", clock_text(p->clock_hz.one_thread, a),
         clock_text(p->clock_hz.all_threads, b));
    for (size_t i = 0; i < p->set_count; i++) {
        const struct peak_rate *one = &p->sets[i].flops, *said = &p->sets[i].predicted_flops;
        line(out, p->sets[i].isa, "%11s GFLOP/s %8s GFLOP/s   multiply-adds; predicted %s and %s",
             rate(one->one_thread, 1e9, a), rate(one->all_threads, 1e9, b), rate(said->one_thread, 1e9, c),
             rate(said->all_threads, 1e9, d));
    }
    for (int i = 0; i < PEAKS_LEVELS; i++) {
        const struct peak_rate *read = &p->levels[i].read_bytes, *copy = &p->levels[i].copy_bytes;
        line(out, p->levels[i].name, "%13s GB/s %11s GB/s   read; copy %s and %s", rate(read->one_thread, 1e9, a),
             rate(read->all_threads, 1e9, b), rate(copy->one_thread, 1e9, c), rate(copy->all_threads, 1e9, d));
    }
    fprintf(out,
            "  Best of several rounds. A copied byte counts twice, read and written. -: not measured, because the\n"
            "  size is unknown or not twice that of the level above.\n");
    if (busy) {
        fprintf(out, "  Other work ran meanwhile: these are lower bounds.\n");
    }
}

static void print_noise(FILE *out, const struct noise *n) {
    char a[TEXT_BYTES], b[TEXT_BYTES], c[TEXT_BYTES];
    fprintf(out, "\nNoise: one and the same work, %zu times on one thread\n", n->sample_count);
    line(out, "median", "%s, MAD %s, p99 %.3g x and slowest %.3g x the median",
         text_format_time(n->median_ns, a, sizeof a), percent(n->mad_ns / n->median_ns, b), n->p99_ns / n->median_ns,
         n->slowest_ns / n->median_ns);
    line(out, "waiting", "for a CPU %s of the time, steal %s, preempted %.0f times", percent(n->run_delay_share, a),
         percent(n->steal_share, b), n->involuntary_switches);
    line(out, "so", "a difference under %s cannot be seen with %d samples here", percent(n->smallest_difference, c),
         (int)NOISE_GROUP);
}

static const char *string_of(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static void print_software(FILE *out, const struct doctor *doctor) {
    size_t index;
    json_t *row;
    char text[TEXT_BYTES];
    fprintf(out, "\nBackends\n");
    json_array_foreach(doctor->backends, index, row) {
        const char *isa = string_of(row, "isa");
        if (json_is_true(json_object_get(row, "available"))) {
            line(out, string_of(row, "name"), "runs%s%s: %s", *isa ? " with " : "", isa, string_of(row, "description"));
        } else {
            line(out, string_of(row, "name"), "does not run: %s", string_of(row, "reason"));
        }
    }
    fprintf(out, "\nTools and folders\n");
    json_array_foreach(doctor->tools, index, row) {
        bool available = json_is_true(json_object_get(row, "available"));
        line(out, string_of(row, "name"), "%s", available ? string_of(row, "version") : "not found");
    }
    json_array_foreach(doctor->folders, index, row) {
        const char *problem = string_of(row, "problem");
        double free_bytes = json_number_value(json_object_get(row, "free_bytes"));
        line(out, string_of(row, "name"), "%s%s%s, %s free", *problem ? problem : string_of(row, "path"),
             *problem ? "" : ", ",
             *problem                                         ? ""
             : json_is_true(json_object_get(row, "writable")) ? "writable"
                                                              : "not writable",
             json_is_integer(json_object_get(row, "free_bytes")) ? bytes(free_bytes, text) : "unknown");
    }
}

void doctor_print(FILE *out, const struct doctor *doctor) {
    print_machine(out, &doctor->machine);
    print_peaks(out, &doctor->peaks,
                doctor->noise.run_delay_share > MUCH_DELAY || doctor->noise.steal_share > MUCH_DELAY);
    print_noise(out, &doctor->noise);
    print_software(out, doctor);
    fprintf(out, "\nAdvice, what matters most first%s\n",
            doctor->advice.count == 0 ? ": none, this machine is in order" : "");
    for (size_t i = 0; i < doctor->advice.count; i++) {
        const struct advice *advice = &doctor->advice.items[i];
        fprintf(out, "%3zu. [%s] %s\n       %s\n", i + 1, advice_effect_name(advice->effect), advice->text,
                advice->command);
    }
    fprintf(out, "\nTook %.1f s%s.\n", doctor->duration_s, doctor->quick ? " (--quick: figures are rough)" : "");
}
