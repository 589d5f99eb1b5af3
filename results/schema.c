/* One table of columns a row struct, in the struct's order. What is not here is not written, read, printed or
 * documented. */
#include "results/schema.h"

/* The column's type is the member's: the two cannot disagree. */
#define COLUMN(struct_name, member, column_unit, text)                                                                   \
    {                                                                                                                    \
        .name = #member,                                                                                               \
        .type = _Generic(((struct struct_name *)0)->member, int64_t                                                    \
                         : COLUMN_INTEGER, double                                                                      \
                         : COLUMN_REAL, const char *                                                                   \
                         : COLUMN_TEXT),                                                                               \
        .offset = offsetof(struct struct_name, member), .unit = (column_unit), .description = (text), \
    }

static const struct column case_columns[] = {
    COLUMN(case_row, id, "text", "MODEL/BACKEND/PRECISION/OPTIONS/SHAPE, the same everywhere a case is named"),
    COLUMN(case_row, model, "text", "name of the model; /models has its facts"),
    COLUMN(case_row, vae_type, "text", "decoder class, as the ecosystem names it: AutoencoderKL, ..."),
    COLUMN(case_row, decoder, "text", "the decoder as given on the command line: backend and options"),
    COLUMN(case_row, backend, "text", "implementation that decoded: reference, cpu, ..."),
    COLUMN(case_row, precision, "text", "arithmetic asked for: fp32, fp64, ..."),
    COLUMN(case_row, options, "text", "options not at their default, joined by +, or plain"),
    COLUMN(case_row, shape, "text", "shape of the latents, batch first: 1x4x64x64"),
    COLUMN(case_row, outcome, "text",
           "passed, failed, unsupported, refused, skipped, crashed, timed_out, out_of_memory, mistrusted, unstable"),
    COLUMN(case_row, reason, "text", "why the outcome is not passed; empty for passed"),
    COLUMN(case_row, repro, "text", "command line that repeats the case"),
    COLUMN(case_row, threads, "1", "threads the decoder was given"),
    COLUMN(case_row, batch, "1", "pictures decoded at once"),
    COLUMN(case_row, image_height, "pixel", "height of the decoded picture"),
    COLUMN(case_row, image_width, "pixel", "width of the decoded picture"),
    COLUMN(case_row, latency_median_ns, "ns",
           "median wall time of one decode, over the timed samples of one launch, or the medians of several"),
    COLUMN(case_row, latency_low_ns, "ns",
           "lower end of the 95 % interval of the median (below 6 samples, or launches: smallest)"),
    COLUMN(case_row, latency_high_ns, "ns",
           "upper end of the 95 % interval of the median (below 6 samples, or launches: largest)"),
    COLUMN(case_row, latency_mad_ns, "ns", "median absolute deviation from the median, not scaled"),
    COLUMN(case_row, latency_min_ns, "ns", "smallest timed sample"),
    COLUMN(case_row, sample_count, "1", "timed samples; /samples has each of them"),
    COLUMN(case_row, launch_count, "1", "worker processes the samples came from"),
    COLUMN(case_row, decodes_per_sample, "1", "decodes that were timed together as one sample"),
    COLUMN(case_row, cpu_time_median_ns, "ns", "median CPU time of one decode, all threads of the worker"),
    COLUMN(case_row, open_time_ns, "ns", "time to open the decoder: weights read and packed"),
    COLUMN(case_row, first_decode_ns, "ns", "wall time of the first decode of a worker"),
    COLUMN(case_row, outside_median_ns, "ns", "median wall time of one decode by the harness's own clock"),
    COLUMN(case_row, throughput_pixels_per_s, "pixel/s", "decoded pixels a second at the median latency"),
    COLUMN(case_row, flops, "FLOP", "floating-point operations of one decode, counted from the graph"),
    COLUMN(case_row, achieved_flops_per_s, "FLOP/s", "flops divided by the median latency"),
    COLUMN(case_row, memory_planned_bytes, "bytes", "activations and workspace, as planned before the decode"),
    COLUMN(case_row, memory_peak_bytes, "bytes", "allocator's peak of activations, workspace and tensors"),
    COLUMN(case_row, memory_weights_bytes, "bytes", "weights the allocator holds after open"),
    COLUMN(case_row, memory_rss_peak_bytes, "bytes", "highest resident set of the worker process"),
    COLUMN(case_row, memory_device_peak_bytes, "bytes",
           "peak of device memory; unknown where there is none of its own"),
    COLUMN(case_row, psnr_db, "dB", "PSNR over [-1, 1] (peak 2) against the FP32 reference"),
    COLUMN(case_row, psnr8_db, "dB", "PSNR of the 8-bit picture (peak 255) against the reference's"),
    COLUMN(case_row, psnr_worst_tile_db, "dB", "lowest PSNR of any tile: 64x64, or 16x16 below 512 pixels"),
    COLUMN(case_row, ssim, "1", "structural similarity with the FP32 reference"),
    COLUMN(case_row, relative_l2, "1", "L2 norm of the error by the L2 norm of the reference"),
    COLUMN(case_row, max_abs_error, "1", "largest absolute error against the FP32 reference"),
    COLUMN(case_row, image_min, "1", "smallest value of the decoded image, before any clamp"),
    COLUMN(case_row, image_max, "1", "largest value of the decoded image, before any clamp"),
    COLUMN(case_row, image_std, "1", "standard deviation of the decoded image"),
    COLUMN(case_row, fused_modules, "1", "attention modules whose QKV are fused; unknown where not asked for"),
    COLUMN(case_row, duration_ns, "ns", "the whole case by the harness's clock: workers, oracle, checks and samples"),
};

