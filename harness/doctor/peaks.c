/* Threads in lockstep go through one list of measurements; of many short rounds the best counts: whatever disturbs a
 * round makes it slower, and on a busy machine a short one has a chance not to be disturbed. */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "harness/doctor/doctor.h"
#include "harness/environment.h"
#include "kernels/cpu/peak.h"

enum measure_kind { MEASURE_CLOCK, MEASURE_FLOPS, MEASURE_READ, MEASURE_COPY };

struct measurement {
    enum measure_kind kind;
    const struct peak_kernels *kernels;
    size_t work_bytes; /* of each thread */
    double *rate;      /* where the best round's sum over all threads goes; the clock's is the mean */
};

enum { MAX_MEASUREMENTS = 1 + PEAKS_MAX_SETS + 2 * PEAKS_LEVELS };

/* What one thread did in one round. */
struct stretch {
    double work; /* cycles, FLOPs or bytes */
    int64_t start_ns, end_ns;
};

enum gate { GATE_CLOSED, GATE_OPEN, GATE_CANCELLED };

struct team {
    const struct measurement *list;
    size_t count;
    const struct doctor_pace *pace;
    int threads;
    size_t arena_bytes; /* of each thread */
    bool pinned;
    pthread_mutex_t lock; /* of the gate: no thread goes to the barrier before all are there */
    pthread_cond_t changed;
    enum gate gate;
    pthread_barrier_t barrier;
    struct stretch *stretches; /* (measurement, round, thread) */
    bool *stops;               /* (measurement, round): the first thread says so before the barrier */
};

struct member {
    struct team *team;
    int index;
    pthread_t thread;
    bool started;
    float *arena;
    size_t position; /* in the arena; goes on from round to round, or a short one would never leave the caches */
    double consumed; /* results end up here, so that none can be left out */
};

/* ---- One thread ---- */

/* A piece of work long enough that looking at the clock does not count; returns its size. */
static double do_some(struct member *member, const struct measurement *m) {
    enum { CHAIN_STEPS = 65536, FLOP_ROUNDS = 4096, PIECE_FLOATS = 65536, LEAST_FLOATS = 262144 };
    const struct peak_kernels *k = m->kernels;
    size_t floats = m->work_bytes / sizeof(float);
    size_t half = floats / 2, span = m->kind == MEASURE_COPY ? half : floats;
    if (m->kind == MEASURE_CLOCK) {
        member->consumed += (double)(peak_chain(CHAIN_STEPS, (uint64_t)member->index) & 1);
        return CHAIN_STEPS;
    }
    if (m->kind == MEASURE_FLOPS) {
        member->consumed += k->multiply_add(FLOP_ROUNDS, member->index);
        return 2.0 * FLOP_ROUNDS * k->accumulators * k->lanes;
    }
    size_t done = 0;
    while (done < LEAST_FLOATS) {
        size_t position = member->position;
        size_t piece = span - position < PIECE_FLOATS ? span - position : PIECE_FLOATS;
        if (m->kind == MEASURE_READ) {
            member->consumed += k->read(member->arena + position, piece);
        } else {
            k->copy(member->arena + half + position, member->arena + position, piece);
        }
        done += m->kind == MEASURE_COPY ? 2 * piece : piece;
        member->position = position + piece == span ? 0 : position + piece;
    }
    return (double)done * sizeof(float);
}

/* False when the measurement's time is up: on a busy machine rounds take longer than they should. */
static bool measure_round(struct member *member, const struct measurement *m, struct stretch *stretch,
                          const bool *stop) {
    int64_t least_ns = (int64_t)(member->team->pace->round_s * 1e9);
    (void)do_some(member, m); /* fills caches, wakes wide units */
    pthread_barrier_wait(&member->team->barrier);
    if (*stop) {
        return false;
    }
    *stretch = (struct stretch){.start_ns = clock_monotonic_ns()};
    do {
        stretch->work += do_some(member, m);
        stretch->end_ns = clock_monotonic_ns();
    } while (stretch->end_ns - stretch->start_ns < least_ns);
    return true;
}

/* The n-th CPU that this process may use. */
static void pin(int index) {
    cpu_set_t usable, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof usable, &usable) != 0) {
        return;
    }
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &usable) && index-- == 0) {
            CPU_SET(cpu, &one);
            pthread_setaffinity_np(pthread_self(), sizeof one, &one);
            return;
        }
    }
}

