/* The steps of recurrent networks.  The batch is cut into chunks that go through the whole sequence
   on their own: no thread waits for another between steps, and results do not depend on their
   number. */

#include "kernel/recur.h"

#include <string.h>

#include "blas.h"
#include "kernel/vector.h"
#include "memory.h"
#include "parallel.h"

/* Sequences in a chunk: products of 16 rows run at full speed, and two chunks keep two threads
   busy.  ROWS: of a piece of the projection. */
enum { MOST = 32, LEAST = 8, ROWS = 128 };

typedef struct {
  peri__sizes s;
  int64_t each;                         /* sequences in a chunk */
  const peri_real *h0, *c0, *w, *bh, *gates, *cell, *gh, *gc, *input_m, *state;
  peri_real *a, *h, *c, *m, *da, *dp, *dh, *dc, *work;
} recur_job;

static int64_t chunk_size (int64_t batch) {
  int64_t chunks = (batch + MOST - 1) / MOST;
  if (chunks == 1 && batch >= 2 * LEAST) chunks = 2;
  return chunks ? (batch + chunks - 1) / chunks : 1;
}

static bool run (recur_job *j, void (*f) (void *, int64_t)) {
  if (!peri__blas_ready()) return false;
  j->each = chunk_size(j->s.batch);
  peri__parallel((j->s.batch + j->each - 1) / j->each, f, j);
  return true;
}

/* --- the projection --- */

typedef struct {
  int64_t rows, in, out;
  const peri_real *x, *w, *b;
  peri_real *y;
} project_job;

static void project_rows (void *arg, int64_t chunk) {
  const project_job *j = arg;
  int64_t from = chunk * ROWS, n = j->rows - from < ROWS ? j->rows - from : ROWS;
  peri_real *y = j->y + from * j->out;
  for (int64_t i = 0; i < n; i++) memcpy(y + i * j->out, j->b, (size_t) j->out * sizeof *y);
  if (j->in > 0)
    peri__gemm(&(peri__gemm_call) {.m = n, .n = j->out, .k = j->in, .a = j->x + from * j->in,
                                   .lda = j->in, .b = j->w, .ldb = j->out, .beta = 1, .c = y,
                                   .ldc = j->out});
}

bool peri__project (int64_t rows, int64_t in, int64_t out, const peri_real *x, const peri_real *wx,
                    const peri_real *b, peri_real *y) {
  project_job j = {rows, in, out, x, wx, b, y};
  if (out == 0) return true;
  if (!peri__blas_ready()) return false;
  peri__parallel((rows + ROWS - 1) / ROWS, project_rows, &j);
  return true;
}

/* --- gates: loops over one row of hidden units --- */

/* Run STEP(i, size) over n numbers: whole vectors, then the rest with its lanes filled up. */
#define OVER(n, STEP) \
  int64_t i = 0; \
  for (; i + W <= (n); i += W) { STEP(i, sizeof(V)) } \
  if (i < (n)) { size_t rest = (size_t) ((n) - i) * sizeof(peri_real); STEP(i, rest) }

#define LOAD(name, from, size) V name = zero; memcpy(&name, from, size);
#define SIGMOID(x) (1 / (1 + vexp(-(x))))

/* c' = f c + i g,  h' = o tanh(c')   (Hochreiter & Schmidhuber 1997, with the gate f of Gers et al.
   2000) */
#define LSTM_STEP(i, size) \
  LOAD(gi, a + i, size) LOAD(gf, a + n + i, size) LOAD(gg, a + 2 * n + i, size) \
  LOAD(go, a + 3 * n + i, size) LOAD(state, before + i, size) \
  gi = SIGMOID(gi); \
  gf = SIGMOID(gf); \
  gg = vtanh(gg); \
  go = SIGMOID(go); \
  state = gf * state + gi * gg; \
  V out = go * vtanh(state); \
  memcpy(a + i, &gi, size); \
  memcpy(a + n + i, &gf, size); \
  memcpy(a + 2 * n + i, &gg, size); \
  memcpy(a + 3 * n + i, &go, size); \
  memcpy(c + i, &state, size); \
  memcpy(h + i, &out, size);

