/* The softmax family.  A line is an axis of a packed (outer, n, inner) array: contiguous when
   inner = 1, else treated in blocks of columns.  Sums are accumulated in double, in an order fixed
   by the sizes. */

#include "kernel/softmax.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernel/vector.h"
#include "parallel.h"

enum { BLOCK = 256, LANES = 16, COLUMNS = 256, WORK = 16384 };

#define LOAD(v, p, count) \
  V v = {0}; \
  memcpy(&v, p, (size_t) (count) * sizeof(peri_real));
#define STORE(p, v, count) memcpy(p, &v, (size_t) (count) * sizeof(peri_real))
/* `body` for full vectors and again for the rest, so that full ones are plain loads. */
#define EACH(n, body) \
  for (i = 0; i + W <= (n); i += W) { enum { count = sizeof(V) / sizeof(peri_real) }; body } \
  if (i < (n)) { int64_t count = (n) - i; body }

static inline double finite_or_zero (double m) {
  return m - m == 0 ? m : 0;
}

#define PERI__ROWS(L) \
  /* out = e^(x - m), m one number or one for each element; two vectors at once (see map.h) */ \
  PERI__TARGET_##L static inline __attribute__((always_inline)) void exp_block_##L \
      (int64_t n, const peri_real *x, const peri_real *m, bool many, peri_real *out) { \
    typedef real_##L V; \
    enum { W = sizeof(V) / sizeof(peri_real) }; \
    int64_t i = 0; \
    for (; i + 2 * W <= n; i += 2 * W) { \
      LOAD(a, x + i, W) LOAD(b, x + i + W, W) \
      V p = (V) {0} + m[0], q = p; \
      if (many) { \
        memcpy(&p, m + i, sizeof p); \
        memcpy(&q, m + i + W, sizeof q); \
      } \
      a = vexp(a - p); \
      b = vexp(b - q); \
      STORE(out + i, a, W); \
      STORE(out + i + W, b, W); \
    } \
    while (i < n) { \
      int64_t count = n - i < W ? n - i : W; \
      LOAD(a, x + i, count) \
      V p = (V) {0} + m[0]; \
      if (many) memcpy(&p, m + i, (size_t) count * sizeof(peri_real)); \
      a = vexp(a - p); \
      STORE(out + i, a, count); \
      i += count; \
    } \
  } \
  PERI__TARGET_##L static inline __attribute__((always_inline)) void add_block_##L \
      (int64_t n, const peri_real *x, double *lane) { \
    int64_t i = 0; \
    for (; i + LANES <= n; i += LANES) \
      for (int j = 0; j < LANES; j++) lane[j] += (double) x[i + j]; \
    for (int j = 0; i < n; i++, j++) lane[j] += (double) x[i]; \
  } \
  PERI__TARGET_##L static double row_max_##L (int64_t n, const peri_real *x) { \
    typedef real_##L V; \
    enum { W = sizeof(V) / sizeof(peri_real) }; \
    V best[4]; \
    peri_real lane[W], m = x[0]; \
    int64_t i = 0; \
    for (int j = 0; j < 4; j++) best[j] = (V) {0} + m; \
    for (; i + 4 * W <= n; i += 4 * W) \
      for (int j = 0; j < 4; j++) { \
        LOAD(v, x + i + j * W, W) \
        best[j] = vmax(v, best[j]); \
      } \
    best[0] = vmax(vmax(best[0], best[1]), vmax(best[2], best[3])); \
    memcpy(lane, best, sizeof lane); \
    for (int j = 0; j < W; j++) m = lane[j] <= m || m != m ? m : lane[j]; \
    for (; i < n; i++) m = x[i] <= m || m != m ? m : x[i]; \
    return (double) m; \
  } \
  /* out = e^(x - m), when it is wanted; returns the sum */ \
  PERI__TARGET_##L static double row_exp_##L (int64_t n, const peri_real *x, double max, \
                                              peri_real *out) { \
    const peri_real m = (peri_real) max; \
    double lane[LANES] = {0}; \
    peri_real buf[BLOCK]; \
    for (int64_t at = 0; at < n; at += BLOCK) { \
      int64_t size = n - at < BLOCK ? n - at : BLOCK; \
      peri_real *to = out ? out + at : buf; \
      exp_block_##L(size, x + at, &m, false, to); \
      add_block_##L(size, to, lane); \
    } \
    for (int w = LANES / 2; w > 0; w /= 2) \
      for (int j = 0; j < w; j++) lane[j] += lane[j + w]; \
    return lane[0]; \
  } \
  PERI__TARGET_##L static void row_exp_minus_##L (int64_t n, const peri_real *g, \
                                                  const peri_real *y, double sum, peri_real *u) { \
    typedef real_##L V; \
    enum { W = sizeof(V) / sizeof(peri_real) }; \
    const peri_real s = (peri_real) sum; \
    int64_t i; \
    EACH(n, LOAD(a, g + i, count) LOAD(b, y + i, count) a = a - vexp(b) * s; STORE(u + i, a, count);) \
  } \
  /* m and s of `width` neighbouring columns */ \
  PERI__TARGET_##L static void columns_##L (int64_t n, int64_t step, int64_t width, \
                                            const peri_real *x, double *max, double *sum) { \
    typedef real_##L V; \
    enum { W = sizeof(V) / sizeof(peri_real) }; \
    peri_real m[COLUMNS + 16], e[COLUMNS + 16]; \
    int64_t i; \
    memcpy(m, x, (size_t) width * sizeof *m); \
    for (int64_t k = 1; k < n; k++) { \
      const peri_real *p = x + k * step; \
      EACH(width, LOAD(v, p + i, count) LOAD(b, m + i, count) b = vmax(v, b); \
           STORE(m + i, b, count);) \
    } \
    for (i = 0; i < width; i++) { \
      max[i] = finite_or_zero((double) m[i]); \
      m[i] = (peri_real) max[i]; \
      sum[i] = 0; \
    } \
    for (int64_t k = 0; k < n; k++) { \
      const peri_real *p = x + k * step; \
      exp_block_##L(width, p, m, true, e); \
      for (i = 0; i < width; i++) sum[i] += (double) e[i]; \
    } \
  } \
  /* e^(x - m) r for columns */ \
  PERI__TARGET_##L static void columns_exp_##L (int64_t n, int64_t step, int64_t width, \
                                                const peri_real *x, const peri_real *m, \
                                                const peri_real *r, peri_real *y) { \
    for (int64_t k = 0; k < n; k++) { \
      peri_real *q = y + k * step; \
      exp_block_##L(width, x + k * step, m, true, q); \
      for (int64_t i = 0; i < width; i++) q[i] *= r[i]; \
    } \
  } \
  PERI__TARGET_##L static void columns_exp_minus_##L (int64_t n, int64_t step, int64_t width, \
                                                      const peri_real *g, const peri_real *y, \
                                                      const peri_real *s, peri_real *u) { \
    typedef real_##L V; \
    enum { W = sizeof(V) / sizeof(peri_real) }; \
    for (int64_t k = 0, i; k < n; k++) { \
      const peri_real *p = g + k * step, *q = y + k * step; \
      peri_real *to = u + k * step; \
      EACH(width, LOAD(a, p + i, count) LOAD(b, q + i, count) LOAD(c, s + i, count) \
           a = a - vexp(b) * c; STORE(to + i, a, count);) \
    } \
  }
