/* Finding a checkpoint in a folder: its configuration, and the one file that is meant. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"
#include "reference/model.h"

#define WEIGHTS_SUFFIX ".safetensors"
#define STANDARD_STEM  "diffusion_pytorch_model"
#define STANDARD_NAME  STANDARD_STEM WEIGHTS_SUFFIX
#define STANDARD_INDEX STANDARD_NAME ".index.json"

enum { MAX_NAMES = 4096, MAX_SHOWN = 8 };

/* Names in a folder, of one kind, sorted. */
struct names {
    char *items[MAX_NAMES];
    size_t count;
};

/* What a folder holds that could be meant. */
struct listing {
    struct names checkpoints; /* safetensors files and indexes of shards */
    struct names shards;      /* parts of a checkpoint */
    struct names foreign;     /* checkpoints of other formats */
};

static bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), wanted = strlen(ending);
    return length > wanted && strcmp(text + length - wanted, ending) == 0;
}

static bool is_foreign(const char *name) {
    static const char *const ENDINGS[] = {".bin", ".ckpt", ".pt", ".pth", ".gguf", ".onnx", ".msgpack", ".h5", ".pb"};
    for (size_t i = 0; i < sizeof ENDINGS / sizeof ENDINGS[0]; i++) {
        if (ends_with(name, ENDINGS[i])) {
            return true;
        }
    }
    return false;
}

/* "x-00001-of-00003.safetensors" */
static bool is_shard(const char *name) {
    enum { NUMBERS = sizeof "-00001-of-00003" - 1 };
    size_t length = strlen(name) - strlen(WEIGHTS_SUFFIX);
    int part = 0, count = 0, end = 0;
    return length > NUMBERS && sscanf(name + length - NUMBERS, "-%5d-of-%5d%n", &part, &count, &end) == 2 &&
           end == NUMBERS;
}

/* Where a name that is not wanted goes: NULL. */
static struct names *choose_kind(struct listing *listing, const char *name) {
    if (name[0] == '.') {
        return NULL;
    }
    if (ends_with(name, ".json")) { /* also "x.safetensors.index.fp16.json", as the framework names a variant's */
        return strstr(name, WEIGHTS_SUFFIX ".index.") != NULL ? &listing->checkpoints : NULL;
    }
    if (!ends_with(name, WEIGHTS_SUFFIX)) {
        return is_foreign(name) ? &listing->foreign : NULL;
    }
    return is_shard(name) ? &listing->shards : &listing->checkpoints;
}

static int compare_names(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void names_sort(struct names *names) {
    qsort(names->items, names->count, sizeof names->items[0], compare_names); /* a folder's own order is none */
}

static void listing_free(struct listing *listing) {
    struct names *const all[] = {&listing->checkpoints, &listing->shards, &listing->foreign};
    for (size_t kind = 0; kind < sizeof all / sizeof all[0]; kind++) {
        for (size_t i = 0; i < all[kind]->count; i++) {
            free(all[kind]->items[i]);
        }
    }
    free(listing);
}

static enum vaemark_status set_no_memory(const char *folder, struct error *error) {
    return error_set_at(error, VAEMARK_OUT_OF_MEMORY, folder, "no memory");
}

/* NULL with the error filled in on failure. */
static struct listing *list_folder(const char *folder, struct error *error) {
    struct listing *listing = calloc(1, sizeof *listing);
    DIR *directory = listing == NULL ? NULL : opendir(folder);
    if (directory == NULL) {
        if (listing == NULL) {
            set_no_memory(folder, error);
        } else {
            error_set_at(error, VAEMARK_IO_ERROR, folder, "cannot be listed: %s", strerror(errno));
        }
        free(listing);
        return NULL;
    }
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        struct names *kind = choose_kind(listing, entry->d_name);
        if (kind != NULL && kind->count < MAX_NAMES && (kind->items[kind->count] = strdup(entry->d_name)) != NULL) {
            kind->count++;
        }
    }
    closedir(directory);
    names_sort(&listing->checkpoints);
    names_sort(&listing->shards);
    names_sort(&listing->foreign);
    return listing;
}

