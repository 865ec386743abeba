/* What the file formats share: failures of the system, opening files to read, tensors as bytes. */
#ifndef PERI_IO_FILE_H
#define PERI_IO_FILE_H

#include <stdio.h>

#include "perigee/io.h"

/* Record "cannot DOING PATH: " and what errno says. */
peri_status peri__fail_errno (const char *doing, const char *path);

/* A regular file opened to read, and its size in bytes; -1 with a failure. */
int peri__open_file (const char *path, int64_t *size);

/* false with a failure when data claims a size that `stored` bytes of deflated file cannot hold, or
   that is more than this machine's memory. */
bool peri__check_claim (const char *path, double claimed, double stored);

/* The bytes of x in canonical order, borrowed from the current scope; NULL on failure. */
const void *peri__tensor_bytes (const peri_tensor *x, size_t *n);

#endif
