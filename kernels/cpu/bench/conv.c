/* The convolutions of the decoders by backend cpu and by oneDNN, layer by layer, in one process and in turn.
 *
 *   cmake --build build --target bench_conv          (there is one where oneDNN was found: Debian's libdnnl-dev)
 *   build/kernels/cpu/bench_conv --help
 *
 * A round is every form of the layer in turn, the next round goes the other way, so that what disturbs the machine
 * disturbs all. A form's figure is its median over the rounds, a ratio the median of the rounds' ratios. A form's
 * output is compared before any of its times is believed.
 *
 * Both libraries get threads of the same OpenMP, the same number of them, and memory of the same kind; both convolve
 * between layouts of their own choice, and what leads into and out of these is not timed. oneDNN's convolution knows no
 * upsampling: there it is a resampling and a convolution that are timed. Weights are reordered beforehand, but for
 * those of our Winograd, which are transformed in each decode, in the time. */
#include <getopt.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "kernels/cpu/bench/conv.h"

/* Calls of small layers are repeated until a sample lasts so long. */
#define SAMPLE_NS 2e7
enum { MOST_CALLS = 500, DEFAULT_ROUNDS = 5, MAX_GLOBS = 16, MAX_THREADS = 1024 };

/* As docs/bounds.md has them: sums in another order differ by at most 2e-5 of the largest value, Winograd's by five
 * times that. oneDNN may take Winograd's form for `auto`. */
#define DIRECT_BOUND   2e-5
#define WINOGRAD_BOUND (5.0 * DIRECT_BOUND)

const struct conv_form conv_forms[CONV_FORM_COUNT] = {
    [CPU_FP32] = {"cpu fp32", "cpu_fp32", &conv_cpu, "fp32", WINOGRAD_BOUND},
    [CPU_STRICT] = {"cpu fp32-strict", "cpu_fp32_strict", &conv_cpu, "fp32-strict", DIRECT_BOUND},
    [ONEDNN_DIRECT] = {"oneDNN direct", "onednn_direct", &conv_onednn, "direct", DIRECT_BOUND},
    [ONEDNN_AUTO] = {"oneDNN auto", "onednn_auto", &conv_onednn, "auto", WINOGRAD_BOUND},
    [ONEDNN_WINOGRAD] = {"oneDNN winograd", "onednn_winograd", &conv_onednn, "winograd", WINOGRAD_BOUND},
};

struct arguments {
    int rounds, threads;
    double bound; /* 0 or more: instead of the forms' own */
    const char *globs[MAX_GLOBS];
    size_t glob_count;
    const char *json;
    bool list;
};

/* ---- one layer ---- */

struct measurement {
    const struct arguments *arguments;
    struct conv_problem problem;
    struct conv_result *result;
    void *opened[CONV_FORM_COUNT];
    int calls[CONV_FORM_COUNT];
    float *expected, *output;
};

/* The largest difference, of the largest expected value; NaN or infinity where there is nothing to believe. */
static double find_difference(const float *output, const float *expected, size_t count) {
    double difference = 0.0, largest = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double d = fabs((double)output[i] - (double)expected[i]), e = fabs((double)expected[i]);
        difference = d > difference || isnan(d) ? d : difference; /* once NaN, it stays */
        largest = e > largest ? e : largest;
    }
    return difference / largest;
}

/* Opens a form; of oneDNN's, one that does not exist, or is the direct one once more, is closed at once. */
static enum vaemark_status open_form(struct measurement *m, enum conv_form_index index, struct error *error) {
    const struct conv_form *form = &conv_forms[index];
    struct conv_form_result *r = &m->result->forms[index];
    enum vaemark_status status = form->library->open(&m->problem, form->form, &m->opened[index], &r->facts, error);
    if (index <= ONEDNN_DIRECT) {
        return status;
    }
    if (status == VAEMARK_UNSUPPORTED_MODEL) {
        r->state = CONV_NONE;
        return VAEMARK_OK;
    }
    if (status == VAEMARK_OK && strcmp(r->facts.kernel, m->result->forms[ONEDNN_DIRECT].facts.kernel) == 0) {
        r->state = CONV_AS_DIRECT;
        form->library->close(m->opened[index]);
        m->opened[index] = NULL;
    }
    return status;
}