static void run_measurement(struct member *member, size_t m) {
    enum { LEAST_ROUNDS = 5 };
    struct team *team = member->team;
    size_t rounds = (size_t)team->pace->rounds;
    int64_t end_ns = clock_monotonic_ns() + (int64_t)(1.5e9 * team->pace->round_s * team->pace->rounds);
    bool going = true;
    member->position = 0;
    for (size_t round = 0; going && round < rounds; round++) {
        bool *stop = &team->stops[m * rounds + round];
        if (member->index == 0) {
            *stop = round >= LEAST_ROUNDS && clock_monotonic_ns() > end_ns;
        }
        size_t place = (m * rounds + round) * (size_t)team->threads + (size_t)member->index;
        going = measure_round(member, &team->list[m], &team->stretches[place], stop);
    }
}

static void set_gate(struct team *team, enum gate gate) {
    pthread_mutex_lock(&team->lock);
    team->gate = gate;
    pthread_cond_broadcast(&team->changed);
    pthread_mutex_unlock(&team->lock);
}

static bool pass_gate(struct team *team) {
    pthread_mutex_lock(&team->lock);
    while (team->gate == GATE_CLOSED) {
        pthread_cond_wait(&team->changed, &team->lock);
    }
    bool open = team->gate == GATE_OPEN;
    pthread_mutex_unlock(&team->lock);
    return open;
}

static void *run_member(void *argument) {
    struct member *member = argument;
    struct team *team = member->team;
    if (!pass_gate(team)) {
        return NULL;
    }
    if (team->pinned) {
        pin(member->index);
    }
    for (size_t i = 0; i < team->arena_bytes / sizeof(float); i++) {
        member->arena[i] = 1.0f; /* first touched where it is used */
    }
    for (size_t m = 0; m < team->count; m++) {
        run_measurement(member, m);
    }
    return NULL;
}

/* ---- All of them ---- */

static double best_rate(const struct team *team, size_t m) {
    double best = 0;
    for (int round = 0; round < team->pace->rounds; round++) {
        size_t place = (m * (size_t)team->pace->rounds + (size_t)round) * (size_t)team->threads;
        const struct stretch *s = &team->stretches[place];
        double work = 0;
        int64_t first_ns = s[0].start_ns, last_ns = s[0].end_ns;
        for (int t = 0; t < team->threads; t++) {
            work += s[t].work;
            first_ns = s[t].start_ns < first_ns ? s[t].start_ns : first_ns;
            last_ns = s[t].end_ns > last_ns ? s[t].end_ns : last_ns;
        }
        double rate = last_ns > first_ns ? work / ((double)(last_ns - first_ns) * 1e-9) : 0;
        best = rate > best ? rate : best;
    }
    return team->list[m].kind == MEASURE_CLOCK ? best / team->threads : best;
}

static float *arena_get(size_t size_bytes) {
    void *arena = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED) {
        return NULL;
    }
    madvise(arena, size_bytes, MADV_HUGEPAGE);
    return arena;
}

/* Starts as many threads as the barrier waits for, or none that measures. */
static enum vaemark_status run_team(struct team *team, struct member *members, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    for (int t = 0; t < team->threads; t++) {
        members[t] = (struct member){.team = team, .index = t, .arena = arena_get(team->arena_bytes)};
        if (!members[t].arena) {
            status = error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory to measure bandwidth");
        }
    }
    for (int t = 1; status == VAEMARK_OK && t < team->threads; t++) {
        if (pthread_create(&members[t].thread, NULL, run_member, &members[t]) != 0) {
            status = error_set(error, VAEMARK_INTERNAL, "cannot start %d threads to measure peaks", team->threads);
        } else {
            members[t].started = true;
        }
    }
    set_gate(team, status == VAEMARK_OK ? GATE_OPEN : GATE_CANCELLED);
    if (status == VAEMARK_OK) {
        cpu_set_t before;
        bool known = pthread_getaffinity_np(pthread_self(), sizeof before, &before) == 0;
        run_member(&members[0]);
        if (known) {
            pthread_setaffinity_np(pthread_self(), sizeof before, &before);
        }
    }
    for (int t = 0; t < team->threads; t++) {
        if (members[t].started) {
            pthread_join(members[t].thread, NULL);
        }
    }
    for (int t = 0; t < team->threads; t++) {
        if (members[t].arena) {
            munmap(members[t].arena, team->arena_bytes);
        }
    }
    return status;
}

