/* How far a picture is from the oracle. Images are (N,C,H,W) or (N,C,T,H,W); each plane of H x W counts alone. */
#ifndef HARNESS_METRICS_H
#define HARNESS_METRICS_H

#include "reference/tensor.h"

/* Everything is NaN when either image holds a value that is not finite. PSNR of equal images is +infinity. */
struct metrics {
    double psnr_db;            /* over [-1, 1]: peak 2 */
    double psnr8_db;           /* of the 8-bit pictures: peak 255 */
    double psnr_worst_tile_db; /* of the tile with the largest mean squared error: 64x64, 16x16 below 512 pixels */
    double rms_worst_tile;     /* its root mean square error */
    double ssim;               /* mean over channels; Wang et al. 2004, Gaussian window 11x11, sigma 1.5, L = 2 */
    double rms_error, relative_l2, max_abs_error;
    double image_min, image_max, image_std; /* of the first image */
    double oracle_max_abs;
    int64_t nonfinite;                  /* values of the first image that are NaN or infinite */
    int64_t worst_tile_y, worst_tile_x; /* its place in pixels */
};

/* `image` against `oracle`, both F32 or F64 and of one shape. VAEMARK_INVALID_ARGUMENT otherwise. */
enum vaemark_status metrics_compare(const struct vaemark_tensor *image, const struct vaemark_tensor *oracle,
                                    struct metrics *metrics, struct error *error);

/* The 8-bit value of a decoder's output: clamp(0.5 x + 0.5, 0, 1) * 255, rounded half to even; NaN becomes 0. */
uint8_t metrics_to_8bit(double value);

#endif
