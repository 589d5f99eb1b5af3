/* What `vaemark list --json` prints, and `doctor` in part. Keys are documented in docs/list-json.md and stay. */
#ifndef HARNESS_LIST_JSON_H
#define HARNESS_LIST_JSON_H

#include <jansson.h>

#include "harness/case.h"

/* One built-in backend as it probes itself. */
json_t *list_json_backend(const struct vaemark_backend *backend);
json_t *list_json_model(const struct run_model *model);
/* VAE type x option: what the project's own backends and others must do. */
json_t *list_json_capabilities(void);
json_t *list_json_suite(const struct suite *suite);
json_t *list_json_case(const struct run_case *item);
json_t *list_json_checks(void);

/* A finite number, or null: JSON has no NaN. */
json_t *json_number_or_null(double number);

#endif