static enum vaemark_status measure(const struct measurement *list, size_t count, int threads,
                                   const struct doctor_pace *pace, struct error *error) {
    struct team team = {.list = list,
                        .count = count,
                        .pace = pace,
                        .threads = threads,
                        .pinned = threads > 1,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER};
    for (size_t m = 0; m < count; m++) {
        team.arena_bytes = list[m].work_bytes > team.arena_bytes ? list[m].work_bytes : team.arena_bytes;
    }
    team.arena_bytes = team.arena_bytes ? team.arena_bytes : 4096;
    struct member *members = calloc((size_t)threads, sizeof *members);
    size_t rounds = (size_t)pace->rounds;
    team.stretches = calloc((count * rounds + 1) * (size_t)threads, sizeof *team.stretches);
    team.stops = calloc(count * rounds + 1, sizeof *team.stops);
    bool barrier = pthread_barrier_init(&team.barrier, NULL, (unsigned)threads) == 0;
    enum vaemark_status status = VAEMARK_OK;
    if (!members || !team.stretches || !team.stops || !barrier) {
        status = error_set(error, VAEMARK_OUT_OF_MEMORY, "not enough memory to measure peaks");
    } else {
        status = run_team(&team, members, error);
    }
    for (size_t m = 0; status == VAEMARK_OK && m < count; m++) {
        *list[m].rate = best_rate(&team, m);
    }
    if (barrier) {
        pthread_barrier_destroy(&team.barrier);
    }
    free(team.stops);
    free(team.stretches);
    free(members);
    return status;
}

/* ---- What is measured ---- */

/* A multiple of what the loops take at a time, for copies twice. */
static size_t round_down(double size_bytes) {
    return size_bytes > 0 ? (size_t)size_bytes / 4096 * 4096 : 0;
}

/* Half a cache, so that it stays there; what is larger than twice the level above. With all threads each has its share.
 */
static size_t level_bytes(const struct machine *machine, int level, bool all, int threads) {
    const struct machine_cache *cache = machine_find_cache(machine, level);
    const struct machine_cache *inner = machine_find_cache(machine, level - 1);
    if (!cache) {
        return 0;
    }
    int sharing = cache->shared_by > 0 && cache->shared_by < threads ? cache->shared_by : threads;
    int inner_sharing = inner && inner->shared_by > 0 && inner->shared_by < threads ? inner->shared_by : 1;
    double bytes = cache->size_bytes / 2 / (all && cache->shared_by != 1 ? sharing : 1);
    double inner_bytes = inner ? inner->size_bytes / (all ? inner_sharing : 1) : 0;
    return bytes >= 2 * inner_bytes ? round_down(bytes) : 0;
}

/* Four times the largest cache, within what may be used; 0 where that would not get past the cache. */
static size_t memory_bytes(const struct machine *machine, const struct doctor_pace *pace) {
    double cache_bytes = 0, most_bytes = pace->memory_bytes;
    for (size_t i = 0; i < machine->cache_count; i++) {
        cache_bytes = machine->caches[i].size_bytes > cache_bytes ? machine->caches[i].size_bytes : cache_bytes;
    }
    double left_bytes = system_memory_available_bytes() / 4;
    most_bytes = left_bytes < most_bytes ? left_bytes : most_bytes;
    if (cache_bytes == 0) {
        return most_bytes >= 0x1p30 ? (size_t)1 << 30 : 0; /* larger than caches are */
    }
    double wanted_bytes = 4 * cache_bytes > 0x1p26 ? 4 * cache_bytes : 0x1p26;
    wanted_bytes = wanted_bytes < most_bytes ? wanted_bytes : most_bytes;
    return wanted_bytes >= 2 * cache_bytes ? round_down(wanted_bytes) : 0;
}

static void size_levels(const struct machine *machine, const struct doctor_pace *pace, struct peaks *peaks) {
    static const char *const names[PEAKS_LEVELS] = {"L1", "L2", "L3", "DRAM"};
    const double none = (double)NAN;
    for (int i = 0; i < PEAKS_LEVELS; i++) {
        bool cache = i + 1 < PEAKS_LEVELS;
        size_t memory = cache ? 0 : memory_bytes(machine, pace);
        peaks->levels[i].name = names[i];
        peaks->levels[i].one_bytes = cache ? level_bytes(machine, i + 1, false, peaks->threads) : memory;
        peaks->levels[i].each_bytes =
            cache ? level_bytes(machine, i + 1, true, peaks->threads) : round_down((double)memory / peaks->threads);
        peaks->levels[i].read_bytes = peaks->levels[i].copy_bytes = (struct peak_rate){none, none};
    }
}

