/* Files of oracles: safetensors with, an oracle, the tensors "KEY/fp32" and "KEY/fp64" and a description in the
 * metadata under KEY. An entry of the store is such a file with one oracle, an exported suite one with many. Hostile
 * until checked: what oracle_file_open() gives is whole and what its key says. */
#ifndef HARNESS_ORACLE_ORACLE_FILE_H
#define HARNESS_ORACLE_ORACLE_FILE_H

#include <stdbool.h>

#include "reference/weights.h"

/* What an oracle is of. The recipe names everything that decides its numbers; the key is the recipe's SHA-256, so a
 * description that was put under another key gives itself away. */
struct oracle_label {
    char key[65];
    char recipe[352]; /* "oracle 1, reference 1, graph SHA256, weights SHA256, inputs SHA256, tiling off" */
    /* For people: */
    char model[128];
    char shape[96];
    char latents[96]; /* "synthetic, seed 0, ring member 0" */
    char tiling[16];  /* off, on, corrected */
    char made_by[96];
    char made_at[32]; /* "2026-11-24T17:00:00Z" */
};

/* The recipe's text and the key from it. `reference_version` is what the label was made under. */
void oracle_label_fill(struct oracle_label *label, int reference_version, const char *graph_sha256,
                       const char *weights_sha256, const char *inputs_sha256, const char *tiling);
/* True when the label was made by a reference of this program's version. */
bool oracle_label_is_current(const struct oracle_label *label);

struct oracle_entry {
    struct oracle_label label;
    struct vaemark_tensor fp32, fp64; /* in a file: pointing into it */
    char sha256[65];                  /* of label and images, as the file has it */
};

/* An open file and what was found in it. */
struct oracle_file {
    struct weights *weights;
    struct oracle_entry *entries;
    size_t count;
};

/* Opens a file and checks its structure: that it is one of ours and of our version, every label, key, name, dtype and
 * shape. VAEMARK_BAD_INPUT says what is wrong. Images are not read: that is oracle_entry_check(). */
enum vaemark_status oracle_file_open(const char *path, struct oracle_file *file, struct error *error);
void oracle_file_close(struct oracle_file *file);
/* Whether label and images are, bit by bit, what was written. */
enum vaemark_status oracle_entry_check(const struct oracle_entry *entry, const char *path, struct error *error);

/* Writes a file of these entries, beside it first and then renamed. */
enum vaemark_status oracle_file_write(const char *path, const struct oracle_entry *entries, size_t count,
                                      struct error *error);

#endif
