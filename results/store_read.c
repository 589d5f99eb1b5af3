/* Reading what may come from anywhere. A file with a whole seal is what we wrote. One without (made or rewritten by
 * other software) is read by a child process first: HDF5 1.10 can be crashed by files made for it, and then the child's
 * death is our error message. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "results/beside.h"
#include "results/store_hdf5.h"
#include "results/store_seal.h"
#include "results/store_table.h"

enum { TRIAL_SECONDS = 60 };

/* 1: one scalar text; 0: no such attribute, or of another kind; the caller frees *text. */
static bool read_text_attribute(hid_t object, const char *name, char **text) {
    *text = NULL;
    if (H5Aexists(object, name) <= 0) {
        return false;
    }
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    hid_t file_type = attribute >= 0 ? H5Aget_type(attribute) : -1;
    hid_t space = attribute >= 0 ? H5Aget_space(attribute) : -1;
    char *read = NULL;
    if (file_type >= 0 && space >= 0 && H5Tget_class(file_type) == H5T_STRING && H5Tis_variable_str(file_type) > 0 &&
        H5Sget_simple_extent_npoints(space) == 1) {
        hid_t type = hdf5_text_type(H5Tget_cset(file_type));
        if (H5Aread(attribute, type, &read) >= 0) {
            *text = strdup(read ? read : "");
        }
        H5Tclose(type);
    }
    H5free_memory(read);
    H5Sclose(space);
    H5Tclose(file_type);
    H5Aclose(attribute);
    return *text != NULL;
}

static bool read_schema_version(hid_t file, int64_t *version) {
    if (H5Aexists(file, "schema_version") <= 0) {
        return false;
    }
    hid_t attribute = H5Aopen(file, "schema_version", H5P_DEFAULT);
    hid_t type = attribute >= 0 ? H5Aget_type(attribute) : -1;
    hid_t space = attribute >= 0 ? H5Aget_space(attribute) : -1;
    bool done = type >= 0 && space >= 0 && H5Tget_class(type) == H5T_INTEGER &&
                H5Sget_simple_extent_npoints(space) == 1 && H5Aread(attribute, H5T_NATIVE_INT64, version) >= 0;
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return done;
}

static bool check_version(hid_t file, const char *path, struct results_error *error) {
    char *magic = NULL;
    bool ours = read_text_attribute(file, "vaemark", &magic) && strcmp(magic, "run") == 0;
    free(magic);
    int64_t version = 0;
    if (!ours || !read_schema_version(file, &version)) {
        return results_fail(error,
                            "%s: is an HDF5 file, but not one of vaemark's (no attributes 'vaemark' and "
                            "'schema_version' on /); give a file that 'vaemark run --out FILE' wrote",
                            path);
    }
    if (version != RESULTS_SCHEMA_VERSION) {
        return results_fail(error,
                            "%s: has schema version %lld, this vaemark reads version %d; read it with the vaemark that "
                            "wrote it, or repeat the run with this one",
                            path, (long long)version, RESULTS_SCHEMA_VERSION);
    }
    return true;
}

/* Anything on / that is a text is a fact; the record itself refuses the reserved names. */
static herr_t take_fact(hid_t file, const char *name, const H5A_info_t *info, void *context) {
    (void)info;
    struct record *record = context;
    char *value = NULL;
    char *unit = NULL;
    char *unit_name = NULL;
    if (read_text_attribute(file, name, &value) && asprintf(&unit_name, "%s__unit", name) >= 0) {
        read_text_attribute(file, unit_name, &unit);
        record_add_fact(record, name, value, unit);
        free(unit_name);
    }
    free(unit);
    free(value);
    return 0;
}

static void read_facts(hid_t file, struct record *record) {
    hsize_t place = 0;
    if (H5Aiterate2(file, H5_INDEX_CRT_ORDER, H5_ITER_INC, &place, take_fact, record) < 0) {
        place = 0; /* written by software that keeps no order */
        H5Aiterate2(file, H5_INDEX_NAME, H5_ITER_INC, &place, take_fact, record);
    }
}

