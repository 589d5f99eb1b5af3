/* Which oracles a selection of cases may ask for. */
#ifndef HARNESS_ORACLE_ORACLE_WANTS_H
#define HARNESS_ORACLE_ORACLE_WANTS_H

#include "harness/oracle/oracle.h"
#include "harness/selection.h"

struct oracle_want {
    const struct run_case *item; /* one of the cases that want it */
    int64_t ring;
    struct oracle_label label;
    double cost; /* FLOPs, and some for the start of workers */
};

struct oracle_wants {
    struct oracle_want *items;
    size_t count, capacity;
};

/* Every oracle of the expanded selection once: all ring members of each case, since which of them a case is held to
 * depends on its decoder's name. A case whose options its VAE type must refuse, or that the framework cannot
 * tile, wants none. Opens the weights, whose
 * digest is part of the key; `note` is called before anything slow. */
enum vaemark_status oracle_wants_list(struct selection *selection, void (*note)(const char *text),
                                      struct oracle_wants *wants, struct error *error);
void oracle_wants_free(struct oracle_wants *wants);

#endif
