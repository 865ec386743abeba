/* A library's product packs and blocks its operands, which for a side of four costs several times
   the product itself.  Three loops: over a wide operand whose lanes stand side by side, over one
   whose sums run along its rows, and outer products.  Sums run in an order fixed by the sizes. */

#include "kernel/skinny.h"

#include <string.h>

#include "kernel/vector.h"

enum { SIDE = 4, BLOCK = 512, UNROLL = 4 };

/* out(r, j) = sum over k of s(k, r) w(k, j), j < n side by side in w.  Numbers of s and out are a
   row and a column step apart. */
typedef struct {
  int64_t n, k, r;
  const peri_real *s, *w;
  int64_t s_k, s_r, w_k;
  peri_real *out;
  int64_t out_r, out_j;
} product;

#define ACROSS(L) \
  PERI__TARGET_##L static inline __attribute__((always_inline)) \
  void lanes_##L (const product *p, int64_t j, int64_t width, const int R, const int U) { \
    typedef real_##L V; \
    const int64_t W = sizeof(V) / sizeof(peri_real); \
    V sum[SIDE][UNROLL], x[UNROLL]; \
    for (int r = 0; r < R; r++) \
      for (int u = 0; u < U; u++) sum[r][u] = (V) {0}; \
    const peri_real *w = p->w + j, *s = p->s; \
    for (int64_t k = 0; k < p->k; k++, w += p->w_k, s += p->s_k) { \
      if (width == U * W) memcpy(x, w, (size_t) U * sizeof(V)); \
      else { \
        memset(x, 0, (size_t) U * sizeof(V)); \
        memcpy(x, w, (size_t) width * sizeof *w); \
      } \
      for (int r = 0; r < R; r++) \
        for (int u = 0; u < U; u++) sum[r][u] += x[u] * s[r * p->s_r]; \
    } \
    for (int r = 0; r < R; r++) { \
      peri_real lane[64]; \
      memcpy(lane, sum[r], (size_t) U * sizeof(V)); \
      peri_real *out = p->out + r * p->out_r + j * p->out_j; \
      if (p->out_j == 1) memcpy(out, lane, (size_t) width * sizeof *lane); \
      else for (int64_t i = 0; i < width; i++) out[i * p->out_j] = lane[i]; \
    } \
  } \
  PERI__TARGET_##L static void across_##L (const product *p) { \
    const int64_t W = sizeof(real_##L) / sizeof(peri_real); \
    int64_t j = 0; \
    for (; j + UNROLL * W <= p->n; j += UNROLL * W) { \
      if (p->r == 1) lanes_##L(p, j, UNROLL * W, 1, UNROLL); \
      else if (p->r == 2) lanes_##L(p, j, UNROLL * W, 2, UNROLL); \
      else if (p->r == 3) lanes_##L(p, j, UNROLL * W, 3, UNROLL); \
      else lanes_##L(p, j, UNROLL * W, 4, UNROLL); \
    } \
    for (; j < p->n; j += W) { \
      int64_t width = p->n - j < W ? p->n - j : W; \
      if (p->r == 1) lanes_##L(p, j, width, 1, 1); \
      else if (p->r == 2) lanes_##L(p, j, width, 2, 1); \
      else if (p->r == 3) lanes_##L(p, j, width, 3, 1); \
      else lanes_##L(p, j, width, 4, 1); \
    } \
  }
ACROSS(v2)
ACROSS(v3)
ACROSS(v4)

/* out(r, j) = sum over k of s(r, k) w(j, k), k < BLOCK side by side in both; s is padded with zeros
   to whole vectors.  Added to out after the first block. */
#define ALONG(L) \
  PERI__TARGET_##L static inline __attribute__((always_inline)) \
  void dot_##L (const product *p, const peri_real *s, bool first, const int R) { \
    typedef real_##L V; \
    const int64_t W = sizeof(V) / sizeof(peri_real), whole = p->k / W * W; \
    const size_t rest = (size_t) (p->k - whole) * sizeof(peri_real); \
    for (int64_t j = 0; j < p->n; j++) { \
      const peri_real *w = p->w + j * p->w_k; \
      V sum[SIDE], x, y; \
      for (int r = 0; r < R; r++) sum[r] = (V) {0}; \
      for (int64_t k = 0; k < whole; k += W) { \
        memcpy(&x, w + k, sizeof x); \
        for (int r = 0; r < R; r++) { \
          memcpy(&y, s + r * BLOCK + k, sizeof y); \
          sum[r] += x * y; \
        } \
      } \
      if (rest) { \
        x = (V) {0}; \
        memcpy(&x, w + whole, rest); \
        for (int r = 0; r < R; r++) { \
          memcpy(&y, s + r * BLOCK + whole, sizeof y); \
          sum[r] += x * y; \
        } \
      } \
      for (int r = 0; r < R; r++) { \
        peri_real lane[16], *out = p->out + r * p->out_r + j * p->out_j; \
        memcpy(lane, &sum[r], sizeof sum[r]); \
        for (int64_t half = W / 2; half > 0; half /= 2) \
          for (int64_t i = 0; i < half; i++) lane[i] += lane[i + half]; \
        *out = first ? lane[0] : *out + lane[0]; \
      } \
    } \
  } \
  PERI__TARGET_##L static void along_##L (const product *p, const peri_real *s, bool first) { \
    if (p->r == 1) dot_##L(p, s, first, 1); \
    else if (p->r == 2) dot_##L(p, s, first, 2); \
    else if (p->r == 3) dot_##L(p, s, first, 3); \
    else dot_##L(p, s, first, 4); \
  }
