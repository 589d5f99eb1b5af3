#include "results/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "results/beside.h"
#include "results/journal_pack.h"

enum { PREAMBLE_BYTES = 64, DIGEST_BYTES = 32, FRAME_BYTES = 8 + DIGEST_BYTES };

static const char preamble_start[] = "vaemark journal ";

struct journal {
    int descriptor;
    char *path;
    uint64_t end; /* of the last whole record */
    unsigned char chain[DIGEST_BYTES];
    struct pack_mark mark; /* what of the record is in the file */
};

/* ---- Digests ---- */

/* SHA-256 of the digest before, the payload's length and the payload: records cannot be lost, swapped or repeated. */
static bool digest_record(const unsigned char before[DIGEST_BYTES], const void *payload, uint64_t size,
                          unsigned char digest[DIGEST_BYTES]) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, before, DIGEST_BYTES) == 1 &&
                EVP_DigestUpdate(context, &size, sizeof size) == 1 &&
                EVP_DigestUpdate(context, payload, (size_t)size) == 1 && EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    return done;
}

static void make_preamble(char preamble[PREAMBLE_BYTES]) {
    memset(preamble, '\n', PREAMBLE_BYTES);
    int length =
        snprintf(preamble, PREAMBLE_BYTES, "%s%d schema %d\n", preamble_start, JOURNAL_VERSION, RESULTS_SCHEMA_VERSION);
    preamble[length] = '\n';
}

/* ---- Opening ---- */

/* The whole file belongs to this process. POSIX locks, because they tell who has one; the file is opened once, so that
 * closing another descriptor cannot give it away. */
static bool lock(int descriptor, struct flock *holder) {
    *holder = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(descriptor, F_SETLK, holder) == 0) {
        return true;
    }
    *holder = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(descriptor, F_GETLK, holder) != 0) {
        holder->l_type = F_UNLCK;
    }
    return false;
}

static bool read_at(int descriptor, void *bytes, size_t size, uint64_t offset) {
    char *at = bytes;
    while (size > 0) {
        ssize_t count = pread(descriptor, at, size, (off_t)offset);
        if (count == 0 || (count < 0 && errno != EINTR)) {
            return false;
        }
        if (count > 0) {
            at += count;
            size -= (size_t)count;
            offset += (uint64_t)count;
        }
    }
    return true;
}

/* Ours, or so short that it may become so: nobody's letters are to be overwritten. */
static bool check_kind(int descriptor, const char *path, struct results_error *error) {
    struct stat status;
    char start[sizeof preamble_start - 1];
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        return results_fail(error, "%s: is not a file, but the journal is to be there; choose another --out", path);
    }
    size_t size = status.st_size < (off_t)sizeof start ? (size_t)status.st_size : sizeof start;
    if (!read_at(descriptor, start, size, 0)) {
        return results_fail(error, "%s: cannot be read: %s", path, strerror(errno));
    }
    return memcmp(start, preamble_start, size) == 0 ||
           results_fail(error,
                        "%s: is not a journal of vaemark's, and is left alone; move it away, or choose another "
                        "--out",
                        path);
}

static enum journal_state refuse_held(const char *path, const struct flock *holder, struct results_error *error) {
    if (holder->l_type != F_UNLCK && holder->l_pid > 0) {
        results_fail(error, "%s: another run, process %ld, is writing to it; wait for its end, or choose another --out",
                     path, (long)holder->l_pid);
    } else {
        results_fail(error, "%s: another run is writing to it; wait for its end, or choose another --out", path);
    }
    return JOURNAL_HELD;
}

/* Opens and locks what has that name now: between the two, whoever had the lock may have removed the file. */
static enum journal_state open_locked(const char *path, bool create, int *descriptor, struct results_error *error) {
    for (;;) {
        struct stat status;
        struct flock holder;
        *descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (create ? O_CREAT : 0), 0666);
        if (*descriptor < 0 && errno == ENOENT && !create) {
            return JOURNAL_ABSENT;
        }
        if (*descriptor < 0) {
            results_fail(error, "%s: the journal cannot be opened for writing: %s; choose another --out", path,
                         strerror(errno));
            return JOURNAL_UNUSABLE;
        }
        if (!lock(*descriptor, &holder)) {
            close(*descriptor);
            return refuse_held(path, &holder, error);
        }
        if (fstat(*descriptor, &status) == 0 && status.st_nlink > 0) {
            return JOURNAL_OPENED;
        }
        close(*descriptor);
    }
}

