#include "results/store_seal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "results/beside.h"

static const char seal_first_line[] = "vaemark run, an HDF5 file: vaemark show, h5py and h5dump read it\n";

/* FNV-1a, 64 bits (Fowler, Noll, Vo). Against accidents, not against forgers. Each step is a bijection of the state, so
 * no change of a single byte goes unseen. */
static const uint64_t FNV_START = 0xcbf29ce484222325u;

static uint64_t checksum_update(uint64_t state, const unsigned char *bytes, size_t size_bytes) {
    for (size_t i = 0; i < size_bytes; i++) {
        state = (state ^ bytes[i]) * 0x100000001b3u;
    }
    return state;
}

void seal_make(char seal[SEAL_BYTES], const void *bytes, size_t size_bytes) {
    memset(seal, '\n', SEAL_BYTES);
    int length = snprintf(seal, SEAL_BYTES, "%sschema %d\nbytes after byte %d: %zu\nfnv1a64: %016llx\n",
                          seal_first_line, RESULTS_SCHEMA_VERSION, SEAL_BYTES, size_bytes,
                          (unsigned long long)checksum_update(FNV_START, bytes, size_bytes));
    seal[length] = '\n';
}

static ssize_t read_some(int descriptor, void *bytes, size_t size_bytes) {
    ssize_t count;
    do {
        count = read(descriptor, bytes, size_bytes);
    } while (count < 0 && errno == EINTR);
    return count;
}

/* Whole, or as much as there is; negative for errors. */
static ssize_t read_block(int descriptor, unsigned char *bytes, size_t size_bytes) {
    size_t done = 0;
    while (done < size_bytes) {
        ssize_t count = read_some(descriptor, bytes + done, size_bytes - done);
        if (count < 0) {
            return -1;
        }
        if (count == 0) {
            break;
        }
        done += (size_t)count;
    }
    return (ssize_t)done;
}

enum { READ_BYTES = 1 << 20 };

static enum seal_state verify_rest(int descriptor, const char *path, unsigned long long wanted_bytes,
                                   unsigned long long wanted_checksum, struct results_error *error) {
    unsigned char *block = malloc(READ_BYTES);
    uint64_t state = FNV_START;
    unsigned long long size_bytes = 0;
    ssize_t count = block ? READ_BYTES : -1;
    while (count == READ_BYTES) {
        count = read_block(descriptor, block, READ_BYTES);
        if (count > 0) {
            state = checksum_update(state, block, (size_t)count);
            size_bytes += (unsigned long long)count;
        }
    }
    free(block);
    if (count < 0) {
        results_fail(error, "%s: cannot be read: %s", path, block ? strerror(errno) : "out of memory");
        return SEAL_BROKEN;
    }
    if (size_bytes < wanted_bytes) {
        results_fail(error,
                     "%s: is cut short: %llu bytes are here, %llu were written; copy it again, or repeat the run", path,
                     size_bytes + SEAL_BYTES, wanted_bytes + SEAL_BYTES);
        return SEAL_BROKEN;
    }
    if (size_bytes != wanted_bytes || state != wanted_checksum) {
        results_fail(error,
                     "%s: is not what was written: its checksum differs; copy it again, or repeat the run (if you "
                     "changed it on purpose, h5repack makes a copy without the seal)",
                     path);
        return SEAL_BROKEN;
    }
    return SEAL_WHOLE;
}

enum seal_state seal_verify(int descriptor, const char *path, struct results_error *error) {
    unsigned char seal[SEAL_BYTES + 1];
    ssize_t count = read_block(descriptor, seal, SEAL_BYTES);
    size_t line_length = sizeof seal_first_line - 1;
    /* Half of the line is enough to know it for ours: a damaged seal is damage, not a missing seal. */
    size_t known_length = line_length / 2;
    if (count < (ssize_t)known_length || memcmp(seal, seal_first_line, known_length) != 0) {
        return SEAL_MISSING;
    }
    if (count < SEAL_BYTES) {
        results_fail(error, "%s: is cut short: only its first %zd bytes are here; copy it again, or repeat the run",
                     path, count);
        return SEAL_BROKEN;
    }
    seal[SEAL_BYTES] = '\0';
    int schema, start;
    unsigned long long wanted_bytes, checksum;
    if (memcmp(seal, seal_first_line, line_length) != 0 ||
        sscanf((const char *)seal + line_length, "schema %9d\nbytes after byte %9d: %18llu\nfnv1a64: %16llx\n", &schema,
               &start, &wanted_bytes, &checksum) != 4) {
        results_fail(error, "%s: is damaged: its first 512 bytes are not what was written; copy it again", path);
        return SEAL_BROKEN;
    }
    return verify_rest(descriptor, path, wanted_bytes, checksum, error);
}
