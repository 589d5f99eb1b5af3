/* Which backends there are, and how a plug-in becomes one. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "harness/worker/serve.h"
#include "kernels/cpu/cpu.h"
#include "reference/executor.h"

const struct vaemark_backend *const builtin_backends[] = {&reference_backend, &cpu_backend, NULL};

static const char plugin_prefix[] = "plugin:";

/* dlopen() looks a name without a slash up in the system's folders; a user means the file. */
static void *plugin_load(const char *path, struct error *error) {
    char *local = strchr(path, '/') ? text_format("%s", path) : text_format("./%s", path);
    void *library = local ? dlopen(local, RTLD_NOW | RTLD_LOCAL) : NULL;
    free(local);
    if (!library) {
        const char *reason = dlerror();
        error_set_at(error, VAEMARK_UNAVAILABLE, path, "this plug-in cannot be loaded: %s",
                     reason ? reason : "no memory");
    }
    return library;
}

static const char *missing_verb(const struct vaemark_backend *b) {
    const struct {
        const char *name;
        bool there;
    } verbs[] = {
        {"name", b->name != NULL},
        {"description", b->description != NULL},
        {"probe", b->probe != NULL},
        {"open", b->open != NULL},
        {"set_option", b->set_option != NULL},
        {"get_property", b->get_property != NULL},
        {"prepare", b->prepare != NULL},
        {"decode", b->decode != NULL},
        {"memory", b->memory != NULL},
        {"trace", b->trace != NULL},
        {"close", b->close != NULL},
        /* Device verbs come together or not at all. */
        {"buffer_destroy", !b->buffer_create || b->buffer_destroy != NULL},
        {"upload", !b->buffer_create || b->upload != NULL},
        {"download", !b->buffer_create || b->download != NULL},
        {"synchronize", !b->buffer_create || b->synchronize != NULL},
    };
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (!verbs[i].there)
            return verbs[i].name;
    return NULL;
}

static enum vaemark_status plugin_check(const char *path, const struct vaemark_backend *found, struct error *error) {
    if (!found)
        return error_set_at(error, VAEMARK_BAD_INPUT, path, "vaemark_decoder_v0() returned no backend");
    if (found->abi_version != VAEMARK_ABI_VERSION)
        return error_set_at(error, VAEMARK_BAD_INPUT, path,
                            "this plug-in has version %u of the decoder ABI, this vaemark has %u: rebuild it against "
                            "include/vaemark/decoder.h",
                            found->abi_version, VAEMARK_ABI_VERSION);
    if (found->struct_size < sizeof *found)
        return error_set_at(error, VAEMARK_BAD_INPUT, path,
                            "struct vaemark_backend has %u bytes there and %zu here: rebuild the plug-in against "
                            "include/vaemark/decoder.h",
                            found->struct_size, sizeof *found);
    const char *missing = missing_verb(found);
    if (missing)
        return error_set_at(error, VAEMARK_BAD_INPUT, path, "this plug-in's backend lacks '%s'", missing);
    return VAEMARK_OK;
}

static enum vaemark_status plugin_find(const char *path, const struct vaemark_backend **backend, struct error *error) {
    void *library = plugin_load(path, error);
    if (!library)
        return VAEMARK_UNAVAILABLE;
    vaemark_decoder_entry *entry = NULL;
    void *symbol = dlsym(library, "vaemark_decoder_v0");
    memcpy(&entry, &symbol, sizeof entry); /* the way from an object pointer to a function that ISO C allows */
    if (!entry)
        return error_set_at(error, VAEMARK_BAD_INPUT, path,
                            "this library exports no vaemark_decoder_v0(): it is not a vaemark plug-in");
    const struct vaemark_backend *found = entry();
    enum vaemark_status status = plugin_check(path, found, error);
    if (status == VAEMARK_OK)
        *backend = found;
    return status;
}

enum vaemark_status backend_find(const char *name, const struct vaemark_backend **backend, struct error *error) {
    const char *names[sizeof builtin_backends / sizeof builtin_backends[0]] = {NULL};
    if (strncmp(name, plugin_prefix, sizeof plugin_prefix - 1) == 0)
        return plugin_find(name + sizeof plugin_prefix - 1, backend, error);
    for (size_t i = 0; builtin_backends[i]; i++) {
        names[i] = builtin_backends[i]->name;
        if (strcmp(name, names[i]) == 0) {
            *backend = builtin_backends[i];
            return VAEMARK_OK;
        }
    }
    const char *nearest = text_nearest(name, names);
    return error_set_at(error, VAEMARK_INVALID_ARGUMENT, name,
                        "no backend is called that%s%s; 'vaemark list backends' "
                        "shows them, plugin:PATH and exec:COMMAND are backends, too",
                        nearest ? "; did you mean " : "", nearest ? nearest : "");
}