enum journal_state journal_open(const char *path, bool create, struct journal **journal, struct results_error *error) {
    int descriptor = -1;
    enum journal_state state = open_locked(path, create, &descriptor, error);
    if (state == JOURNAL_OPENED && !check_kind(descriptor, path, error)) {
        close(descriptor);
        state = JOURNAL_UNUSABLE;
    }
    if (state != JOURNAL_OPENED) {
        return state;
    }
    *journal = calloc(1, sizeof **journal);
    char *copy = strdup(path);
    if (!*journal || !copy) {
        free(*journal);
        free(copy);
        close(descriptor);
        results_fail(error, "%s: not enough memory to open it", path);
        return JOURNAL_UNUSABLE;
    }
    **journal = (struct journal){.descriptor = descriptor, .path = copy};
    return JOURNAL_OPENED;
}

void journal_close(struct journal *journal) {
    if (journal) {
        close(journal->descriptor);
        free(journal->path);
        free(journal);
    }
}

void journal_remove(struct journal *journal) {
    if (journal) {
        unlink(journal->path); /* before the lock goes: nobody else's journal can have that name yet */
        journal_close(journal);
    }
}

/* ---- Reading ---- */

void journal_content_free(struct journal_content *content) {
    record_free(content->record);
    for (size_t i = 0; i < content->case_id_count; i++) {
        free(content->case_ids[i]);
    }
    free(content->case_ids);
    *content = (struct journal_content){0};
}

static bool check_version(const struct journal *journal, const char preamble[PREAMBLE_BYTES],
                          struct results_error *error) {
    char wanted[PREAMBLE_BYTES], line[PREAMBLE_BYTES + 1];
    make_preamble(wanted);
    if (memcmp(preamble, wanted, PREAMBLE_BYTES) == 0) {
        return true;
    }
    memcpy(line, preamble, PREAMBLE_BYTES);
    line[PREAMBLE_BYTES] = '\0';
    line[strcspn(line, "\n")] = '\0';
    for (char *at = line; *at; at++) {
        *at = *at < ' ' || *at > '~' ? '?' : *at;
    }
    return results_fail(error,
                        "%s: begins with '%s', this vaemark goes on with '%s%d schema %d' alone; resume with the "
                        "vaemark that began the run, or begin it anew with --fresh",
                        journal->path, line, preamble_start, JOURNAL_VERSION, RESULTS_SCHEMA_VERSION);
}

enum taken { TAKEN, TAKEN_NOTHING, TAKEN_ERROR };

/* The next record: its payload into `content`. Nothing where there is none that is whole. */
static enum taken take_record(struct journal *journal, uint64_t file_size, struct journal_content *content,
                              struct results_error *error) {
    struct {
        uint64_t size;
        unsigned char digest[DIGEST_BYTES];
    } frame;
    _Static_assert(sizeof frame == FRAME_BYTES, "no padding");
    unsigned char digest[DIGEST_BYTES];
    if (file_size - journal->end < FRAME_BYTES || !read_at(journal->descriptor, &frame, FRAME_BYTES, journal->end) ||
        frame.size > file_size - journal->end - FRAME_BYTES) {
        return TAKEN_NOTHING;
    }
    enum taken taken = TAKEN_NOTHING;
    char *payload = malloc((size_t)frame.size + 1);
    if (!payload) {
        results_fail(error, "%s: not enough memory to read it", journal->path);
        return TAKEN_ERROR;
    }
    if (read_at(journal->descriptor, payload, (size_t)frame.size, journal->end + FRAME_BYTES) &&
        digest_record(journal->chain, payload, frame.size, digest) && memcmp(digest, frame.digest, DIGEST_BYTES) == 0) {
        taken = TAKEN;
        content->record = content->record ? content->record : record_create();
        if (!content->record || !pack_take_payload(payload, (size_t)frame.size, content)) {
            results_fail(error,
                         "%s: a record with a right checksum makes no sense (or memory is short); begin the run "
                         "anew with --fresh",
                         journal->path);
            taken = TAKEN_ERROR;
        }
    }
    free(payload);
    if (taken == TAKEN) {
        journal->end += FRAME_BYTES + frame.size;
        memcpy(journal->chain, digest, DIGEST_BYTES);
    }
    return taken;
}

