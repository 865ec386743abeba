/* Attention by blocks of query rows.  Scores of a block are one GEMM, their softmax one pass in the
   cache, and the products with it GEMMs again; keys that a causal block cannot see are left out. */

#include "kernel/attend.h"

#include <math.h>
#include <string.h>

#include "blas.h"
#include "kernel/vector.h"
#include "memory.h"
#include "parallel.h"

/* A block has at most SCORES scores and MAXROWS rows.  Each of at most CHUNKS chunks has its own
   block in memory.  Fewer than SPREAD matrices are cut in their derivative, too, whose parts are
   then added. */
enum { SCORES = 1 << 16, MAXROWS = 128, CAUSALROWS = 64, MINROWS = 16, CHUNKS = 32, SPREAD = 8,
       PAD = 16 };

typedef struct {
  const peri__attend *a;
  const peri__rows *out, *g, *dq, *dk, *dv;
  int64_t rows, blocks;         /* of a block; blocks of a matrix */
  int64_t parts;                /* of a matrix, in the derivative */
  int64_t units, each;          /* pieces of work in all and in a chunk */
  peri_real *scratch, *partial; /* a block of scores and more for each chunk; parts of dk and dv */
  int64_t room;                 /* of scratch for each chunk */
} attend_job;

static int64_t smaller (int64_t x, int64_t y) { return x < y ? x : y; }
static int64_t larger (int64_t x, int64_t y) { return x > y ? x : y; }

static int64_t offset_of (const peri_layout *l, int64_t i) {
  int64_t at = 0;
  for (int d = l->n - 1; d >= 0; d--) {
    at += i % l->shape[d] * l->stride[d];
    i /= l->shape[d];
  }
  return at;
}

static void clear (peri_real *x, int64_t rows, int64_t step, int64_t n) {
  for (int64_t i = 0; i < rows; i++) memset(x + i * step, 0, (size_t) n * sizeof *x);
}

static peri_real *matrix (const peri__rows *x, int64_t which) {
  return x->data + offset_of(&x->lead, which);
}

/* A product of any sizes, 0 included. */
static void product (peri__gemm_call g) {
  if (g.m == 0 || g.n == 0) return;
  if (g.k > 0) peri__gemm(&g);
  else if (g.beta == 0) clear(g.c, g.m, g.ldc, g.n);
}

/* From row to row of scores: a step of a power of two would put all rows into few places of the
   cache. */
static int64_t score_step (int64_t width) {
  return (width + PAD - 1) / PAD * PAD + PAD;
}

/* How many keys query i sees. */
static int64_t seen_by (const peri__attend *a, int64_t i) {
  return a->causal ? smaller(larger(i + a->tk - a->tq + 1, 0), a->tk) : a->tk;
}

/* --- rows of scores --- */

/* Run STEP(i, size) over n numbers: whole vectors, then the rest, whose size the compiler does not
   know and whose lanes are filled up. */
#define OVER(n, STEP) \
  int64_t i = 0; \
  for (; i + W <= (n); i += W) { STEP(i, sizeof(V)) } \
  if (i < (n)) { size_t rest = (size_t) ((n) - i) * sizeof(peri_real); STEP(i, rest) }

#define LOW_STEP(i, size) \
  V y = low, b = zero; \
  memcpy(&y, x + i, size); \
  if (bias) memcpy(&b, bias + i, size); \
  y = y * scale + b; \
  memcpy(x + i, &y, size); \
  V filled = low; \
  memcpy(&filled, &y, size); \
  best = vmax(best, filled);

#define EXP_STEP(i, size) \
  V y = low; \
  memcpy(&y, x + i, size); \
  y = vexp(y - top); \
  memcpy(x + i, &y, size); \
  sum = sum + y;

/* x <- e^(scale x + bias - its maximum); the inverse of the sum, added lane by lane.  Where that is
   0, nothing is seen, x is 0 and so is the result. */
