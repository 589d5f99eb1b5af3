#include "tests/kernels/support_tiles.h"

#if defined(__x86_64__)
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum { TILES = 8, ROWS = 16, ROW_BYTES = 64 };

struct tile {
    uint8_t rows;
    uint16_t row_bytes;
    uint8_t bytes[ROWS][ROW_BYTES];
};

static struct {
    bool configured;
    struct tile tiles[TILES];
    size_t products;
} state;

static struct sigaction before;

/* A three-byte VEX prefix (the only one that map 0F38 has), opcode, ModRM and what follows it. */
struct instruction {
    uint8_t prefix, opcode, mod, reg, rm, second_source; /* prefix: 0 none, 1 66, 2 F3, 3 F2 */
    const uint8_t *base;                                 /* of the memory operand */
    int64_t stride;
    size_t length;
};

/* In the order of their numbers. */
static int64_t register_of(const ucontext_t *context, size_t number) {
    static const int NAMES[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return context->uc_mcontext.gregs[NAMES[number]];
}

/* Base, displacement, and index times scale, which is what AMX calls the stride. */
static void decode_memory(struct instruction *in, const ucontext_t *context, const uint8_t *code, size_t x, size_t b) {
    const uint8_t *at = code + 5;
    const uint8_t sib = *at;
    const bool has_sib = in->rm == 4, relative = in->mod == 0 && in->rm == 5;
    const size_t base = b << 3 | (has_sib ? sib & 7u : in->rm), index = x << 3 | (sib >> 3 & 7);
    const bool bare = in->mod == 0 && has_sib && (sib & 7) == 5; /* no base */
    int64_t address = bare || relative ? 0 : register_of(context, base);
    int32_t displacement = 0;
    at += has_sib;
    if (in->mod == 1) {
        displacement = *(const int8_t *)at++;
    } else if (in->mod == 2 || relative || bare) {
        memcpy(&displacement, at, sizeof displacement);
        at += sizeof displacement;
    }
    in->length = (size_t)(at - code);
    address += displacement + (relative ? (int64_t)(intptr_t)at : 0);
    in->stride = has_sib && index != 4 ? register_of(context, index) * (1 << (sib >> 6)) : 0;
    in->base = (const uint8_t *)(intptr_t)address;
}

static bool decode(struct instruction *in, const ucontext_t *context, const uint8_t *code) {
    if (code[0] != 0xc4 || (code[1] & 0x1f) != 2 || (code[2] & 0x84) != 0) { /* map 0F38, W 0, L 0 */
        return false;
    }
    const uint8_t modrm = code[4];
    *in = (struct instruction){.prefix = code[2] & 3,
                               .opcode = code[3],
                               .mod = modrm >> 6,
                               .reg = modrm >> 3 & 7,
                               .rm = modrm & 7,
                               .second_source = (uint8_t)(~code[2] >> 3 & 7),
                               .length = 5};
    if (in->mod != 3) {
        decode_memory(in, context, code, !(code[1] & 0x40), !(code[1] & 0x20));
    }
    return true;
}

static bool load_config(const uint8_t *from) {
    if (from[0] != 1) { /* the palette */
        return false;
    }
    for (size_t i = 0; i < TILES; i++) {
        struct tile *tile = &state.tiles[i];
        memset(tile, 0, sizeof *tile);
        memcpy(&tile->row_bytes, from + 16 + 2 * i, sizeof tile->row_bytes);
        tile->rows = from[48 + i];
        if (tile->rows > ROWS || tile->row_bytes > ROW_BYTES) {
            return false;
        }
    }
    state.configured = true;
    return true;
}

static void move_rows(struct tile *tile, uint8_t *memory, int64_t stride, bool stores) {
    for (size_t row = 0; row < tile->rows; row++) {
        uint8_t *line = memory + (int64_t)row * stride;
        memcpy(stores ? line : tile->bytes[row], stores ? tile->bytes[row] : line, tile->row_bytes);
    }
}

static float number_of(const struct tile *tile, size_t row, size_t index) {
    uint16_t half;
    memcpy(&half, &tile->bytes[row][2 * index], sizeof half);
    const uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* TDPBF16PS: sums of even and of odd channels, added up at the end. */
static bool multiply(struct tile *c, const struct tile *a, const struct tile *b) {
    if (a->rows != c->rows || b->row_bytes != c->row_bytes || b->rows != a->row_bytes / 4) {
        return false;
    }
    for (size_t row = 0; row < c->rows; row++) {
        for (size_t column = 0; column < c->row_bytes / sizeof(float); column++) {
            float sums[2] = {0.0f, 0.0f}, sum;
            for (size_t k = 0; k < 2u * b->rows; k++) {
                sums[k % 2] += number_of(a, row, k) * number_of(b, k / 2, 2 * column + k % 2);
            }
            memcpy(&sum, &c->bytes[row][column * sizeof sum], sizeof sum);
            sum += sums[0] + sums[1];
            memcpy(&c->bytes[row][column * sizeof sum], &sum, sizeof sum);
        }
    }
    state.products++;
    return true;
}

static bool imitate(const struct instruction *in) {
    struct tile *tile = &state.tiles[in->reg];
    const bool in_memory = in->mod != 3, rows_in_memory = in_memory && in->rm == 4;
    if (in->opcode == 0x49 && in->prefix == 0 && in_memory) {
        return load_config(in->base);
    }
    if (!state.configured) {
        return false;
    }
    if (in->opcode == 0x49 && in->prefix == 0 && in->reg == 0 && in->rm == 0) {
        memset(&state.tiles, 0, sizeof state.tiles);
        state.configured = false;
    } else if (in->opcode == 0x49 && in->prefix == 3 && !in_memory) {
        memset(tile->bytes, 0, sizeof tile->bytes);
    } else if (in->opcode == 0x4b && in->prefix == 3 && rows_in_memory) {
        move_rows(tile, (uint8_t *)(intptr_t)in->base, in->stride, false);
    } else if (in->opcode == 0x4b && in->prefix == 2 && rows_in_memory) {
        move_rows(tile, (uint8_t *)(intptr_t)in->base, in->stride, true);
    } else if (in->opcode == 0x5c && in->prefix == 2 && !in_memory) {
        return multiply(tile, &state.tiles[in->rm], &state.tiles[in->second_source]);
    } else {
        return false;
    }
    return true;
}

static void handle(int signal, siginfo_t *info, void *user) {
    ucontext_t *context = user;
    const uint8_t *code = info->si_addr;
    struct instruction in;
    if (!decode(&in, context, code) || !imitate(&in)) {
        sigaction(signal, &before, NULL); /* runs again, and ends as it would have ended */
        return;
    }
    context->uc_mcontext.gregs[REG_RIP] += (greg_t)in.length;
}

bool support_tiles_begin(void) {
    const struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_NODEFER};
    memset(&state, 0, sizeof state);
    return __builtin_cpu_supports("avx2") && sigaction(SIGILL, &action, &before) == 0;
}

size_t support_tiles_end(void) {
    sigaction(SIGILL, &before, NULL);
    return state.products;
}
#else
bool support_tiles_begin(void) {
    return false;
}

size_t support_tiles_end(void) {
    return 0;
}
#endif
