/* HDF5 files as a whole: create, commit, open, close, names and failures.  Data is written in
   h5write.c and read in h5read.c.

   A file is built in memory by the library's core driver and put on disk by peri_file_replace: the
   library never writes to a disk, so a full one cannot leave it with a half closed file. */

#include "h5.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

/* --- failures ------------------------------------------------------------------------------ */

/* The library's words for the deepest cause come first on its stack of errors. */
static herr_t first_words (unsigned n, const H5E_error2_t *e, void *arg) {
  char *out = arg;
  if (n == 0 && e->desc) snprintf(out, 160, "%s", e->desc);
  return 0;
}

static const char *reason (char out[160]) {
  strcpy(out, "no reason given");
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first_words, out);
  return out;
}

peri_status peri__h5_fail (const peri_h5 *f, const char *doing, const char *name) {
  char why[160];
  const char *state = f->writing ? "" : strstr(reason(why), "version number")
                    ? " is damaged or made by a newer HDF5" : " is damaged";
  return peri_fail(f->writing ? PERI_E_SYSTEM : PERI_E_FORMAT, "%s%s: cannot %s %s: %s", f->path,
                   state, doing, *name ? name : "/", reason(why));
}

void peri__h5_release (hid_t id) {
  if (id >= 0) H5Idec_ref(id);
}

/* --- names --------------------------------------------------------------------------------- */

const char *peri__h5_name (const peri_h5 *f, const char *name) {
  if (*name == '/') name++;
  bool good = strlen(name) < PERI__H5_NAME;
  for (const char *p = name; good && *p;) {
    size_t n = strcspn(p, "/");
    if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) good = false;
    p += n;
    if (*p == '/' && *++p == 0) good = false;
  }
  if (good) return name;
  return peri_null(PERI_E_ARGUMENT, "\"%.100s\" cannot be a name in %s: it is parts joined by "
                   "\"/\", none of them empty, \".\" or \"..\", of at most 1023 bytes", name,
                   f->path);
}

/* What the last part of `path` is, all parts before it being groups. */
static peri__h5_found kind_of (const peri_h5 *f, const char *path) {
  H5L_info_t link;
  htri_t there = H5Lexists(f->file, path, H5P_DEFAULT);
  if (there <= 0) return there < 0 ? PERI__H5_IS_DAMAGED : PERI__H5_NOTHING;
  if (H5Lget_info(f->file, path, &link, H5P_DEFAULT) < 0) return PERI__H5_IS_DAMAGED;
  if (link.type != H5L_TYPE_HARD) return PERI__H5_IS_LINK;
  hid_t object = H5Oopen(f->file, path, H5P_DEFAULT);
  H5I_type_t type = object < 0 ? H5I_BADID : H5Iget_type(object);
  peri__h5_release(object);
  return type == H5I_GROUP ? PERI__H5_IS_GROUP : type == H5I_DATASET ? PERI__H5_IS_DATASET
       : type == H5I_DATATYPE ? PERI__H5_IS_TYPE : PERI__H5_IS_DAMAGED;
}

peri__h5_found peri__h5_find (const peri_h5 *f, const char *name) {
  char path[PERI__H5_NAME];
  peri__h5_found kind = PERI__H5_IS_GROUP;
  for (size_t end = 0; name[end];) {
    if (kind != PERI__H5_IS_GROUP) return kind == PERI__H5_NOTHING ? kind : PERI__H5_IS_BLOCKED;
    if (end) end++;
    end += strcspn(name + end, "/");
    memcpy(path, name, end);
    path[end] = 0;
    kind = kind_of(f, path);
    if (kind == PERI__H5_IS_LINK || kind == PERI__H5_IS_DAMAGED) return kind;
  }
  return kind;
}

/* --- open and close ------------------------------------------------------------------------ */

static peri_h5 *new_file (const char *path, bool writing) {
  peri_h5 *f = malloc(sizeof *f + strlen(path) + 1);
  if (!f) return peri_null(PERI_E_MEMORY, "out of memory opening %s", path);
  *f = (peri_h5) {.file = -1, .writing = writing};
  strcpy(f->path, path);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);       /* we speak, the library does not */
  H5PLset_loading_state(0);                    /* a file must not make us load code */
  return f;
}

