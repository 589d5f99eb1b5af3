/* The profile of a case: a few decodes after the timed ones, each with its trace; the median time of every step, held
 * against the roofline of this machine. */
#ifndef HARNESS_RUN_PROFILE_H
#define HARNESS_RUN_PROFILE_H

#include "harness/checks/checks.h"
#include "harness/doctor/doctor.h"

enum { CEILINGS_MAX = 16 };

/* The machine's ceilings, measured once a number of threads. */
struct ceilings {
    struct peaks_ceilings items[CEILINGS_MAX];
    size_t count;
};

/* Measures the ceilings for this case, if they are not known yet. While no worker is there. */
void profile_prepare(struct judgement *j);
/* Fills in what /trace and /profiles say of a profile; does nothing where none was asked for or a check has failed. A
 * decoder whose trace has no times is no failure: the row says so. */
enum vaemark_status profile_decodes(struct judgement *j, struct error *error);

#endif
