/* Normalisation where a group is many rows of channels: group, instance and batch.  One pass sums
   by columns, one applies; between them the sums of a batch entry become four numbers a channel. */

#include "kernel/normalize.h"

#include <math.h>
#include <string.h>

#include "kernel/dispatch.h"
#include "memory.h"
#include "parallel.h"

/* Columns in work at a time; numbers in a piece; entries of the batch up to SMALL, or to CACHED
   when there are MANY of them, are summed and applied by one chunk, found in the cache. */
enum { BLOCK = 512, NARROW = 64, PIECE = 1 << 16, SMALL = 1 << 15, CACHED = 1 << 17, MANY = 8 };
/* Sums of a column: d and d^2 with d = x - shift, backward also g and g d. */
enum { FORWARD_SUMS = 2, BACKWARD_SUMS = 4 };

typedef struct {
  const peri__norm *s;
  const peri_real *x, *g, *w, *b;
  peri_real *y;
  int64_t channels, tile;       /* narrow rows are taken `tile` at a time */
  int64_t pieces, length;       /* of a batch entry; rows of one */
  int sums;
  double *part;                 /* (batch, pieces, sums, channels) */
  peri_real *vector;            /* (batch, 4, channels), what the second pass reads */
} job;

/* Four rows meet in real before they are added in double: a quarter of the work, and of the loads
   and stores of the sums, for half a unit in the last place of each four. */
PERI__BODY sum_body (int64_t rows, int64_t step, int64_t width, const peri_real *restrict x,
                     const peri_real *restrict shift, double *restrict first,
                     double *restrict second) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4, x += 4 * step)
    for (int64_t j = 0; j < width; j++) {
      peri_real d0 = x[j] - shift[j], d1 = x[j + step] - shift[j];
      peri_real d2 = x[j + 2 * step] - shift[j], d3 = x[j + 3 * step] - shift[j];
      first[j] += (double) ((d0 + d1) + (d2 + d3));
      second[j] += (double) ((d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3));
    }
  for (; r < rows; r++, x += step)
    for (int64_t j = 0; j < width; j++) {
      double d = (double) (x[j] - shift[j]);
      first[j] += d;
      second[j] += d * d;
    }
}
PERI__DISPATCH(sum, (int64_t rows, int64_t step, int64_t width, const peri_real *restrict x,
                     const peri_real *restrict shift, double *restrict first,
                     double *restrict second), (rows, step, width, x, shift, first, second))

PERI__BODY sum_grad_body (int64_t rows, int64_t step, int64_t width, const peri_real *restrict x,
                          const peri_real *restrict g, const peri_real *restrict shift,
                          double (*restrict to)[BLOCK]) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4, x += 4 * step, g += 4 * step)
    for (int64_t j = 0; j < width; j++) {
      peri_real d0 = x[j] - shift[j], d1 = x[j + step] - shift[j];
      peri_real d2 = x[j + 2 * step] - shift[j], d3 = x[j + 3 * step] - shift[j];
      peri_real g0 = g[j], g1 = g[j + step], g2 = g[j + 2 * step], g3 = g[j + 3 * step];
      to[0][j] += (double) ((d0 + d1) + (d2 + d3));
      to[1][j] += (double) ((d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3));
      to[2][j] += (double) ((g0 + g1) + (g2 + g3));
      to[3][j] += (double) ((g0 * d0 + g1 * d1) + (g2 * d2 + g3 * d3));
    }
  for (; r < rows; r++, x += step, g += step)
    for (int64_t j = 0; j < width; j++) {
      double d = (double) (x[j] - shift[j]), gj = (double) g[j];
      to[0][j] += d;
      to[1][j] += d * d;
      to[2][j] += gj;
      to[3][j] += gj * d;
    }
}
PERI__DISPATCH(sum_grad, (int64_t rows, int64_t step, int64_t width, const peri_real *restrict x,
                          const peri_real *restrict g, const peri_real *restrict shift,
                          double (*restrict to)[BLOCK]), (rows, step, width, x, g, shift, to))

