/* What the two sides of HDF5 share: the open file, names inside it, and failures in plain words. */
#ifndef PERI_IO_H5_H
#define PERI_IO_H5_H

#include <hdf5.h>

#include "perigee/io.h"

struct peri_h5 {
  hid_t file;
  bool writing;
  bool broken;          /* something asked for is missing from it: it must not be committed */
  int64_t size;         /* bytes on disk, when reading */
  char path[];
};

enum { PERI__H5_NAME = 1024 };

typedef enum { PERI__H5_NOTHING, PERI__H5_IS_GROUP, PERI__H5_IS_DATASET, PERI__H5_IS_TYPE,
               PERI__H5_IS_LINK, PERI__H5_IS_BLOCKED, PERI__H5_IS_DAMAGED } peri__h5_found;

/* What stands under a name.  Only hard links are followed: nothing outside of the file is touched.
   BLOCKED: something on the way is no group. */
peri__h5_found peri__h5_find (const peri_h5 *f, const char *name);

/* The name without a leading slash ("" is the root), or NULL with a failure. */
const char *peri__h5_name (const peri_h5 *f, const char *name);

/* Record a failure of the library: "PATH: cannot DOING NAME: " and its own words for the cause. */
peri_status peri__h5_fail (const peri_h5 *f, const char *doing, const char *name);

/* The kind of a type, and the bytes of one element. */
peri_h5_kind peri__h5_kind_of (hid_t type, int *bytes);
/* What a number of this kind is read as when it must stay exact in 64 bits. */
hid_t peri__h5_wide_type (peri_h5_kind kind, int bytes);
/* A text type in memory that agrees with the one in the file; to be released. */
hid_t peri__h5_text_like (hid_t type, size_t size);
/* The length of a fixed text without its padding. */
size_t peri__h5_text_length (hid_t type, const char *text, size_t n);

/* h5check.c: false with a failure where the library dies of reading the file. */
bool peri__h5_survives (const char *path, int64_t size);
peri_h5 *peri__h5_open_unchecked (const char *path);

/* Close an id of any kind; negative ones are ignored. */
void peri__h5_release (hid_t id);

#endif