static enum vaemark_status measure_with(struct peaks *peaks, const struct peak_kernels *const *kernels, bool all,
                                        const struct doctor_pace *pace, struct error *error) {
    struct measurement list[MAX_MEASUREMENTS];
    size_t count = 0;
    list[count++] = (struct measurement){.kind = MEASURE_CLOCK,
                                         .rate = all ? &peaks->clock_hz.all_threads : &peaks->clock_hz.one_thread};
    for (size_t i = 0; i < peaks->set_count; i++) {
        struct peak_rate *rate = &peaks->sets[i].flops;
        list[count++] = (struct measurement){
            .kind = MEASURE_FLOPS, .kernels = kernels[i], .rate = all ? &rate->all_threads : &rate->one_thread};
    }
    for (int i = 0; i < PEAKS_LEVELS; i++) {
        size_t work_bytes = all ? peaks->levels[i].each_bytes : peaks->levels[i].one_bytes;
        struct peak_rate *rates[2] = {&peaks->levels[i].read_bytes, &peaks->levels[i].copy_bytes};
        for (int copy = 0; copy < 2 && work_bytes > 0; copy++) {
            list[count++] = (struct measurement){.kind = copy ? MEASURE_COPY : MEASURE_READ,
                                                 .kernels = kernels[0],
                                                 .work_bytes = work_bytes,
                                                 .rate = all ? &rates[copy]->all_threads : &rates[copy]->one_thread};
        }
    }
    return measure(list, count, all ? peaks->threads : 1, pace, error);
}

static void predict(const struct machine *machine, struct peaks *peaks) {
    int cores = machine->cores > 0 && machine->cores < peaks->threads ? machine->cores : peaks->threads;
    for (size_t i = 0; i < peaks->set_count; i++) {
        double a_cycle = machine_flops_per_cycle(machine, peaks->sets[i].isa);
        peaks->sets[i].predicted_flops.one_thread = a_cycle * peaks->clock_hz.one_thread;
        peaks->sets[i].predicted_flops.all_threads = a_cycle * peaks->clock_hz.all_threads * cores;
    }
}

enum vaemark_status peaks_measure(const struct machine *machine, const struct doctor_pace *pace, struct peaks *peaks,
                                  struct error *error) {
    size_t known = 0;
    const struct peak_kernels *const *all = peak_kernel_sets(&known);
    const struct peak_kernels *supported[PEAKS_MAX_SETS];
    const double none = (double)NAN;
    *peaks = (struct peaks){.threads = environment_cpu_count(), .clock_hz = {none, none}};
    for (size_t i = 0; i < known && peaks->set_count < PEAKS_MAX_SETS; i++) {
        if (all[i]->is_supported()) {
            peaks->sets[peaks->set_count].isa = all[i]->name;
            peaks->sets[peaks->set_count].flops = (struct peak_rate){none, none};
            supported[peaks->set_count++] = all[i];
        }
    }
    size_levels(machine, pace, peaks);
    enum vaemark_status status = measure_with(peaks, supported, false, pace, error);
    if (status == VAEMARK_OK) {
        status = measure_with(peaks, supported, true, pace, error);
    }
    predict(machine, peaks);
    return status;
}

/* ---- The two ceilings of a roofline ---- */

enum vaemark_status peaks_measure_ceilings(const struct machine *machine, const struct doctor_pace *pace, int threads,
                                           struct peaks_ceilings *ceilings, struct error *error) {
    struct measurement list[PEAKS_MAX_SETS + 2];
    double flops_per_s[PEAKS_MAX_SETS], bytes_per_s[2] = {NAN, NAN};
    size_t known = 0, sets = 0;
    const struct peak_kernels *const *all = peak_kernel_sets(&known);
    int cpus = environment_cpu_count();
    *ceilings = (struct peaks_ceilings){.threads = threads < 1 || threads > cpus ? cpus : threads,
                                        .isa = "",
                                        .flops_per_s = (double)NAN,
                                        .memory_bytes_per_s = (double)NAN};
    for (size_t i = 0; i < known && sets < PEAKS_MAX_SETS; i++) {
        if (all[i]->is_supported()) {
            list[sets] = (struct measurement){.kind = MEASURE_FLOPS, .kernels = all[i], .rate = &flops_per_s[sets]};
            sets++;
        }
    }
    size_t count = sets, memory = memory_bytes(machine, pace);
    for (int copy = 0; copy < 2 && sets > 0 && memory > 0; copy++) {
        list[count++] = (struct measurement){.kind = copy ? MEASURE_COPY : MEASURE_READ,
                                             .kernels = list[0].kernels,
                                             .work_bytes = round_down((double)memory / ceilings->threads),
                                             .rate = &bytes_per_s[copy]};
    }
    enum vaemark_status status = measure(list, count, ceilings->threads, pace, error);
    for (size_t i = 0; status == VAEMARK_OK && i < sets; i++) {
        if (!(flops_per_s[i] <= ceilings->flops_per_s)) {
            ceilings->flops_per_s = flops_per_s[i];
            ceilings->isa = list[i].kernels->name;
        }
    }
    ceilings->memory_bytes_per_s = status == VAEMARK_OK ? fmax(bytes_per_s[0], bytes_per_s[1]) : (double)NAN;
    return status;
}
