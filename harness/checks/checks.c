#include "harness/checks/checks.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct check_description check_descriptions[] = {
    {"image-size",
     "the image has the size that latents, VAE type and tiling make; tiling=on: the original framework's"},
    {"written", "every element of the image was written (it is poisoned before each decode)"},
    {"finite", "the image holds no NaN or Inf"},
    {"quality", "the RMS error against the FP32 reference is under the derived bound"},
    {"largest-error", "so is the largest error"},
    {"worst-tile", "so is the RMS error of the worst tile"},
    {"psnr", "PSNR over [-1, 1] against the FP32 reference is over the suite's floor"},
    {"tile-seams", "of a tiled decode: the RMS error where tiles meet is under the derived bound"},
    {"tile-seams/largest", "so is the largest error there"},
    {"in-bounds",
     "guard bands around inputs, image and the host's allocations are untouched, inputs and weights unchanged"},
    {"deterministic", "two decodes of the same latents are bit-identical, or agree within the bound where the backend "
                      "declares that they need not be"},
    {"fresh",
     "decoded again after other latents, the same latents give the first image again: bit by bit, or within the "
     "bound where the backend declares that decodes may differ"},
    {"threads", "one thread and all of them agree within the bound (cases of up to 5 GFLOP)"},
    {"batch",
     "a member's image depends neither on its place in the batch nor on its neighbours, within the bound (cases "
     "of up to 5 GFLOP)"},
    {"nan-shows", "a NaN in the latents shows in the image"},
    {"memory-planned", "the allocator's peak of activations and workspace is what was planned before the decode"},
    {"memory-returned", "after close the allocator's balance is zero"},
    {"not-cached",
     "timed decodes of different latents differ pairwise, and one of them, drawn by lot, agrees with its oracle"},
    {"launches", "fresh workers decode the same latents to the same images (suites of several launches)"},
    {"fuse-qkv/accepted", "fuse_qkv is accepted on AutoencoderKL, also after an unfuse"},
    {"fuse-qkv/modules", "the number of fused attentions is reported and is the graph's, zero where there are none"},
    {"fuse-qkv/projections", "the trace shows one projection an attention in place of three, and the graph's FLOPs"},
    {"fuse-qkv/weights-shown", "the joined weights show as bytes at the host's allocator"},
    {"fuse-qkv/output", "the fused image agrees with the unfused one within the derived bound"},
    {"fuse-qkv/unfuse-unfused", "unfuse before any fuse is accepted and changes nothing"},
    {"fuse-qkv/unfuse", "unfuse after one fuse restores the unfused decoder: its image bit by bit, its projections"},
    {"fuse-qkv/unfuse-memory", "and frees the joined weights"},
    {"fuse-qkv/second-unfuse", "a second unfuse is accepted and changes nothing"},
    {"fuse-qkv/second-fuse", "a second fuse changes nothing"},
    {"fuse-qkv/unfuse-after-two", "one unfuse undoes two fuses"},
    {"fuse-qkv/refused-at-open", "asked for at open, fuse_qkv is refused with the typed error before any work is done"},
    {"fuse-qkv/refused", "asked for later, it is refused with the typed error naming VAE type and option"},
    {"fuse-qkv/refused-again", "and refused the same way a second time"},
    {"fuse-qkv/unchanged", "a refusal changes nothing: same image, same memory, and the decoder still decodes"},
    {"tiling/refused-at-open", "asked for at open, tiling is refused with the typed error before any work is done"},
    {"tiling/refused", "asked for later, it is refused with the typed error naming VAE type and option"},
    {"tiling/refused-again", "and refused the same way a second time"},
    {"tiling/unchanged", "a refusal changes nothing: same image, same memory, and the decoder still decodes"},
    {"tile/refused-at-open", "asked for at open, tile is refused with the typed error before any work is done"},
    {"tile/refused", "asked for later, it is refused with the typed error naming VAE type and option"},
    {"tile/refused-again", "and refused the same way a second time"},
    {"tile/unchanged", "a refusal changes nothing: same image, same memory, and the decoder still decodes"},
    {"tile-stride/refused-at-open",
     "asked for at open, tile_stride is refused with the typed error before any work is done"},
    {"tile-stride/refused", "asked for later, it is refused with the typed error naming VAE type and option"},
    {"tile-stride/refused-again", "and refused the same way a second time"},
    {"tile-stride/unchanged", "a refusal changes nothing: same image, same memory, and the decoder still decodes"},
    {"quantize/refused-at-open", "asked for at open, quantize is refused with the typed error before any work is done"},
    {"quantize/refused", "asked for later, it is refused with the typed error naming VAE type and option"},
    {"quantize/refused-again", "and refused the same way a second time"},
    {"quantize/unchanged", "a refusal changes nothing: same image, same memory, and the decoder still decodes"},
    {"slicing/refused-at-open", "asked for at open, slicing is refused with the typed error before any work is done"},
    {"slicing/refused", "asked for later, it is refused with the typed error naming VAE type and option"},
    {"slicing/refused-again", "and refused the same way a second time"},
    {"slicing/unchanged", "a refusal changes nothing: same image, same memory, and the decoder still decodes"},
};
const size_t check_description_count = sizeof check_descriptions / sizeof *check_descriptions;

static bool is_known(const char *name) {
    for (size_t i = 0; i < check_description_count; i++) {
        if (strcmp(check_descriptions[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* What printf makes of NaN is no word for people. */
static void spell_nan(char *message, size_t capacity) {
    static const char *const spellings[] = {" -nan", " nan"};
    static const char words[] = " not a number";
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        size_t length = strlen(spellings[i]);
        char *found = message;
        while ((found = strstr(found, spellings[i])) != NULL) {
            size_t rest = strlen(found + length) + 1;
            bool is_word = !isalnum((unsigned char)found[length]);
            if (is_word && (size_t)(found - message) + sizeof words - 1 + rest <= capacity) {
                memmove(found + sizeof words - 1, found + length, rest);
                memcpy(found, words, sizeof words - 1);
            }
            found++;
        }
    }
}

void check_record(struct judgement *j, const struct finding *finding, const char *format, ...) {
    char message[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    spell_nan(message, sizeof message);
    bool passed = finding->passed && is_known(finding->name);
    struct check_row *row = record_append(j->record, TABLE_CHECKS);
    if (row) {
        row->case_id = record_text(j->record, j->item->id);
        row->name = record_text(j->record, finding->name);
        row->outcome = passed ? "passed" : "failed";
        row->value = finding->value;
        row->bound = finding->bound;
        row->derivation = record_text(j->record, finding->derivation);
        row->evidence = finding->decoders_word ? "decoder" : "harness";
        row->message = record_text(j->record, message);
    }
    /* A check that could not be recorded must not count as passed. */
    passed = passed && row;
    j->passed_checks += passed;
    j->failed_checks += !passed;
    if (!passed && !j->first_failure[0]) {
        snprintf(j->first_failure, sizeof j->first_failure, "%.60s: %.500s", finding->name, message);
    }
}
