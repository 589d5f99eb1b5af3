/* The launches of a case after the first: fresh workers that only decode and are timed. */
#ifndef HARNESS_RUN_LAUNCHES_H
#define HARNESS_RUN_LAUNCHES_H

#include "harness/run/measure.h"

/* The first launch judged the case and filled launches[0]; this fills the others, up to `count`, records their samples
 * and check `launches`: the same images from all of them. Leaves the last one's session in *j, for its worker's fate.
 */
enum vaemark_status launches_measure_others(struct judgement *j, const struct session_start *start,
                                            struct measurement *launches, size_t count, struct error *error);

#endif
