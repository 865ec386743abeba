/* NADE in O(visible hidden) a sample: the activation of the hidden units is carried from one
   visible unit to the next.  Where x[i] = 0 it does not change, so sigmoids are computed for other
   x alone. */

#include "kernel/nade.h"

#include <math.h>
#include <string.h>

#include "kernel/map.h"
#include "memory.h"
#include "parallel.h"

/* Forward, a chunk is SAMPLES of the batch, which share each row of v while it is in the cache.
   Backward, it is WIDTH hidden units for all samples, GROUP at a time: units meet nowhere but in
   dx, so no sums of the size of w are made by every chunk. */
enum { SAMPLES = 8, WIDTH = 64, GROUP = 4, LANES = 16 };

#define LOGISTIC 1 / (1 + vexp(-x))
PERI__LOOP(v2, logistic, 1, LOGISTIC)
PERI__LOOP(v3, logistic, 1, LOGISTIC)
PERI__LOOP(v4, logistic, 1, LOGISTIC)

static void sigmoid (int64_t n, const peri_real *a, peri_real *h) {
  static peri__loop *const level[] = {logistic_v2, logistic_v3, logistic_v4};
  static const double none[2];
  level[peri__cpu_level()](n, (const peri_real *[]) {a}, none, h);
}

/* a += x w */
PERI__BODY add_body (int64_t n, peri_real x, const peri_real *restrict w, peri_real *restrict a) {
  for (int64_t j = 0; j < n; j++) a[j] += x * w[j];
}
PERI__DISPATCH(add, (int64_t n, peri_real x, const peri_real *restrict w, peri_real *restrict a),
               (n, x, w, a))

PERI__BODY dot_body (int64_t n, const peri_real *v, const peri_real *h, peri_real *result) {
  peri_real lane[LANES] = {0};
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int j = 0; j < LANES; j++) lane[j] += v[i + j] * h[i + j];
  for (int j = 0; i < n; i++, j++) lane[j] += v[i] * h[i];
  for (int w = LANES / 2; w > 0; w /= 2)
    for (int j = 0; j < w; j++) lane[j] += lane[j + w];
  *result = lane[0];
}
PERI__DISPATCH(dot, (int64_t n, const peri_real *v, const peri_real *h, peri_real *result),
               (n, v, h, result))

typedef struct {
  const peri__nade *s;
  const peri_real *u, *g;
  peri_real *x, *y;
  const peri__nade_derivatives *d;
  peri_real *scratch;           /* of every chunk */
  size_t stride;                /* numbers of scratch a chunk has */
  peri_real *partial;           /* (chunks, batch, visible): shares of dx */
} job;

static void run_forward (void *arg, int64_t chunk) {
  const job *j = arg;
  const peri__nade *s = j->s;
  const int64_t from = chunk * SAMPLES, n = s->hidden, d = s->visible;
  const int64_t samples = s->batch - from < SAMPLES ? s->batch - from : SAMPLES;
  peri_real *a = j->scratch + (size_t) chunk * j->stride, *h = a + SAMPLES * n;
  for (int64_t k = 0; k < samples; k++) {
    memcpy(a + k * n, s->c, (size_t) n * sizeof *a);
    if (k == 0) sigmoid(n, a, h);
    else memcpy(h + k * n, h, (size_t) n * sizeof *h);
  }
  for (int64_t i = 0; i < d; i++)
    for (int64_t k = 0; k < samples; k++) {
      int64_t at = (from + k) * d + i;
      peri_real y;
      dot(n, s->v + i * n, h + k * n, &y);
      y += s->b[i];
      if (j->y) j->y[at] = y;
      if (j->u) j->x[at] = (double) j->u[at] < 1 / (1 + exp(-(double) y));
      if (j->x[at] == 0 || i + 1 == d) continue;
      add(n, j->x[at], s->w + i * n, a + k * n);
      sigmoid(n, a + k * n, h + k * n);
    }
}

bool peri__nade_forward_pass (const peri__nade *s, const peri_real *u, peri_real *x, peri_real *y) {
  int64_t chunks = (s->batch + SAMPLES - 1) / SAMPLES;
  job j = {.s = s, .u = u, .x = x, .y = y, .stride = 2 * SAMPLES * (size_t) s->hidden};
  size_t size = (size_t) chunks * j.stride * sizeof *j.scratch;
  if (!(j.scratch = peri__alloc(size))) return false;
  peri__parallel(chunks, run_forward, &j);
  peri__free(j.scratch, size);
  return true;
}

/* --- backward --- */

/* dv += g h and e += g v, of WIDTH units. */
PERI__BODY spread_body (peri_real g, const peri_real *restrict v, const peri_real *restrict h,
                        peri_real *restrict dv, peri_real *restrict e) {
  for (int j = 0; j < WIDTH; j++) {
    dv[j] += g * h[j];
    e[j] += g * v[j];
  }
}
PERI__DISPATCH(spread, (peri_real g, const peri_real *restrict v, const peri_real *restrict h,
                        peri_real *restrict dv, peri_real *restrict e), (g, v, h, dv, e))

/* delta += e h (1 - h); e = 0 */
PERI__BODY settle_body (const peri_real *restrict h, peri_real *restrict e,
                        peri_real *restrict delta) {
  for (int j = 0; j < WIDTH; j++) {
    delta[j] += e[j] * (h[j] * (1 - h[j]));
    e[j] = 0;
  }
}
PERI__DISPATCH(settle, (const peri_real *restrict h, peri_real *restrict e,
                        peri_real *restrict delta), (h, e, delta))

