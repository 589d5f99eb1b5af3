/* HDF5 builds the file in memory (its core driver), and the bytes go to disk by us: a full disk is then an errno of
 * ours and not a half-closed HDF5 file, and the checksum in the seal is of exactly the bytes that go out. Metadata and
 * numbers carry HDF5's own checksums too (format 1.10, Fletcher-32), for readers that know nothing of seals. The bytes
 * are taken at close, because H5Fget_file_image of 1.10.8 leaves a wrong checksum in the superblock. */
#include "results/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/beside.h"
#include "results/schema.h"
#include "results/store_hdf5.h"
#include "results/store_seal.h"

enum {
    CORE_GROWTH_BYTES = 4 << 20,
    CHUNK_ROWS = 1 << 16,
    CHUNK_PICTURE_BYTES = 1 << 20,
    DEFLATE_LEVEL = 4,
};

static bool write_text_attribute(hid_t object, const char *name, const char *text) {
    hid_t type = hdf5_text_type(H5T_CSET_UTF8);
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool done = attribute >= 0 && H5Awrite(attribute, type, &text) >= 0;
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    return done;
}

static bool write_integer_attribute(hid_t object, const char *name, int64_t value) {
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    bool done = attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_INT64, &value) >= 0;
    H5Aclose(attribute);
    H5Sclose(space);
    return done;
}

/* The HDF5 image specification wants these as fixed-length ASCII. */
static bool write_fixed_attribute(hid_t object, const char *name, const char *text) {
    hid_t type = H5Tcopy(H5T_C_S1);
    hid_t space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text) + 1);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool done = attribute >= 0 && H5Awrite(attribute, type, text) >= 0;
    H5Aclose(attribute);
    H5Sclose(space);
    H5Tclose(type);
    return done;
}

/* The column's values side by side, as HDF5 writes them; every type is 8 bytes wide. */
static void *gather_column(const struct table *table, const struct column *column) {
    _Static_assert(sizeof(int64_t) == 8 && sizeof(double) == 8 && sizeof(const char *) == 8, "columns of one width");
    char *values = malloc(table->count * 8 + 8);
    for (size_t i = 0; values && i < table->count; i++) {
        if (column->type == COLUMN_TEXT) {
            const char *text = column_text(column, table_row(table, i));
            memcpy(values + i * 8, &text, 8);
        } else {
            memcpy(values + i * 8, (const char *)table_row(table, i) + column->offset, 8);
        }
    }
    return values;
}

static bool write_column(hid_t group, const struct table *table, const struct column *column) {
    hsize_t rows = table->count;
    hsize_t chunk = rows < CHUNK_ROWS ? rows : CHUNK_ROWS;
    hid_t text_type = hdf5_text_type(H5T_CSET_UTF8);
    hid_t file_type = column->type == COLUMN_INTEGER ? H5T_STD_I64LE
                      : column->type == COLUMN_REAL  ? H5T_IEEE_F64LE
                                                     : text_type;
    hid_t memory_type = column->type == COLUMN_INTEGER ? H5T_NATIVE_INT64
                        : column->type == COLUMN_REAL  ? H5T_NATIVE_DOUBLE
                                                       : text_type;
    hid_t space = H5Screate_simple(1, &rows, NULL);
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(plan, false);           /* the same record makes the same bytes */
    if (rows > 0 && column->type != COLUMN_TEXT) { /* HDF5 has no chunks of no rows, no checksums of references */
        H5Pset_chunk(plan, 1, &chunk);
        H5Pset_fletcher32(plan);
    }
    hid_t dataset = H5Dcreate2(group, column->name, file_type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    void *values = gather_column(table, column);
    bool done = values && dataset >= 0 &&
                (rows == 0 || H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0) &&
                write_text_attribute(dataset, "unit", column->unit) &&
                write_text_attribute(dataset, "description", column->description);
    free(values);
    H5Dclose(dataset);
    H5Pclose(plan);
    H5Sclose(space);
    H5Tclose(text_type);
    return done;
}

static bool write_image_attributes(hid_t dataset) {
    static const uint8_t range[2] = {0, 255};
    hsize_t two = 2;
    hid_t space = H5Screate_simple(1, &two, NULL);
    hid_t attribute = H5Acreate2(dataset, "IMAGE_MINMAXRANGE", H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT);
    bool done = attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_UINT8, range) >= 0 &&
                write_fixed_attribute(dataset, "CLASS", "IMAGE") &&
                write_fixed_attribute(dataset, "IMAGE_VERSION", "1.2") &&
                write_fixed_attribute(dataset, "IMAGE_SUBCLASS", "IMAGE_TRUECOLOR") &&
                write_fixed_attribute(dataset, "INTERLACE_MODE", "INTERLACE_PIXEL") &&
                write_text_attribute(dataset, "unit", "1") &&
                write_text_attribute(dataset, "description", "8-bit RGB pixels, height x width x 3");
    H5Aclose(attribute);
    H5Sclose(space);
    return done;
}