static const struct column check_columns[] = {
    COLUMN(check_row, case_id, "text", "the case that was checked"),
    COLUMN(check_row, name, "text", "name of the check"),
    COLUMN(check_row, outcome, "text", "passed, failed, unsupported, skipped"),
    COLUMN(check_row, value, "1", "what was found; unknown where the check is no number against a number"),
    COLUMN(check_row, bound, "1", "what it was held against"),
    COLUMN(check_row, derivation, "text", "where the bound comes from"),
    COLUMN(check_row, evidence, "text", "harness: seen from outside; decoder: the decoder's word"),
    COLUMN(check_row, message, "text", "what was found, in words"),
};

static const struct column sample_columns[] = {
    COLUMN(sample_row, case_id, "text", "the case that was timed"),
    COLUMN(sample_row, launch, "1", "number of the worker process the sample came from"),
    COLUMN(sample_row, order, "1", "place in time within the run"),
    COLUMN(sample_row, decodes, "1", "decodes timed together in this sample; times below are of all of them"),
    COLUMN(sample_row, wall_ns, "ns", "wall time by the worker's clock"),
    COLUMN(sample_row, cpu_ns, "ns", "CPU time of the worker, all threads"),
    COLUMN(sample_row, outside_ns, "ns", "wall time by the harness's clock"),
    COLUMN(sample_row, run_delay_ns, "ns", "time the worker's threads were ready but not running"),
    COLUMN(sample_row, involuntary_switches, "1", "context switches the worker did not ask for"),
    COLUMN(sample_row, minor_faults, "1", "page faults served from memory"),
    COLUMN(sample_row, major_faults, "1", "page faults served from disk"),
    COLUMN(sample_row, steal_ns, "ns", "time taken by the hypervisor, whole machine"),
    COLUMN(sample_row, phase, "text", "warm-up or timed; only timed samples make the medians"),
};

