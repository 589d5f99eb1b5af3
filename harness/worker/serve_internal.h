/* The worker's state and its message handlers, shared by the serve*.c files. */
#ifndef HARNESS_WORKER_SERVE_INTERNAL_H
#define HARNESS_WORKER_SERVE_INTERNAL_H

#include <jansson.h>

#include "harness/worker/host.h"
#include "harness/worker/segment.h"
#include "harness/worker/serve.h"
#include "harness/worker/wire.h"
#include "reference/model.h"

struct server {
    const struct vaemark_backend *backend;
    int socket_fd;
    unsigned char *segment; /* NULL: none was mapped */
    size_t segment_size_bytes;
    struct host *host;
    struct model *model;             /* kept until close */
    struct vaemark_model abi;        /* the view of it that the decoder may keep until close */
    struct vaemark_decoder *decoder; /* NULL: nothing is open */
    bool greeted, leaving;
};

/* Fills in the answer's fields; on errors what it filled in is thrown away. */
typedef enum vaemark_status serve_handler(struct server *server, const json_t *request, json_t *answer,
                                          struct error *error);

serve_handler serve_hello, serve_open, serve_option, serve_property, serve_prepare, serve_decode, serve_memory,
    serve_trace, serve_close;

/* A backend's answer as ours: its message, whatever bytes that has; an invented status is VAEMARK_INTERNAL. */
enum vaemark_status serve_backend_error(enum vaemark_status status, struct vaemark_message *message,
                                        struct error *error);

/* The tensor as the ABI has it, over memory at `data`; it borrows the name. */
struct vaemark_tensor serve_tensor(const struct segment_tensor *place, void *data);

/* Closes the decoder, if one is open. */
void serve_close_decoder(struct server *server);

/* A thread that ends this process group when the peer goes away in the middle of a message: a hung decoder must not
 * outlive the harness. While idle, the end of the stream is the reader's to see. */
struct serve_watch;
enum vaemark_status serve_watch_start(int socket_fd, struct serve_watch **watch, struct error *error);
void serve_watch_busy(struct serve_watch *watch, bool busy);
void serve_watch_stop(struct serve_watch *watch);

#endif
