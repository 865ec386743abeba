/* Writing data and attributes into an HDF5 file that is being built.  Every dataset goes through
   `put`, every attribute through `set`. */

#include <hdf5_hl.h>
#include <string.h>

#include "file.h"
#include "h5.h"

enum { CHUNK_BYTES = 1 << 20, WORTH_COMPRESSING = 4096 };

#ifdef PERI_DOUBLE
#define REAL_TYPE H5T_IEEE_F64LE
#else
#define REAL_TYPE H5T_IEEE_F32LE
#endif

static bool writable (const peri_h5 *f) {
  if (f && !f->writing)
    peri_fail(PERI_E_ARGUMENT, "%s is open for reading; a new file is made by create", f->path);
  return f && f->writing;
}

/* The name inside f of something new, or NULL with a failure. */
static const char *new_name (peri_h5 *f, const char *name) {
  if (!writable(f) || !(name = peri__h5_name(f, name))) return NULL;
  switch (peri__h5_find(f, name)) {
    case PERI__H5_NOTHING: return name;
    case PERI__H5_IS_BLOCKED:
      return peri_null(PERI_E_ARGUMENT, "%s: %s cannot be written: a part of its path is a dataset",
                       f->path, name);
    default:
      return peri_null(PERI_E_ARGUMENT, "%s: %s is written already", f->path, *name ? name : "/");
  }
}

/* A failure of the library leaves a hole in the file, so commit will refuse it. */
static peri_status broke (peri_h5 *f, const char *name) {
  f->broken = true;
  return peri__h5_fail(f, "write", name);
}

/* Chunks as large as CHUNK_BYTES allows: the leading axes are cut first. */
static void choose_chunk (hsize_t *chunk, int rank, size_t itemsize) {
  hsize_t most = CHUNK_BYTES / itemsize, rest = 1;
  for (int i = 1; i < rank; i++) rest *= chunk[i];
  for (int i = 0; i < rank; i++) {
    if (chunk[i] * rest > most) chunk[i] = most / rest > 1 ? most / rest : 1;
    if (i + 1 < rank) rest /= chunk[i + 1];
  }
}

/* How a dataset is stored.  Times of creation would make two equal files differ. */
static hid_t storage (int rank, const hsize_t *dims, size_t itemsize, bool compress) {
  hsize_t chunk[PERI_MAXDIM], count = 1;
  hid_t how = H5Pcreate(H5P_DATASET_CREATE);
  bool ok = H5Pset_obj_track_times(how, false) >= 0 &&
            H5Pset_fill_time(how, H5D_FILL_TIME_NEVER) >= 0;
  for (int i = 0; i < rank; i++) count *= chunk[i] = dims[i];
  if (ok && compress && rank > 0 && count * itemsize >= WORTH_COMPRESSING) {
    choose_chunk(chunk, rank, itemsize);
    ok = H5Pset_chunk(how, rank, chunk) >= 0 && H5Pset_shuffle(how) >= 0 &&
         H5Pset_deflate(how, 4) >= 0;
  }
  if (ok) return how;
  peri__h5_release(how);
  return -1;
}

/* One dataset, groups on the way included.  Names are checked before anything is made, so a mistake
   changes nothing; what fails after that is for want of memory and breaks the file. */
static peri_status put (peri_h5 *f, const char *name, hid_t type, int rank, const hsize_t *dims,
                        bool compress, const void *data) {
  static const hsize_t none[1];
  if (!(name = new_name(f, name))) return peri_error();
  hid_t path = H5Pcreate(H5P_LINK_CREATE);
  hid_t how = storage(rank, dims, H5Tget_size(type), compress);
  hid_t space = rank > 0 ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR);
  bool ok = how >= 0 && H5Pset_create_intermediate_group(path, 1) >= 0 &&
            H5Pset_char_encoding(path, H5T_CSET_UTF8) >= 0;
  hid_t set = ok ? H5Dcreate2(f->file, name, type, space, path, how, H5P_DEFAULT) : -1;
  ok = set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data ? data : none) >= 0;
  peri_status status = ok ? PERI_OK : broke(f, name);
  peri__h5_release(set);
  peri__h5_release(space);
  peri__h5_release(how);
  peri__h5_release(path);
  return status;
}

