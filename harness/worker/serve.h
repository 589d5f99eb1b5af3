/* A worker's side of the protocol: answers messages on a socket until it closes. */
#ifndef HARNESS_WORKER_SERVE_H
#define HARNESS_WORKER_SERVE_H

#include "base/error.h"

/* Backends that are built in, NULL-terminated; first use: `vaemark list backends`. */
extern const struct vaemark_backend *const builtin_backends[];

/* The backend of a name, or of "plugin:PATH" (dlopen, vaemark_decoder_v0). Unknown names: VAEMARK_INVALID_ARGUMENT with
 * "did you mean". The library stays loaded. */
enum vaemark_status backend_find(const char *name, const struct vaemark_backend **backend, struct error *error);

/* Serves on the two inherited descriptors. Returns when the socket closes or the peer says bye. */
enum vaemark_status serve(const struct vaemark_backend *backend, int socket_fd, int segment_fd, struct error *error);

/* Answers the first message with `failure` (a plug-in that cannot be loaded), so that the harness gets a typed error.
 */
enum vaemark_status serve_failure(const struct error *failure, int socket_fd, struct error *error);

#endif
