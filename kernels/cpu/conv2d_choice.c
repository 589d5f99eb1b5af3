/* Which algorithm a convolution gets. What a kernel costs is counted, not tried: a plan depends on shapes alone, and is
 * the same on every machine. */
#include <stdio.h>

#include "kernels/cpu/conv2d.h"

/* What Winograd's F(m x m, 3 x 3) costs, in lines of multiply-adds; transforms count what they load, add and store. */
static double cost_of(size_t m, const struct step *step) {
    static const double INPUT[] = {[2] = 80, [4] = 300, [6] = 700}, OUTPUT[] = {[2] = 70, [4] = 210, [6] = 520};
    const struct operand *out = &step->output;
    const double in_panels = (double)panel_count(step->inputs[0].channels),
                 out_panels = (double)panel_count(out->channels);
    const double points = (double)((m + 2) * (m + 2)), products = points * in_panels * PANEL * out_panels;
    const double tiles = (double)(out->images * divide_up(out->height, m)) * (double)divide_up(out->width, m);
    return tiles * (products + INPUT[m] * in_panels + OUTPUT[m] * out_panels) + 25.0 * products;
}

static double direct_cost(const struct step *step) {
    const struct operand *in = &step->inputs[0], *out = &step->output;
    return (double)out->images * (double)operand_pixels(out) * 9.0 * (double)panel_count(in->channels) * PANEL *
           (double)panel_count(out->channels);
}

/* What stands in the way of Winograd's form, or NULL. */
static const char *find_obstacle(const struct step *step, bool direct) {
    const struct conv2d_step *c = &step->conv2d;
    if (c->kernel_height != 3 || c->kernel_width != 3) {
        return "direct: the kernel is not 3x3";
    }
    if (c->stride != 1 || c->padding != 1) {
        return "direct: stride and padding are not 1";
    }
    if (c->groups != 1) {
        return "direct: channels are in groups";
    }
    if (step->inputs[0].channels < PANEL || step->output.channels < PANEL) {
        return "direct: fewer than 16 channels";
    }
    return direct ? "direct: as precision fp32-strict wants it" : NULL;
}

static void choose_tiles(struct step *step) {
    const double direct = direct_cost(step);
    double least = direct;
    for (size_t m = 2; m <= 6; m += 2) {
        if (cost_of(m, step) < least) {
            least = cost_of(m, step);
            step->conv2d.winograd = m;
        }
    }
    const char *names[] = {[0] = "direct", [2] = "F(2,3)", [4] = "F(4,3)", [6] = "F(6,3)"};
    snprintf(step->why, sizeof step->why, "%s costs least: direct 1, F(2,3) %.2f, F(4,3) %.2f, F(6,3) %.2f",
             names[step->conv2d.winograd], cost_of(2, step) / direct, cost_of(4, step) / direct,
             cost_of(6, step) / direct);
}

void conv2d_choose(struct step *step, const struct kernel_set *kernels, bool direct) {
    const char *why = NULL;
    if (step->type == &step_conv2d) {
        why = find_obstacle(step, direct);
        if (kernels->gemm_bf16 != NULL && step->weight_bf16 != NULL && step->conv2d.groups == 1) {
            step->type = &step_conv2d_bf16;
            why = "direct: products of bfloat16 cost a sixteenth, Winograd's form a fifth or more";
        } else if (why == NULL) {
            choose_tiles(step);
            step->type = step->conv2d.winograd > 0 ? &step_conv2d_winograd : &step_conv2d;
            step->conv2d.tile_panels = kernels->gemm_panels;
        }
    } else if (step->type == &step_conv2d_narrow) {
        why = "narrow: at most 4 outputs, so that lanes are input channels";
    } else if (step->type == &step_conv2d_depthwise) {
        why = "depthwise: a channel a group";
    } else if (step->type == &step_conv2d_grouped) {
        why = "grouped: groups are no whole panels of 16 channels";
    }
    if (why != NULL) {
        snprintf(step->why, sizeof step->why, "%s", why);
    }
}