/* --- datasets ------------------------------------------------------------------------------ */

/* The first `rank` axes of x are its shape on disk: (h, w, 1) is written as (h, w). */
static peri_status put_tensor (peri_h5 *f, const char *name, const peri_tensor *x, int rank,
                               bool compress) {
  hid_t type = x->dtype == PERI_REAL ? REAL_TYPE : x->dtype == PERI_INDEX ? H5T_STD_I32LE
                                                                        : H5T_STD_U8LE;
  hsize_t dims[PERI_MAXDIM];
  size_t n;
  for (int i = 0; i < rank; i++) dims[i] = (hsize_t) x->shape[i];
  peri_scope scope = peri_scope_open();
  const void *data = peri__tensor_bytes(x, &n);
  peri_status status = data ? put(f, name, type, rank, dims, compress, data) : peri_error();
  if (!data) f->broken = true;
  peri_scope_close(scope);
  return status;
}

/* Packs a strided x first.  NULL gives the failure that made it NULL. */
peri_status peri_h5_write (peri_h5 *f, const char *name, const peri_tensor *x, bool compress) {
  return f && x ? put_tensor(f, name, x, x->ndim, compress) : peri_error();
}

/* Columns of a table, (n).  Long ones are compressed: metrics are most of a small run's file. */
peri_status peri_h5_write_f64 (peri_h5 *f, const char *name, const double *x, int64_t n) {
  return put(f, name, H5T_IEEE_F64LE, 1, (hsize_t[]) {(hsize_t) n}, true, x);
}

peri_status peri_h5_write_i64 (peri_h5 *f, const char *name, const int64_t *x, int64_t n) {
  return put(f, name, H5T_STD_I64LE, 1, (hsize_t[]) {(hsize_t) n}, true, x);
}

peri_status peri_h5_write_u64 (peri_h5 *f, const char *name, const uint64_t *x, int64_t n) {
  return put(f, name, H5T_STD_U64LE, 1, (hsize_t[]) {(hsize_t) n}, true, x);
}

/* A string type of n bytes; the format knows none of 0 bytes. */
static hid_t text_type (size_t n, H5T_str_t padding, H5T_cset_t letters) {
  hid_t type = H5Tcopy(H5T_C_S1);
  if (H5Tset_size(type, n ? n : 1) >= 0 && H5Tset_strpad(type, padding) >= 0 &&
      H5Tset_cset(type, letters) >= 0) return type;
  peri__h5_release(type);
  return -1;
}

/* Fixed length and in one piece: a text of megabytes costs no heap of the library. */
peri_status peri_h5_write_text (peri_h5 *f, const char *name, const char *text, size_t n) {
  if (f && (n > UINT32_MAX || memchr(text, 0, n)))
    return peri_fail(PERI_E_ARGUMENT, "%s: the text %.100s %s; write a byte tensor instead",
                     f->path, name, n > UINT32_MAX ? "is longer than 4 GiB" : "has a zero byte");
  if (!f) return peri_error();
  hid_t type = text_type(n, H5T_STR_NULLPAD, H5T_CSET_UTF8);
  peri_status status = type < 0 ? broke(f, name)
                     : put(f, name, type, 0, NULL, false, n ? text : "");
  peri__h5_release(type);
  return status;
}

/* --- attributes ---------------------------------------------------------------------------- */

