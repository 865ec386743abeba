/* What an HDF5 file holds: the members of a group and the attributes of an object, in order of
   name.  Values of datasets are read in h5read.c. */

#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "h5.h"

/* --- members of a group -------------------------------------------------------------------- */

typedef struct {
  const peri_h5 *f;
  const char *group;
  peri_h5_visit *visit;
  void *arg;
} listing;

/* Returns 1 to stop, 0 to go on, negative after a failure. */
static herr_t on_member (hid_t group, const char *name, const H5L_info_t *link, void *arg) {
  const listing *l = arg;
  char path[2 * PERI__H5_NAME];
  peri_h5_kind kind = PERI_H5_NONE;
  (void) group;
  if (strlen(name) >= PERI__H5_NAME) return 0;       /* it could not be asked for */
  snprintf(path, sizeof path, "%s%s%s", l->group, *l->group ? "/" : "", name);
  if (link->type == H5L_TYPE_HARD) {
    hid_t object = H5Oopen(l->f->file, path, H5P_DEFAULT);
    H5I_type_t type = object < 0 ? H5I_BADID : H5Iget_type(object);
    int bytes;
    if (type == H5I_GROUP) kind = PERI_H5_GROUP;
    if (type == H5I_DATASET) {
      hid_t of = H5Dget_type(object);
      kind = of < 0 ? PERI_H5_OTHER : peri__h5_kind_of(of, &bytes);
      peri__h5_release(of);
    }
    peri__h5_release(object);
  }
  return l->visit(l->arg, name, kind) ? 0 : 1;
}

/* Links are listed but not followed, and members that are damaged are listed as NONE or OTHER, so
   one of them does not hide the rest. */
peri_status peri_h5_list (peri_h5 *f, const char *group, peri_h5_visit *visit, void *arg) {
  const char *name = !f ? NULL : peri__h5_name(f, group);
  if (!name) return peri_error();
  if (peri__h5_find(f, name) != PERI__H5_IS_GROUP)
    return peri_fail(PERI_E_FORMAT, "there is no group %s in %s", *name ? name : "/", f->path);
  listing l = {f, name, visit, arg};
  hid_t id = H5Gopen2(f->file, *name ? name : "/", H5P_DEFAULT);
  hsize_t at = 0;
  peri_status status = PERI_OK;
  if (id < 0 || H5Literate(id, H5_INDEX_NAME, H5_ITER_INC, &at, on_member, &l) < 0)
    status = peri__h5_fail(f, "list", name);
  peri__h5_release(id);
  return status;
}

/* --- attributes ---------------------------------------------------------------------------- */

typedef struct {
  const peri_h5 *f;
  peri_h5_visit_attribute *visit;
  void *arg;
} reading;

enum { MOST = 1 << 16 };          /* numbers or bytes: what an attribute can hold */

/* A text into *a, which the caller frees (with the library's function when `variable`). */
static bool read_text (hid_t id, hid_t type, bool variable, peri_h5_attribute *a, char **text) {
  size_t n = H5Tget_size(type);
  if (!variable && n > MOST) return false;
  hid_t memory = peri__h5_text_like(type, variable ? H5T_VARIABLE : n);
  if (!variable) *text = malloc(n);
  bool ok = memory >= 0 && (variable || *text) &&
            H5Aread(id, memory, variable ? (void *) text : *text) >= 0;
  peri__h5_release(memory);
  if (!ok) return false;
  a->text = *text ? *text : "";
  a->n = (int64_t) (!*text ? 0 : variable ? strlen(*text) : peri__h5_text_length(type, *text, n));
  return true;
}

/* n numbers into *a; booleans are widened to integers here, since the library would not. */
static bool read_numbers (hid_t id, hid_t type, int bytes, peri_h5_attribute *a, void **numbers) {
  int64_t *wide = *numbers = malloc((size_t) a->n * sizeof *wide + 1);
  bool boolean = a->kind == PERI_H5_BOOLEAN;
  if (!wide || H5Aread(id, boolean ? type : peri__h5_wide_type(a->kind, bytes), wide) < 0)
    return false;
  if (boolean)
    for (int64_t i = a->n - 1; i >= 0; i--) wide[i] = ((int8_t *) wide)[i];
  if (a->kind == PERI_H5_FLOAT) a->f64 = *numbers;
  else a->i64 = wide;
  return true;
}

static herr_t on_attribute (hid_t object, const char *name, const H5A_info_t *info, void *arg) {
  const reading *r = arg;
  peri_h5_attribute a = {.name = name, .n = 1};
  hid_t id = H5Aopen(object, name, H5P_DEFAULT), type = H5Aget_type(id), space = H5Aget_space(id);
  bool go_on = true;
  int bytes = 0;
  (void) info;
  if (id >= 0 && type >= 0 && space >= 0) {
    H5S_class_t class = H5Sget_simple_extent_type(space);
    hssize_t n = class == H5S_NULL ? -1 : H5Sget_simple_extent_npoints(space);
    a.kind = peri__h5_kind_of(type, &bytes);
    a.array = class == H5S_SIMPLE;
    a.n = n;
    bool text = a.kind == PERI_H5_TEXT, variable = text && H5Tis_variable_str(type) > 0;
    void *data = NULL;
    if (a.kind != PERI_H5_OTHER && n >= 0 && n <= MOST && !(text && n != 1)) {
      bool ok = text ? read_text(id, type, variable, &a, (char **) &data)
                     : read_numbers(id, type, bytes, &a, &data);
      if (text) a.array = false;
      if (ok) go_on = r->visit(r->arg, &a);
      else peri__h5_fail(r->f, "read the attribute", name);
    }
    if (variable) H5free_memory(data);
    else free(data);
  } else peri__h5_fail(r->f, "read the attribute", name);
  peri__h5_release(space);
  peri__h5_release(type);
  peri__h5_release(id);
  return peri_error() ? -1 : go_on ? 0 : 1;
}

/* A damaged attribute ends the walk with a failure: its neighbours may be as wrong. */
peri_status peri_h5_attributes (peri_h5 *f, const char *object, peri_h5_visit_attribute *visit,
                                void *arg) {
  const char *name = !f ? NULL : peri__h5_name(f, object);
  if (!name || peri_error()) return peri_error();
  peri__h5_found found = peri__h5_find(f, name);
  if (found != PERI__H5_IS_GROUP && found != PERI__H5_IS_DATASET)
    return peri_fail(PERI_E_FORMAT, "there is no group or dataset %s in %s", name, f->path);
  reading r = {f, visit, arg};
  hid_t id = H5Oopen(f->file, *name ? name : "/", H5P_DEFAULT);
  hsize_t at = 0;
  peri_status status = PERI_OK;
  if (id < 0 || H5Aiterate2(id, H5_INDEX_NAME, H5_ITER_INC, &at, on_attribute, &r) < 0)
    status = peri__h5_fail(f, "read the attributes of", name);
  peri__h5_release(id);
  return status;
}
