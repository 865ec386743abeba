/* Normalisation where a group is one run of memory: layer and root mean square.  A row is read from
   memory once; its later passes find it in the first-level cache. */

#include <math.h>
#include <string.h>

#include "kernel/dispatch.h"
#include "kernel/normalize.h"
#include "memory.h"
#include "parallel.h"

/* Numbers in a chunk: forward, and backward, where a chunk has sums over its rows of its own. */
enum { LANES = 16, FORWARD = 1 << 14, BACKWARD = 1 << 16 };

#define INLINE static inline __attribute__((always_inline))

INLINE double fold (double *lane) {
  for (int w = LANES / 2; w > 0; w /= 2)
    for (int j = 0; j < w; j++) lane[j] += lane[j + w];
  return lane[0];
}

/* Mean (0 when not centred) and 1 / sqrt(variance + eps), in two passes. */
INLINE void row_moments (int64_t n, const peri_real *x, const peri__norm *s, double *mean,
                         double *r) {
  double lane[LANES] = {0}, square[LANES] = {0};
  int64_t i;
  if (s->centred) {
    for (i = 0; i + LANES <= n; i += LANES)
      for (int j = 0; j < LANES; j++) lane[j] += (double) x[i + j];
    for (int j = 0; i < n; i++, j++) lane[j] += (double) x[i];
  }
  const double m = *mean = fold(lane) / (double) n;
  for (i = 0; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) {
      double d = (double) x[i + j] - m;
      square[j] += d * d;
    }
  for (int j = 0; i < n; i++, j++) square[j] += ((double) x[i] - m) * ((double) x[i] - m);
  *r = 1 / sqrt(fold(square) / (double) n + s->eps);
}

/* Ask for a row that is read soon: in its first pass memory is all there is to wait for. */
INLINE void row_prefetch (int64_t n, const peri_real *x) {
  for (int64_t j = 0; j < n; j += 64 / (int64_t) sizeof *x) __builtin_prefetch(x + j);
}

PERI__BODY forward_body (int64_t items, const peri__norm *s, const peri_real *restrict x,
                         const peri_real *restrict w, const peri_real *restrict b,
                         peri_real *restrict y) {
  const int64_t n = s->width;
  for (int64_t i = 0; i < items * s->groups; i++, x += n, y += n) {
    const peri_real *restrict wi = w + i % s->groups * n, *restrict bi = b + i % s->groups * n;
    double mean, scale;
    row_moments(n, x, s, &mean, &scale);
    const peri_real m = (peri_real) mean, r = (peri_real) scale;
    if (i + 1 < items * s->groups) row_prefetch(n, x + n);
    for (int64_t j = 0; j < n; j++) y[j] = (x[j] - m) * r * wi[j] + bi[j];
  }
}
PERI__DISPATCH(forward, (int64_t items, const peri__norm *s, const peri_real *restrict x,
                         const peri_real *restrict w, const peri_real *restrict b,
                         peri_real *restrict y), (items, s, x, w, b, y))

/* Sums of p = g w and of p (x - m): each in a loop of its own, else they are not vectorised. */
INLINE void row_products (int64_t n, const peri_real *g, const peri_real *w, const peri_real *x,
                          peri_real m, double *sum, double *product) {
  double first[LANES] = {0}, second[LANES] = {0};
  int64_t i;
  for (i = 0; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) first[j] += (double) (g[i + j] * w[i + j]);
  for (int j = 0; i < n; i++, j++) first[j] += (double) (g[i] * w[i]);
  *sum = fold(first);
  for (i = 0; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) second[j] += (double) (g[i + j] * w[i + j] * (x[i + j] - m));
  for (int j = 0; i < n; i++, j++) second[j] += (double) (g[i] * w[i] * (x[i] - m));
  *product = fold(second);
}

INLINE void row_finish (int64_t n, const peri_real *restrict g, const peri_real *restrict w,
                        const peri_real *restrict x, peri_real m, peri_real r, peri_real c1,
                        peri_real c2, peri_real *restrict dx) {
  for (int64_t j = 0; j < n; j++) dx[j] = r * (g[j] * w[j] - c1 - (x[j] - m) * r * c2);
}

INLINE void row_add (int64_t n, const peri_real *restrict g, const peri_real *restrict x,
                     peri_real m, peri_real r, double *restrict dw, double *restrict db) {
  for (int64_t j = 0; j < n; j++) {
    dw[j] += (double) (g[j] * ((x[j] - m) * r));
    db[j] += (double) g[j];
  }
}

