/* Reading HDF5 files, trusted or not.  Only data whose type, storage and size were checked is asked
   of the library: plain numbers, booleans and texts, stored in the file itself. */

#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "h5.h"

#ifdef PERI_DOUBLE
#define REAL_TYPE H5T_NATIVE_DOUBLE
#else
#define REAL_TYPE H5T_NATIVE_FLOAT
#endif

/* --- datasets ------------------------------------------------------------------------------ */

typedef struct {
  hid_t id, type, space;
  peri_h5_info info;
  int64_t count;
} dataset;

static void close_dataset (dataset *d) {
  peri__h5_release(d->space);
  peri__h5_release(d->type);
  peri__h5_release(d->id);
}

/* Why a name is not a dataset that can be read. */
static peri_status missing (const peri_h5 *f, const char *name, peri__h5_found found) {
  if (!*name) name = "/";
  switch (found) {
    case PERI__H5_IS_GROUP:
      return peri_fail(PERI_E_FORMAT, "%s in %s is a group, not a dataset", name, f->path);
    case PERI__H5_IS_LINK:
      return peri_fail(PERI_E_FORMAT, "%s in %s is a link, which is not followed", name, f->path);
    case PERI__H5_IS_DAMAGED: return peri__h5_fail(f, "find", name);
    default: return peri_fail(PERI_E_FORMAT, "there is no %s in %s", name, f->path);
  }
}

/* Sizes, and whether the bytes that the dataset stores can hold them. */
static bool check_space (const peri_h5 *f, const char *name, dataset *d) {
  hsize_t dims[H5S_MAX_RANK];
  int rank = H5Sget_simple_extent_ndims(d->space);
  double claimed = (double) H5Tget_size(d->type);
  if (rank > PERI_MAXDIM || H5Sget_simple_extent_type(d->space) == H5S_NULL) {
    peri_fail(PERI_E_FORMAT, "%s in %s has %s", name, f->path,
              rank > PERI_MAXDIM ? "more than 8 axes" : "no data");
    return false;
  }
  if (rank < 0 || H5Sget_simple_extent_dims(d->space, dims, NULL) < 0)
    return peri__h5_fail(f, "read the shape of", name), false;
  d->info.shape.n = rank;
  d->count = 1;
  for (int i = 0; i < rank; i++) {
    claimed *= dims[i] ? (double) dims[i] : 1;      /* sizes beside a 0 must be sane as well */
    d->info.shape.at[i] = (int64_t) (dims[i] < INT64_MAX ? dims[i] : INT64_MAX);
  }
  hsize_t stored = H5Dget_storage_size(d->id);
  if (stored > (hsize_t) f->size && !f->writing) stored = (hsize_t) f->size;
  if (!peri__check_claim(f->path, claimed, (double) stored)) return false;
  for (int i = 0; i < rank; i++) d->count *= d->info.shape.at[i];      /* now known to be small */
  return true;
}

/* Inside the file, with pieces that are not absurd. */
static bool check_storage (const peri_h5 *f, const char *name, const dataset *d) {
  hsize_t chunk[H5S_MAX_RANK];
  hid_t how = H5Dget_create_plist(d->id);
  H5D_layout_t layout = how < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(how);
  bool inside = how >= 0 && H5Pget_external_count(how) == 0, ok = false;
  double piece = (double) H5Tget_size(d->type);
  if (layout == H5D_LAYOUT_ERROR) peri__h5_fail(f, "read", name);
  else if (!inside || layout == H5D_VIRTUAL)
    peri_fail(PERI_E_FORMAT, "%s in %s is stored in other files, which are not read", name,
              f->path);
  else if (layout == H5D_CHUNKED) {
    int rank = H5Pget_chunk(how, H5S_MAX_RANK, chunk);
    for (int i = 0; i < rank; i++) piece *= (double) chunk[i];
    ok = rank >= 0 && peri__check_claim(f->path, piece, f->writing ? piece : (double) f->size);
  } else ok = true;
  peri__h5_release(how);
  return ok;
}