static const struct column model_columns[] = {
    COLUMN(model_row, name, "text", "name of the model"),
    COLUMN(model_row, vae_type, "text", "decoder class"),
    COLUMN(model_row, config_sha256, "text", "SHA-256 of config.json"),
    COLUMN(model_row, weights_sha256, "text", "SHA-256 of the weights file; of shards, see models.md"),
    COLUMN(model_row, weights_origin, "text", "seed of synthetic weights, or the file's name and layout of names"),
    COLUMN(model_row, parameters, "1", "parameters of the decoder"),
    COLUMN(model_row, parameter_tensors, "1", "tensors that hold them"),
    COLUMN(model_row, weights_file_bytes, "bytes", "size of the weights file"),
    COLUMN(model_row, flops_512, "FLOP", "floating-point operations of a decode to 512 x 512"),
    COLUMN(model_row, flops_1024, "FLOP", "floating-point operations of a decode to 1024 x 1024"),
    COLUMN(model_row, attention_modules, "1", "attention modules of the decoder"),
};

static const struct column image_columns[] = {
    COLUMN(image_row, case_id, "text", "the case the picture is of"),
    COLUMN(image_row, kind, "text", "decoded, oracle, or error (an error map)"),
    COLUMN(image_row, dataset, "text", "where the pixels are: /images/pixels/NNNN, uint8, height x width x 3"),
    COLUMN(image_row, height, "pixel", "rows"),
    COLUMN(image_row, width, "pixel", "columns"),
    COLUMN(image_row, gain, "1", "error maps: what 1.0 of error was multiplied by; 1 else"),
};

static const struct column trace_columns[] = {
    COLUMN(trace_row, case_id, "text", "the case that was traced"),
    COLUMN(trace_row, order, "1", "place in the order of execution"),
    COLUMN(trace_row, module, "text", "the module's name in the checkpoint: mid_block.attentions.0"),
    COLUMN(trace_row, op, "text", "operation: conv2d, group_norm, ..."),
    COLUMN(trace_row, kernel, "text", "what ran it"),
    COLUMN(trace_row, why, "text", "why that kernel, where the decoder had a choice and tells"),
    COLUMN(trace_row, time_ns, "ns", "wall time, by the decoder's word"),
    COLUMN(trace_row, flops, "FLOP", "floating-point operations"),
    COLUMN(trace_row, bytes, "bytes", "bytes read and written"),
    COLUMN(trace_row, profile_ns, "ns", "median wall time over the decodes of the profile; unknown without one"),
    COLUMN(trace_row, flops_per_s, "FLOP/s", "flops by profile_ns"),
    COLUMN(trace_row, bytes_per_s, "bytes/s", "bytes by profile_ns"),
    COLUMN(trace_row, flops_per_byte, "FLOP/byte", "arithmetic intensity: flops by bytes"),
    COLUMN(trace_row, limit, "text",
           "which ceiling is the lower one at this intensity: compute or bandwidth; empty where unknown"),
    COLUMN(trace_row, roof_share, "1", "the least time that the ceilings allow, by profile_ns: 1 is on the roofline"),
};

static const struct column oracle_columns[] = {
    COLUMN(oracle_row, case_id, "text", "the case that was judged"),
    COLUMN(oracle_row, key, "text",
           "of the oracle store: SHA-256 of graph, weights, inputs, tiling, reference version"),
    COLUMN(oracle_row, source, "text", "computed in this run, or store"),
    COLUMN(oracle_row, fp32_error_l2, "1", "L2 norm of FP32 reference minus FP64 reference"),
    COLUMN(oracle_row, fp32_error_max, "1", "largest absolute difference of the FP32 and the FP64 reference"),
    COLUMN(oracle_row, image_max_abs, "1", "largest absolute value of the FP64 reference's image"),
};

