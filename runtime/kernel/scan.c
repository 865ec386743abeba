/* First-order recurrences along an axis of a packed (outer, n, inner) array: rows one by one, and
   columns side by side in vectors.  A chunk is some rows, or a block of columns of one. */

#include "kernel/scan.h"

#include "kernel/dispatch.h"
#include "parallel.h"

enum { COLUMNS = 256, CHUNK = 16384 };

typedef struct {
  peri__scan_kind kind;
  int64_t outer, n, inner, blocks, rows;
  bool reverse;
  const peri_real *x, *a;
  peri_real *y;
} scan_job;

#define STEP(formula) \
  for (int64_t t = 0; t < n; t++, at += step) \
    for (int64_t j = 0; j < width; j++) { \
      double u = (double) x[at + j], s = sum[j]; \
      y[at + j] = (peri_real) (sum[j] = (formula)); \
    }

/* `width` columns from x on, step apart from one entry of the axis to the next. */
PERI__BODY scan_columns_body (const scan_job *job, int64_t at, int64_t step, int64_t width,
                              double *restrict sum) {
  const peri_real *x = job->x, *a = job->a;
  peri_real *restrict y = job->y;
  int64_t n = job->n;
  for (int64_t j = 0; j < width; j++) sum[j] = job->kind == PERI__PRODUCTS;
  if (job->kind == PERI__SUMS) STEP(s + u)
  else if (job->kind == PERI__PRODUCTS) STEP(s * u)
  else {
    for (int64_t j = 0; j < width; j++) y[at + j] = (peri_real) (sum[j] = (double) x[at + j]);
    at += step;
    n--;
    STEP((double) a[at + j] * s + u)
  }
}
PERI__DISPATCH(scan_columns, (const scan_job *job, int64_t at, int64_t step, int64_t width,
                              double *restrict sum), (job, at, step, width, sum))

static void scan_chunk (void *arg, int64_t chunk) {
  const scan_job *j = arg;
  double sum[COLUMNS];
  int64_t block = chunk % j->blocks, row = chunk / j->blocks * j->rows, end = row + j->rows;
  int64_t from = block * COLUMNS, width = j->inner - from < COLUMNS ? j->inner - from : COLUMNS;
  if (end > j->outer) end = j->outer;
  for (; row < end; row++) {
    int64_t first = row * j->n + (j->reverse ? j->n - 1 : 0);
    scan_columns(j, first * j->inner + from, j->reverse ? -j->inner : j->inner, width, sum);
  }
}

void peri__scan (peri__scan_kind kind, int64_t outer, int64_t n, int64_t inner, bool reverse,
                 const peri_real *x, const peri_real *a, peri_real *y) {
  scan_job j = {.kind = kind, .outer = outer, .n = n, .inner = inner, .reverse = reverse, .x = x,
                .a = a, .y = y, .blocks = (inner + COLUMNS - 1) / COLUMNS};
  if (outer == 0 || n == 0 || inner == 0) return;
  j.rows = 1 + CHUNK / (n * (inner < COLUMNS ? inner : COLUMNS));
  peri__parallel((outer + j.rows - 1) / j.rows * j.blocks, scan_chunk, &j);
}