/* The object of that name; made as a group where there is nothing. */
static hid_t object_of (peri_h5 *f, const char *name) {
  if (peri__h5_find(f, name) != PERI__H5_NOTHING)
    return H5Oopen(f->file, *name ? name : "/", H5P_DEFAULT);
  hid_t path = H5Pcreate(H5P_LINK_CREATE), object = -1;
  if (H5Pset_create_intermediate_group(path, 1) >= 0 &&
      H5Pset_char_encoding(path, H5T_CSET_UTF8) >= 0)
    object = H5Gcreate2(f->file, name, path, H5P_DEFAULT, H5P_DEFAULT);
  peri__h5_release(path);
  return object;
}

/* Takes over `type`, which may be one of the library's own. */
static peri_status set (peri_h5 *f, const char *object, const char *attribute, hid_t type,
                        const void *data) {
  peri_status status = PERI_OK;
  hid_t on = -1, how = -1, space = -1, a = -1;
  const char *name = writable(f) ? peri__h5_name(f, object) : NULL;
  if (!name) status = peri_error();
  else if (!*attribute || strlen(attribute) >= PERI__H5_NAME)
    status = peri_fail(PERI_E_ARGUMENT, "%s: an attribute's name has 1 to 1023 bytes", f->path);
  else if (peri__h5_find(f, name) == PERI__H5_IS_BLOCKED)
    status = peri_fail(PERI_E_ARGUMENT, "%s: there is no %s: a part of its path is a dataset",
                       f->path, name);
  else {
    on = object_of(f, name);
    how = H5Pcreate(H5P_ATTRIBUTE_CREATE);
    space = H5Screate(H5S_SCALAR);
    bool ok = on >= 0 && type >= 0 && H5Pset_char_encoding(how, H5T_CSET_UTF8) >= 0;
    if (ok && H5Aexists(on, attribute) > 0) ok = H5Adelete(on, attribute) >= 0;
    if (ok) a = H5Acreate2(on, attribute, type, space, how, H5P_DEFAULT);
    if (a < 0 || H5Awrite(a, type, data) < 0) status = broke(f, attribute);
  }
  peri__h5_release(a);
  peri__h5_release(space);
  peri__h5_release(how);
  peri__h5_release(on);
  peri__h5_release(type);
  return status;
}

peri_status peri_h5_set_f64 (peri_h5 *f, const char *object, const char *attribute, double v) {
  return set(f, object, attribute, H5Tcopy(H5T_IEEE_F64LE), &v);
}

peri_status peri_h5_set_i64 (peri_h5 *f, const char *object, const char *attribute, int64_t v) {
  return set(f, object, attribute, H5Tcopy(H5T_STD_I64LE), &v);
}

/* h5py reads and writes booleans as this enumeration. */
peri_status peri_h5_set_bool (peri_h5 *f, const char *object, const char *attribute, bool v) {
  int8_t no = 0, yes = 1;
  hid_t type = H5Tenum_create(H5T_STD_I8LE);
  H5Tenum_insert(type, "FALSE", &no);
  H5Tenum_insert(type, "TRUE", &yes);
  return set(f, object, attribute, type, v ? &yes : &no);
}

/* Of variable length, because h5py gives those as str and the fixed ones as bytes. */
peri_status peri_h5_set_text (peri_h5 *f, const char *object, const char *attribute,
                              const char *v) {
  if (f && strlen(v) >= 1 << 16)
    return peri_fail(PERI_E_ARGUMENT, "%s: the attribute %.100s has %zu bytes and may have 65535; "
                     "write it as a dataset", f->path, attribute, strlen(v));
  return set(f, object, attribute, text_type(H5T_VARIABLE, H5T_STR_NULLTERM, H5T_CSET_UTF8), &v);
}

/* --- images and scales --------------------------------------------------------------------- */

/* The image conventions, and HDFView with them, want ASCII of fixed length. */
static peri_status set_ascii (peri_h5 *f, const char *object, const char *attribute,
                              const char *v) {
  return set(f, object, attribute, text_type(strlen(v) + 1, H5T_STR_NULLTERM, H5T_CSET_ASCII), v);
}