PERI__ROWS(v2)
PERI__ROWS(v3)
PERI__ROWS(v4)

#define BY_LEVEL(type, name, params, args) \
  static type name params { \
    static type (*const level[3]) params = {name##_v2, name##_v3, name##_v4}; \
    return level[peri__cpu_level()] args; \
  }
BY_LEVEL(double, row_max, (int64_t n, const peri_real *x), (n, x))
BY_LEVEL(double, row_exp, (int64_t n, const peri_real *x, double m, peri_real *out), (n, x, m, out))
BY_LEVEL(void, row_exp_minus, (int64_t n, const peri_real *g, const peri_real *y, double s,
                               peri_real *u), (n, g, y, s, u))
BY_LEVEL(void, columns, (int64_t n, int64_t step, int64_t width, const peri_real *x, double *m,
                         double *s), (n, step, width, x, m, s))
BY_LEVEL(void, columns_exp, (int64_t n, int64_t step, int64_t width, const peri_real *x,
                             const peri_real *m, const peri_real *r, peri_real *y),
         (n, step, width, x, m, r, y))
BY_LEVEL(void, columns_exp_minus, (int64_t n, int64_t step, int64_t width, const peri_real *g,
                                   const peri_real *y, const peri_real *s, peri_real *u),
         (n, step, width, g, y, s, u))

/* --- plain loops --- */

PERI__BODY scale_row_body (int64_t n, peri_real c, peri_real *x) {
  for (int64_t i = 0; i < n; i++) x[i] *= c;
}
PERI__DISPATCH(scale_row, (int64_t n, peri_real c, peri_real *x), (n, c, x))

PERI__BODY shift_row_body (int64_t n, const peri_real *x, peri_real m, peri_real l, peri_real *y) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i] - m - l;
}
PERI__DISPATCH(shift_row, (int64_t n, const peri_real *x, peri_real m, peri_real l, peri_real *y),
               (n, x, m, l, y))

