/* Sums and extremes over an axis of a packed (outer, n, inner) array.  Every result is accumulated
   in double in an order fixed by the sizes: sixteen lanes within a piece of an axis, pieces in
   turn. */

#include "kernel/reduce.h"

#include <math.h>
#include <string.h>

#include "kernel/vector.h"
#include "memory.h"
#include "parallel.h"

enum { LANES = 16, PIECE = 16384, COLUMNS = 256, AREA = 65536 };

typedef struct {
  peri__fold fold;
  const peri_real *x;
  int64_t outer, n, inner, pieces, length, columns, rows;
  double scale, *part, *mean;    /* of pieces; NULL when a line is one piece */
  peri_real *y;
} reduce_job;

/* NAME_row folds a run of x, NAME_rows adds `rows` runs to `acc`, column by column: terms of v, and
   of a number c for each result, joined by `op`. */
#define FOLD(name, start, op, term) \
  PERI__BODY name##_row_body (int64_t n, const peri_real *x, double c, double *result) { \
    double lane[LANES]; \
    int64_t i = 0; \
    (void) c; \
    for (int j = 0; j < LANES; j++) lane[j] = start; \
    for (; i + LANES <= n; i += LANES) \
      for (int j = 0; j < LANES; j++) { \
        double v = (double) x[i + j]; \
        lane[j] = lane[j] op (term); \
      } \
    for (int j = 0; i < n; i++, j++) { \
      double v = (double) x[i]; \
      lane[j] = lane[j] op (term); \
    } \
    for (int w = LANES / 2; w > 0; w /= 2) \
      for (int j = 0; j < w; j++) lane[j] = lane[j] op lane[j + w]; \
    *result = lane[0]; \
  } \
  PERI__DISPATCH(name##_row, (int64_t n, const peri_real *x, double c, double *result), \
                 (n, x, c, result)) \
  PERI__BODY name##_rows_body (int64_t rows, int64_t step, int64_t width, \
                               const peri_real *restrict x, const double *restrict center, \
                               double *restrict acc) { \
    for (int64_t j = 0; j < width; j++) acc[j] = start; \
    for (int64_t r = 0; r < rows; r++, x += step) \
      for (int64_t j = 0; j < width; j++) { \
        double v = (double) x[j], c = center ? center[j] : 0; \
        (void) c; \
        acc[j] = acc[j] op (term); \
      } \
  } \
  PERI__DISPATCH(name##_rows, (int64_t rows, int64_t step, int64_t width, \
                               const peri_real *restrict x, const double *restrict center, \
                               double *restrict acc), (rows, step, width, x, center, acc))
FOLD(sum, 0, +, v)
FOLD(product, 1, *, v)
FOLD(squares, 0, +, v * v)
FOLD(deviations, 0, +, (v - c) * (v - c))
FOLD(count, 0, +, v != 0 ? 1.0 : 0.0)

/* The largest of sign x; NaN stays once it is there. */
#define EXTREME(L) \
  PERI__TARGET_##L static void extreme_row_##L (int64_t n, const peri_real *x, peri_real sign, \
                                                double *result) { \
    typedef real_##L V; \
    enum { W = sizeof(V) / sizeof(peri_real) }; \
    V best[4], v; \
    peri_real lane[W], m = sign * x[0]; \
    int64_t i = 0; \
    for (int j = 0; j < 4; j++) best[j] = (V) {0} + m; \
    for (; i + 4 * W <= n; i += 4 * W) \
      for (int j = 0; j < 4; j++) { \
        memcpy(&v, x + i + j * W, sizeof v); \
        best[j] = vmax(sign * v, best[j]); \
      } \
    best[0] = vmax(vmax(best[0], best[1]), vmax(best[2], best[3])); \
    memcpy(lane, best, sizeof lane); \
    for (int j = 0; j < W; j++) m = lane[j] <= m || m != m ? m : lane[j]; \
    for (; i < n; i++) { \
      peri_real u = sign * x[i]; \
      m = u <= m || m != m ? m : u; \
    } \
    *result = (double) (sign * m); \
  }
EXTREME(v2)
EXTREME(v3)
EXTREME(v4)

static void extreme_row (int64_t n, const peri_real *x, peri_real sign, double *result) {
  static void (*const level[]) (int64_t, const peri_real *, peri_real, double *) =
    {extreme_row_v2, extreme_row_v3, extreme_row_v4};
  level[peri__cpu_level()](n, x, sign, result);
}