/* HDF5 Image and Palette Specification 1.2. */
peri_status peri_h5_write_image (peri_h5 *f, const char *name, const peri_tensor *image) {
  char shape[PERI_SHAPETEXT];
  if (!f || !image) return peri_error();
  bool color = image->ndim == 3 && image->shape[2] == 3;
  if (image->dtype != PERI_BYTE)
    return peri_fail(PERI_E_TYPE, "image %.100s: an image is a byte tensor, this one is %s; "
                     "use x:byte()", name, peri_dtype_name(image->dtype));
  if (!color && image->ndim != 2 && !(image->ndim == 3 && image->shape[2] == 1))
    return peri_fail(PERI_E_SHAPE, "image %.100s: shape %s is not (height, width), "
                     "(height, width, 1) or (height, width, 3)", name,
                     peri_shape_text(image, shape));
  peri_status status = put_tensor(f, name, image, color ? 3 : 2, true);
  if (!status) status = set_ascii(f, name, "CLASS", "IMAGE");
  if (!status) status = set_ascii(f, name, "IMAGE_VERSION", "1.2");
  if (!status)
    status = set_ascii(f, name, "IMAGE_SUBCLASS", color ? "IMAGE_TRUECOLOR" : "IMAGE_GRAYSCALE");
  if (!status && color) status = set_ascii(f, name, "INTERLACE_MODE", "INTERLACE_PIXEL");
  if (!status && !color) status = set(f, name, "IMAGE_WHITE_IS_ZERO", H5Tcopy(H5T_STD_U8LE), "");
  if (!status) status = set_ascii(f, name, "DISPLAY_ORIGIN", "UL");
  return status;
}

/* The named dataset with at least one axis, whose length goes to *n; -1 with a failure. */
static hid_t axis_of (peri_h5 *f, const char *name, hsize_t *n) {
  hsize_t dims[H5S_MAX_RANK];
  if (!(name = peri__h5_name(f, name))) return -1;
  hid_t set = -1, space = -1;
  if (peri__h5_find(f, name) == PERI__H5_IS_DATASET) {
    set = H5Dopen2(f->file, name, H5P_DEFAULT);
    space = H5Dget_space(set);
  }
  if (space >= 0 && H5Sget_simple_extent_dims(space, dims, NULL) >= 1) *n = dims[0];
  else {
    peri_fail(PERI_E_ARGUMENT, "%s: %s is not a dataset with an axis", f->path, *name ? name : "/");
    peri__h5_release(set);
    set = -1;
  }
  peri__h5_release(space);
  return set;
}

/* HDF5 Dimension Scales: h5py shows them as dims[0], xarray as coordinates.  `label` names the axis
   and, in the scale's NAME, the dimension. */
peri_status peri_h5_scale (peri_h5 *f, const char *dataset, const char *scale, const char *label) {
  hsize_t rows = 0, marks = 0;
  peri_status status = PERI_OK;
  if (!writable(f)) return peri_error();
  hid_t set_id = axis_of(f, dataset, &rows);
  hid_t scale_id = set_id < 0 ? -1 : axis_of(f, scale, &marks);
  if (scale_id < 0) status = peri_error();
  else if (rows != marks)
    status = peri_fail(PERI_E_SHAPE, "%s: %.100s has %llu rows and its scale %.100s has %llu",
                       f->path, dataset, (unsigned long long) rows, scale,
                       (unsigned long long) marks);
  else if (H5DSis_scale(set_id) > 0)
    status = peri_fail(PERI_E_ARGUMENT, "%s: %.100s is a scale itself", f->path, dataset);
  else if ((H5DSis_scale(scale_id) <= 0 && H5DSset_scale(scale_id, label) < 0) ||
           H5DSattach_scale(set_id, scale_id, 0) < 0 || H5DSset_label(set_id, 0, label) < 0)
    status = broke(f, dataset);
  peri__h5_release(scale_id);
  peri__h5_release(set_id);
  return status;
}