#define SOFTMAX_ROW(L) \
  PERI__TARGET_##L static peri_real softmax_row_##L (int64_t n, peri_real *x, peri_real scale, \
                                                     const peri_real *bias) { \
    typedef real_##L V; \
    const int64_t W = sizeof(V) / sizeof(peri_real); \
    const V zero = {0}, low = zero - (peri_real) INFINITY; \
    V best = low, sum = zero; \
    peri_real lane[sizeof(V) / sizeof(peri_real)], total = 0, top; \
    { OVER(n, LOW_STEP) } \
    memcpy(lane, &best, sizeof best); \
    top = lane[0]; \
    for (int64_t k = 1; k < W; k++) top = top >= lane[k] || top != top ? top : lane[k]; \
    if (top == -(peri_real) INFINITY) { \
      memset(x, 0, (size_t) n * sizeof *x); \
      return 0; \
    } \
    { OVER(n, EXP_STEP) } \
    memcpy(lane, &sum, sizeof sum); \
    for (int64_t k = 0; k < W; k++) total += lane[k]; \
    return 1 / total; \
  }

#define NORM_STEP(i, size) \
  V p = zero, u = zero; \
  memcpy(&p, x + i, size); \
  memcpy(&u, y + i, size); \
  p = p * inverse; \
  memcpy(x + i, &p, size); \
  sum = sum + p * u;

#define GRAD_STEP(i, size) \
  V p = zero, u = zero; \
  memcpy(&p, x + i, size); \
  memcpy(&u, y + i, size); \
  u = scale * p * (u - total); \
  memcpy(y + i, &u, size);

/* x <- p = x inverse,  y <- scale p (y - sum of p y): the derivative of softmax */
#define SOFTMAX_GRAD_ROW(L) \
  PERI__TARGET_##L static void softmax_grad_row_##L (int64_t n, peri_real *x, peri_real *y, \
                                                     peri_real inverse, peri_real scale) { \
    typedef real_##L V; \
    const int64_t W = sizeof(V) / sizeof(peri_real); \
    const V zero = {0}; \
    V sum = zero; \
    peri_real lane[sizeof(V) / sizeof(peri_real)], total = 0; \
    { OVER(n, NORM_STEP) } \
    memcpy(lane, &sum, sizeof sum); \
    for (int64_t k = 0; k < W; k++) total += lane[k]; \
    { OVER(n, GRAD_STEP) } \
  }

SOFTMAX_ROW(v2)
SOFTMAX_ROW(v3)
SOFTMAX_ROW(v4)
SOFTMAX_GRAD_ROW(v2)
SOFTMAX_GRAD_ROW(v3)
SOFTMAX_GRAD_ROW(v4)

static peri_real softmax_row (int64_t n, peri_real *x, peri_real scale, const peri_real *bias) {
  static peri_real (*const level[]) (int64_t, peri_real *, peri_real, const peri_real *) =
    {softmax_row_v2, softmax_row_v3, softmax_row_v4};
  return level[peri__cpu_level()](n, x, scale, bias);
}

static void softmax_grad_row (int64_t n, peri_real *x, peri_real *y, peri_real inverse,
                              peri_real scale) {
  static void (*const level[]) (int64_t, peri_real *, peri_real *, peri_real, peri_real) =
    {softmax_grad_row_v2, softmax_grad_row_v3, softmax_grad_row_v4};
  level[peri__cpu_level()](n, x, y, inverse, scale);
}

/* Row i of the bias as n reals to add. */
static const peri_real *bias_row (const peri__bias *b, int64_t at, int64_t n, peri_real *buf) {
  const peri_real *real = (const peri_real *) b->data + at;
  const uint8_t *byte = (const uint8_t *) b->data + at;
  if (!b->bytes && b->column == 1) return real;
  for (int64_t j = 0; j < n; j++) {
    if (!b->bytes) buf[j] = real[j * b->column];
    else buf[j] = byte[j * b->column] ? 0 : -(peri_real) INFINITY;
  }
  return buf;
}

/* e^(scores) of query rows from..from+rows against the first `width` keys, into s; inverse sums. */
static void score (const peri__attend *a, int64_t which, int64_t from, int64_t rows, int64_t width,
                   peri_real *s, peri_real *inverse, peri_real *buf) {
  int64_t lead = a->bias.data ? offset_of(&a->bias.lead, which) : 0, step = score_step(width);
  const peri_real *bias = NULL;
  product((peri__gemm_call) {
    .tb = true, .m = rows, .n = width, .k = a->d, .a = matrix(&a->q, which) + from * a->q.step,
    .lda = a->q.step, .b = matrix(&a->k, which), .ldb = a->k.step, .c = s, .ldc = step});
  for (int64_t i = 0; i < rows; i++) {
    int64_t seen = smaller(seen_by(a, from + i), width);
    if (a->bias.data && (i == 0 || a->bias.row != 0))
      bias = bias_row(&a->bias, lead + (from + i) * a->bias.row, width, buf);
    inverse[i] = softmax_row(seen, s + i * step, a->scale, bias);
    memset(s + i * step + seen, 0, (size_t) (width - seen) * sizeof *s);
  }
}

