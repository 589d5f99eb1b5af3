/* Options that a VAE type must refuse, proven refused: at open before any work, later, again, and without a trace. */
#include <stdio.h>
#include <string.h>

#include "harness/checks/checks.h"
#include "harness/checks/observe.h"

/* What is asked, and how its findings are called: "tiling/refused". */
struct asked {
    const char *option, *value;
    char prefix[32];
    const char *vae_type;
    char derivation[500]; /* what the capability table says, with what it notes of others */
};

static struct asked asked_make(const struct judgement *j, const char *option) {
    const char *vae_type = j->item->model->model->type->name, *note = capability_note(vae_type, option);
    struct asked asked = {.option = option, .value = option_list_find(&j->item->options, option), .vae_type = vae_type};
    snprintf(asked.derivation, sizeof asked.derivation, "capability table: must-refuse on %s%s%s", vae_type,
             note ? "; " : "", note ? note : "");
    snprintf(asked.prefix, sizeof asked.prefix, "%s", option);
    for (char *c = asked.prefix; *c; c++) {
        *c = *c == '_' ? '-' : *c; /* as in "fuse-qkv/refused" */
    }
    return asked;
}

static struct finding asked_finding(const struct asked *asked, const char *leaf, char name[64], bool passed,
                                    const char *derivation) {
    snprintf(name, 64, "%s/%s", asked->prefix, leaf);
    return plain_finding(name, passed, derivation);
}

/* What taking the option over did to the decoder, as seen from outside. */
static void describe_acceptance(struct judgement *j, const struct observation *before, char text[160]) {
    struct observation after;
    struct error error = {0};
    if (observe_decoder(j, &after, &error) != VAEMARK_OK) {
        snprintf(text, 160, ", and it no longer decodes");
        return;
    }
    bool image = observe_same_image(before, &after), memory = observe_same_memory(&before->memory, &after.memory);
    snprintf(text, 160,
             image && memory ? ", and nothing came of it: image and memory are as before"
             : image         ? ", and took memory; the image is as before"
                             : ", and the image is another");
}

/* Judges an answer that had to be the typed refusal. Returns false when the worker is gone. `before`: the decoder
 * without the option, or NULL where there is none. */
static bool judge_refusal(struct judgement *j, const struct asked *asked, const char *leaf, enum vaemark_status status,
                          const struct error *refusal, const struct observation *before) {
    if (status != VAEMARK_OK && session_fate(&j->session)->kind != WORKER_ALIVE) {
        return false;
    }
    bool typed = status == VAEMARK_UNSUPPORTED_OPTION;
    bool named = typed && strstr(refusal->message, asked->vae_type) && strstr(refusal->message, asked->option);
    char name[64], effect[160] = "";
    struct finding finding = asked_finding(asked, leaf, name, typed && named, asked->derivation);
    if (status == VAEMARK_OK) {
        if (before) {
            describe_acceptance(j, before, effect);
        }
        check_record(j, &finding, "%s was accepted on %s%s", asked->option, asked->vae_type, effect);
    } else if (!typed) {
        check_record(j, &finding, "refused with '%s' in place of unsupported_option: %.300s", status_name(status),
                     refusal->message);
    } else {
        check_record(j, &finding, "%s: %.400s",
                     named ? "refused" : "refused, but the message must name VAE type and option", refusal->message);
    }
    return session_fate(&j->session)->kind == WORKER_ALIVE;
}