/* "a, b, ...": returns `text`. */
static const char *names_show(const struct names *names, char text[800]) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < names->count && i < MAX_SHOWN; i++) {
        used += (size_t)snprintf(text + used, 800 - used, "%s%.90s", i == 0 ? "" : ", ", names->items[i]);
    }
    snprintf(text + used, 800 - used, "%s", names->count > MAX_SHOWN ? ", ..." : "");
    return text;
}

static const char *names_find(const struct names *names, const char *name) {
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0) {
            return names->items[i];
        }
    }
    return NULL;
}

/* "x.fp16.safetensors" is a variant of "x.safetensors", and so with indexes. */
static bool is_variant(const struct names *names, const char *name) {
    for (size_t i = 0; i < names->count; i++) {
        char stem[256];
        const char *found = strstr(names->items[i], WEIGHTS_SUFFIX);
        snprintf(stem, sizeof stem, "%.*s", (int)(found - names->items[i]), names->items[i]);
        size_t length = strlen(stem);
        bool more = strncmp(name, stem, length) == 0 && name[length] == '.' &&
                    strncmp(name + length, WEIGHTS_SUFFIX, strlen(WEIGHTS_SUFFIX)) != 0;
        bool index_variant = strncmp(name, names->items[i], strlen(names->items[i]) - 5) == 0 &&
                             ends_with(names->items[i], ".index.json") && strcmp(name, names->items[i]) != 0;
        if (more || index_variant) {
            return true;
        }
    }
    return false;
}

static enum vaemark_status report_several(const char *folder, const struct names *names, struct error *error) {
    char list[800];
    return error_set_at(error, VAEMARK_BAD_INPUT, folder,
                        "holds %zu checkpoints (%.500s), and which one is meant cannot be told; name the file: "
                        "--weights %.200s/%.90s",
                        names->count, names_show(names, list), folder, names->items[0]);
}

static enum vaemark_status report_none(const char *folder, const struct listing *listing, struct error *error) {
    char list[800], command[512];
    if (listing->shards.count > 0) {
        return error_set_at(error, VAEMARK_BAD_INPUT, folder,
                            "holds shards (%.300s) but no index of them; fetch their .safetensors.index.json, too",
                            names_show(&listing->shards, list));
    }
    if (listing->foreign.count > 0) {
        weights_describe_conversion(listing->foreign.items[0], command, sizeof command);
        return error_set_at(error, VAEMARK_BAD_INPUT, folder,
                            "holds no *.safetensors, but %.200s, which is another format; fetch the model's "
                            ".safetensors, or convert what is a PyTorch checkpoint where you trust it: %s",
                            names_show(&listing->foreign, list), command);
    }
    return error_set_at(error, VAEMARK_BAD_INPUT, folder,
                        "holds no " STANDARD_NAME " and no other *.safetensors; give a folder that a checkpoint was "
                        "saved to");
}

/* The name that is meant; NULL with the error filled in where there is none or no telling. */
static const char *choose_checkpoint(const char *folder, const struct listing *listing, struct error *error) {
    const struct names *names = &listing->checkpoints;
    const char *single = names_find(names, STANDARD_NAME), *index = names_find(names, STANDARD_INDEX);
    struct names main = {.count = 0};
    if (single != NULL && index != NULL) {
        main = (struct names){.items = {(char *)single, (char *)index}, .count = 2};
        report_several(folder, &main, error);
        return NULL;
    }
    if (single != NULL || index != NULL) {
        return single != NULL ? single : index;
    }
    for (size_t i = 0; i < names->count; i++) {
        if (!is_variant(names, names->items[i])) {
            main.items[main.count++] = names->items[i];
        }
    }
    if (main.count != 1) {
        (void)(main.count == 0 ? report_none(folder, listing, error) : report_several(folder, &main, error));
        return NULL;
    }
    return main.items[0];
}