/* y = (x - m) k + b */
PERI__BODY apply_body (int64_t rows, int64_t step, int64_t width, const peri_real *restrict x,
                       peri_real (*restrict v)[BLOCK], peri_real *restrict y) {
  for (int64_t r = 0; r < rows; r++, x += step, y += step)
    for (int64_t j = 0; j < width; j++) y[j] = (x[j] - v[0][j]) * v[1][j] + v[2][j];
}
PERI__DISPATCH(apply, (int64_t rows, int64_t step, int64_t width, const peri_real *restrict x,
                       peri_real (*restrict v)[BLOCK], peri_real *restrict y),
               (rows, step, width, x, v, y))

/* dx = g p + (x - m) q + c */
PERI__BODY apply_grad_body (int64_t rows, int64_t step, int64_t width, const peri_real *restrict x,
                            const peri_real *restrict g, peri_real (*restrict v)[BLOCK],
                            peri_real *restrict dx) {
  for (int64_t r = 0; r < rows; r++, x += step, g += step, dx += step)
    for (int64_t j = 0; j < width; j++)
      dx[j] = g[j] * v[1][j] + ((x[j] - v[0][j]) * v[2][j] + v[3][j]);
}
PERI__DISPATCH(apply_grad, (int64_t rows, int64_t step, int64_t width, const peri_real *restrict x,
                            const peri_real *restrict g, peri_real (*restrict v)[BLOCK],
                            peri_real *restrict dx), (rows, step, width, x, g, v, dx))

/* Copy n numbers `times` times. */
static void repeat (const peri_real *from, int64_t n, int64_t times, peri_real *to) {
  for (int64_t t = 0; t < times; t++, to += n) memcpy(to, from, (size_t) n * sizeof *to);
}

static int64_t rows_of (const job *j, int64_t piece) {
  int64_t left = j->s->rows - piece * j->length;
  return left < j->length ? left : j->length;
}

/* The sums of one piece.  The shift, the entry's first row, keeps the squares free of a common
   offset. */
static void sum_piece (const job *j, int64_t item, int64_t piece) {
  const int64_t channels = j->channels, entry = item * j->s->rows * channels;
  const int64_t rows = rows_of(j, piece), whole = rows / j->tile, rest = rows % j->tile;
  double *part = j->part + (item * j->pieces + piece) * j->sums * channels;
  double to[BACKWARD_SUMS][BLOCK];
  peri_real shift[BLOCK];
  memset(part, 0, (size_t) (j->sums * channels) * sizeof *part);
  for (int64_t from = 0; from < channels; from += BLOCK) {
    int64_t n = channels - from < BLOCK ? channels - from : BLOCK, wide = n * j->tile;
    int64_t at = entry + piece * j->length * channels + from, step = channels * j->tile;
    const peri_real *x = j->x + at, *g = j->g ? j->g + at : NULL;
    repeat(j->x + entry + from, n, j->tile, shift);
    for (int k = 0; k < j->sums; k++) memset(to[k], 0, (size_t) wide * sizeof to[k][0]);
    for (int half = 0; half < 2; half++) {            /* whole tiles, then the rows that are left */
      int64_t count = half ? rest > 0 : whole, width = half ? rest * n : wide;
      int64_t skip = half ? whole * step : 0;
      if (g) sum_grad(count, step, width, x + skip, g + skip, shift, to);
      else sum(count, step, width, x + skip, shift, to[0], to[1]);
    }
    for (int k = 0; k < j->sums; k++)
      for (int64_t i = 0; i < wide; i++) part[k * channels + from + i % n] += to[k][i];
  }
}