static const struct column memory_columns[] = {
    COLUMN(memory_row, case_id, "text", "the case that was decoded"),
    COLUMN(memory_row, phase, "text",
           "start (a worker with nothing open), open, prepare, decode (one, after the first), or close"),
    COLUMN(memory_row, weights_bytes, "bytes", "weights the allocator holds at the end of the phase"),
    COLUMN(memory_row, weights_peak_bytes, "bytes",
           "most it held within the phase; unknown for close, as for all classes"),
    COLUMN(memory_row, activations_bytes, "bytes", "tensors between ops, at the end of the phase"),
    COLUMN(memory_row, activations_peak_bytes, "bytes", "most within the phase"),
    COLUMN(memory_row, workspace_bytes, "bytes", "scratch of ops, at the end of the phase"),
    COLUMN(memory_row, workspace_peak_bytes, "bytes", "most within the phase"),
    COLUMN(memory_row, tensors_bytes, "bytes", "buffers of inputs and outputs, at the end of the phase"),
    COLUMN(memory_row, tensors_peak_bytes, "bytes", "most within the phase"),
    COLUMN(memory_row, scratch_peak_bytes, "bytes",
           "most of activations, workspace and tensors together; their own peaks need not fall on one moment"),
    COLUMN(memory_row, rss_bytes, "bytes", "resident set of the worker at the end of the phase"),
    COLUMN(memory_row, rss_peak_bytes, "bytes", "highest resident set of the worker up to then"),
    COLUMN(memory_row, device_bytes, "bytes", "device memory at the end of the phase; unknown where there is none"),
    COLUMN(memory_row, device_peak_bytes, "bytes", "most device memory within the phase"),
};

static const struct column profile_columns[] = {
    COLUMN(profile_row, case_id, "text", "the case that was profiled"),
    COLUMN(profile_row, decodes, "1", "decodes that the medians in /trace are over, none of them a timed sample"),
    COLUMN(profile_row, decode_ns, "ns", "median wall time of one of these decodes"),
    COLUMN(profile_row, steps_ns, "ns", "sum of profile_ns over the case's entries of /trace"),
    COLUMN(profile_row, threads, "1", "threads that the ceilings were measured with: the decoder's"),
    COLUMN(profile_row, isa, "text", "instruction set of the compute ceiling: the fastest of this processor"),
    COLUMN(profile_row, peak_flops_per_s, "FLOP/s", "compute ceiling: FP32 multiply-adds from registers, measured"),
    COLUMN(profile_row, peak_bytes_per_s, "bytes/s",
           "bandwidth ceiling: reading or copying main memory, whichever is faster, measured"),
    COLUMN(profile_row, note, "text", "why times or ceilings are missing; empty where none are"),
};

#define TABLE(table_name, struct_name, table_columns, text)                                             \
    {                                                                                                   \
        .name = (table_name), .description = (text), .row_size_bytes = sizeof(struct struct_name),      \
        .columns = (table_columns), .column_count = sizeof(table_columns) / sizeof((table_columns)[0]), \
    }

const struct table_schema results_schema[TABLE_COUNT] = {
    [TABLE_CASES] = TABLE("cases", case_row, case_columns, "One row a case: outcome, latency, memory, quality"),
    [TABLE_CHECKS] = TABLE("checks", check_row, check_columns, "One row a check of a case: value, bound, why"),
    [TABLE_SAMPLES] = TABLE("samples", sample_row, sample_columns, "Every raw sample, warm-up included, none dropped"),
    [TABLE_MODELS] = TABLE("models", model_row, model_columns, "One row a model of the run"),
    [TABLE_IMAGES] = TABLE("images", image_row, image_columns, "Chosen pictures and error maps"),
    [TABLE_TRACE] =
        TABLE("trace", trace_row, trace_columns,
              "What a decoder launched in one decode, and with --profile how close each step came to the roofline"),
    [TABLE_ORACLE] = TABLE("oracle", oracle_row, oracle_columns, "Which reference images judged the cases"),
    [TABLE_MEMORY] = TABLE("memory", memory_row, memory_columns, "What a decoder holds, phase by phase"),
    [TABLE_PROFILES] = TABLE("profiles", profile_row, profile_columns,
                             "One row a case of a run with --profile; the steps themselves are in /trace"),
};
