/* The norm of a list of tensors, for clipping: one pass, in double, in an order the shapes fix. */

#include <math.h>

#include "fused/update.h"
#include "kernel/dispatch.h"
#include "memory.h"
#include "parallel.h"
#include "shape.h"

enum { LANES = 16 };

/* Sums of squares over every LANES-th element: a fixed order that still fills a vector register. */
PERI__BODY squares_body (const peri_real *restrict x, int64_t n, double *restrict sum) {
  double lane[LANES] = {0};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int k = 0; k < LANES; k++) lane[k] += (double) x[i + k] * (double) x[i + k];
  for (int k = 0; i < n; i++, k++) lane[k] += (double) x[i] * (double) x[i];
  for (int k = 1; k < LANES; k++) lane[0] += lane[k];
  *sum = lane[0];
}
PERI__DISPATCH(squares, (const peri_real *x, int64_t n, double *sum), (x, n, sum))

typedef struct {
  const peri_real *x;
  int64_t n;
  double *sums;
} job;

static void run_chunk (void *arg, int64_t chunk) {
  const job *j = arg;
  int64_t from = chunk * PERI__UPDATE_CHUNK, n = j->n - from;
  squares(j->x + from, n < PERI__UPDATE_CHUNK ? n : PERI__UPDATE_CHUNK, &j->sums[chunk]);
}

static peri_status add_squares (peri_tensor *x, double *total) {
  int64_t chunks = (x->count + PERI__UPDATE_CHUNK - 1) / PERI__UPDATE_CHUNK;
  if (chunks == 0) return PERI_OK;
  peri_tensor *packed = peri__packed(x);
  if (!packed) return peri_error();
  size_t size = (size_t) chunks * sizeof(double);
  job j = {packed->data, x->count, peri__alloc(size)};
  if (!j.sums) return peri_error();
  peri__parallel(chunks, run_chunk, &j);
  for (int64_t i = 0; i < chunks; i++) *total += j.sums[i];
  peri__free(j.sums, size);
  return PERI_OK;
}

peri_status peri_global_norm (int n, peri_tensor *const *x, double *norm) {
  double total = 0;
  for (int i = 0; i < n; i++) {
    if (!x[i])
      return peri_error() ? peri_error()
                          : peri_fail(PERI_E_ARGUMENT, "norm: tensor %d is missing", i + 1);
    if (x[i]->dtype != PERI_REAL)
      return peri_fail(PERI_E_TYPE, "norm: tensor %d is %s; convert it with x:real()", i + 1,
                       peri_dtype_name(x[i]->dtype));
  }
  peri_scope scope = peri_scope_open();
  peri_status bad = PERI_OK;
  for (int i = 0; i < n && !bad; i++) bad = add_squares(x[i], &total);
  peri_scope_close(scope);
  if (!bad) *norm = sqrt(total);
  return bad;
}
