/* Tensors: strided views over reference-counted storage, and the scopes that own them.
   Operations are in ops.h, derivatives in grad.h. */
#ifndef PERIGEE_TENSOR_H
#define PERIGEE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The one differentiable type: float32, or double in the library built with PERI_DOUBLE. */
#ifdef PERI_DOUBLE
typedef double peri_real;
#else
typedef float peri_real;
#endif

typedef enum { PERI_REAL, PERI_INDEX, PERI_BYTE, PERI_NDTYPES } peri_dtype;

#define PERI_MAXDIM 8

/* A shape, or a list of axes. */
typedef struct {
  int n;
  int64_t at[PERI_MAXDIM];
} peri_dims;

typedef struct peri_node peri_node;

typedef struct {
  int ref;
  uint32_t version;     /* bumped by every in-place update; saved tensors are checked against it */
  size_t bytes;
  void *data;
} peri_storage;

/* Read its fields, never write them.  Strides count elements. */
typedef struct peri_tensor {
  int ref;
  uint8_t dtype, ndim;
  void *data;           /* first element of this view */
  int64_t count;        /* number of elements */
  int64_t shape[PERI_MAXDIM], stride[PERI_MAXDIM];
  peri_storage *storage;
  peri_node *node;      /* what it was computed by, or the leaf it is; NULL when untracked */
  struct peri_tensor *next;   /* in the scope it is borrowed from */
} peri_tensor;

/* --- errors ------------------------------------------------------------------------------ */

typedef enum {
  PERI_OK = 0,
#define PERI_STATUS(name, word) PERI_E_##name##_,
#include "status.def"
#undef PERI_STATUS
  PERI_NSTATUS,
#define PERI_STATUS(name, word) PERI_E_##name = -PERI_E_##name##_,
#include "status.def"
#undef PERI_STATUS
} peri_status;

/* Record a failure of this thread unless one is recorded already.  Returns `code`. */
peri_status peri_fail (peri_status code, const char *format, ...)
  __attribute__((format(printf, 2, 3)));
#define peri_null(...) (peri_fail(__VA_ARGS__), NULL)

/* The first failure since the last peri_clear: its code (0 when none), its text, its word. */
peri_status peri_error (void);
const char *peri_message (void);
const char *peri_status_word (peri_status code);
void peri_clear (void);

/* --- scopes: a tensor returned by a call is borrowed from the innermost scope --------------- */

typedef struct { peri_tensor *outer; } peri_scope;
peri_scope peri_scope_open (void);
void peri_scope_close (peri_scope s);    /* drops every tensor borrowed since it opened */
peri_tensor *peri_keep (peri_tensor *x); /* makes it yours; NULL gives NULL */
void peri_drop (peri_tensor *x);         /* gives it back; NULL is ignored */

/* --- making tensors (NULL and a recorded failure when memory is short) ------------------------ */

peri_dims peri_shape (int n, ...);                           /* int64_t sizes */
peri_dims peri_shape_of (const peri_tensor *x);
int64_t peri_count (peri_dims shape);
peri_tensor *peri_empty (peri_dtype type, peri_dims shape);
peri_tensor *peri_full (peri_dtype type, peri_dims shape, double value);
peri_tensor *peri_number (double value);                     /* shape () */
peri_tensor *peri_copy_of (peri_dtype type, peri_dims shape, const void *data);

peri_tensor *peri_clone (peri_tensor *x);                    /* packed copy, untracked */
peri_tensor *peri_detach (peri_tensor *x);                   /* same storage, untracked */
/* Untracked copy in another dtype; fractions are cut off; a value that does not fit is a
   failure. */
peri_tensor *peri_cast (peri_tensor *x, peri_dtype type);

size_t peri_itemsize (peri_dtype type);
const char *peri_dtype_name (peri_dtype type);
bool peri_is_contiguous (const peri_tensor *x);
/* Element by its coordinates, as a double. */
double peri_at (const peri_tensor *x, const int64_t *index);
/* "(2, 3)" into buf, which holds PERI_SHAPETEXT characters; returns buf. */
#define PERI_SHAPETEXT 120
const char *peri_shape_text (const peri_tensor *x, char *buf);

/* In place, for leaves only: bumps the version, so a graph that saved x refuses to run.
   Shapes must be equal; y is copied into x.  On failure nothing is changed. */
peri_status peri_assign (peri_tensor *x, const peri_tensor *y);

/* --- memory ------------------------------------------------------------------------------- */

/* Bytes in live tensors and the highest they have been; bytes cached for reuse. */
typedef struct { size_t live, peak, cached; int64_t objects; } peri_memory;
peri_memory peri_memory_now (void);
void peri_memory_trim (void);            /* give the cache back to the system */
/* Test hook: the n-th allocation from now fails (0: none does). */
void peri_fail_allocation (int64_t n);

/* --- machine --------------------------------------------------------------------------------- */

int peri_threads (void);
void peri_set_threads (int n);           /* results do not depend on it; n >= 1 */
const char *peri_cpu_level (void);       /* "x86-64-v4": the kernels in use */
const char *peri_cpu_name (void);
const char *peri_blas_name (void);       /* the library of matrix products; loads it */
const char *peri_conv_name (void);       /* what computes convolutions; loads it */

#endif