/* Runs a form over an output of NaN and compares; the second run, warm, tells how many calls make a sample. */
static enum vaemark_status try_form(struct measurement *m, enum conv_form_index index, struct error *error) {
    struct conv_form_result *r = &m->result->forms[index];
    const size_t count = conv_problem_output_elements(&m->problem);
    float *output = index == ONEDNN_DIRECT ? m->expected : m->output;
    double time_ns = 0.0;
    enum vaemark_status status = VAEMARK_OK;
    for (int i = 0; i < 2 && status == VAEMARK_OK; i++) {
        for (size_t k = 0; k < count; k++) {
            output[k] = NAN;
        }
        status = conv_forms[index].library->run(m->opened[index], output, &time_ns, error);
    }
    r->difference = find_difference(output, m->expected, count);
    r->agrees = r->difference <= (m->arguments->bound >= 0.0 ? m->arguments->bound : conv_forms[index].bound);
    m->calls[index] = time_ns * MOST_CALLS < SAMPLE_NS ? MOST_CALLS : (int)ceil(SAMPLE_NS / time_ns);
    return status;
}

/* oneDNN's direct form first: the others are compared with it. */
static enum vaemark_status open_forms(struct measurement *m, struct error *error) {
    static const enum conv_form_index ORDER[] = {ONEDNN_DIRECT, CPU_FP32, CPU_STRICT, ONEDNN_AUTO, ONEDNN_WINOGRAD};
    enum vaemark_status status = VAEMARK_OK;
    for (size_t i = 0; i < CONV_FORM_COUNT && status == VAEMARK_OK; i++) {
        status = open_form(m, ORDER[i], error);
        if (status == VAEMARK_OK && m->opened[ORDER[i]] != NULL) {
            status = try_form(m, ORDER[i], error);
        }
    }
    return status;
}

static enum vaemark_status take_sample(struct measurement *m, enum conv_form_index index, int round,
                                       struct error *error) {
    double sum_ns = 0.0, time_ns = 0.0;
    enum vaemark_status status = VAEMARK_OK;
    for (int i = 0; i < m->calls[index] && status == VAEMARK_OK; i++) {
        status = conv_forms[index].library->run(m->opened[index], m->output, &time_ns, error);
        sum_ns += time_ns;
    }
    m->result->forms[index].samples_ns[round] = sum_ns / m->calls[index];
    return status;
}

static enum vaemark_status take_samples(struct measurement *m, struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    for (int round = 0; round < m->result->rounds; round++) {
        for (int turn = 0; turn < CONV_FORM_COUNT && status == VAEMARK_OK; turn++) {
            const enum conv_form_index index =
                (enum conv_form_index)(round % 2 == 0 ? turn : CONV_FORM_COUNT - 1 - turn);
            if (m->opened[index] != NULL) {
                status = take_sample(m, index, round, error);
            }
        }
    }
    return status;
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(const double *values, int count) {
    double sorted[CONV_MAX_ROUNDS];
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, compare_doubles);
    return 0.5 * (sorted[(count - 1) / 2] + sorted[count / 2]);
}

static void conclude(struct conv_result *r) {
    double ratios[CONV_MAX_ROUNDS];
    r->best = ONEDNN_DIRECT;
    for (enum conv_form_index i = 0; i < CONV_FORM_COUNT; i++) {
        r->forms[i].median_ns = r->forms[i].state == CONV_MEASURED ? median_of(r->forms[i].samples_ns, r->rounds) : 0.0;
        if (i > r->best && r->forms[i].state == CONV_MEASURED && r->forms[i].median_ns < r->forms[r->best].median_ns) {
            r->best = i;
        }
    }
    for (enum conv_form_index i = 0; i < ONEDNN_DIRECT; i++) {
        for (int round = 0; round < r->rounds; round++) {
            ratios[round] = r->forms[i].samples_ns[round] / r->forms[r->best].samples_ns[round];
        }
        r->ratios[i] = median_of(ratios, r->rounds);
    }
}

static void close_measurement(struct measurement *m) {
    for (size_t i = 0; i < CONV_FORM_COUNT; i++) {
        conv_forms[i].library->close(m->opened[i]);
    }
    free(m->expected);
    free(m->output);
    conv_problem_close(&m->problem);
}