/* Mean and variance of group `group` from the sums by column (Chan, Golub & LeVeque 1983). */
static void group_moments (const job *j, const double *part, const peri_real *shift, int64_t group,
                           double *mean, double *variance) {
  const int64_t channels = j->channels, from = group * j->s->width, to = from + j->s->width;
  const double rows = (double) j->s->rows;
  double sum = 0, square = 0;
  for (int64_t i = from; i < to; i++) sum += (double) shift[i] + part[i] / rows;
  *mean = sum / (double) j->s->width;
  for (int64_t i = from; i < to; i++) {
    double d = (double) shift[i] + part[i] / rows - *mean;
    square += part[channels + i] - part[i] * part[i] / rows + rows * d * d;
  }
  square /= rows * (double) j->s->width;
  *variance = square < 0 ? 0 : square;                /* keeps NaN */
}

/* Add up the pieces of one entry and make of them what the second pass reads.  Backward, the sums
   of g and g h over the rows stay in the third and fourth place of the first piece. */
static void combine (const job *j, int64_t item) {
  const int64_t channels = j->channels, width = j->s->width;
  const double numbers = (double) (j->s->rows * width);
  const peri_real *shift = j->x + item * j->s->rows * channels;
  double *part = j->part + item * j->pieces * j->sums * channels;
  peri_real *v = j->vector + item * BACKWARD_SUMS * channels;
  for (int64_t p = 1; p < j->pieces; p++)
    for (int64_t i = 0; i < j->sums * channels; i++) part[i] += part[p * j->sums * channels + i];
  for (int64_t group = 0; group < j->s->groups; group++) {
    double mean, variance, c1 = 0, c2 = 0;
    group_moments(j, part, shift, group, &mean, &variance);
    const double r = 1 / sqrt(variance + j->s->eps);
    const int64_t from = group * width, to = from + width;
    for (int64_t i = from; j->g && i < to; i++) {
      double total = part[2 * channels + i], *product = &part[3 * channels + i];
      *product = r * (*product + ((double) shift[i] - mean) * total);
      c1 += (double) j->w[i] * total / numbers;
      c2 += (double) j->w[i] * *product / numbers;
    }
    for (int64_t i = from; i < to; i++) {
      v[i] = (peri_real) mean;
      v[channels + i] = (peri_real) (r * (double) j->w[i]);
      v[2 * channels + i] = j->g ? (peri_real) (-r * r * c2) : j->b[i];
      v[3 * channels + i] = (peri_real) (-r * c1);
    }
  }
}

static void apply_piece (const job *j, int64_t item, int64_t piece) {
  const int64_t channels = j->channels, rows = rows_of(j, piece);
  const int64_t whole = rows / j->tile, rest = rows % j->tile, step = channels * j->tile;
  const peri_real *vector = j->vector + item * BACKWARD_SUMS * channels;
  peri_real v[BACKWARD_SUMS][BLOCK];
  for (int64_t from = 0; from < channels; from += BLOCK) {
    int64_t n = channels - from < BLOCK ? channels - from : BLOCK;
    int64_t at = (item * j->s->rows + piece * j->length) * channels + from;
    for (int k = 0; k < BACKWARD_SUMS; k++) repeat(vector + k * channels + from, n, j->tile, v[k]);
    for (int half = 0; half < 2; half++) {
      int64_t count = half ? rest > 0 : whole, width = half ? rest * n : n * j->tile;
      int64_t to = at + (half ? whole * step : 0);
      if (j->g) apply_grad(count, step, width, j->x + to, j->g + to, v, j->y + to);
      else apply(count, step, width, j->x + to, v, j->y + to);
    }
  }
}

static void run_sum (void *arg, int64_t chunk) {
  const job *j = arg;
  sum_piece(j, chunk / j->pieces, chunk % j->pieces);
}

static void run_apply (void *arg, int64_t chunk) {
  const job *j = arg;
  apply_piece(j, chunk / j->pieces, chunk % j->pieces);
}

static void run_entry (void *arg, int64_t item) {
  const job *j = arg;
  sum_piece(j, item, 0);
  combine(j, item);
  apply_piece(j, item, 0);
}

