/* What runs here and what it finds: backends, drivers, tools, folders. */
#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"
#include "harness/decoder_spec.h"
#include "harness/doctor/doctor.h"
#include "harness/list_json.h"
#include "harness/worker/serve.h"
#include "harness/worker/worker.h"
#include "kernels/cpu/kernels.h"

/* ---- Backends ---- */

static json_t *backend_row(const char *name, bool available, const char *reason) {
    json_t *why = available || !reason ? json_null() : json_string(reason);
    return json_pack("{s:s, s:b, s:o, s:n, s:n}", "name", name, "available", (int)available, "reason",
                     why ? why : json_string("?"), "description", "isa");
}

static bool library_found(const char *name) {
    void *library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
    if (library) {
        dlclose(library);
    }
    return library != NULL;
}

static int count_opencl_drivers(void) {
    char full[256];
    int count = 0;
    DIR *folder = opendir(system_path("/etc/OpenCL/vendors", full, sizeof full));
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const char *dot = strrchr(entry->d_name, '.');
        count += dot && strcmp(dot, ".icd") == 0;
    }
    if (folder) {
        closedir(folder);
    }
    return count;
}

/* Backends that this version does not have; whether their drivers are here says what a later one could use. */
static void add_absent(json_t *rows) {
    char text[256];
    snprintf(text, sizeof text, "not built in; a driver is %s (libcuda.so.1)",
             library_found("libcuda.so.1") ? "installed" : "not found");
    json_array_append_new(rows, backend_row("cuda", false, text));
    bool loader = library_found("libOpenCL.so.1");
    snprintf(text, sizeof text,
             "not built in; the ICD loader is %s (libOpenCL.so.1), with %d driver%s in /etc/OpenCL/vendors",
             loader ? "installed" : "not found", count_opencl_drivers(), count_opencl_drivers() == 1 ? "" : "s");
    json_array_append_new(rows, backend_row("opencl", false, text));
}

/* A decoder of the command line is asked in a process of its own, as a run would. */
static json_t *ask_decoder(const char *text) {
    struct decoder_spec spec;
    struct worker *worker = NULL;
    struct worker_fate fate = {.kind = WORKER_ALIVE};
    struct error error = {0};
    json_t *row = NULL;
    enum vaemark_status status = decoder_spec_parse(text, &spec, &error);
    if (status == VAEMARK_OK) {
        struct worker_start start = {.backend = spec.backend, .segment_size_bytes = 1 << 16, .timeout_s = 10};
        status = worker_start(&start, &worker, &fate, &error);
    }
    if (status == VAEMARK_OK) {
        const struct worker_hello *hello = worker_hello(worker);
        row = backend_row(spec.name, hello->available, hello->reason);
        json_object_set_new(row, "description", json_string(hello->description));
    } else {
        row = backend_row(text, false, fate.kind == WORKER_ALIVE ? error.message : fate.reason);
    }
    worker_stop(worker);
    return row;
}

json_t *doctor_backends(const struct text_list *decoders) {
    json_t *rows = json_array();
    for (size_t i = 0; builtin_backends[i]; i++) {
        json_t *probe = list_json_backend(builtin_backends[i]);
        json_t *row = backend_row(builtin_backends[i]->name, json_is_true(json_object_get(probe, "available")),
                                  json_string_value(json_object_get(probe, "reason")));
        json_object_set(row, "description", json_object_get(probe, "description"));
        const struct kernel_set *set = kernel_set_choose("auto");
        if (strcmp(builtin_backends[i]->name, "cpu") == 0 && set) {
            json_object_set_new(row, "isa", json_string(set->name));
        }
        json_array_append_new(rows, row);
        json_decref(probe);
    }
    add_absent(rows);
    for (size_t i = 0; i < decoders->count; i++) {
        json_array_append_new(rows, ask_decoder(decoders->items[i]));
    }
    return rows;
}

/* ---- Tools and folders ---- */

json_t *doctor_tools(void) {
    char line[128] = "";
    FILE *pipe = popen("gnuplot --version 2>/dev/null", "r"); /* NOLINT: found in PATH, as `report` finds it */
    if (pipe && !fgets(line, sizeof line, pipe)) {
        line[0] = '\0';
    }
    bool ran = pipe && pclose(pipe) == 0;
    line[strcspn(line, "\n")] = '\0';
    return json_pack("[{s:s, s:b, s:o, s:s}]", "name", "gnuplot", "available", (int)ran, "version",
                     ran ? json_string(line) : json_null(), "wanted_for", "the plots of 'vaemark report'");
}

static json_t *folder_row(const char *name, enum vaemark_status status, const char *path, const struct error *error) {
    struct statvfs room;
    bool found = status == VAEMARK_OK && path && access(path, R_OK | X_OK) == 0;
    bool writable = found && access(path, W_OK) == 0;
    bool known = found && statvfs(path, &room) == 0;
    double free_bytes = known ? (double)room.f_bavail * (double)room.f_frsize : 0;
    return json_pack("{s:s, s:o, s:b, s:b, s:o, s:o}", "name", name, "path", path ? json_string(path) : json_null(),
                     "found", (int)found, "writable", (int)writable, "free_bytes",
                     known ? json_integer((json_int_t)free_bytes) : json_null(), "problem",
                     status == VAEMARK_OK ? json_null() : json_string(error->message));
}

json_t *doctor_folders(void) {
    char *path = NULL;
    struct error error = {0};
    json_t *rows = json_array();
    enum vaemark_status status = cache_folder(&path, &error);
    json_array_append_new(rows, folder_row("cache", status, path, &error));
    free(path);
    path = NULL;
    status = data_folder(&path, &error);
    json_array_append_new(rows, folder_row("data", status, path, &error));
    free(path);
    return rows;
}