/* The hidden states of one sample as they change, into h; returns how many changes there are. */
static int64_t sweep (const peri_real *w, const peri_real *c, const peri_real *x, int64_t d,
                      peri_real *h) {
  peri_real a[WIDTH];
  int64_t changes = 0;
  memcpy(a, c, sizeof a);
  sigmoid(WIDTH, a, h);
  for (int64_t i = 0; i + 1 < d; i++) {
    if (x[i] == 0) continue;
    add(WIDTH, x[i], w + i * WIDTH, a);
    sigmoid(WIDTH, a, h + ++changes * WIDTH);
  }
  return changes;
}

/* Samples k.. of the batch, for the units whose columns of w and v were copied to w and v. */
static void walk_back (const job *j, int64_t from, int64_t samples, peri_real *w, peri_real *v,
                       const peri_real *c, peri_real *dw, peri_real *dv, peri_real *dc,
                       peri_real *h, peri_real *dx) {
  const int64_t d = j->s->visible, room = d * WIDTH;
  peri_real e[GROUP][WIDTH] = {{0}}, delta[GROUP][WIDTH] = {{0}};
  const peri_real *now[GROUP];
  for (int64_t k = 0; k < samples; k++)
    now[k] = h + k * room + sweep(w, c, j->x + (from + k) * d, d, h + k * room) * WIDTH;
  for (int64_t i = d - 1; i >= 0; i--)
    for (int64_t k = 0; k < samples; k++) {
      int64_t at = (from + k) * d + i;
      peri_real x = j->x[at];
      if (i + 1 < d && (x != 0 || dx)) {
        settle(now[k], e[k], delta[k]);
        if (dx) dot(WIDTH, w + i * WIDTH, delta[k], &dx[at]);
        if (x != 0) {
          add(WIDTH, x, delta[k], dw + i * WIDTH);
          now[k] -= WIDTH;
        }
      } else if (dx) {
        dx[at] = 0;
      }
      spread(j->g[at], v + i * WIDTH, now[k], dv + i * WIDTH, e[k]);
    }
  for (int64_t k = 0; k < samples; k++) {
    settle(h + k * room, e[k], delta[k]);
    add(WIDTH, 1, delta[k], dc);
  }
}

/* Columns at..at + n of a matrix of `rows` rows of `hidden` to or from one of rows of WIDTH. */
static void copy_columns (const peri_real *from, int64_t step, peri_real *to, int64_t wide,
                          int64_t rows, int64_t n) {
  for (int64_t i = 0; i < rows; i++)
    memcpy(to + i * wide, from + i * step, (size_t) n * sizeof *to);
}

/* Units past the last have weights of zero, and their derivatives go nowhere. */
static void run_backward (void *arg, int64_t chunk) {
  const job *j = arg;
  const peri__nade *s = j->s;
  const int64_t at = chunk * WIDTH, d = s->visible, room = d * WIDTH;
  const int64_t n = s->hidden - at < WIDTH ? s->hidden - at : WIDTH;
  peri_real *w = j->scratch + (size_t) chunk * j->stride, *v = w + room, *dw = v + room;
  peri_real *dv = dw + room, *h = dv + room, c[WIDTH] = {0}, dc[WIDTH] = {0};
  peri_real *dx = j->partial ? j->partial + chunk * s->batch * d : NULL;
  memset(w, 0, 4 * (size_t) room * sizeof *w);
  copy_columns(s->w + at, s->hidden, w, WIDTH, d, n);
  copy_columns(s->v + at, s->hidden, v, WIDTH, d, n);
  memcpy(c, s->c + at, (size_t) n * sizeof *c);
  for (int64_t from = 0; from < s->batch; from += GROUP)
    walk_back(j, from, s->batch - from < GROUP ? s->batch - from : GROUP, w, v, c, dw, dv, dc, h,
              dx);
  copy_columns(dw, WIDTH, j->d->w + at, s->hidden, d, n);
  copy_columns(dv, WIDTH, j->d->v + at, s->hidden, d, n);
  memcpy(j->d->c + at, dc, (size_t) n * sizeof *dc);
}

/* db, and dx from the shares of the chunks. */
static void finish (const job *j, int64_t chunks) {
  const int64_t d = j->s->visible, count = j->s->batch * d;
  for (int64_t i = 0; i < d; i++) {
    double sum = 0;
    for (int64_t k = 0; k < j->s->batch; k++) sum += (double) j->g[k * d + i];
    j->d->b[i] = (peri_real) sum;
  }
  for (int64_t i = 0; j->d->x && i < count; i++) {
    double sum = 0;
    for (int64_t k = 0; k < chunks; k++) sum += (double) j->partial[k * count + i];
    j->d->x[i] = (peri_real) sum;
  }
}

bool peri__nade_backward (const peri__nade *s, const peri_real *g, const peri_real *x,
                          const peri__nade_derivatives *d) {
  int64_t chunks = (s->hidden + WIDTH - 1) / WIDTH;
  job j = {.s = s, .g = g, .x = (peri_real *) x, .d = d};
  j.stride = (4 + GROUP) * (size_t) (s->visible * WIDTH);
  size_t shares = d->x ? (size_t) (chunks * s->batch * s->visible) : 0;
  size_t size = ((size_t) chunks * j.stride + shares) * sizeof *j.scratch;
  if (!(j.scratch = peri__alloc(size))) return false;
  j.partial = shares ? j.scratch + (size_t) chunks * j.stride : NULL;
  if (s->visible > 0) peri__parallel(chunks, run_backward, &j);
  else memset(d->c, 0, (size_t) s->hidden * sizeof *d->c);
  finish(&j, chunks);
  peri__free(j.scratch, size);
  return true;
}