/* dh and dc: what arrives from the step behind; dc is replaced by what the step before gets. */
#define LSTM_BACK(i, size) \
  LOAD(gi, a + i, size) LOAD(gf, a + n + i, size) LOAD(gg, a + 2 * n + i, size) \
  LOAD(go, a + 3 * n + i, size) LOAD(old, before + i, size) LOAD(state, c + i, size) \
  LOAD(uh, dh + i, size) LOAD(uc, dc + i, size) LOAD(vh, gh + i, size) LOAD(vc, gc + i, size) \
  V t = vtanh(state); \
  uh = uh + vh; \
  uc = uc + vc + uh * go * (1 - t * t); \
  V di = uc * gg * gi * (1 - gi), df = uc * old * gf * (1 - gf); \
  V dg = uc * gi * (1 - gg * gg), dout = uh * t * go * (1 - go); \
  uc = uc * gf; \
  memcpy(da + i, &di, size); \
  memcpy(da + n + i, &df, size); \
  memcpy(da + 2 * n + i, &dg, size); \
  memcpy(da + 3 * n + i, &dout, size); \
  memcpy(dc + i, &uc, size);

/* r, z: sigmoid(a + p);  n = tanh(a + r p);  h' = (1 - z) n + z h   (Cho et al. 2014, with r inside
   as in cuDNN) */
#define GRU_STEP(i, size) \
  LOAD(gr, a + i, size) LOAD(gz, a + n + i, size) LOAD(gn, a + 2 * n + i, size) \
  LOAD(pr, p + i, size) LOAD(pz, p + n + i, size) LOAD(pn, p + 2 * n + i, size) \
  LOAD(old, before + i, size) \
  gr = SIGMOID(gr + pr); \
  gz = SIGMOID(gz + pz); \
  gn = vtanh(gn + gr * pn); \
  V out = (1 - gz) * gn + gz * old; \
  memcpy(a + i, &gr, size); \
  memcpy(a + n + i, &gz, size); \
  memcpy(a + 2 * n + i, &gn, size); \
  memcpy(m + i, &pn, size); \
  memcpy(h + i, &out, size);

/* dh is replaced by the part of the step before's that does not go through wh. */
#define GRU_BACK(i, size) \
  LOAD(gr, a + i, size) LOAD(gz, a + n + i, size) LOAD(gn, a + 2 * n + i, size) \
  LOAD(pn, m + i, size) LOAD(old, before + i, size) LOAD(uh, dh + i, size) LOAD(vh, g + i, size) \
  uh = uh + vh; \
  V dn = uh * (1 - gz) * (1 - gn * gn), dz = uh * (old - gn) * gz * (1 - gz); \
  V dr = dn * pn * gr * (1 - gr), dm = dn * gr; \
  uh = uh * gz; \
  memcpy(dx + i, &dr, size); \
  memcpy(dx + n + i, &dz, size); \
  memcpy(dx + 2 * n + i, &dn, size); \
  memcpy(dp + i, &dr, size); \
  memcpy(dp + n + i, &dz, size); \
  memcpy(dp + 2 * n + i, &dm, size); \
  memcpy(dh + i, &uh, size);

#define ROW(L, name, params, STEP) \
  PERI__TARGET_##L static void name##_##L params { \
    typedef real_##L V; \
    const int64_t W = sizeof(V) / sizeof(peri_real); \
    const V zero = {0}; \
    OVER(n, STEP) \
  }