static hid_t open_file(const char *path, struct results_error *error) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_file_locking(access, false, true); /* some cluster file systems have no locks; we only read */
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (file < 0) {
        hdf5_fail(error, path, "HDF5", "cannot open it: the file is damaged or cut short; copy it again");
    }
    H5Pclose(access);
    return file;
}

static struct record *read_record(const char *path, struct results_error *error) {
    hid_t file = open_file(path, error);
    if (file < 0) {
        return NULL;
    }
    struct record *record = record_create();
    bool done = record || results_fail(error, "%s: cannot be read: out of memory", path);
    done = done && check_version(file, path, error);
    if (done) {
        read_facts(file, record);
    }
    for (int i = 0; done && i < TABLE_COUNT; i++) {
        done = store_read_table(file, path, (enum table_id)i, record, error);
    }
    done = done && store_read_images(file, path, record, error);
    H5Fclose(file);
    if (!done) {
        record_free(record);
        return NULL;
    }
    return record;
}

/* In the child: reads everything, says what went wrong, and leaves without the parent's exit handlers. */
static _Noreturn void try_in_child(const char *path, int answer) {
    static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
        signal(deadly[i], SIG_DFL);
    }
    alarm(TRIAL_SECONDS);
    struct results_error error = {""};
    struct record *record = read_record(path, &error);
    bool told = record || write(answer, &error, sizeof error) == (ssize_t)sizeof error;
    record_free(record);
    _exit(record && told ? 0 : 1);
}

static bool survives_trial(const char *path, struct results_error *error) {
    int answer[2];
    if (pipe2(answer, O_CLOEXEC) != 0) {
        return results_fail(error, "%s: cannot be read: %s", path, strerror(errno));
    }
    pid_t child = fork();
    if (child == 0) {
        try_in_child(path, answer[1]);
    }
    close(answer[1]);
    struct results_error said = {""};
    bool told = child > 0 && read(answer[0], &said, sizeof said) == (ssize_t)sizeof said;
    close(answer[0]);
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return true;
    }
    said.message[sizeof said.message - 1] = '\0';
    if (told) {
        return results_fail(error, "%s", said.message);
    }
    return results_fail(error,
                        "%s: is damaged, or made to do harm: HDF5 crashed or hung on it in a child process; copy it "
                        "again, or repeat the run",
                        path);
}

/* What HDF5 would not say clearly. Sets *seal. */
static bool check_file(const char *path, enum seal_state *seal, struct results_error *error) {
    struct stat status;
    int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe of that name must not block us */
    if (descriptor < 0) {
        return results_fail(error, "%s: cannot be opened: %s; give a file that 'vaemark run --out FILE' wrote", path,
                            strerror(errno));
    }
    static const char journal_start[] = "vaemark journal ";
    char start[sizeof journal_start - 1];
    bool done = true;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        done = results_fail(error, "%s: is %s, not a file; give a file that 'vaemark run --out FILE' wrote", path,
                            S_ISDIR(status.st_mode) ? "a folder" : "a device or pipe");
    } else if (status.st_size == 0) {
        done = results_fail(error, "%s: is empty; repeat the run that should have written it", path);
    } else if (pread(descriptor, start, sizeof start, 0) == (ssize_t)sizeof start &&
               memcmp(start, journal_start, sizeof start) == 0) {
        done = results_fail(error,
                            "%s: is the journal of a run that is not over; 'vaemark run --resume --out FILE' with the "
                            "options of that run finishes it",
                            path);
    } else {
        *seal = seal_verify(descriptor, path, error);
        done = *seal != SEAL_BROKEN;
    }
    close(descriptor);
    if (done && *seal == SEAL_MISSING && H5Fis_hdf5(path) <= 0) {
        done = results_fail(error, "%s: is not an HDF5 file; give a file that 'vaemark run --out FILE' wrote", path);
    }
    return done;
}

struct record *store_read(const char *path, struct results_error *error) {
    enum seal_state seal = SEAL_MISSING;
    hdf5_silence();
    if (!check_file(path, &seal, error) || (seal == SEAL_MISSING && !survives_trial(path, error))) {
        return NULL;
    }
    return read_record(path, error);
}
