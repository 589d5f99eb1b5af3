#include "harness/run/memory_phases.h"

#include <string.h>

static struct memory_row *append_row(struct judgement *j, const char *phase) {
    struct memory_row *row = record_append(j->record, TABLE_MEMORY);
    if (row) {
        row->case_id = j->row->id;
        row->phase = record_text(j->record, phase);
        row->rss_bytes = worker_rss_bytes(j->session.worker);
        row->rss_peak_bytes = row->rss_bytes > 0 ? worker_rss_peak_bytes(j->session.worker) : -1;
    }
    return row;
}

void memory_phase_record_start(struct judgement *j) {
    (void)append_row(j, "start");
}

/* After close, what was held most is that of all decodes before: it says nothing about closing. */
static void forget_peaks(struct memory_row *row) {
    row->weights_peak_bytes = row->activations_peak_bytes = row->workspace_peak_bytes = row->tensors_peak_bytes = -1;
    row->scratch_peak_bytes = row->device_peak_bytes = -1;
}

void memory_phase_record(struct judgement *j, const char *phase, const struct worker_memory *memory) {
    struct memory_row *row = append_row(j, phase);
    if (row) {
        row->weights_bytes = (int64_t)memory->current_bytes[VAEMARK_MEMORY_WEIGHTS];
        row->weights_peak_bytes = (int64_t)memory->peak_bytes[VAEMARK_MEMORY_WEIGHTS];
        row->activations_bytes = (int64_t)memory->current_bytes[VAEMARK_MEMORY_ACTIVATIONS];
        row->activations_peak_bytes = (int64_t)memory->peak_bytes[VAEMARK_MEMORY_ACTIVATIONS];
        row->workspace_bytes = (int64_t)memory->current_bytes[VAEMARK_MEMORY_WORKSPACE];
        row->workspace_peak_bytes = (int64_t)memory->peak_bytes[VAEMARK_MEMORY_WORKSPACE];
        row->tensors_bytes = (int64_t)memory->current_bytes[VAEMARK_MEMORY_TENSORS];
        row->tensors_peak_bytes = (int64_t)memory->peak_bytes[VAEMARK_MEMORY_TENSORS];
        row->scratch_peak_bytes = (int64_t)memory->peak_total_bytes;
        row->device_bytes = memory->device_current_bytes;
        row->device_peak_bytes = memory->device_peak_bytes;
        if (strcmp(phase, "close") == 0) {
            forget_peaks(row);
        }
    }
}

enum vaemark_status memory_phase_end(struct judgement *j, const char *phase, struct error *error) {
    struct worker_memory memory;
    enum vaemark_status status = worker_memory(j->session.worker, true, &memory, error);
    if (status == VAEMARK_OK) {
        memory_phase_record(j, phase, &memory);
    }
    return status;
}