PERI__BODY extreme_rows_body (int64_t rows, int64_t step, int64_t width,
                              const peri_real *restrict x, peri_real sign,
                              peri_real *restrict best) {
  for (int64_t j = 0; j < width; j++) best[j] = sign * x[j];
  for (int64_t r = 1; r < rows; r++) {
    const peri_real *p = x + r * step;
    for (int64_t j = 0; j < width; j++) {
      peri_real v = sign * p[j];
      best[j] = (v > best[j]) | (v != v) ? v : best[j];
    }
  }
}
PERI__DISPATCH(extreme_rows, (int64_t rows, int64_t step, int64_t width,
                              const peri_real *restrict x, peri_real sign,
                              peri_real *restrict best),
               (rows, step, width, x, sign, best))

static void fold_run (peri__fold fold, int64_t n, const peri_real *x, double *part, double *mean) {
  switch (fold) {
    case PERI__SUM: sum_row(n, x, 0, part); break;
    case PERI__PROD: product_row(n, x, 0, part); break;
    case PERI__NORM: squares_row(n, x, 0, part); break;
    case PERI__ANY: case PERI__ALL: count_row(n, x, 0, part); break;
    case PERI__VARIANCE:
      sum_row(n, x, 0, mean);
      *mean /= (double) n;
      deviations_row(n, x, *mean, part);
      break;
    default: extreme_row(n, x, fold == PERI__MAX ? 1 : -1, part);
  }
}

static void fold_block (peri__fold fold, int64_t n, int64_t step, int64_t width, const peri_real *x,
                        double *part, double *mean) {
  switch (fold) {
    case PERI__SUM: sum_rows(n, step, width, x, NULL, part); break;
    case PERI__PROD: product_rows(n, step, width, x, NULL, part); break;
    case PERI__NORM: squares_rows(n, step, width, x, NULL, part); break;
    case PERI__ANY: case PERI__ALL: count_rows(n, step, width, x, NULL, part); break;
    case PERI__VARIANCE:
      sum_rows(n, step, width, x, NULL, mean);
      for (int64_t i = 0; i < width; i++) mean[i] /= (double) n;
      deviations_rows(n, step, width, x, mean, part);
      break;
    default: {
      peri_real best[COLUMNS], sign = fold == PERI__MAX ? 1 : -1;
      extreme_rows(n, step, width, x, sign, best);
      for (int64_t i = 0; i < width; i++) part[i] = (double) (sign * best[i]);
    }
  }
}

/* A partial result v, of count elements with the mean, joined by the next. */
typedef struct { double v, mean, count; } partial;

static partial join (peri__fold fold, partial a, partial b) {
  double d = b.mean - a.mean, all = a.count + b.count;
  switch (fold) {
    case PERI__PROD: a.v *= b.v; break;
    case PERI__MAX: case PERI__MIN:
      if (a.v == a.v && (b.v != b.v || (fold == PERI__MAX ? b.v > a.v : b.v < a.v))) a.v = b.v;
      break;
    case PERI__VARIANCE:                                /* Chan, Golub & LeVeque 1983 */
      a.v += b.v + d * d * (a.count * b.count / all);
      a.mean += d * (b.count / all);
      break;
    default: a.v += b.v;
  }
  a.count = all;
  return a;
}

static peri_real result_of (const reduce_job *j, double v) {
  switch (j->fold) {
    case PERI__SUM: case PERI__VARIANCE: return (peri_real) (v * j->scale);
    case PERI__NORM: return (peri_real) sqrt(v);
    case PERI__ANY: return v > 0;
    case PERI__ALL: return v == (double) j->n;
    default: return (peri_real) v;
  }
}

