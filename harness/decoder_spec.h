/* DECODER on the command line and in suites: a backend and options, `cpu,precision=fp32,fuse_qkv=on`,
 * `plugin:./vendor.so`, `exec:'python3 worker.py',name=torch`. Quoting is as in a shell word. */
#ifndef HARNESS_DECODER_SPEC_H
#define HARNESS_DECODER_SPEC_H

#include <stdbool.h>

#include "base/error.h"
#include "reference/tiling.h"

enum { DECODER_MAX_OPTIONS = 16 };

/* One option as text; typed when it is sent to a worker. */
struct option_text {
    char key[48];
    char value[80];
};

struct option_list {
    struct option_text items[DECODER_MAX_OPTIONS];
    size_t count;
};

struct decoder_spec {
    char text[1024];    /* as given */
    char backend[1024]; /* "cpu", "plugin:./vendor.so", "exec:python3 worker.py" */
    char name[64];      /* in case ids: "cpu", "plugin:vendor.so", or what name= says */
    bool own;           /* one of the project's own backends, which the capability table asks more of */
    struct option_list options;
};

enum vaemark_status decoder_spec_parse(const char *text, struct decoder_spec *spec, struct error *error);

/* The value of a key, or NULL. */
const char *option_list_find(const struct option_list *list, const char *key);
/* Sets or replaces. */
enum vaemark_status option_list_set(struct option_list *list, const char *key, const char *value, struct error *error);
/* True for on, true, yes, 1. */
bool option_is_on(const char *value);
/* True for a value that asks for something: "on", "corrected", but not NULL, off, false, no, 0. */
bool option_is_asked(const char *value);
/* What a list of options, or one, asks for as to tiles and slices; others change nothing. */
struct tiling_request options_tiling(const struct option_list *options);
void option_take_tiling(const struct option_text *option, struct tiling_request *request);
/* The typed option; its texts point into `text`. on/off become booleans, whole numbers integers, the rest text. */
struct vaemark_option option_typed(const struct option_text *text);

#endif