/* Could `path` be written?  Asked before hours of work are put into its content. */
static bool may_write (const char *path) {
  struct stat s;
  const char *slash = strrchr(path, '/');
  char *folder = !slash ? strdup(".") : strndup(path, (size_t) (slash - path) + 1);
  if (!folder) return peri_fail(PERI_E_MEMORY, "out of memory opening %s", path), false;
  bool ok = access(folder, W_OK | X_OK) == 0;
  if (ok && stat(path, &s) == 0 && S_ISDIR(s.st_mode)) {
    errno = EISDIR;
    ok = false;
  }
  if (!ok) peri__fail_errno("write", path);
  free(folder);
  return ok;
}

/* The driver keeps the file in memory, growing by 1 MiB; backing_store off means that it never
   touches the disk.  Strict closing takes every id of a file down with it. */
peri_h5 *peri_h5_create (const char *path) {
  char inside[64];
  if (!may_write(path)) return NULL;
  peri_h5 *f = new_file(path, true);
  if (!f) return NULL;
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  /* `earliest`: readable for everything since HDF5 1.0, and for jsfive in a browser */
  bool ok = H5Pset_fapl_core(access, 1 << 20, false) >= 0 &&
            H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18) >= 0 &&
            H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0;
  /* the driver tells files in memory apart by name, and only so */
  snprintf(inside, sizeof inside, "%p", (void *) f);
  if (ok) f->file = H5Fcreate(inside, H5F_ACC_TRUNC, H5P_DEFAULT, access);
  peri__h5_release(access);
  if (f->file >= 0) return f;
  peri__h5_fail(f, "make", path);
  peri_h5_close(f);
  return NULL;
}

/* The image is written from the driver's own memory: a copy would double a checkpoint's peak. */
peri_status peri_h5_commit (peri_h5 *f) {
  void **image = NULL;
  ssize_t n = -1;
  peri_status status;
  if (!f) return peri_error();
  if (!f->writing)
    status = peri_fail(PERI_E_ARGUMENT, "%s is open for reading: nothing to commit", f->path);
  else if (f->broken)
    status = peri_fail(PERI_E_SYSTEM, "%s is not written: a part of it failed before", f->path);
  else if (H5Fflush(f->file, H5F_SCOPE_GLOBAL) < 0 ||
           (n = H5Fget_file_image(f->file, NULL, 0)) < 0 ||
           H5Fget_vfd_handle(f->file, H5P_DEFAULT, (void **) &image) < 0)
    status = peri__h5_fail(f, "finish", f->path);
  else status = peri_file_replace(f->path, *image, (size_t) n);
  peri_h5_close(f);
  return status;
}

/* Why a file would not open, in words for people. */
static peri_status explain_open (const peri_h5 *f) {
  char why[160];
  reason(why);
  if (strstr(why, "truncated"))
    return peri_fail(PERI_E_FORMAT, "%s is truncated: it has %lld bytes (%s)", f->path,
                     (long long) f->size, why);
  if (strstr(why, "signature")) return peri_fail(PERI_E_FORMAT, "%s is not an HDF5 file", f->path);
  return peri_fail(PERI_E_FORMAT, "%s is damaged: %s", f->path, why);
}

peri_h5 *peri__h5_open_unchecked (const char *path) {
  int64_t size;
  int fd = peri__open_file(path, &size);
  if (fd < 0) return NULL;
  close(fd);
  peri_h5 *f = new_file(path, false);
  if (!f) return NULL;
  f->size = size;
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  /* files are replaced, never changed, so no lock is needed and NFS without locks will do */
  bool ok = H5Pset_file_locking(access, false, true) >= 0 &&
            H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0;
  if (ok) f->file = H5Fopen(path, H5F_ACC_RDONLY, access);
  if (f->file < 0) explain_open(f);
  peri__h5_release(access);
  if (f->file >= 0) return f;
  peri_h5_close(f);
  return NULL;
}

/* A file that cannot be trusted is read by a child first; see h5check.c. */
peri_h5 *peri_h5_open (const char *path) {
  int64_t size;
  int fd = peri__open_file(path, &size);
  if (fd < 0) return NULL;
  close(fd);
  return peri__h5_survives(path, size) ? peri__h5_open_unchecked(path) : NULL;
}

void peri_h5_close (peri_h5 *f) {
  if (!f) return;
  if (f->file >= 0) H5Fclose(f->file);
  H5garbage_collect();         /* the library keeps freed buffers; give them back */
  malloc_trim(0);              /* and so does malloc: a file is built in memory as a whole */
  free(f);
}