static enum vaemark_status measure_layer(const struct conv_layer *layer, const struct arguments *arguments,
                                         struct conv_result *result, struct error *error) {
    struct measurement m = {.arguments = arguments, .result = result};
    enum vaemark_status status = conv_problem_open(layer, arguments->threads, &m.problem, error);
    *result = (struct conv_result){.place = layer->place, .rounds = arguments->rounds, .flops = m.problem.flops};
    memcpy(result->name, m.problem.name, sizeof result->name);
    if (status == VAEMARK_OK) {
        const size_t size_bytes = conv_problem_output_elements(&m.problem) * sizeof(float);
        m.expected = conv_allocate(size_bytes, arguments->threads);
        m.output = conv_allocate(size_bytes, arguments->threads);
        status = m.expected != NULL && m.output != NULL
                     ? open_forms(&m, error)
                     : error_set_at(error, VAEMARK_OUT_OF_MEMORY, m.problem.name, "no memory for the outputs");
    }
    if (status == VAEMARK_OK) {
        status = take_samples(&m, error);
    }
    if (status == VAEMARK_OK) {
        conclude(result);
    }
    close_measurement(&m);
    return status;
}

/* ---- command line ---- */

static void print_help(FILE *stream, const char *program) {
    fprintf(stream,
            "usage: %s [OPTION...]\n"
            "Times convolution layers by backend cpu and by oneDNN, in turn, and compares their outputs.\n"
            "  --rounds N     rounds, 1 to %d (default: %d)\n"
            "  --threads N    threads of both (default: all that this process may use)\n"
            "  --layer GLOB   only the layers whose name, or place (sd15, taesd, awkward), matches; may be repeated\n"
            "  --bound X      the largest difference that counts as agreement, of the largest value (default: %g for\n"
            "                 direct sums, %g where a form may be Winograd's)\n"
            "  --json FILE    all figures, with each round's, for programs\n"
            "  --list         names the layers and ends\n"
            "Environment: OMP_WAIT_POLICY (passive unless it is set, as in vaemark's workers), ONEDNN_MAX_CPU_ISA "
            "(oneDNN's\n"
            "own: caps its instruction set), TMPDIR (where a layer's weights are for a moment).\n"
            "Exit codes: 0 all outputs agree, 1 some do not, or a library failed, 2 usage.\n",
            program, CONV_MAX_ROUNDS, DEFAULT_ROUNDS, DIRECT_BOUND, WINOGRAD_BOUND);
}

static bool read_integer(const char *text, int most, int *value) {
    char *end;
    const long number = strtol(text, &end, 10);
    *value = (int)number;
    return end != text && *end == '\0' && number >= 1 && number <= most;
}

static bool read_bound(const char *text, double *value) {
    char *end;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && *value >= 0.0;
}

static bool take_option(struct arguments *a, int option) {
    switch (option) {
    case 'r':
        return read_integer(optarg, CONV_MAX_ROUNDS, &a->rounds);
    case 't':
        return read_integer(optarg, MAX_THREADS, &a->threads);
    case 'b':
        return read_bound(optarg, &a->bound);
    case 'l':
        return a->glob_count < MAX_GLOBS && (a->globs[a->glob_count++] = optarg) != NULL;
    case 'j':
        a->json = optarg;
        return true;
    case 'L':
        a->list = true;
        return true;
    default:
        return false;
    }
}