/* Says which variants were left aside. */
static void note_variants(const struct names *names, const char *chosen, char note[CHECKPOINT_NOTE_BYTES]) {
    char stem[256];
    const char *found = strstr(chosen, WEIGHTS_SUFFIX);
    snprintf(stem, sizeof stem, "%.*s.", (int)(found - chosen), chosen);
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], chosen) != 0 && strncmp(names->items[i], stem, strlen(stem)) == 0) {
            size_t used = strlen(note);
            snprintf(note + used, CHECKPOINT_NOTE_BYTES - used, "%s%.100s is taken, not %.100s", used == 0 ? "" : "; ",
                     chosen, names->items[i]);
            return;
        }
    }
}

enum vaemark_status checkpoint_find_weights(const char *folder, char **weights_path, char note[CHECKPOINT_NOTE_BYTES],
                                            struct error *error) {
    *weights_path = NULL;
    struct error inner = {.status = VAEMARK_OK};
    struct listing *listing = list_folder(folder, &inner);
    const char *chosen = listing == NULL ? NULL : choose_checkpoint(folder, listing, &inner);
    if (chosen != NULL) {
        note_variants(&listing->checkpoints, chosen, note);
        *weights_path = path_join(folder, chosen);
        if (*weights_path == NULL) {
            set_no_memory(folder, &inner);
        }
    }
    if (listing != NULL) {
        listing_free(listing);
    }
    if (*weights_path == NULL && error != NULL) {
        *error = inner;
    }
    return *weights_path == NULL ? inner.status : VAEMARK_OK;
}

/* ---- The configuration ---- */

static enum vaemark_status check_folder(const char *folder, struct error *error) {
    struct stat facts;
    if (stat(folder, &facts) != 0) {
        return error_set_at(error, VAEMARK_BAD_INPUT, folder, "cannot be opened: %s", strerror(errno));
    }
    return S_ISDIR(facts.st_mode) ? VAEMARK_OK
                                  : error_set_at(error, VAEMARK_BAD_INPUT, folder,
                                                 "is not a folder; one with config.json and *.safetensors is wanted");
}

static bool has_file(const char *folder, const char *name) {
    char *path = path_join(folder, name);
    bool found = path != NULL && access(path, F_OK) == 0;
    free(path);
    return found;
}

/* The folder with the VAE's configuration: this one, or the "vae" of a whole pipeline. NULL: neither. Allocated. */
static char *choose_folder(const char *folder, char note[CHECKPOINT_NOTE_BYTES]) {
    bool pipeline = has_file(folder, "model_index.json"), own = has_file(folder, "config.json");
    if (has_file(folder, "vae/config.json") && (pipeline || !own)) {
        snprintf(note, CHECKPOINT_NOTE_BYTES, "a pipeline's folder: its vae/ is taken");
        return path_join(folder, "vae");
    }
    return own ? strdup(folder) : NULL;
}

static enum vaemark_status report_no_config(const char *folder, struct error *error) {
    if (has_file(folder, "model_index.json")) {
        return error_set_at(error, VAEMARK_BAD_INPUT, folder,
                            "is a pipeline's folder without vae/config.json; name the folder in it that holds its VAE");
    }
    return error_set_at(error, VAEMARK_BAD_INPUT, folder,
                        "holds no config.json, which says what the weights beside it are; copy the one that the "
                        "checkpoint was published with, or say which configuration it goes with: --model NAME "
                        "('vaemark list models' names them)");
}

enum vaemark_status model_find_files(const char *folder, char **config_path, char **weights_path,
                                     char note[CHECKPOINT_NOTE_BYTES], struct error *error) {
    char unheard[CHECKPOINT_NOTE_BYTES] = "";
    note = note == NULL ? unheard : note;
    *config_path = *weights_path = NULL;
    enum vaemark_status status = check_folder(folder, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    char *chosen = choose_folder(folder, note);
    if (chosen == NULL) {
        return report_no_config(folder, error);
    }
    *config_path = path_join(chosen, "config.json");
    status = *config_path == NULL ? set_no_memory(folder, error)
                                  : checkpoint_find_weights(chosen, weights_path, note, error);
    free(chosen);
    if (status != VAEMARK_OK) {
        free(*config_path);
        *config_path = NULL;
    }
    return status;
}