/* How rows are tiled and entries cut; the sizes alone decide. */
static void cut (job *j) {
  const peri__norm *s = j->s;
  int64_t numbers = s->rows * j->channels;
  j->tile = j->channels < NARROW ? NARROW / j->channels : 1;
  if (numbers <= (s->batch >= MANY ? CACHED : SMALL)) {
    j->length = s->rows;
  } else {
    j->length = PIECE / (j->channels * j->tile) * j->tile;
    if (j->length == 0) j->length = 1;
  }
  j->pieces = (s->rows + j->length - 1) / j->length;
}

static void run (job *j) {
  if (j->pieces == 1) {
    peri__parallel(j->s->batch, run_entry, j);
    return;
  }
  peri__parallel(j->s->batch * j->pieces, run_sum, j);
  for (int64_t item = 0; item < j->s->batch; item++) combine(j, item);
  peri__parallel(j->s->batch * j->pieces, run_apply, j);
}

/* Fill in the job and its scratch memory; its size, or 0 on failure. */
static size_t prepare (job *j, int sums) {
  j->channels = j->s->groups * j->s->width;
  j->sums = sums;
  cut(j);
  size_t parts = (size_t) (j->s->batch * j->pieces * sums * j->channels) * sizeof *j->part;
  size_t size = parts + (size_t) (j->s->batch * BACKWARD_SUMS * j->channels) * sizeof *j->vector;
  j->part = peri__alloc(size);
  j->vector = (peri_real *) ((char *) j->part + parts);
  return j->part ? size : 0;
}

bool peri__normalize (const peri__norm *s, const peri_real *x, const peri_real *w,
                      const peri_real *b, peri_real *y) {
  if (s->batch * s->rows * s->groups * s->width == 0) return true;
  if (s->rows == 1) return peri__normalize_rows(s, x, w, b, y);
  job j = {.s = s, .x = x, .w = w, .b = b, .y = y};
  size_t size = prepare(&j, FORWARD_SUMS);
  if (!size) return false;
  run(&j);
  peri__free(j.part, size);
  return true;
}

bool peri__normalize_grad (const peri__norm *s, const peri_real *g, const peri_real *x,
                           const peri_real *w, peri_real *dx, peri_real *dw, peri_real *db) {
  const int64_t channels = s->groups * s->width;
  if (s->batch * s->rows * channels == 0) {
    memset(dw, 0, (size_t) channels * sizeof *dw);
    memset(db, 0, (size_t) channels * sizeof *db);
    return true;
  }
  if (s->rows == 1) return peri__normalize_rows_grad(s, g, x, w, dx, dw, db);
  job j = {.s = s, .x = x, .g = g, .w = w, .y = dx};
  size_t size = prepare(&j, BACKWARD_SUMS);
  if (!size) return false;
  run(&j);
  for (int64_t i = 0; i < channels; i++) {
    double total = 0, product = 0;
    for (int64_t item = 0; item < s->batch; item++) {
      const double *part = j.part + item * j.pieces * j.sums * channels + i;
      total += part[2 * channels];
      product += part[3 * channels];
    }
    dw[i] = (peri_real) product;
    db[i] = (peri_real) total;
  }
  peri__free(j.part, size);
  return true;
}

bool peri__column_moments (const peri_real *x, int64_t n, int64_t width, peri_real *y) {
  peri__norm s = {.batch = 1, .rows = n, .groups = width, .width = 1, .centred = true};
  job j = {.s = &s, .x = x};
  if (width == 0) return true;
  size_t size = prepare(&j, FORWARD_SUMS);
  if (!size) return false;
  peri__parallel(j.pieces, run_sum, &j);
  for (int64_t p = 1; p < j.pieces; p++)
    for (int64_t i = 0; i < 2 * width; i++) j.part[i] += j.part[2 * p * width + i];
  for (int64_t i = 0; i < width; i++) {
    double mean, variance;
    group_moments(&j, j.part, x, i, &mean, &variance);
    y[i] = (peri_real) mean;
    y[width + i] = (peri_real) variance;
  }
  peri__free(j.part, size);
  return true;
}