static enum vaemark_status judge_refused_open(struct judgement *j, const struct asked *asked, struct error *error) {
    struct error refusal = {0};
    struct option_list options = j->open_options;
    enum vaemark_status status = option_list_set(&options, asked->option, asked->value, error);
    if (status != VAEMARK_OK) {
        return status;
    }
    struct worker_memory before, after;
    if ((status = worker_memory(j->session.worker, false, &before, error)) != VAEMARK_OK) {
        return status;
    }
    status = session_open(&j->session, &options, j->item->precision, &refusal);
    if (!judge_refusal(j, asked, "refused-at-open", status, &refusal, NULL)) {
        *error = refusal;
        return refusal.status;
    }
    if (status == VAEMARK_OK) {
        return worker_close(j->session.worker, NULL, error);
    }
    status = worker_memory(j->session.worker, false, &after, error);
    if (status == VAEMARK_OK &&
        after.allocated_bytes[VAEMARK_MEMORY_WEIGHTS] != before.allocated_bytes[VAEMARK_MEMORY_WEIGHTS]) {
        char name[64];
        struct finding finding = asked_finding(asked, "refused-at-open", name, false, "refused before any work");
        finding.decoders_word = !after.host_allocator;
        check_record(j, &finding, "weights were allocated before the refusal");
    }
    return status;
}

static void judge_unchanged(struct judgement *j, const struct asked *asked, const struct observation *before,
                            const struct observation *after) {
    const struct worker_memory *then = &before->memory, *now = &after->memory;
    bool image = observe_same_image(before, after) || !j->deterministic;
    bool memory = observe_same_memory(then, now);
    uint64_t allocated = now->allocated_bytes[VAEMARK_MEMORY_WEIGHTS] - then->allocated_bytes[VAEMARK_MEMORY_WEIGHTS];
    char name[64];
    struct finding finding = asked_finding(asked, "unchanged", name, image && memory && !allocated,
                                           "a refusal leaves the decoder as it was");
    finding.decoders_word = image && !finding.passed && !now->host_allocator;
    check_record(
        j, &finding,
        "after the refusals the image is %s, memory %s, %llu bytes of new weights were allocated (weights take "
        "%llu bytes, %llu before)",
        image ? "the same" : "another", memory ? "the same" : "changed", (unsigned long long)allocated,
        (unsigned long long)now->current_bytes[VAEMARK_MEMORY_WEIGHTS],
        (unsigned long long)then->current_bytes[VAEMARK_MEMORY_WEIGHTS]);
}

/* Asked twice of the open decoder. */
static enum vaemark_status judge_refused_later(struct judgement *j, const struct asked *asked, struct error *error) {
    static const char *const leaves[] = {"refused", "refused-again"};
    struct observation before, after;
    bool accepted = false;
    enum vaemark_status status = observe_decoder(j, &before, error);
    for (int i = 0; status == VAEMARK_OK && i < 2; i++) {
        struct error refusal = {0};
        enum vaemark_status answer = session_set_option(&j->session, asked->option, asked->value, &refusal);
        if (!judge_refusal(j, asked, leaves[i], answer, &refusal, &before)) {
            *error = refusal;
            return answer == VAEMARK_OK ? error_set(error, VAEMARK_INTERNAL, "the worker is gone") : refusal.status;
        }
        accepted = accepted || answer == VAEMARK_OK;
    }
    if (status != VAEMARK_OK || accepted) {
        return status; /* what was accepted may change the decoder: that it was is the finding */
    }
    status = observe_decoder(j, &after, error);
    if (status != VAEMARK_OK && session_fate(&j->session)->kind == WORKER_ALIVE) {
        char name[64];
        struct finding finding =
            asked_finding(asked, "unchanged", name, false, "a refusal leaves the decoder as it was");
        check_record(j, &finding, "after the refusals the decoder no longer decodes: %.300s", error->message);
        return VAEMARK_OK;
    }
    if (status == VAEMARK_OK) {
        judge_unchanged(j, asked, &before, &after);
    }
    return status;
}

enum vaemark_status check_option_refused(struct judgement *j, const char *option, struct error *error) {
    const struct asked asked = asked_make(j, option);
    enum vaemark_status status = judge_refused_open(j, &asked, error);
    if (status == VAEMARK_OK) {
        status = session_open(&j->session, &j->open_options, j->item->precision, error);
    }
    if (status == VAEMARK_OK) {
        status = check_image_size(j, error);
    }
    return status == VAEMARK_OK ? judge_refused_later(j, &asked, error) : status;
}
