/* Sums and extremes over an axis of a packed (outer, n, inner) array.  Every result is accumulated
   in double in an order fixed by the sizes: sixteen lanes within a piece of an axis, pieces in
   turn. */

#include "kernel/reduce.h"

#include <math.h>
#include <string.h>

#include "kernel/dispatch.h"
#include "memory.h"
#include "parallel.h"

enum { LANES = 16, PIECE = 16384, COLUMNS = 256 };

typedef struct {
  peri__fold fold;
  const peri_real *x;
  int64_t outer, n, inner, pieces, length, columns, rows;
  double scale, *part;
  peri_real *y;
} reduce_job;

PERI__BODY sum_row_body (int64_t n, const peri_real *x, double *result) {
  double lane[LANES] = {0};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) lane[j] += (double) x[i + j];
  for (int j = 0; i < n; i++, j++) lane[j] += (double) x[i];
  for (int w = LANES / 2; w > 0; w /= 2)
    for (int j = 0; j < w; j++) lane[j] += lane[j + w];
  *result = lane[0];
}
PERI__DISPATCH(sum_row, (int64_t n, const peri_real *x, double *result), (n, x, result))

PERI__BODY add_rows_body (int64_t rows, int64_t step, int64_t width, const peri_real *restrict x,
                          double *restrict sum) {
  for (int64_t r = 0; r < rows; r++, x += step)
    for (int64_t j = 0; j < width; j++) sum[j] += (double) x[j];
}
PERI__DISPATCH(add_rows, (int64_t rows, int64_t step, int64_t width, const peri_real *restrict x,
                          double *restrict sum), (rows, step, width, x, sum))

/* The larger (sign 1) or smaller (-1) of each lane; NaN stays once it is there. */
PERI__BODY extreme_row_body (int64_t n, const peri_real *x, peri_real sign, double *result) {
  peri_real lane[LANES];
  int64_t i = 0;
  for (int j = 0; j < LANES; j++) lane[j] = sign * x[0];
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) {
      peri_real v = sign * x[i + j];
      lane[j] = v <= lane[j] || lane[j] != lane[j] ? lane[j] : v;
    }
  for (int j = 0; i < n; i++, j++) {
    peri_real v = sign * x[i];
    lane[j] = v <= lane[j] || lane[j] != lane[j] ? lane[j] : v;
  }
  for (int j = 1; j < LANES; j++)
    lane[0] = lane[j] <= lane[0] || lane[0] != lane[0] ? lane[0] : lane[j];
  *result = (double) (sign * lane[0]);
}
PERI__DISPATCH(extreme_row, (int64_t n, const peri_real *x, peri_real sign, double *result),
               (n, x, sign, result))

PERI__BODY extreme_rows_body (int64_t rows, int64_t step, int64_t width,
                              const peri_real *restrict x, peri_real sign, double *restrict best) {
  for (int64_t r = 0; r < rows; r++, x += step)
    for (int64_t j = 0; j < width; j++) {
      double v = (double) (sign * x[j]);
      best[j] = v <= best[j] || best[j] != best[j] ? best[j] : v;
    }
}
PERI__DISPATCH(extreme_rows, (int64_t rows, int64_t step, int64_t width,
                              const peri_real *restrict x, peri_real sign, double *restrict best),
               (rows, step, width, x, sign, best))

/* One piece of one row, inner = 1. */
static void fold_row (void *arg, int64_t chunk) {
  const reduce_job *j = arg;
  int64_t from = chunk * j->rows, to = from + j->rows;
  if (to > j->outer * j->pieces) to = j->outer * j->pieces;
  for (int64_t i = from; i < to; i++) {
    int64_t row = i / j->pieces, at = i % j->pieces * j->length;
    int64_t n = j->n - at < j->length ? j->n - at : j->length;
    const peri_real *x = j->x + row * j->n + at;
    if (j->fold == PERI__SUM) sum_row(n, x, &j->part[i]);
    else extreme_row(n, x, j->fold == PERI__MAX ? 1 : -1, &j->part[i]);
  }
}

/* One piece of the axis for one block of columns. */
static void fold_columns (void *arg, int64_t chunk) {
  const reduce_job *j = arg;
  int64_t block = chunk % j->columns, piece = chunk / j->columns % j->pieces;
  int64_t outer = chunk / j->columns / j->pieces;
  int64_t column = block * COLUMNS, width = j->inner - column < COLUMNS ? j->inner - column : COLUMNS;
  int64_t at = piece * j->length, n = j->n - at < j->length ? j->n - at : j->length;
  const peri_real *x = j->x + (outer * j->n + at) * j->inner + column;
  double *part = j->part + (outer * j->pieces + piece) * j->inner + column;
  if (j->fold == PERI__SUM) {
    memset(part, 0, (size_t) width * sizeof *part);
    add_rows(n, j->inner, width, x, part);
  } else {
    for (int64_t i = 0; i < width; i++) part[i] = -INFINITY;
    extreme_rows(n, j->inner, width, x, j->fold == PERI__MAX ? 1 : -1, part);
    for (int64_t i = 0; j->fold == PERI__MIN && i < width; i++) part[i] = -part[i];
  }
}

/* Combine the pieces in turn. */
static void finish (const reduce_job *j) {
  for (int64_t o = 0; o < j->outer; o++)
    for (int64_t i = 0; i < j->inner; i++) {
      const double *part = j->part + o * j->pieces * j->inner + i;
      double v = part[0];
      for (int64_t p = 1; p < j->pieces; p++) {
        double w = part[p * j->inner];
        if (j->fold == PERI__SUM) v += w;
        else if (v == v && (w != w || (j->fold == PERI__MAX ? w > v : w < v))) v = w;
      }
      j->y[o * j->inner + i] = (peri_real) (j->fold == PERI__SUM ? v * j->scale : v);
    }
}

bool peri__reduce (peri__fold fold, const peri_real *x, int64_t outer, int64_t n, int64_t inner,
                   double scale, peri_real *y) {
  reduce_job j = {.fold = fold, .x = x, .outer = outer, .n = n, .inner = inner, .scale = scale, .y = y};
  if (n == 0 || outer * inner == 0) {
    memset(y, 0, (size_t) (outer * inner) * sizeof *y);
    return true;
  }
  j.columns = (inner + COLUMNS - 1) / COLUMNS;
  j.length = inner == 1 ? PIECE : PIECE / (inner < COLUMNS ? inner : COLUMNS) + 1;
  j.pieces = (n + j.length - 1) / j.length;
  size_t size = (size_t) (outer * j.pieces * inner) * sizeof *j.part;
  double few[64];
  j.part = size <= sizeof few ? few : peri__alloc(size);
  if (!j.part) return false;
  if (inner == 1) {
    j.rows = n < PIECE ? PIECE / n : 1;                 /* short rows go together */
    peri__parallel((outer * j.pieces + j.rows - 1) / j.rows, fold_row, &j);
  } else {
    peri__parallel(outer * j.pieces * j.columns, fold_columns, &j);
  }
  finish(&j);
  if (j.part != few) peri__free(j.part, size);
  return true;
}

void peri__arg_extreme (bool smallest, const peri_real *x, int64_t outer, int64_t n, int64_t inner,
                        int32_t *y) {
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < inner; i++) {
      const peri_real *p = x + o * n * inner + i;
      peri_real best = p[0];
      int64_t at = 0;
      for (int64_t k = 1; k < n && best == best; k++) {
        peri_real v = p[k * inner];
        if (v != v || (smallest ? v < best : v > best)) {
          best = v;
          at = k;
        }
      }
      y[o * inner + i] = (int32_t) at + 1;
    }
}
