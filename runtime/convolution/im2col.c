/* Convolution as matrix products.  A panel holds, for some hundred output positions, the inputs
   that their filters see; it is gathered from x and multiplied by w, or comes out of a product and
   is added to x.  It stays in the cache, so memory is read about once. */

#include "convolution/im2col.h"

#include <string.h>

#include "blas.h"
#include "kernel/dispatch.h"

enum { PANEL = 1 << 17, MOSTROWS = 4096 };

/* A run of output positions of one row: [from, to) along the last axis of row (n, o0, o1). */
typedef struct {
  const peri__conv *c;
  int64_t group, row, from, to;
  peri_real *x, *panel;
  int64_t lda;                  /* numbers from one line of the panel to the next */
} run;

/* Numbers of x that one output position sees in its group. */
static int64_t seen (const peri__conv *c) {
  return c->k[0] * c->k[1] * c->k[2] * (c->in / c->groups);
}

/* With one input channel a line of the panel is a filter's tap, so that it is a piece of a row of x;
   else a line is an output position. */
static bool by_tap (const peri__conv *c) { return c->in == 1; }

static int64_t panel_rows (const peri__conv *c) {
  int64_t all = c->batch * c->y[0] * c->y[1] * c->y[2], n = PANEL / seen(c);
  n = n < 16 ? 16 : n > MOSTROWS ? MOSTROWS : n;
  return n < all ? n : all;
}

size_t peri__im2col_scratch (const peri__conv *c) {
  return (size_t) (panel_rows(c) * seen(c));
}

/* Move `n` numbers between a row of x and the panel. */
static inline __attribute__((always_inline))
void move (bool scatter, peri_real *restrict x, peri_real *restrict panel, int64_t n) {
  if (scatter) for (int64_t j = 0; j < n; j++) x[j] += panel[j];
  else for (int64_t j = 0; j < n; j++) panel[j] = x[j];
}

static inline __attribute__((always_inline))
void clear (bool scatter, peri_real *panel, int64_t n) {
  if (!scatter) for (int64_t j = 0; j < n; j++) panel[j] = 0;
}

/* Where in x the filter line (k0, k1) of the run's row lies; NULL outside of it. */
static inline __attribute__((always_inline))
peri_real *row_of_x (const run *r, int64_t k0, int64_t k1) {
  const peri__conv *c = r->c;
  int64_t o1 = r->row % c->y[1], o0 = r->row / c->y[1] % c->y[0], n = r->row / c->y[1] / c->y[0];
  int64_t i0 = o0 * c->stride[0] + k0 * c->dilation[0] - c->low[0];
  int64_t i1 = o1 * c->stride[1] + k1 * c->dilation[1] - c->low[1];
  if (i0 < 0 || i0 >= c->x[0] || i1 < 0 || i1 >= c->x[1]) return NULL;
  return r->x + ((n * c->x[0] + i0) * c->x[1] + i1) * c->x[2] * c->in
         + r->group * (c->in / c->groups);
}

/* One filter line of one position: `first` is where its first tap falls along the last axis. */
static inline __attribute__((always_inline))
void move_line (bool scatter, const peri__conv *c, peri_real *x, int64_t first, peri_real *p) {
  int64_t width = c->in / c->groups, taps = c->k[2];
  if (c->dilation[2] == 1 && c->groups == 1) {              /* neighbours in x too */
    int64_t a = first < 0 ? -first : 0, b = c->x[2] - first < taps ? c->x[2] - first : taps;
    if (a > taps) a = taps;
    if (b < a) b = a;
    clear(scatter, p, a * width);
    if (b > a) move(scatter, x + (first + a) * width, p + a * width, (b - a) * width);
    clear(scatter, p + b * width, (taps - b) * width);
    return;
  }
  for (int64_t k = 0; k < taps; k++, p += width) {
    int64_t i = first + k * c->dilation[2];
    if (i < 0 || i >= c->x[2]) clear(scatter, p, width);
    else move(scatter, x + i * c->in, p, width);
  }
}

/* A tap of all positions of a run, where x has one channel. */
static inline __attribute__((always_inline))
void move_tap (bool scatter, const run *r, peri_real *x, int64_t k, peri_real *p) {
  const peri__conv *c = r->c;
  int64_t s = c->stride[2], shift = k * c->dilation[2] - c->low[2], n = r->to - r->from;
  int64_t a = shift < 0 ? (-shift + s - 1) / s : 0;          /* the first and last that lie in x */
  int64_t b = c->x[2] > shift ? (c->x[2] - 1 - shift) / s + 1 : 0;
  a = a < r->from ? 0 : a > r->to ? n : a - r->from;
  b = b > r->to ? n : b - r->from < a ? a : b - r->from;
  clear(scatter, p, a);
  if (b > a) x += (r->from + a) * s + shift;
  if (s == 1) move(scatter, x, p + a, b - a);
  else
    for (int64_t j = a; j < b; j++, x += s)
      if (scatter) *x += p[j];
      else p[j] = *x;
  clear(scatter, p + b, n - b);
}