/* Open and check; false with a failure and nothing to close. */
static bool open_dataset (peri_h5 *f, const char *given, dataset *d) {
  *d = (dataset) {-1, -1, -1, {0}, 0};
  const char *name = !f ? NULL : peri__h5_name(f, given);
  if (!name) return false;
  peri__h5_found found = peri__h5_find(f, name);
  if (found != PERI__H5_IS_DATASET) return missing(f, name, found), false;
  d->id = H5Dopen2(f->file, name, H5P_DEFAULT);
  d->type = H5Dget_type(d->id);
  d->space = H5Dget_space(d->id);
  if (d->id < 0 || d->type < 0 || d->space < 0) peri__h5_fail(f, "read", name);
  else {
    d->info.kind = peri__h5_kind_of(d->type, &d->info.bytes);
    if (check_space(f, name, d) && check_storage(f, name, d)) return true;
  }
  close_dataset(d);
  return false;
}

/* The library's read into memory of `type`; `out` was sized from the checked count. */
static peri_status fetch (const peri_h5 *f, const char *name, const dataset *d, hid_t type,
                          void *out) {
  bool ok = d->count == 0 || H5Dread(d->id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0;
  return ok ? PERI_OK : peri__h5_fail(f, "read", name);
}

/* Is there a group or dataset of that name?  Never a failure, whatever the name. */
bool peri_h5_has (peri_h5 *f, const char *name) {
  if (!f) return false;
  bool clean = peri_error() == PERI_OK;
  const char *inside = peri__h5_name(f, name);
  if (!inside && clean) peri_clear();        /* a name that cannot be is one that is not there */
  if (!inside) return false;
  peri__h5_found found = peri__h5_find(f, inside);
  return found == PERI__H5_IS_GROUP || found == PERI__H5_IS_DATASET;
}

/* Kind, width and shape, after all checks: what it reports can be read without surprise. */
peri_status peri_h5_inspect (peri_h5 *f, const char *name, peri_h5_info *info) {
  dataset d;
  *info = (peri_h5_info) {.kind = PERI_H5_GROUP};
  const char *inside = !f ? NULL : peri__h5_name(f, name);
  if (!inside) return peri_error();
  if (peri__h5_find(f, inside) == PERI__H5_IS_GROUP) return PERI_OK;
  if (!open_dataset(f, name, &d)) return peri_error();
  *info = d.info;
  close_dataset(&d);
  return PERI_OK;
}

/* --- tensors and numbers ------------------------------------------------------------------- */

/* The failure of asking for data of another kind than there is, in words for people. */
static peri_status refuse (const peri_h5 *f, const char *name, const dataset *d) {
  static const char *const word[] = {"nothing", "floats", "integers", "integers", "booleans",
                                     "a text"};
  static const char *const class[] = {"integers of an odd format", "floats of an odd format",
    "times", "texts", "bit fields", "opaque data", "records", "references", "an enumeration",
    "lists", "arrays"};
  H5T_class_t c = H5Tget_class(d->type);
  const char *what = d->info.kind != PERI_H5_OTHER ? word[d->info.kind]
                   : c >= 0 && c < H5T_NCLASSES ? class[c] : "data of an unknown type";
  return peri_fail(PERI_E_FORMAT, "%s in %s holds %s, which cannot be read here", name, f->path,
                   what);
}

/* Integers of 8 bytes, or unsigned ones of 4, as index where every one of them fits. */
static peri_tensor *fetch_narrowed (const peri_h5 *f, const char *name, const dataset *d) {
  peri_tensor *x = peri_empty(PERI_INDEX, d->info.shape);
  int64_t *wide = x ? malloc((size_t) d->count * sizeof *wide + 1) : NULL;
  hid_t type = peri__h5_wide_type(d->info.kind, d->info.bytes);
  bool ok = wide && fetch(f, name, d, type, wide) == PERI_OK;
  if (x && !wide) peri_fail(PERI_E_MEMORY, "out of memory reading %s", name);
  for (int64_t i = 0; ok && i < d->count; i++) {
    ok = wide[i] >= INT32_MIN && wide[i] <= INT32_MAX;
    if (ok) ((int32_t *) x->data)[i] = (int32_t) wide[i];
    else peri_fail(PERI_E_FORMAT, "%s in %s holds integers beyond 32 bits", name, f->path);
  }
  free(wide);
  return ok ? x : NULL;
}

/* The dataset as a tensor of its shape, borrowed.  float64 is rounded where real is float32;
   integers are never rounded, they fit or the read fails. */
peri_tensor *peri_h5_read (peri_h5 *f, const char *name) {
  dataset d;
  if (!open_dataset(f, name, &d)) return NULL;
  peri_h5_kind k = d.info.kind;
  int bytes = d.info.bytes;
  bool byte = k == PERI_H5_BOOLEAN || (k == PERI_H5_UNSIGNED && bytes == 1);
  peri_dtype dtype = k == PERI_H5_FLOAT ? PERI_REAL : byte ? PERI_BYTE : PERI_INDEX;
  hid_t type = k == PERI_H5_FLOAT ? REAL_TYPE : k == PERI_H5_BOOLEAN ? d.type
             : byte ? H5T_NATIVE_UINT8 : H5T_NATIVE_INT32;
  peri_tensor *x = NULL;
  if (k == PERI_H5_TEXT || k == PERI_H5_OTHER) refuse(f, name, &d);
  else if (dtype == PERI_INDEX && bytes > (k == PERI_H5_SIGNED ? 4 : 2))
    x = fetch_narrowed(f, name, &d);
  else {
    x = peri_empty(dtype, d.info.shape);
    if (x && fetch(f, name, &d, type, x->data) != PERI_OK) x = NULL;
  }
  close_dataset(&d);
  return x;
}

/* The n numbers of a dataset; `floats` as double, otherwise as 64-bit integers. */
static peri_status read_numbers (peri_h5 *f, const char *name, bool floats, void *out, int64_t n) {
  dataset d;
  peri_status status;
  if (!open_dataset(f, name, &d)) return peri_error();
  peri_h5_kind k = d.info.kind;
  if (d.count != n)
    status = peri_fail(PERI_E_SHAPE, "%s in %s has %lld numbers, not %lld", name, f->path,
                       (long long) d.count, (long long) n);
  else if (k == PERI_H5_BOOLEAN || k == PERI_H5_TEXT || k == PERI_H5_OTHER ||
           (k == PERI_H5_FLOAT && !floats)) status = refuse(f, name, &d);
  else status = fetch(f, name, &d, floats ? H5T_NATIVE_DOUBLE
                                          : peri__h5_wide_type(k, d.info.bytes), out);
  close_dataset(&d);
  return status;
}

/* Floats and integers of any width as double. */
peri_status peri_h5_read_f64 (peri_h5 *f, const char *name, double *x, int64_t n) {
  return read_numbers(f, name, true, x, n);
}

/* Integers of any width; the upper half of uint64 comes out negative, bit for bit. */
peri_status peri_h5_read_i64 (peri_h5 *f, const char *name, int64_t *x, int64_t n) {
  return read_numbers(f, name, false, x, n);
}

/* One string, fixed or of variable length, without its padding, added to `out`. */
peri_status peri_h5_read_text (peri_h5 *f, const char *name, peri_bytes *out) {
  dataset d;
  if (!open_dataset(f, name, &d)) return peri_error();
  bool variable = H5Tis_variable_str(d.type) > 0;
  size_t n = H5Tget_size(d.type);
  hid_t type = -1;
  char *text = NULL;
  peri_status status;
  if (d.info.kind != PERI_H5_TEXT || d.count != 1)
    status = d.info.kind == PERI_H5_TEXT
           ? peri_fail(PERI_E_FORMAT, "%s in %s holds %lld texts, not one", name, f->path,
                       (long long) d.count)
           : refuse(f, name, &d);
  else if ((type = peri__h5_text_like(d.type, variable ? H5T_VARIABLE : n)) < 0)
    status = peri__h5_fail(f, "read", name);
  else if (!variable && !(text = malloc(n)))
    status = peri_fail(PERI_E_MEMORY, "out of memory reading %s", name);
  else {
    status = fetch(f, name, &d, type, variable ? (void *) &text : text);
    if (!status && text) n = variable ? strlen(text) : peri__h5_text_length(type, text, n);
    if (!status && text) status = peri_bytes_add(out, text, n);
  }
  if (variable) H5free_memory(text);
  else free(text);
  peri__h5_release(type);
  close_dataset(&d);
  return status;
}