/* sum of g y, or of g when y is absent */
PERI__BODY dot_row_body (int64_t n, const peri_real *g, const peri_real *y, double *sum) {
  double lane[LANES] = {0};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++)
      lane[j] += y ? (double) g[i + j] * (double) y[i + j] : (double) g[i + j];
  for (int j = 0; i < n; i++, j++) lane[j] += y ? (double) g[i] * (double) y[i] : (double) g[i];
  for (int w = LANES / 2; w > 0; w /= 2)
    for (int j = 0; j < w; j++) lane[j] += lane[j + w];
  *sum = lane[0];
}
PERI__DISPATCH(dot_row, (int64_t n, const peri_real *g, const peri_real *y, double *sum),
               (n, g, y, sum))

PERI__BODY weigh_row_body (int64_t n, const peri_real *g, const peri_real *y, peri_real s,
                           peri_real *u) {
  for (int64_t i = 0; i < n; i++) u[i] = y[i] * (g[i] - s);
}
PERI__DISPATCH(weigh_row, (int64_t n, const peri_real *g, const peri_real *y, peri_real s,
                           peri_real *u), (n, g, y, s, u))

PERI__BODY dot_columns_body (int64_t n, int64_t step, int64_t width, const peri_real *g,
                             const peri_real *y, double *restrict sum) {
  for (int64_t i = 0; i < width; i++) sum[i] = 0;
  for (int64_t k = 0; k < n; k++)
    for (int64_t i = 0; i < width; i++)
      sum[i] += y ? (double) g[k * step + i] * (double) y[k * step + i] : (double) g[k * step + i];
}
PERI__DISPATCH(dot_columns, (int64_t n, int64_t step, int64_t width, const peri_real *g,
                             const peri_real *y, double *restrict sum), (n, step, width, g, y, sum))

PERI__BODY weigh_columns_body (int64_t n, int64_t step, int64_t width, const peri_real *g,
                               const peri_real *y, const peri_real *s, peri_real *u) {
  for (int64_t k = 0; k < n; k++)
    for (int64_t i = 0; i < width; i++)
      u[k * step + i] = y[k * step + i] * (g[k * step + i] - s[i]);
}
PERI__DISPATCH(weigh_columns, (int64_t n, int64_t step, int64_t width, const peri_real *g,
                               const peri_real *y, const peri_real *s, peri_real *u),
               (n, step, width, g, y, s, u))

/* --- lines shared out to threads --- */

typedef enum { SOFTMAX, LOG_SOFTMAX, SUMS, SOFTMAX_GRAD, LOG_SOFTMAX_GRAD, SCALED } task;

typedef struct {
  task task;
  const peri_real *x, *g, *z;
  const double *m_in, *s_in;
  int64_t outer, n, inner, rows, blocks;
  peri_real *y;
  double *m, *s;
} softmax_job;

static void do_row (const softmax_job *j, int64_t row) {
  const peri_real *x = j->x + row * j->n;
  peri_real *y = j->y + row * j->n;
  double sum, m;
  switch (j->task) {
    case SOFTMAX_GRAD: case LOG_SOFTMAX_GRAD: {
      const peri_real *g = j->g + row * j->n;
      dot_row(j->n, g, j->task == SOFTMAX_GRAD ? x : NULL, &sum);
      if (j->task == SOFTMAX_GRAD) weigh_row(j->n, g, x, (peri_real) sum, y);
      else row_exp_minus(j->n, g, x, sum, y);
      break;
    }
    case SCALED:
      row_exp(j->n, x, j->m_in[row], y);
      scale_row(j->n, (peri_real) ((double) j->z[row] / j->s_in[row]), y);
      break;
    default:
      m = finite_or_zero(row_max(j->n, x));
      sum = row_exp(j->n, x, m, j->task == SOFTMAX ? y : NULL);
      if (j->task == SOFTMAX) scale_row(j->n, (peri_real) (1 / sum), y);
      else if (j->task == LOG_SOFTMAX) shift_row(j->n, x, (peri_real) m, (peri_real) log(sum), y);
      else j->m[row] = m, j->s[row] = sum;
  }
}

