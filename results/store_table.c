#include "results/store_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "results/beside.h"
#include "results/schema.h"

/* Deflate makes at most 1032 bytes of one; what claims more holds nothing. */
enum { LARGEST_EXPANSION = 1032, PLACE_BYTES = 160 };

struct reader {
    const char *path;
    struct results_error *error;
    char place[PLACE_BYTES]; /* the dataset at hand, for messages */
};

static bool refuse(struct reader *reader, const char *what) {
    return results_fail(reader->error, "%s: dataset %s: %s; repeat the run, or read it with the vaemark that wrote it",
                        reader->path, reader->place, what);
}

/* Like refuse, with HDF5's reason. */
static bool refuse_unreadable(struct reader *reader, const char *what) {
    return hdf5_fail(reader->error, reader->path, reader->place, what);
}

/* Only links within the file: a link to another file would read what the user did not name. */
static bool link_is_hard(hid_t group, const char *name) {
    H5L_info_t info;
    return H5Lexists(group, name, H5P_DEFAULT) > 0 && H5Lget_info(group, name, &info, H5P_DEFAULT) >= 0 &&
           info.type == H5L_TYPE_HARD;
}

static hid_t open_group(hid_t parent, const char *name) {
    return link_is_hard(parent, name) ? H5Gopen2(parent, name, H5P_DEFAULT) : -1;
}

/* The dataset's bytes are in this file, and as many as its shape says. */
static bool check_storage(struct reader *reader, hid_t dataset, hssize_t points, size_t size_bytes) {
    hid_t plan = H5Dget_create_plist(dataset);
    H5D_layout_t layout = plan >= 0 ? H5Pget_layout(plan) : H5D_LAYOUT_ERROR;
    int outside_files = plan >= 0 ? H5Pget_external_count(plan) : -1;
    H5Pclose(plan);
    if ((layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED && layout != H5D_COMPACT) || outside_files != 0) {
        return refuse(reader, "its data are not in this file");
    }
    hsize_t stored = H5Dget_storage_size(dataset);
    uint64_t wanted;
    if (points < 0 || __builtin_mul_overflow((uint64_t)points, (uint64_t)size_bytes, &wanted) ||
        wanted / LARGEST_EXPANSION > stored || wanted > SIZE_MAX / 4) {
        return refuse(reader, "claims more values than the file holds: the file is damaged");
    }
    return points == 0 || stored > 0 || refuse(reader, "was never filled in: the file is damaged");
}

static bool check_type(struct reader *reader, const struct column *column, hid_t type) {
    H5T_class_t class = H5Tget_class(type);
    bool fits = (column->type == COLUMN_INTEGER && class == H5T_INTEGER && H5Tget_size(type) <= 8) ||
                (column->type == COLUMN_REAL && class == H5T_FLOAT && H5Tget_size(type) <= 16) ||
                (column->type == COLUMN_TEXT && class == H5T_STRING && H5Tis_variable_str(type) > 0);
    char what[128];
    snprintf(what, sizeof what, "has the wrong type, the schema wants %s",
             column->type == COLUMN_TEXT   ? "variable-length texts"
             : column->type == COLUMN_REAL ? "reals"
                                           : "integers");
    return fits || refuse(reader, what);
}

static void store_value(struct record *record, const struct column *column, void *row, const void *values,
                        size_t index) {
    char *member = (char *)row + column->offset;
    if (column->type == COLUMN_TEXT) {
        *(const char **)(void *)member = record_text(record, ((char *const *)values)[index]);
    } else {
        memcpy(member, (const char *)values + index * 8, 8);
    }
}

/* Reads `rows` values into the column of rows that are there already. */
static bool read_values(struct reader *reader, hid_t dataset, hid_t file_type, const struct column *column,
                        struct record *record, struct table *table) {
    size_t rows = table->count;
    if (rows == 0) {
        return true;
    }
    hid_t text_type = column->type == COLUMN_TEXT ? hdf5_text_type(H5Tget_cset(file_type)) : -1;
    hid_t type = column->type == COLUMN_INTEGER ? H5T_NATIVE_INT64
                 : column->type == COLUMN_REAL  ? H5T_NATIVE_DOUBLE
                                                : text_type;
    void *values = calloc(rows, 8);
    bool done = values && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0;
    if (!done) {
        refuse_unreadable(reader, values ? "cannot be read: the file is damaged" : "out of memory");
    }
    for (size_t i = 0; done && i < rows; i++) {
        store_value(record, column, (char *)table->rows + i * table->schema->row_size_bytes, values, i);
    }
    for (size_t i = 0; values && column->type == COLUMN_TEXT && i < rows; i++) {
        H5free_memory(((void **)values)[i]);
    }
    free(values);
    H5Tclose(text_type);
    return done;
}

/* The first column says how many rows there are; the others must agree. */
static bool set_row_count(struct reader *reader, struct record *record, enum table_id id, bool first, hssize_t points) {
    struct table *table = &record->tables[id];
    if (!first) {
        char what[128];
        snprintf(what, sizeof what, "has %lld values where the table's first column has %zu", (long long)points,
                 table->count);
        return (hssize_t)table->count == points || refuse(reader, what);
    }
    for (hssize_t i = 0; i < points; i++) {
        if (!record_append(record, id)) {
            return refuse(reader, "out of memory");
        }
    }
    return true;
}