/* -1: go on; else the exit code. */
static int read_arguments(struct arguments *a, int argc, char **argv) {
    static const struct option OPTIONS[] = {
        {"rounds", required_argument, NULL, 'r'}, {"threads", required_argument, NULL, 't'},
        {"layer", required_argument, NULL, 'l'},  {"bound", required_argument, NULL, 'b'},
        {"json", required_argument, NULL, 'j'},   {"list", no_argument, NULL, 'L'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    int option, index = 0;
    while ((option = getopt_long(argc, argv, "h", OPTIONS, &index)) != -1) {
        if (option == 'h') {
            print_help(stdout, argv[0]);
            return 0;
        }
        if (!take_option(a, option)) {
            if (option != '?') {
                fprintf(stderr, "%s: --%s does not take '%s'\n", argv[0], OPTIONS[index].name, optarg);
            }
            fprintf(stderr, "%s: see --help\n", argv[0]);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: '%s' is no option; see --help\n", argv[0], argv[optind]);
        return 2;
    }
    return -1;
}

static bool is_selected(const struct arguments *a, const struct conv_layer *layer) {
    const struct conv_problem problem = conv_problem_describe(layer, a->threads);
    bool selected = a->glob_count == 0;
    for (size_t i = 0; i < a->glob_count && !selected; i++) {
        selected = text_glob_match(a->globs[i], problem.name) != 0 || text_glob_match(a->globs[i], layer->place) != 0;
    }
    if (selected && a->list) {
        printf("%-32s %s\n", problem.name, layer->place);
    }
    return selected;
}

/* OpenMP reads it when the program is loaded: set here, it is there in the program that takes this one's place. */
static void settle_wait_policy(char **argv) {
    if (getenv("OMP_WAIT_POLICY") == NULL && setenv("OMP_WAIT_POLICY", "passive", 1) == 0) {
        (void)execv("/proc/self/exe", argv);
        perror("bench_conv: cannot start again with OMP_WAIT_POLICY=passive; goes on without");
    }
}

static void print_conditions(const struct arguments *a, FILE *stream) {
    double load[3] = {0.0};
    (void)getloadavg(load, 3);
    fprintf(stream, "%d threads, OMP_WAIT_POLICY=%s, %d rounds in turn, load average %.2f %.2f %.2f\n", a->threads,
            getenv("OMP_WAIT_POLICY"), a->rounds, load[0], load[1], load[2]);
}

/* Stops at the first layer that cannot be measured. */
static enum vaemark_status measure_layers(const struct arguments *a, struct conv_result *results, size_t *count,
                                          struct error *error) {
    enum vaemark_status status = VAEMARK_OK;
    *count = 0;
    for (size_t i = 0; i < conv_layer_count && status == VAEMARK_OK; i++) {
        if (!is_selected(a, &conv_layers[i])) {
            continue;
        }
        status = measure_layer(&conv_layers[i], a, &results[*count], error);
        if (status == VAEMARK_OK) {
            conv_print_result(stdout, &results[(*count)++]);
            fflush(stdout);
        }
    }
    return status;
}

static bool all_agree(const struct conv_result *results, size_t count) {
    bool agree = true;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < CONV_FORM_COUNT; k++) {
            agree = agree && (results[i].forms[k].state != CONV_MEASURED || results[i].forms[k].agrees);
        }
    }
    return agree;
}

static int run(const struct arguments *a) {
    struct error error = {.status = VAEMARK_OK};
    char text[1600];
    size_t count = 0;
    struct conv_result *results = calloc(conv_layer_count, sizeof *results);
    if (results == NULL) {
        perror("bench_conv");
        return 1;
    }
    if (!conv_onednn_describe(stdout)) {
        fprintf(stderr, "bench_conv: this oneDNN has threads of its own and would not keep to --threads\n");
        free(results);
        return 1;
    }
    print_conditions(a, stdout);
    conv_print_header(stdout);
    enum vaemark_status status = measure_layers(a, results, &count, &error);
    conv_print_summary(stdout, results, count);
    if (status == VAEMARK_OK && a->json != NULL) {
        status = conv_write_json(a->json, results, count, a->threads, &error);
    }
    if (status != VAEMARK_OK) {
        fprintf(stderr, "bench_conv: %s: %s\n", status_name(status), error_text(&error, text, sizeof text));
    }
    const bool agree = all_agree(results, count);
    if (!agree) {
        fprintf(stderr, "bench_conv: outputs that differ by more than the bound; their times mean nothing\n");
    }
    free(results);
    return status == VAEMARK_OK && agree ? 0 : 1;
}

int main(int argc, char **argv) {
    struct arguments arguments = {.rounds = DEFAULT_ROUNDS, .threads = omp_get_num_procs(), .bound = -1.0};
    size_t selected = 0;
    const int code = read_arguments(&arguments, argc, argv);
    if (code >= 0) {
        return code;
    }
    for (size_t i = 0; i < conv_layer_count; i++) {
        selected += is_selected(&arguments, &conv_layers[i]) ? 1 : 0;
    }
    if (selected == 0) {
        fprintf(stderr, "%s: no layer matches; --list names them\n", argv[0]);
        return 2;
    }
    if (arguments.list) {
        return 0;
    }
    settle_wait_policy(argv);
    omp_set_dynamic(0);
    omp_set_num_threads(arguments.threads); /* what oneDNN goes by; backend cpu is told */
    return run(&arguments);
}
