/* A folder of its own for each suite that writes files, and what the suites say about files. */
#ifndef TEST_FILES_H
#define TEST_FILES_H

#include "perigee/perigee.h"

extern char folder[64];

/* Group set-up and tear-down for cmocka. */
int make_folder (void **state);
int remove_folder (void **state);

/* The path of a file in the folder; four results may be in use at a time. */
const char *in_folder (const char *name);
void put_file (const char *name, const void *data, size_t n);
peri_bytes get_file (const char *name);
void expect_content (const char *name, const void *data, size_t n);

/* No file may grow beyond n bytes (0: any may); writing more is an error, as on a full disk. */
void limit_files (size_t n);

/* The call failed with this code and words in one line; forgets the failure. */
void expect_refusal (peri_status status, peri_status code, const char *words);
void expect_recorded (peri_status code, const char *words);

/* A tensor of ndim int sizes with numbers that look random. */
peri_tensor *noise (peri_dtype type, int ndim, ...);
/* Equal dtype and equal elements in canonical order; shapes may differ. */
bool same_elements (const peri_tensor *x, const peri_tensor *y);

#endif