ALONG(v2)
ALONG(v3)
ALONG(v4)

static void multiply_across (const product *p) {
  static void (*const level[]) (const product *) = {across_v2, across_v3, across_v4};
  level[peri__cpu_level()](p);
}

static void multiply_along (product p) {
  static void (*const level[]) (const product *, const peri_real *, bool) = {along_v2, along_v3,
                                                                             along_v4};
  peri_real s[SIDE * BLOCK];
  int64_t left = p.k;
  for (bool first = true; left > 0; first = false, left -= BLOCK) {
    p.k = left < BLOCK ? left : BLOCK;
    memset(s, 0, sizeof s);
    for (int64_t r = 0; r < p.r; r++)
      for (int64_t k = 0; k < p.k; k++) s[r * BLOCK + k] = p.s[k * p.s_k + r * p.s_r];
    level[peri__cpu_level()](&p, s, first);
    p.w += BLOCK;
    p.s += BLOCK * p.s_k;
  }
}

/* c(i, :) = sum of at most four rows of b, weighted by a(i, :) */
PERI__BODY add_rows_body (int64_t m, int64_t n, int64_t k, const peri_real *a, int64_t a_i,
                          int64_t a_k, const peri_real *restrict b, int64_t b_k,
                          peri_real *restrict c, int64_t ldc) {
  for (int64_t i = 0; i < m; i++, a += a_i, c += ldc) {
    const peri_real a0 = a[0], a1 = k > 1 ? a[a_k] : 0, a2 = k > 2 ? a[2 * a_k] : 0;
    const peri_real a3 = k > 3 ? a[3 * a_k] : 0;
    const peri_real *b1 = b + (k > 1 ? b_k : 0), *b2 = b + (k > 2 ? 2 * b_k : 0);
    const peri_real *b3 = b + (k > 3 ? 3 * b_k : 0);
    if (k == 1) for (int64_t j = 0; j < n; j++) c[j] = a0 * b[j];
    else if (k == 2) for (int64_t j = 0; j < n; j++) c[j] = a0 * b[j] + a1 * b1[j];
    else if (k == 3) for (int64_t j = 0; j < n; j++) c[j] = a0 * b[j] + a1 * b1[j] + a2 * b2[j];
    else
      for (int64_t j = 0; j < n; j++) c[j] = a0 * b[j] + a1 * b1[j] + a2 * b2[j] + a3 * b3[j];
  }
}
PERI__DISPATCH(add_rows, (int64_t m, int64_t n, int64_t k, const peri_real *a, int64_t a_i,
                          int64_t a_k, const peri_real *restrict b, int64_t b_k,
                          peri_real *restrict c, int64_t ldc),
               (m, n, k, a, a_i, a_k, b, b_k, c, ldc))

static void multiply_outer (const peri__gemm_call *g) {
  peri_real buf[SIDE * BLOCK];
  int64_t a_i = g->ta ? 1 : g->lda, a_k = g->ta ? g->lda : 1;
  for (int64_t j = 0; j < g->n; j += BLOCK) {
    int64_t n = g->n - j < BLOCK ? g->n - j : BLOCK, step = g->ldb;
    const peri_real *b = g->b + j;
    if (g->tb) {
      for (int64_t k = 0; k < g->k; k++)
        for (int64_t i = 0; i < n; i++) buf[k * BLOCK + i] = g->b[(j + i) * g->ldb + k];
      b = buf;
      step = BLOCK;
    }
    add_rows(g->m, n, g->k, g->a, a_i, a_k, b, step, g->c + j, g->ldc);
  }
}

bool peri__skinny (const peri__gemm_call *g) {
  if (g->beta != 0 || (g->m > SIDE && g->n > SIDE && g->k > SIDE)) return false;
  if (g->k <= SIDE) {
    multiply_outer(g);
    return true;
  }
  product p;
  bool along;
  if (g->n <= SIDE) {
    along = !g->ta;
    p = (product) {.n = g->m, .k = g->k, .r = g->n, .s = g->b, .w = g->a, .w_k = g->lda,
                   .s_k = g->tb ? 1 : g->ldb, .s_r = g->tb ? g->ldb : 1, .out = g->c, .out_r = 1,
                   .out_j = g->ldc};
  } else {
    along = g->tb;
    p = (product) {.n = g->n, .k = g->k, .r = g->m, .s = g->a, .w = g->b, .w_k = g->ldb,
                   .s_k = g->ta ? g->lda : 1, .s_r = g->ta ? 1 : g->lda, .out = g->c,
                   .out_r = g->ldc, .out_j = 1};
  }
  if (along) multiply_along(p);
  else multiply_across(&p);
  return true;
}