bool journal_read(struct journal *journal, struct journal_content *content, struct results_error *error) {
    struct stat status;
    char preamble[PREAMBLE_BYTES];
    *content = (struct journal_content){0};
    memset(journal->chain, 0, DIGEST_BYTES);
    journal->end = 0;
    if (fstat(journal->descriptor, &status) != 0) {
        return results_fail(error, "%s: cannot be read: %s", journal->path, strerror(errno));
    }
    uint64_t size = (uint64_t)status.st_size;
    if (size < PREAMBLE_BYTES) {
        content->dropped_bytes = (size_t)size;
        return true;
    }
    if (!read_at(journal->descriptor, preamble, PREAMBLE_BYTES, 0)) {
        return results_fail(error, "%s: cannot be read: %s", journal->path, strerror(errno));
    }
    if (!check_version(journal, preamble, error)) {
        return false;
    }
    journal->end = PREAMBLE_BYTES;
    enum taken taken = TAKEN;
    while (taken == TAKEN) {
        taken = take_record(journal, size, content, error);
    }
    if (taken == TAKEN_ERROR) {
        journal_content_free(content);
        return false;
    }
    content->dropped_bytes = (size_t)(size - journal->end);
    if (content->record) {
        journal->mark = pack_mark_of(content->record);
    }
    return true;
}

/* ---- Writing ---- */

static bool write_at(int descriptor, const char *bytes, size_t size, uint64_t offset) {
    while (size > 0) {
        ssize_t count = pwrite(descriptor, bytes, size, (off_t)offset);
        if (count < 0 && errno != EINTR) {
            return false;
        }
        if (count > 0) {
            bytes += count;
            size -= (size_t)count;
            offset += (uint64_t)count;
        }
    }
    return true;
}

/* Puts `pack` behind the last whole record, in one go, and waits for the disk. */
static bool write_behind(struct journal *journal, const struct pack_bytes *pack, struct results_error *error) {
    bool done = ftruncate(journal->descriptor, (off_t)journal->end) == 0 &&
                write_at(journal->descriptor, pack->bytes, pack->size, journal->end) && fsync(journal->descriptor) == 0;
    if (!done) {
        int number = errno;
        (void)!ftruncate(journal->descriptor, (off_t)journal->end); /* a torn record is dropped by readers as well */
        return results_fail(error, "%s: cannot be written: %s", journal->path, strerror(number));
    }
    journal->end += pack->size;
    return true;
}

/* Adds a frame and its payload; the digest it ends in becomes `digest`. */
static void add_record(struct pack_bytes *pack, const unsigned char before[DIGEST_BYTES], const char *const *case_ids,
                       size_t case_id_count, const struct record *record, const struct pack_mark *mark,
                       unsigned char digest[DIGEST_BYTES]) {
    static const char empty_frame[FRAME_BYTES];
    size_t start = pack->size;
    pack_bytes_add(pack, empty_frame, FRAME_BYTES);
    pack_add_payload(pack, case_ids, case_id_count, record, mark);
    if (pack->failed) {
        return;
    }
    uint64_t size = pack->size - start - FRAME_BYTES;
    pack->failed = !digest_record(before, pack->bytes + start + FRAME_BYTES, size, digest);
    memcpy(pack->bytes + start, &size, sizeof size);
    memcpy(pack->bytes + start + sizeof size, digest, DIGEST_BYTES);
}

static bool write_record(struct journal *journal, struct pack_bytes *pack, const struct record *record,
                         const unsigned char digest[DIGEST_BYTES], struct results_error *error) {
    bool done = pack->failed ? results_fail(error, "%s: not enough memory for a record", journal->path)
                             : write_behind(journal, pack, error);
    if (done) {
        memcpy(journal->chain, digest, DIGEST_BYTES);
        journal->mark = pack_mark_of(record);
    }
    free(pack->bytes);
    return done;
}

bool journal_start(struct journal *journal, const char *const *case_ids, size_t case_id_count,
                   const struct record *record, struct results_error *error) {
    char preamble[PREAMBLE_BYTES];
    unsigned char digest[DIGEST_BYTES];
    struct pack_bytes pack = {0};
    journal->end = 0;
    journal->mark = (struct pack_mark){.images = 0};
    memset(journal->chain, 0, DIGEST_BYTES);
    make_preamble(preamble);
    pack_bytes_add(&pack, preamble, PREAMBLE_BYTES);
    add_record(&pack, journal->chain, case_ids, case_id_count, record, &journal->mark, digest);
    bool done = write_record(journal, &pack, record, digest, error);
    if (done) {
        beside_sync_folder(journal->path);
    }
    return done;
}

bool journal_append(struct journal *journal, const struct record *record, struct results_error *error) {
    unsigned char digest[DIGEST_BYTES];
    struct pack_bytes pack = {0};
    add_record(&pack, journal->chain, NULL, 0, record, &journal->mark, digest);
    return write_record(journal, &pack, record, digest, error);
}