static bool write_image(hid_t group, const char *name, const struct record_image *image) {
    hsize_t shape[3] = {(hsize_t)image->height, (hsize_t)image->width, 3};
    hsize_t rows = CHUNK_PICTURE_BYTES / (shape[1] * 3) + 1;
    hsize_t chunk[3] = {rows < shape[0] ? rows : shape[0], shape[1], 3};
    hid_t space = H5Screate_simple(3, shape, NULL);
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(plan, false); /* the same record makes the same bytes */
    H5Pset_chunk(plan, 3, chunk);
    H5Pset_deflate(plan, DEFLATE_LEVEL);
    H5Pset_fletcher32(plan);
    hid_t dataset = H5Dcreate2(group, name, H5T_STD_U8LE, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    bool done = dataset >= 0 &&
                H5Dwrite(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, image->pixels) >= 0 &&
                write_image_attributes(dataset);
    H5Dclose(dataset);
    H5Pclose(plan);
    H5Sclose(space);
    return done;
}

static bool write_images(hid_t images_group, const struct record *record) {
    hid_t plan = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(plan, false);
    hid_t group = H5Gcreate2(images_group, HDF5_PIXELS_GROUP, H5P_DEFAULT, plan, H5P_DEFAULT);
    H5Pclose(plan);
    bool done = group >= 0;
    for (size_t i = 0; done && i < record->image_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%04zu", i);
        done = write_image(group, name, &record->images[i]);
    }
    H5Gclose(group);
    return done;
}

static bool write_table(hid_t file, const struct record *record, enum table_id id, struct results_error *error,
                        const char *path) {
    const struct table *table = &record->tables[id];
    hid_t plan = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(plan, false);
    H5Pset_link_creation_order(plan, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED); /* columns in the schema's order */
    hid_t group = H5Gcreate2(file, table->schema->name, H5P_DEFAULT, plan, H5P_DEFAULT);
    const char *place = table->schema->name;
    bool done = group >= 0 && write_text_attribute(group, "description", table->schema->description);
    for (size_t i = 0; done && i < table->schema->column_count; i++) {
        place = table->schema->columns[i].name;
        done = write_column(group, table, &table->schema->columns[i]);
    }
    if (done && id == TABLE_IMAGES) {
        place = HDF5_PIXELS_GROUP;
        done = write_images(group, record);
    }
    if (!done) {
        hdf5_fail(error, path, place, "cannot be put into the result file");
    }
    H5Gclose(group);
    H5Pclose(plan);
    return done;
}

static bool write_facts(hid_t file, const struct record *record) {
    bool done = write_text_attribute(file, "vaemark", "run") &&
                write_integer_attribute(file, "schema_version", RESULTS_SCHEMA_VERSION);
    for (size_t i = 0; done && i < record->fact_count; i++) {
        const struct environment_fact *fact = &record->facts[i];
        done = write_text_attribute(file, fact->key, fact->value);
        if (done && fact->unit[0]) {
            char *name = NULL;
            done = asprintf(&name, "%s__unit", fact->key) >= 0 && write_text_attribute(file, name, fact->unit);
            free(name);
        }
    }
    return done;
}

/* The core driver's memory, which we take over when HDF5 lets go of it at close. */
struct file_image {
    char *bytes;
    size_t size_bytes, capacity_bytes;
};

static void *image_malloc(size_t size_bytes, H5FD_file_image_op_t operation, void *context) {
    (void)operation;
    ((struct file_image *)context)->capacity_bytes = size_bytes;
    return malloc(size_bytes);
}

static void *image_copy(void *target, const void *source, size_t size_bytes, H5FD_file_image_op_t operation,
                        void *context) {
    (void)operation, (void)context;
    return memcpy(target, source, size_bytes);
}

static void *image_realloc(void *bytes, size_t size_bytes, H5FD_file_image_op_t operation, void *context) {
    (void)operation;
    ((struct file_image *)context)->capacity_bytes = size_bytes;
    return realloc(bytes, size_bytes);
}

static herr_t image_free(void *bytes, H5FD_file_image_op_t operation, void *context) {
    struct file_image *image = context;
    if (operation == H5FD_FILE_IMAGE_OP_FILE_CLOSE) {
        free(image->bytes);
        image->bytes = bytes;
    } else {
        free(bytes);
    }
    return 0;
}

static void *image_share_context(void *context) {
    return context;
}

static herr_t image_leave_context(void *context) {
    (void)context;
    return 0;
}

static hid_t create_in_memory(const char *path, struct file_image *image) {
    H5FD_file_image_callbacks_t callbacks = {image_malloc,        image_copy,          image_realloc, image_free,
                                             image_share_context, image_leave_context, image};
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t plan = H5Pcreate(H5P_FILE_CREATE);
    bool done = H5Pset_file_image_callbacks(access, &callbacks) >= 0 &&
                H5Pset_fapl_core(access, CORE_GROWTH_BYTES, 0) >= 0 &&
                H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0; /* checksums on all metadata */
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_userblock(plan, SEAL_BYTES);
    H5Pset_obj_track_times(plan, false);
    H5Pset_attr_creation_order(plan, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    H5Pset_link_creation_order(plan, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    hid_t file = done ? H5Fcreate(path, H5F_ACC_TRUNC, plan, access) : -1;
    H5Pclose(plan);
    H5Pclose(access);
    return file;
}

/* HDF5 rounds the memory up, so the file's size is taken from the superblock: 8 bytes, little-endian, behind signature,
 * four small fields and two addresses (file format specification, II.A, versions 2 and 3). */
static bool find_size(struct file_image *image) {
    enum { END_OF_FILE_OFFSET = SEAL_BYTES + 8 + 4 + 8 + 8 };
    uint64_t end = 0;
    for (int i = 7; image->bytes && i >= 0; i--) {
        end = end << 8 | (unsigned char)image->bytes[END_OF_FILE_OFFSET + i];
    }
    image->size_bytes = end;
    return end > SEAL_BYTES && end <= image->capacity_bytes;
}

/* The whole file, with room for the seal; the caller frees image->bytes, also after errors. */
static bool build_file(struct file_image *image, const char *path, const struct record *record,
                       struct results_error *error) {
    hid_t file = create_in_memory(path, image);
    bool done = file >= 0 && write_facts(file, record);
    if (!done) {
        hdf5_fail(error, path, "/", "the environment cannot be put into the result file");
    }
    for (int i = 0; done && i < TABLE_COUNT; i++) {
        done = write_table(file, record, (enum table_id)i, error, path);
    }
    if (file >= 0 && H5Fclose(file) < 0 && done) {
        done = hdf5_fail(error, path, "/", "the result file cannot be put together");
    }
    if (done && !find_size(image)) {
        done = results_fail(error, "%s: HDF5 gave no bytes for the result file", path);
    }
    return done;
}

bool store_write(const char *path, const struct record *record, struct results_error *error) {
    hdf5_silence();
    struct file_image image = {0};
    bool done = build_file(&image, path, record, error);
    if (done) {
        seal_make(image.bytes, image.bytes + SEAL_BYTES, image.size_bytes - SEAL_BYTES);
        done = beside_write(path, &(struct piece){image.bytes, image.size_bytes}, 1, error);
    }
    free(image.bytes);
    return done;
}