/* Pieces of rows, inner = 1. */
static void fold_row (void *arg, int64_t chunk) {
  const reduce_job *j = arg;
  int64_t from = chunk * j->rows, to = from + j->rows;
  if (to > j->outer * j->pieces) to = j->outer * j->pieces;
  for (int64_t i = from; i < to; i++) {
    int64_t row = i / j->pieces, at = i % j->pieces * j->length;
    int64_t n = j->n - at < j->length ? j->n - at : j->length;
    double v, mean;
    fold_run(j->fold, n, j->x + row * j->n + at, &v, &mean);
    if (j->part) j->part[i] = v, j->mean[i] = mean;
    else j->y[i] = result_of(j, v);
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
  double v[COLUMNS], mean[COLUMNS];
  fold_block(j->fold, n, j->inner, width, x, v, mean);
  int64_t to = (outer * j->pieces + piece) * j->inner + column;
  for (int64_t i = 0; i < width; i++)
    if (!j->part) j->y[to + i] = result_of(j, v[i]);
    else j->part[to + i] = v[i], j->mean[to + i] = mean[i];
}

/* Join the pieces in turn. */
static void finish (const reduce_job *j) {
  for (int64_t o = 0; o < j->outer; o++)
    for (int64_t i = 0; i < j->inner; i++) {
      int64_t at = o * j->pieces * j->inner + i;
      partial a = {j->part[at], j->mean[at], (double) j->length};
      for (int64_t p = 1; p < j->pieces; p++) {
        int64_t left = j->n - p * j->length, k = at + p * j->inner;
        a = join(j->fold, a, (partial) {j->part[k], j->mean[k],
                                        (double) (left < j->length ? left : j->length)});
      }
      j->y[o * j->inner + i] = result_of(j, a.v);
    }
}

bool peri__reduce (peri__fold fold, const peri_real *x, int64_t outer, int64_t n, int64_t inner,
                   double scale, peri_real *y) {
  reduce_job j = {.fold = fold, .x = x, .outer = outer, .n = n, .inner = inner, .scale = scale, .y = y};
  for (int64_t i = 0; n == 0 && i < outer * inner; i++)
    y[i] = fold == PERI__PROD || fold == PERI__ALL;
  if (n == 0 || outer * inner == 0) return true;
  j.columns = (inner + COLUMNS - 1) / COLUMNS;
  j.length = inner == 1 ? PIECE : AREA / (inner < COLUMNS ? inner : COLUMNS);
  j.pieces = (n + j.length - 1) / j.length;
  size_t size = 2 * (size_t) (outer * j.pieces * inner) * sizeof *j.part;
  if (j.pieces > 1) {
    j.part = peri__alloc(size);
    if (!j.part) return false;
    j.mean = j.part + outer * j.pieces * inner;
  }
  if (inner == 1) {
    j.rows = n < PIECE ? PIECE / n : 1;                 /* short rows go together */
    peri__parallel((outer * j.pieces + j.rows - 1) / j.rows, fold_row, &j);
  } else {
    peri__parallel(outer * j.pieces * j.columns, fold_columns, &j);
  }
  if (j.part) {
    finish(&j);
    peri__free(j.part, size);
  }
  return true;
}

typedef struct {
  bool smallest;
  const peri_real *x;
  int64_t outer, n, inner, lines;
  int32_t *y;
} arg_job;

/* Which element of a row is the extreme, or NaN: the largest, then the block that holds it. */
static int64_t find_first (int64_t n, const peri_real *x, peri_real sign) {
  enum { SCAN = 64 };
  double extreme;
  int64_t i = 0;
  extreme_row(n, x, sign, &extreme);
  peri_real m = (peri_real) extreme;
  for (; i + SCAN <= n; i += SCAN) {
    int found = 0;
    for (int j = 0; j < SCAN; j++) found += (x[i + j] == m) | (x[i + j] != x[i + j]);
    if (found) break;
  }
  while (i < n - 1 && x[i] != m && x[i] == x[i]) i++;
  return i;
}

static void find_extremes (void *arg, int64_t chunk) {
  const arg_job *j = arg;
  int64_t end = (chunk + 1) * j->lines;
  if (end > j->outer * j->inner) end = j->outer * j->inner;
  for (int64_t i = chunk * j->lines; i < end; i++) {
    const peri_real *p = j->x + i / j->inner * j->n * j->inner + i % j->inner;
    if (j->inner == 1) {
      j->y[i] = (int32_t) find_first(j->n, p, j->smallest ? -1 : 1) + 1;
      continue;
    }
    peri_real best = p[0];
    int64_t at = 0;
    for (int64_t k = 1; k < j->n && best == best; k++) {
      peri_real v = p[k * j->inner];
      if (v != v || (j->smallest ? v < best : v > best)) {
        best = v;
        at = k;
      }
    }
    j->y[i] = (int32_t) at + 1;
  }
}

void peri__arg_extreme (bool smallest, const peri_real *x, int64_t outer, int64_t n, int64_t inner,
                        int32_t *y) {
  arg_job j = {smallest, x, outer, n, inner, n < PIECE ? PIECE / n : 1, y};
  peri__parallel((outer * inner + j.lines - 1) / j.lines, find_extremes, &j);
}
