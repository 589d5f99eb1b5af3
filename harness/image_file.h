/* Decoded images as files: .png to look at, .npy or .safetensors to compute with. */
#ifndef HARNESS_IMAGE_FILE_H
#define HARNESS_IMAGE_FILE_H

#include "reference/tensor.h"

/* Whether the ending is known and the place can be written, before any work. */
enum vaemark_status image_file_check(const char *path, struct error *error);
/* Writes `image` (N,3,H,W) or (N,3,T,H,W), F32 or F64. A PNG shows the samples of a batch side by side. Beside the name
 * first, then renamed: a file that is there is replaced whole or left alone. */
enum vaemark_status image_file_write(const char *path, const struct vaemark_tensor *image, struct error *error);

#endif
