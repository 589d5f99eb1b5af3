/* The texts of a safetensors header's __metadata__. */
#include "reference/weights_internal.h"

static json_t *find_metadata(const struct weights *weights) {
    return json_object_get(weights->header, "__metadata__");
}

size_t weights_metadata_count(const struct weights *weights) {
    return json_object_size(find_metadata(weights));
}

const char *weights_metadata_find(const struct weights *weights, const char *key) {
    return json_string_value(json_object_get(find_metadata(weights), key));
}

void weights_metadata_visit(const struct weights *weights,
                            void (*visit)(const char *key, const char *value, void *user), void *user) {
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(find_metadata(weights), key, value) {
        visit(key, json_string_value(value), user);
    }
}