static inline __attribute__((always_inline))
void move_run (bool scatter, bool tap, const run *r) {
  const peri__conv *c = r->c;
  int64_t line = c->k[2] * (c->in / c->groups);
  peri_real *to = r->panel;
  for (int64_t k0 = 0; k0 < c->k[0]; k0++)
    for (int64_t k1 = 0; k1 < c->k[1]; k1++) {
      peri_real *x = row_of_x(r, k0, k1);
      if (tap) {
        for (int64_t k2 = 0; k2 < c->k[2]; k2++, to += r->lda)
          if (x) move_tap(scatter, r, x, k2, to);
          else clear(scatter, to, r->to - r->from);
        continue;
      }
      peri_real *p = to;
      for (int64_t o = r->from; o < r->to; o++, p += r->lda)
        if (x) move_line(scatter, c, x, o * c->stride[2] - c->low[2], p);
        else clear(scatter, p, line);
      to += line;
    }
}

PERI__BODY gather_body (const run *r) { move_run(false, false, r); }
PERI__DISPATCH(gather, (const run *r), (r))
PERI__BODY gather_taps_body (const run *r) { move_run(false, true, r); }
PERI__DISPATCH(gather_taps, (const run *r), (r))
PERI__BODY scatter_body (const run *r) { move_run(true, false, r); }
PERI__DISPATCH(scatter, (const run *r), (r))
PERI__BODY scatter_taps_body (const run *r) { move_run(true, true, r); }
PERI__DISPATCH(scatter_taps, (const run *r), (r))

/* Positions p..p+n of the output between the panel and x, row by row. */
static void move_panel (bool add, const peri__conv *c, int64_t group, int64_t p, int64_t n,
                        int64_t lda, peri_real *x, peri_real *panel) {
  bool tap = by_tap(c);
  for (int64_t end = p + n; p < end; ) {
    run r = {.c = c, .group = group, .row = p / c->y[2], .from = p % c->y[2], .x = x,
             .panel = panel, .lda = lda};
    r.to = r.from + (end - p) < c->y[2] ? r.from + (end - p) : c->y[2];
    (tap ? add ? scatter_taps : gather_taps : add ? scatter : gather)(&r);
    panel += (r.to - r.from) * (tap ? 1 : lda);
    p += r.to - r.from;
  }
}

void peri__fill_rows (peri_real *to, int64_t rows, int64_t n, const peri_real *bias) {
  if (!bias) memset(to, 0, (size_t) (rows * n) * sizeof *to);
  else for (int64_t i = 0; i < rows; i++) memcpy(to + i * n, bias, (size_t) n * sizeof *to);
}

PERI__BODY add_rows_body (peri_real *restrict to, int64_t rows, int64_t n,
                          const peri_real *restrict add) {
  for (int64_t i = 0; i < rows; i++, to += n)
    for (int64_t j = 0; j < n; j++) to[j] += add[j];
}
PERI__DISPATCH(add_rows, (peri_real *restrict to, int64_t rows, int64_t n,
                          const peri_real *restrict add), (to, rows, n, add))

void peri__add_rows (peri_real *to, int64_t rows, int64_t n, const peri_real *add) {
  add_rows(to, rows, n, add);
}

void peri__im2col (peri__conv_task task, const peri__conv *c, peri_real *x, peri_real *w,
                   peri_real *y, const peri_real *bias, peri_real *panel) {
  int64_t k = seen(c), out = c->out / c->groups, rows = c->batch * c->y[0] * c->y[1] * c->y[2];
  int64_t step = panel_rows(c);
  bool tap = by_tap(c);
  if (task == PERI__CONV_OUTPUT && bias) peri__fill_rows(y, rows, c->out, bias);
  if (task == PERI__CONV_INPUT)
    peri__fill_rows(x, c->batch * c->x[0] * c->x[1] * c->x[2], c->in, bias);
  for (int64_t g = 0; g < c->groups; g++)
    for (int64_t p = 0; p < rows; p += step) {
      int64_t n = rows - p < step ? rows - p : step, lda = tap ? n : k;
      peri_real *wg = w + g * out, *yp = y + p * c->out + g * out;
      if (task != PERI__CONV_INPUT) move_panel(false, c, g, p, n, lda, x, panel);
      if (task == PERI__CONV_OUTPUT)
        peri__gemm(&(peri__gemm_call) {.m = n, .n = out, .k = k, .a = panel, .lda = lda, .ta = tap,
                                       .b = wg, .ldb = c->out, .beta = bias ? 1 : 0, .c = yp,
                                       .ldc = c->out});
      else if (task == PERI__CONV_WEIGHT)
        peri__gemm(&(peri__gemm_call) {.m = k, .n = out, .k = n, .a = panel, .lda = lda, .ta = !tap,
                                       .b = yp, .ldb = c->out, .beta = p ? 1 : 0, .c = wg,
                                       .ldc = c->out});
      else if (tap)
        peri__gemm(&(peri__gemm_call) {.m = k, .n = n, .k = out, .a = wg, .lda = c->out, .b = yp,
                                       .ldb = c->out, .tb = true, .c = panel, .ldc = lda});
      else
        peri__gemm(&(peri__gemm_call) {.m = n, .n = k, .k = out, .a = yp, .lda = c->out, .b = wg,
                                       .ldb = c->out, .tb = true, .c = panel, .ldc = lda});
      if (task == PERI__CONV_INPUT) move_panel(true, c, g, p, n, lda, x, panel);
    }
}