/* The same for four rows in turn, which meet in real before they are added in double. */
INLINE void row_add_four (int64_t n, const peri_real *restrict g, const peri_real *restrict x,
                          const peri_real *m, const peri_real *r, double *restrict dw,
                          double *restrict db) {
  const peri_real m0 = m[0], m1 = m[1], m2 = m[2], m3 = m[3];
  const peri_real r0 = r[0], r1 = r[1], r2 = r[2], r3 = r[3];
  for (int64_t j = 0; j < n; j++) {
    peri_real g0 = g[j], g1 = g[j + n], g2 = g[j + 2 * n], g3 = g[j + 3 * n];
    peri_real h0 = (x[j] - m0) * r0, h1 = (x[j + n] - m1) * r1;
    peri_real h2 = (x[j + 2 * n] - m2) * r2, h3 = (x[j + 3 * n] - m3) * r3;
    dw[j] += (double) ((g0 * h0 + g1 * h1) + (g2 * h2 + g3 * h3));
    db[j] += (double) ((g0 + g1) + (g2 + g3));
  }
}

/* dw and db take the sums over the items. */
PERI__BODY backward_body (int64_t items, const peri__norm *s, const peri_real *restrict g,
                          const peri_real *restrict x, const peri_real *restrict w,
                          peri_real *restrict dx, double *restrict dw, double *restrict db) {
  const int64_t n = s->width, full = s->groups == 1 ? 4 : 1;
  peri_real ms[4], rs[4];                      /* of the rows that wait to be added */
  int64_t waiting = 0;
  for (int64_t i = 0; i < items * s->groups; i++, x += n, g += n, dx += n) {
    const int64_t at = i % s->groups * n;
    double mean, scale, sum, product;
    row_moments(n, x, s, &mean, &scale);
    const peri_real m = ms[waiting] = (peri_real) mean, r = rs[waiting] = (peri_real) scale;
    if (i + 1 < items * s->groups) row_prefetch(n, x + n);
    row_products(n, g, w + at, x, m, &sum, &product);
    if (i + 1 < items * s->groups) row_prefetch(n, g + n);
    const peri_real c1 = s->centred ? (peri_real) (sum / (double) n) : 0;
    row_finish(n, g, w + at, x, m, r, c1, (peri_real) (product * scale / (double) n), dx);
    if (++waiting < full) continue;
    if (full == 4) row_add_four(n, g - 3 * n, x - 3 * n, ms, rs, dw, db);
    else row_add(n, g, x, m, r, dw + at, db + at);
    waiting = 0;
  }
  for (int64_t k = 0; k < waiting; k++)
    row_add(n, g - (waiting - k) * n, x - (waiting - k) * n, ms[k], rs[k], dw, db);
}
PERI__DISPATCH(backward, (int64_t items, const peri__norm *s, const peri_real *restrict g,
                          const peri_real *restrict x, const peri_real *restrict w,
                          peri_real *restrict dx, double *restrict dw, double *restrict db),
               (items, s, g, x, w, dx, dw, db))

typedef struct {
  const peri__norm *s;
  const peri_real *x, *g, *w, *b;
  peri_real *y;
  int64_t length;               /* items of the batch in a chunk */
  double *part;                 /* (chunks, 2, channels) */
} row_job;

static void run_chunk (void *arg, int64_t chunk) {
  const row_job *j = arg;
  int64_t channels = j->s->groups * j->s->width, from = chunk * j->length, at = from * channels;
  int64_t items = j->s->batch - from < j->length ? j->s->batch - from : j->length;
  if (!j->g) {
    forward(items, j->s, j->x + at, j->w, j->b, j->y + at);
    return;
  }
  double *part = j->part + 2 * chunk * channels;
  memset(part, 0, 2 * (size_t) channels * sizeof *part);
  backward(items, j->s, j->g + at, j->x + at, j->w, j->y + at, part, part + channels);
}

/* Cut the batch into chunks of about `size` numbers and return how many there are. */
static int64_t cut (row_job *j, int64_t size) {
  int64_t channels = j->s->groups * j->s->width;
  j->length = size / channels > 0 ? size / channels : 1;
  return (j->s->batch + j->length - 1) / j->length;
}

bool peri__normalize_rows (const peri__norm *s, const peri_real *x, const peri_real *w,
                           const peri_real *b, peri_real *y) {
  row_job j = {.s = s, .x = x, .w = w, .b = b, .y = y};
  peri__parallel(cut(&j, FORWARD), run_chunk, &j);
  return true;
}

bool peri__normalize_rows_grad (const peri__norm *s, const peri_real *g, const peri_real *x,
                                const peri_real *w, peri_real *dx, peri_real *dw, peri_real *db) {
  row_job j = {.s = s, .x = x, .g = g, .w = w, .y = dx};
  int64_t chunks = cut(&j, BACKWARD), channels = s->groups * s->width;
  size_t size = (size_t) (2 * chunks * channels) * sizeof *j.part;
  if (!(j.part = peri__alloc(size))) return false;
  peri__parallel(chunks, run_chunk, &j);
  for (int64_t k = 1; k < chunks; k++)
    for (int64_t i = 0; i < 2 * channels; i++) j.part[i] += j.part[2 * k * channels + i];
  for (int64_t i = 0; i < channels; i++) {
    dw[i] = (peri_real) j.part[i];
    db[i] = (peri_real) j.part[channels + i];
  }
  peri__free(j.part, size);
  return true;
}