/* --- forward --- */

static void forward_block (const attend_job *j, int64_t unit, peri_real *scratch) {
  const peri__attend *a = j->a;
  int64_t which = unit / j->blocks, from = unit % j->blocks * j->rows;
  int64_t rows = smaller(j->rows, a->tq - from), width = seen_by(a, from + rows - 1);
  peri_real *inverse = scratch, *buf = inverse + j->rows, *s = buf + a->tk;
  peri_real *y = matrix(j->out, which) + from * j->out->step;
  if (width == 0) {
    clear(y, rows, j->out->step, a->dv);
    return;
  }
  score(a, which, from, rows, width, s, inverse, buf);
  product((peri__gemm_call) {
    .m = rows, .n = a->dv, .k = width, .a = s, .lda = score_step(width), .b = matrix(&a->v, which),
    .ldb = a->v.step, .c = y, .ldc = j->out->step});
  for (int64_t i = 0; i < rows; i++, y += j->out->step)
    for (int64_t c = 0; c < a->dv; c++) y[c] *= inverse[i];
}

static void run_forward (void *arg, int64_t chunk) {
  const attend_job *j = arg;
  int64_t to = smaller((chunk + 1) * j->each, j->units);
  for (int64_t unit = chunk * j->each; unit < to; unit++)
    forward_block(j, unit, j->scratch + chunk * j->room);
}

static void plan (attend_job *j, int64_t per_matrix, int64_t blocks_in_room) {
  const peri__attend *a = j->a;
  j->units = a->count * per_matrix;
  j->each = (j->units + CHUNKS - 1) / CHUNKS;
  j->room = j->rows + a->tk + blocks_in_room * j->rows * score_step(a->tk);
}

static int64_t block_rows (const peri__attend *a) {
  int64_t most = a->causal ? CAUSALROWS : MAXROWS, rows = SCORES / larger(a->tk, 1);
  return smaller(smaller(larger(rows, MINROWS), most), a->tq);
}

static bool run (attend_job *j, void (*f) (void *, int64_t)) {
  int64_t chunks = (j->units + j->each - 1) / j->each;
  size_t size = (size_t) (chunks * j->room) * sizeof(peri_real);
  if (!peri__blas_ready()) return false;
  j->scratch = peri__alloc(size);
  if (!j->scratch) return false;
  peri__parallel(chunks, f, j);
  peri__free(j->scratch, size);
  return true;
}

bool peri__attend_forward (const peri__attend *a, const peri__rows *out) {
  attend_job j = {.a = a, .out = out};
  if (a->count * a->tq * a->dv == 0) return true;
  j.rows = block_rows(a);
  j.blocks = (a->tq + j.rows - 1) / j.rows;
  plan(&j, j.blocks, 1);
  return run(&j, run_forward);
}

/* --- derivative --- */