#define ROWS_OF(name, params, args, STEP) \
  ROW(v2, name, params, STEP) \
  ROW(v3, name, params, STEP) \
  ROW(v4, name, params, STEP) \
  static void name params { \
    static void (*const level[3]) params = {name##_v2, name##_v3, name##_v4}; \
    level[peri__cpu_level()] args; \
  }

ROWS_OF(lstm_row, (int64_t n, peri_real *a, const peri_real *before, peri_real *c, peri_real *h),
        (n, a, before, c, h), LSTM_STEP)
ROWS_OF(lstm_back_row, (int64_t n, const peri_real *a, const peri_real *before, const peri_real *c,
                        const peri_real *gh, const peri_real *gc, const peri_real *dh,
                        peri_real *dc, peri_real *da),
        (n, a, before, c, gh, gc, dh, dc, da), LSTM_BACK)
ROWS_OF(gru_row, (int64_t n, peri_real *a, const peri_real *p, const peri_real *before,
                  peri_real *m, peri_real *h), (n, a, p, before, m, h), GRU_STEP)
ROWS_OF(gru_back_row, (int64_t n, const peri_real *a, const peri_real *m, const peri_real *before,
                       const peri_real *g, peri_real *dh, peri_real *dx, peri_real *dp),
        (n, a, m, before, g, dh, dx, dp), GRU_BACK)

/* --- sequences --- */

/* c += a b: rows of a and c lie apart by what separates two sequences. */
static void product (int64_t m, int64_t n, int64_t k, const peri_real *a, int64_t lda,
                     const peri_real *b, peri_real beta, peri_real *c, int64_t ldc) {
  peri__gemm(&(peri__gemm_call) {.m = m, .n = n, .k = k, .a = a, .lda = lda, .b = b, .ldb = n,
                                 .beta = beta, .c = c, .ldc = ldc});
}

/* Sequences from..from+n of a chunk. */
static int64_t range (const recur_job *j, int64_t chunk, int64_t *from) {
  *from = chunk * j->each;
  return j->s.batch - *from < j->each ? j->s.batch - *from : j->each;
}

/* State of sequence i before step t: of the array x of all steps, or the first. */
static const peri_real *before_step (const recur_job *j, const peri_real *x, const peri_real *first,
                                     int64_t i, int64_t t) {
  int64_t n = j->s.hidden;
  return t ? x + (i * j->s.time + t - 1) * n : first + i * n;
}

static void lstm_chunk (void *arg, int64_t chunk) {
  const recur_job *j = arg;
  int64_t from, n = range(j, chunk, &from), size = j->s.hidden, time = j->s.time;
  for (int64_t t = 0; t < time; t++) {
    product(n, 4 * size, size, before_step(j, j->h, j->h0, from, t), t ? time * size : size,
            j->w, 1, j->a + (from * time + t) * 4 * size, time * 4 * size);
    for (int64_t i = from; i < from + n; i++) {
      int64_t at = (i * time + t) * size;
      lstm_row(size, j->a + 4 * at, before_step(j, j->c, j->c0, i, t), j->c + at, j->h + at);
    }
  }
}

bool peri__lstm_steps (const peri__sizes *s, const peri_real *h0, const peri_real *c0,
                       const peri_real *wh, peri_real *a, peri_real *h, peri_real *c) {
  recur_job j = {.s = *s, .h0 = h0, .c0 = c0, .w = wh, .a = a, .h = h, .c = c};
  return run(&j, lstm_chunk);
}

static void lstm_back_chunk (void *arg, int64_t chunk) {
  const recur_job *j = arg;
  int64_t from, n = range(j, chunk, &from), size = j->s.hidden, time = j->s.time;
  for (int64_t t = time - 1; t >= 0; t--) {
    for (int64_t i = from; i < from + n; i++) {
      int64_t at = (i * time + t) * size;
      lstm_back_row(size, j->gates + 4 * at, before_step(j, j->cell, j->c0, i, t), j->cell + at,
                    j->gh + at, j->gc + at, j->dh + i * size, j->dc + i * size, j->da + 4 * at);
    }
    product(n, size, 4 * size, j->da + (from * time + t) * 4 * size, time * 4 * size, j->w, 0,
            j->dh + from * size, size);
  }
}

/* w (rows, columns) transposed, so that products step through it in order; freed by the caller. */
static peri_real *transposed (int64_t rows, int64_t columns, const peri_real *w) {
  enum { TILE = 16 };
  peri_real *y = peri__alloc((size_t) (rows * columns) * sizeof *y);
  for (int64_t i = 0; y && i < rows; i += TILE)
    for (int64_t c = 0; c < columns; c++)
      for (int64_t k = i; k < i + TILE && k < rows; k++) y[c * rows + k] = w[k * columns + c];
  return y;
}

/* Gradients of the states start at 0, as many as there are sequences. */
static void clear_states (const peri__sizes *s, peri_real *x) {
  memset(x, 0, (size_t) (s->batch * s->hidden) * sizeof *x);
}

bool peri__lstm_back (const peri__sizes *s, const peri_real *c0, const peri_real *wh,
                      const peri_real *gates, const peri_real *c, const peri_real *gh,
                      const peri_real *gc, peri_real *da, peri_real *dh0, peri_real *dc0) {
  recur_job j = {.s = *s, .c0 = c0, .gates = gates, .cell = c, .gh = gh, .gc = gc, .da = da,
                 .dh = dh0, .dc = dc0};
  size_t size = (size_t) (4 * s->hidden * s->hidden) * sizeof(peri_real);
  peri_real *w = transposed(s->hidden, 4 * s->hidden, wh);
  if (!w) return false;
  j.w = w;
  clear_states(s, dh0);
  clear_states(s, dc0);
  bool done = run(&j, lstm_back_chunk);
  peri__free(w, size);
  return done;
}

static void gru_chunk (void *arg, int64_t chunk) {
  const recur_job *j = arg;
  int64_t from, n = range(j, chunk, &from), size = j->s.hidden, time = j->s.time;
  peri_real *p = j->work + from * 3 * size;
  for (int64_t t = 0; t < time; t++) {
    for (int64_t i = 0; i < n; i++)
      memcpy(p + i * 3 * size, j->bh, (size_t) (3 * size) * sizeof *p);
    product(n, 3 * size, size, before_step(j, j->h, j->h0, from, t), t ? time * size : size,
            j->w, 1, p, 3 * size);
    for (int64_t i = from; i < from + n; i++) {
      int64_t at = (i * time + t) * size;
      gru_row(size, j->a + 3 * at, p + (i - from) * 3 * size, before_step(j, j->h, j->h0, i, t),
              j->m + at, j->h + at);
    }
  }
}

bool peri__gru_steps (const peri__sizes *s, const peri_real *h0, const peri_real *wh,
                      const peri_real *bh, peri_real *a, peri_real *m, peri_real *h) {
  recur_job j = {.s = *s, .h0 = h0, .w = wh, .bh = bh, .a = a, .m = m, .h = h};
  size_t size = (size_t) (s->batch * 3 * s->hidden) * sizeof(peri_real);
  j.work = peri__alloc(size);
  if (!j.work) return false;
  bool done = run(&j, gru_chunk);
  peri__free(j.work, size);
  return done;
}

static void gru_back_chunk (void *arg, int64_t chunk) {
  const recur_job *j = arg;
  int64_t from, n = range(j, chunk, &from), size = j->s.hidden, time = j->s.time;
  for (int64_t t = time - 1; t >= 0; t--) {
    for (int64_t i = from; i < from + n; i++) {
      int64_t at = (i * time + t) * size;
      gru_back_row(size, j->gates + 3 * at, j->input_m + at, before_step(j, j->state, j->h0, i, t),
                   j->gh + at, j->dh + i * size, j->da + 3 * at, j->dp + 3 * at);
    }
    product(n, size, 3 * size, j->dp + (from * time + t) * 3 * size, time * 3 * size, j->w, 1,
            j->dh + from * size, size);
  }
}

bool peri__gru_back (const peri__sizes *s, const peri_real *h0, const peri_real *wh,
                     const peri_real *gates, const peri_real *m, const peri_real *h,
                     const peri_real *g, peri_real *dx, peri_real *dp, peri_real *dh0) {
  recur_job j = {.s = *s, .h0 = h0, .gates = gates, .input_m = m, .state = h, .gh = g, .da = dx,
                 .dp = dp, .dh = dh0};
  size_t size = (size_t) (3 * s->hidden * s->hidden) * sizeof(peri_real);
  peri_real *w = transposed(s->hidden, 3 * s->hidden, wh);
  if (!w) return false;
  j.w = w;
  clear_states(s, dh0);
  bool done = run(&j, gru_back_chunk);
  peri__free(w, size);
  return done;
}
