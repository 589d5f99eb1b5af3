#include "support_worker.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "reference/model.h"
#include "reference/tensor.h"

static char model_folder[512], config_path[1024], weights_file[1024], mark[64];

struct worker_model support_model(const char *preset) {
    struct error error;
    struct model *model;
    const char *source = getenv("VAEMARK_SOURCE");
    cr_assert(source, "VAEMARK_SOURCE is not set: run the tests by ctest");
    snprintf(config_path, sizeof config_path, "%s/models/%s/config.json", source, preset);
    if (!model_folder[0]) {
        snprintf(model_folder, sizeof model_folder, "%s", "/tmp/vaemark-test-XXXXXX");
        cr_assert(mkdtemp(model_folder));
    }
    snprintf(weights_file, sizeof weights_file, "%s/%s.safetensors", model_folder, preset);
    cr_assert_eq(model_open_config(config_path, preset, &model, &error), VAEMARK_OK, "%s", error.message);
    cr_assert_eq(weights_synthesize(model->graph, 1, weights_file, &error), VAEMARK_OK, "%s", error.message);
    model_free(model);
    return (struct worker_model){.name = preset, .config_path = config_path, .weights_path = weights_file};
}

void support_model_remove(void) {
    DIR *folder = model_folder[0] ? opendir(model_folder) : NULL;
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    rmdir(model_folder);
}

const char *support_faulty(const char *fault) {
    static char name[1100];
    const char *library = getenv("VAEMARK_FAULTY");
    cr_assert(library, "VAEMARK_FAULTY is not set: run the tests by ctest");
    setenv("VAEMARK_FAULT", fault, 1);
    snprintf(name, sizeof name, "plugin:%s", library);
    return name;
}

struct worker *support_start(const char *backend, double timeout_s) {
    struct error error;
    struct worker *worker;
    struct worker_start start = {.backend = backend, .segment_size_bytes = 4 << 20, .timeout_s = timeout_s};
    cr_assert_eq(worker_start(&start, &worker, NULL, &error), VAEMARK_OK, "%s", error.message);
    return worker;
}

struct worker *support_start_open(const char *backend, const char *preset, double timeout_s) {
    struct error error;
    struct worker_model model = support_model(preset);
    struct worker *worker = support_start(backend, 120.0);
    cr_assert_eq(worker_open(worker, &model, NULL, &error), VAEMARK_OK, "%s", error.message);
    worker_set_timeout(worker, timeout_s);
    return worker;
}

static void fill(struct worker *worker, const struct segment_tensor *latents, const char *stream) {
    float *data = segment_data(worker_segment(worker), latents); /* (1,4,8,8) */
    for (uint64_t i = 0; i < 4 * 8 * 8; i++)
        data[i] = synthetic_normal(1, stream, i);
}

void support_place(struct worker *worker, struct support_places *places) {
    struct error error;
    struct worker_plan plan;
    struct segment *segment = worker_segment(worker);
    memset(places, 0, sizeof *places);
    for (int i = 0; i < 2; i++) {
        places->latents[i] =
            (struct segment_tensor){.name = "latents", .dtype = VAEMARK_F32, .rank = 4, .shape = {1, 4, 8, 8}};
        cr_assert_eq(segment_place(segment, &places->latents[i], &error), VAEMARK_OK, "%s", error.message);
        fill(worker, &places->latents[i], i == 0 ? "first" : "second");
    }
    cr_assert_eq(worker_prepare(worker, places->latents, 1, &plan, &error), VAEMARK_OK, "%s", error.message);
    places->image = (struct segment_tensor){.name = "image", .dtype = plan.image_dtype, .rank = plan.image_rank};
    memcpy(places->image.shape, plan.image_shape, sizeof plan.image_shape);
    places->kept = places->image;
    cr_assert_eq(segment_place(segment, &places->image, &error), VAEMARK_OK, "%s", error.message);
    cr_assert_eq(segment_place(segment, &places->kept, &error), VAEMARK_OK, "%s", error.message);
}

enum vaemark_status support_decode_once(struct worker *worker, struct support_places *places,
                                        struct worker_sample *sample, struct error *error) {
    const struct segment_tensor *sets[] = {&places->latents[0]};
    struct worker_decode decode = {.sets = sets,
                                   .set_count = 1,
                                   .inputs_per_set = 1,
                                   .image = places->image,
                                   .count = 1,
                                   .decodes_per_sample = 1,
                                   .samples = sample};
    return worker_decode(worker, &decode, error);
}

void support_mark(void) {
    snprintf(mark, sizeof mark, "%d-%p", (int)getpid(), (void *)mark);
    setenv("VAEMARK_TEST_MARK", mark, 1);
}

static bool process_is_marked(const char *pid) {
    char path[64], wanted[128];
    static char environment[1 << 16];
    snprintf(path, sizeof path, "/proc/%.20s/environ", pid);
    int length = snprintf(wanted, sizeof wanted, "VAEMARK_TEST_MARK=%s", mark);
    FILE *file = fopen(path, "re");
    size_t size = file ? fread(environment, 1, sizeof environment, file) : 0;
    if (file)
        fclose(file);
    return memmem(environment, size, wanted, (size_t)length + 1) != NULL;
}

int support_count_marked(void) {
    int count = 0;
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        if (isdigit((unsigned char)entry->d_name[0]) && atoi(entry->d_name) != getpid())
            count += process_is_marked(entry->d_name);
    if (folder)
        closedir(folder);
    return count;
}

bool support_wait_marked(int least, int most) {
    for (int i = 0; i < 3000; i++) {
        int count = support_count_marked();
        if (count >= least && count <= most)
            return true;
        poll(NULL, 0, 10);
    }
    return false;
}

int support_count_descriptors(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}
