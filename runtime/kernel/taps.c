/* Sparse matrices along an axis of a packed (outer, n, inner) array.  Entries of the axis are vectors
   of `inner` numbers, which are read and written whole. */

#include "kernel/taps.h"

#include <string.h>

#include "kernel/dispatch.h"
#include "memory.h"
#include "parallel.h"

enum { CHUNK = 16384, WIDTH = 64 };

typedef struct {
  const peri__taps *t;
  int64_t outer, inner, rows;
  const peri_real *x;
  peri_real *y;
} taps_job;

static size_t start_bytes (const peri__taps *t) {
  return (size_t) (t->m + 2) * sizeof *t->start;      /* one more: the first row is open even of none */
}

bool peri__taps_open (peri__taps *t, int64_t n, int64_t m, int64_t room) {
  *t = (peri__taps) {.n = n, .m = m, .room = room};
  t->start = peri__alloc(start_bytes(t));
  t->at = peri__alloc((size_t) room * sizeof *t->at);
  t->weight = peri__alloc((size_t) room * sizeof *t->weight);
  if (t->start && t->at && t->weight) {
    t->start[0] = t->start[1] = 0;
    return true;
  }
  peri__taps_close(t);
  return false;
}

void peri__taps_close (peri__taps *t) {
  if (t->start) peri__free(t->start, start_bytes(t));
  if (t->at) peri__free(t->at, (size_t) t->room * sizeof *t->at);
  if (t->weight) peri__free(t->weight, (size_t) t->room * sizeof *t->weight);
  *t = (peri__taps) {0};
}

void peri__taps_add (peri__taps *t, int64_t at, double weight) {
  int64_t k = t->start[t->rows + 1]++;
  t->at[k] = at;
  t->weight[k] = (peri_real) weight;
}

void peri__taps_end_row (peri__taps *t) {
  if (++t->rows < t->m) t->start[t->rows + 1] = t->start[t->rows];
}

/* By counting: taps of a column keep the order of the rows they came from. */
bool peri__taps_transpose (peri__taps *t) {
  peri__taps u;
  int64_t taps = t->start[t->m];
  if (!peri__taps_open(&u, t->m, t->n, t->room)) return false;
  u.rows = u.m;
  memset(u.start, 0, start_bytes(&u));
  for (int64_t k = 0; k < taps; k++) u.start[t->at[k] + 1]++;
  for (int64_t i = 0; i < u.m; i++) u.start[i + 1] += u.start[i];
  for (int64_t i = 0; i < t->m; i++)
    for (int64_t k = t->start[i]; k < t->start[i + 1]; k++) {
      int64_t to = u.start[t->at[k]]++;
      u.at[to] = i;
      u.weight[to] = t->weight[k];
    }
  memmove(u.start + 1, u.start, (size_t) u.m * sizeof *u.start);
  u.start[0] = 0;
  peri__taps_close(t);
  *t = u;
  return true;
}

/* Rows from .. to of y, the sums in registers WIDTH at a time. */
PERI__BODY apply_rows_body (const taps_job *job, int64_t from, int64_t to) {
  const peri__taps *t = job->t;
  int64_t inner = job->inner, i = from % t->m;
  const peri_real *x = job->x + from / t->m * t->n * inner;
  peri_real *restrict y = job->y + from * inner;
  for (int64_t row = from; row < to; row++, y += inner) {
    int64_t first = t->start[i], end = t->start[i + 1], k = 0;
    for (; k + WIDTH <= inner; k += WIDTH) {
      peri_real sum[WIDTH] = {0};
      for (int64_t tap = first; tap < end; tap++) {
        const peri_real *p = x + t->at[tap] * inner + k, w = t->weight[tap];
        for (int j = 0; j < WIDTH; j++) sum[j] += w * p[j];
      }
      memcpy(y + k, sum, sizeof sum);
    }
    for (; k < inner; k++) {
      peri_real sum = 0;
      for (int64_t tap = first; tap < end; tap++) sum += t->weight[tap] * x[t->at[tap] * inner + k];
      y[k] = sum;
    }
    if (++i == t->m) {
      i = 0;
      x += t->n * inner;
    }
  }
}
PERI__DISPATCH(apply_rows, (const taps_job *job, int64_t from, int64_t to), (job, from, to))

static void apply_chunk (void *arg, int64_t chunk) {
  const taps_job *j = arg;
  int64_t from = chunk * j->rows, to = from + j->rows, all = j->outer * j->t->m;
  apply_rows(j, from, to < all ? to : all);
}

void peri__taps_apply (const peri__taps *t, int64_t outer, int64_t inner, const peri_real *x,
                       peri_real *y) {
  taps_job j = {.t = t, .outer = outer, .inner = inner, .x = x, .y = y, .rows = 1};
  if (outer == 0 || inner == 0 || t->m == 0) return;
  int64_t taps = 1 + t->start[t->m] / t->m;            /* of one sum, on average */
  j.rows += CHUNK / (inner * taps);
  peri__parallel((outer * t->m + j.rows - 1) / j.rows, apply_chunk, &j);
}