/* p and ds of a block, then  dv += p' g,  dq = ds k,  dk += ds' q */
static void backward_block (const attend_job *j, int64_t which, int64_t from, peri_real *dk,
                            int64_t dk_step, peri_real *dv, int64_t dv_step, peri_real *scratch) {
  const peri__attend *a = j->a;
  int64_t rows = smaller(j->rows, a->tq - from), width = seen_by(a, from + rows - 1);
  peri_real *inverse = scratch, *buf = inverse + j->rows, *p = buf + a->tk;
  int64_t step = score_step(width);
  peri_real *ds = p + rows * step, *dq = matrix(j->dq, which) + from * j->dq->step;
  const peri_real *q = matrix(&a->q, which) + from * a->q.step;
  const peri_real *g = matrix(j->g, which) + from * j->g->step;
  if (width == 0) {
    clear(dq, rows, j->dq->step, a->d);
    return;
  }
  score(a, which, from, rows, width, p, inverse, buf);
  product((peri__gemm_call) {
    .tb = true, .m = rows, .n = width, .k = a->dv, .a = g, .lda = j->g->step,
    .b = matrix(&a->v, which), .ldb = a->v.step, .c = ds, .ldc = step});
  for (int64_t i = 0; i < rows; i++) {
    int64_t seen = seen_by(a, from + i);
    softmax_grad_row(seen, p + i * step, ds + i * step, inverse[i], a->scale);
    memset(ds + i * step + seen, 0, (size_t) (width - seen) * sizeof *ds);
  }
  product((peri__gemm_call) {
    .ta = true, .m = width, .n = a->dv, .k = rows, .a = p, .lda = step, .b = g,
    .ldb = j->g->step, .beta = 1, .c = dv, .ldc = dv_step});
  product((peri__gemm_call) {
    .m = rows, .n = a->d, .k = width, .a = ds, .lda = step, .b = matrix(&a->k, which),
    .ldb = a->k.step, .c = dq, .ldc = j->dq->step});
  product((peri__gemm_call) {
    .ta = true, .m = width, .n = a->d, .k = rows, .a = ds, .lda = step, .b = q,
    .ldb = a->q.step, .beta = 1, .c = dk, .ldc = dk_step});
}

/* The blocks of one part of one matrix, in turn: dk and dv add up in order. */
static void backward_part (const attend_job *j, int64_t unit, peri_real *scratch) {
  const peri__attend *a = j->a;
  int64_t which = unit / j->parts, part = unit % j->parts;
  int64_t each = (j->blocks + j->parts - 1) / j->parts;
  int64_t to = smaller((part + 1) * each, j->blocks), dk_step = j->dk->step, dv_step = j->dv->step;
  peri_real *dk = matrix(j->dk, which), *dv = matrix(j->dv, which);
  if (j->partial) {
    dk = j->partial + unit * a->tk * (a->d + a->dv);
    dv = dk + a->tk * a->d;
    dk_step = a->d;
    dv_step = a->dv;
  }
  clear(dk, a->tk, dk_step, a->d);
  clear(dv, a->tk, dv_step, a->dv);
  for (int64_t b = part * each; b < to; b++)
    backward_block(j, which, b * j->rows, dk, dk_step, dv, dv_step, scratch);
}

static void run_backward (void *arg, int64_t chunk) {
  const attend_job *j = arg;
  int64_t to = smaller((chunk + 1) * j->each, j->units);
  for (int64_t unit = chunk * j->each; unit < to; unit++)
    backward_part(j, unit, j->scratch + chunk * j->room);
}

static void add_part (const peri__rows *x, int64_t which, int64_t rows, int64_t n, bool first,
                      const peri_real *part) {
  peri_real *to = matrix(x, which);
  for (int64_t i = 0; i < rows; i++, to += x->step, part += n)
    for (int64_t c = 0; c < n; c++) to[c] = first ? part[c] : to[c] + part[c];
}

static void join_parts (const attend_job *j) {
  const peri__attend *a = j->a;
  const peri_real *part = j->partial;
  for (int64_t unit = 0; unit < j->units; unit++) {
    add_part(j->dk, unit / j->parts, a->tk, a->d, unit % j->parts == 0, part);
    add_part(j->dv, unit / j->parts, a->tk, a->dv, unit % j->parts == 0, part + a->tk * a->d);
    part += a->tk * (a->d + a->dv);
  }
}

bool peri__attend_backward (const peri__attend *a, const peri__rows *g, const peri__rows *dq,
                            const peri__rows *dk, const peri__rows *dv) {
  attend_job j = {.a = a, .g = g, .dq = dq, .dk = dk, .dv = dv};
  if (a->count == 0) return true;
  j.rows = larger(block_rows(a), 1);
  j.blocks = (a->tq + j.rows - 1) / j.rows;
  j.parts = larger(smaller(j.blocks, SPREAD / a->count), 1);
  plan(&j, j.parts, 2);
  size_t size = (size_t) (j.units * a->tk * (a->d + a->dv)) * sizeof(peri_real);
  if (j.parts > 1 && !(j.partial = peri__alloc(size))) return false;
  bool done = run(&j, run_backward);
  if (done && j.partial) join_parts(&j);
  if (j.partial) peri__free(j.partial, size);
  return done;
}