static bool read_column(struct reader *reader, hid_t group, struct record *record, enum table_id id, size_t index) {
    struct table *table = &record->tables[id];
    const struct column *column = &table->schema->columns[index];
    snprintf(reader->place, sizeof reader->place, "/%s/%s", table->schema->name, column->name);
    hid_t dataset = link_is_hard(group, column->name) ? H5Dopen2(group, column->name, H5P_DEFAULT) : -1;
    if (dataset < 0) {
        return refuse(reader, "is missing");
    }
    hid_t space = H5Dget_space(dataset);
    hid_t type = H5Dget_type(dataset);
    hssize_t points = space >= 0 ? H5Sget_simple_extent_npoints(space) : -1;
    bool done = (space >= 0 && H5Sget_simple_extent_ndims(space) == 1) || refuse(reader, "is not one-dimensional");
    done = done && type >= 0 && check_type(reader, column, type) &&
           check_storage(reader, dataset, points, H5Tget_size(type)) &&
           set_row_count(reader, record, id, index == 0, points) &&
           read_values(reader, dataset, type, column, record, table);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(dataset);
    return done;
}

bool store_read_table(hid_t file, const char *path, enum table_id id, struct record *record,
                      struct results_error *error) {
    struct reader reader = {.path = path, .error = error};
    const struct table_schema *schema = &results_schema[id];
    hid_t group = open_group(file, schema->name);
    if (group < 0) {
        return results_fail(error,
                            "%s: group /%s is missing; repeat the run, or read it with the vaemark that wrote it", path,
                            schema->name);
    }
    bool done = true;
    for (size_t i = 0; done && i < schema->column_count; i++) {
        done = read_column(&reader, group, record, id, i);
    }
    H5Gclose(group);
    return done;
}

static bool check_picture(struct reader *reader, hid_t dataset, const struct image_row *row) {
    hid_t space = H5Dget_space(dataset);
    hid_t type = H5Dget_type(dataset);
    hsize_t shape[3] = {0, 0, 0};
    bool fits = space >= 0 && H5Sget_simple_extent_ndims(space) == 3 &&
                H5Sget_simple_extent_dims(space, shape, NULL) == 3 && type >= 0 && H5Tget_class(type) == H5T_INTEGER &&
                H5Tget_size(type) == 1 && row->height > 0 && row->width > 0 && shape[0] == (hsize_t)row->height &&
                shape[1] == (hsize_t)row->width && shape[2] == 3;
    hssize_t points = fits ? H5Sget_simple_extent_npoints(space) : -1;
    fits = fits || refuse(reader, "is not the picture its row in /images says: uint8, height x width x 3");
    fits = fits && check_storage(reader, dataset, points, 1);
    H5Tclose(type);
    H5Sclose(space);
    return fits;
}

/* The record owns the pixels from now on. */
static bool add_picture(struct record *record, struct record_image image) {
    if (record->image_count == record->image_capacity) {
        size_t wanted = record->image_capacity * 2 + 16;
        struct record_image *images = realloc(record->images, wanted * sizeof *images);
        if (!images) {
            return false;
        }
        record->images = images;
        record->image_capacity = wanted;
    }
    record->images[record->image_count++] = image;
    return true;
}

static bool read_picture(struct reader *reader, hid_t pixels_group, struct record *record,
                         const struct image_row *row) {
    static const char prefix[] = "/images/" HDF5_PIXELS_GROUP "/";
    snprintf(reader->place, sizeof reader->place, "%s", row->dataset);
    const char *name = row->dataset + sizeof prefix - 1;
    if (strncmp(row->dataset, prefix, sizeof prefix - 1) != 0 || !*name || strchr(name, '/')) {
        return refuse(reader, "is no place for pixels (/images/pixels/NNNN is)");
    }
    hid_t dataset =
        pixels_group >= 0 && link_is_hard(pixels_group, name) ? H5Dopen2(pixels_group, name, H5P_DEFAULT) : -1;
    if (dataset < 0) {
        return refuse(reader, "is missing");
    }
    uint8_t *pixels = NULL; // (H, W, 3)
    bool done = check_picture(reader, dataset, row);
    if (done) {
        pixels = malloc((size_t)row->height * (size_t)row->width * 3);
        done = pixels && H5Dread(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, pixels) >= 0;
        done = done || refuse_unreadable(reader, pixels ? "cannot be read: the file is damaged" : "out of memory");
        struct record_image image = {.height = row->height, .width = row->width, .pixels = pixels};
        done = done && (add_picture(record, image) || refuse(reader, "out of memory"));
    }
    if (!done) {
        free(pixels);
    }
    H5Dclose(dataset);
    return done;
}

bool store_read_images(hid_t file, const char *path, struct record *record, struct results_error *error) {
    struct reader reader = {.path = path, .error = error};
    hid_t images = open_group(file, results_schema[TABLE_IMAGES].name);
    hid_t pixels = images >= 0 ? open_group(images, HDF5_PIXELS_GROUP) : -1;
    bool done = true;
    for (size_t i = 0; done && i < record->tables[TABLE_IMAGES].count; i++) {
        done = read_picture(&reader, pixels, record, RECORD_ROW(record, TABLE_IMAGES, i, image_row));
    }
    H5Gclose(pixels);
    H5Gclose(images);
    return done;
}