static void do_columns (const softmax_job *j, int64_t outer, int64_t first) {
  int64_t width = j->inner - first < COLUMNS ? j->inner - first : COLUMNS;
  int64_t line = outer * j->inner + first, at = outer * j->n * j->inner + first;
  const peri_real *x = j->x + at, *g = j->g ? j->g + at : NULL;
  peri_real *y = j->y ? j->y + at : NULL, a[COLUMNS], b[COLUMNS];
  double m[COLUMNS], s[COLUMNS];
  if (j->task == SOFTMAX_GRAD || j->task == LOG_SOFTMAX_GRAD) {
    dot_columns(j->n, j->inner, width, g, j->task == SOFTMAX_GRAD ? x : NULL, s);
    for (int64_t i = 0; i < width; i++) a[i] = (peri_real) s[i];
    if (j->task == SOFTMAX_GRAD) weigh_columns(j->n, j->inner, width, g, x, a, y);
    else columns_exp_minus(j->n, j->inner, width, g, x, a, y);
    return;
  }
  if (j->task != SCALED) columns(j->n, j->inner, width, x, m, s);
  for (int64_t i = 0; i < width; i++) {
    if (j->task == SCALED) m[i] = j->m_in[line + i], s[i] = j->s_in[line + i];
    if (j->task == SUMS) j->m[line + i] = m[i], j->s[line + i] = s[i];
    a[i] = (peri_real) m[i];
    b[i] = (peri_real) (j->task == LOG_SOFTMAX ? log(s[i])
                        : (j->z ? (double) j->z[line + i] : 1) / s[i]);
  }
  if (j->task == LOG_SOFTMAX) {
    for (int64_t k = 0; k < j->n; k++)
      for (int64_t i = 0; i < width; i++) y[k * j->inner + i] = x[k * j->inner + i] - a[i] - b[i];
  } else if (j->task != SUMS) {
    columns_exp(j->n, j->inner, width, x, a, b, y);
  }
}

static void run_lines (void *arg, int64_t chunk) {
  const softmax_job *j = arg;
  int64_t lines = j->outer * j->blocks, end = (chunk + 1) * j->rows;
  if (end > lines) end = lines;
  for (int64_t i = chunk * j->rows; i < end; i++)
    if (j->inner == 1) do_row(j, i);
    else do_columns(j, i / j->blocks, i % j->blocks * COLUMNS);
}

static void run (softmax_job j) {
  j.blocks = (j.inner + COLUMNS - 1) / COLUMNS;
  int64_t work = j.n * (j.inner < COLUMNS ? j.inner : COLUMNS);
  j.rows = work > 0 && work < WORK ? WORK / work : 1;           /* short lines go together */
  peri__parallel((j.outer * j.blocks + j.rows - 1) / j.rows, run_lines, &j);
}

void peri__softmax (const peri_real *x, int64_t outer, int64_t n, int64_t inner, peri_real *y) {
  run((softmax_job) {.task = SOFTMAX, .x = x, .outer = outer, .n = n, .inner = inner, .y = y});
}

void peri__log_softmax (const peri_real *x, int64_t outer, int64_t n, int64_t inner, peri_real *y) {
  run((softmax_job) {.task = LOG_SOFTMAX, .x = x, .outer = outer, .n = n, .inner = inner, .y = y});
}

void peri__exp_sums (const peri_real *x, int64_t outer, int64_t n, int64_t inner, double *m,
                     double *s) {
  run((softmax_job) {.task = SUMS, .x = x, .outer = outer, .n = n, .inner = inner, .m = m, .s = s});
}

void peri__softmax_grad (const peri_real *g, const peri_real *y, int64_t outer, int64_t n,
                         int64_t inner, peri_real *u) {
  run((softmax_job) {.task = SOFTMAX_GRAD, .g = g, .x = y, .outer = outer, .n = n, .inner = inner,
                     .y = u});
}

void peri__log_softmax_grad (const peri_real *g, const peri_real *y, int64_t outer, int64_t n,
                             int64_t inner, peri_real *u) {
  run((softmax_job) {.task = LOG_SOFTMAX_GRAD, .g = g, .x = y, .outer = outer, .n = n,
                     .inner = inner, .y = u});
}

void peri__softmax_scaled (const peri_real *x, const double *m, const double *s, const peri_real *z,
                           int64_t outer, int64_t n, int64_t inner, peri_real *u) {
  run((softmax_job) {.task = SCALED, .x = x, .m_in = m, .s_in = s, .z = z, .outer = outer, .n = n,
                     .inner = inner, .y = u});
}
