/* float32 as users run it: attention, LSTM and GRU and their gradients against plain loops in double. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

/* Relative distance in the norm that float32 must keep. */
static const double allowed = 1e-5;

static double *as_double (peri_tensor *x) {
  x = peri_clone(x);
  double *y = malloc((size_t) (x->count + 1) * sizeof *y);
  assert_non_null(y);
  for (int64_t k = 0; k < x->count; k++) y[k] = value(x, k);
  return y;
}

static void expect_close (const char *what, peri_tensor *x, const double *want) {
  double d = 0, n = 0;
  for (int64_t k = 0; k < x->count; k++) {
    d += (value(x, k) - want[k]) * (value(x, k) - want[k]);
    n += want[k] * want[k];
  }
  if (!(sqrt(d) <= allowed * sqrt(n)))
    fail_msg("%s: float32 is %.2g off, allowed %.0e", what, sqrt(d / n), allowed);
}

static peri_tensor *leaf (peri_dims shape, double size) {
  peri_tensor *x = random_tensor(shape, PERI_IN_REAL, PACKED);
  for (int64_t k = 0; k < x->count; k++) *element(x, k) *= (peri_real) size;
  peri_require_grad(x, true);
  return x;
}

/* --- attention of one head: y and the gradients by q, k, v for the gradient g by y --- */

typedef struct { int tq, tk, d, dv; bool causal; } sizes;

static void attend (sizes s, const double *q, const double *k, const double *v, const double *g,
                    double *y, double *dq, double *dk, double *dv) {
  double *p = malloc((size_t) s.tk * sizeof *p), u = 1 / sqrt(s.d);
  for (int i = 0; i < s.tq; i++) {
    int n = s.causal ? i + s.tk - s.tq + 1 : s.tk;
    double sum = 0, top = -INFINITY, mean = 0;
    for (int j = 0; j < n; j++) {
      p[j] = 0;
      for (int c = 0; c < s.d; c++) p[j] += u * q[i * s.d + c] * k[j * s.d + c];
      top = fmax(top, p[j]);
    }
    for (int j = 0; j < n; j++) sum += p[j] = exp(p[j] - top);
    for (int c = 0; c < s.dv; c++) y[i * s.dv + c] = 0;
    for (int j = 0; j < n; j++) {
      p[j] /= sum;
      for (int c = 0; c < s.dv; c++) {
        y[i * s.dv + c] += p[j] * v[j * s.dv + c];
        dv[j * s.dv + c] += p[j] * g[i * s.dv + c];
      }
    }
    for (int c = 0; c < s.dv; c++) mean += y[i * s.dv + c] * g[i * s.dv + c];
    for (int j = 0; j < n; j++) {
      double e = -mean;
      for (int c = 0; c < s.dv; c++) e += g[i * s.dv + c] * v[j * s.dv + c];
      for (int c = 0; c < s.d; c++) {
        dq[i * s.d + c] += u * p[j] * e * k[j * s.d + c];
        dk[j * s.d + c] += u * p[j] * e * q[i * s.d + c];
      }
    }
  }
  free(p);
}

static void check_attention (sizes s) {
  peri_scope scope = peri_scope_open();
  peri_tensor *x[] = {leaf(dims(2, s.tq, s.d), 1), leaf(dims(2, s.tk, s.d), 1),
                      leaf(dims(2, s.tk, s.dv), 1)}, *g[3];
  peri_tensor *y = peri_attention(x[0], x[1], x[2], peri_number(0), s.causal, 0);
  peri_tensor *w = random_tensor(peri_shape_of(y), PERI_IN_REAL, PACKED);
  peri_grad(y, w, 3, x, 0, g);
  expect_no_failure("attention");
  double *in[] = {as_double(x[0]), as_double(x[1]), as_double(x[2]), as_double(w)}, *out[4];
  peri_tensor *got[] = {y, g[0], g[1], g[2]};
  for (int i = 0; i < 4; i++) out[i] = calloc((size_t) got[i]->count, sizeof(double));
  attend(s, in[0], in[1], in[2], in[3], out[0], out[1], out[2], out[3]);
  for (int i = 0; i < 4; i++) {
    expect_close("attention", got[i], out[i]);
    free(in[i]);
    free(out[i]);
  }
  peri_scope_close(scope);
}

static void test_attention (void **state) {
  static const sizes list[] = {{128, 128, 32, 32, true}, {256, 256, 32, 32, false},
                               {1, 77, 32, 32, true}, {300, 500, 17, 9, true}, {64, 3, 8, 5, false}};
  (void) state;
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) check_attention(list[i]);
}

/* --- LSTM and GRU of one sequence --- */

static double sigmoid (double x) { return 1 / (1 + exp(-x)); }

/* y (1, width) += x (1, n) w (n, width) */
static void add_product (int n, int width, const double *x, const double *w, double *y) {
  for (int i = 0; i < n; i++)
    for (int j = 0; j < width; j++) y[j] += x[i] * w[i * width + j];
}

enum { IN = 19, SIZE = 33, TIME = 40, BATCH = 37 };

static void lstm_loop (double *const *x, int which, double *h, double *c) {
  double a[4 * SIZE];
  const double *oldh = x[1] + which * SIZE, *oldc = x[2] + which * SIZE;
  for (int t = 0; t < TIME; t++) {
    memcpy(a, x[5], sizeof a);
    add_product(IN, 4 * SIZE, x[0] + (which * TIME + t) * IN, x[3], a);
    add_product(SIZE, 4 * SIZE, oldh, x[4], a);
    for (int j = 0; j < SIZE; j++) {
      c[j] = sigmoid(a[SIZE + j]) * oldc[j] + sigmoid(a[j]) * tanh(a[2 * SIZE + j]);
      h[j] = sigmoid(a[3 * SIZE + j]) * tanh(c[j]);
    }
    oldh = h;
    oldc = c;
    h += SIZE;
    c += SIZE;
  }
}

static void gru_loop (double *const *x, int which, double *h) {
  double a[3 * SIZE], p[3 * SIZE];
  const double *old = x[1] + which * SIZE;
  for (int t = 0; t < TIME; t++, old = h, h += SIZE) {
    memcpy(a, x[4], sizeof a);
    memcpy(p, x[5], sizeof p);
    add_product(IN, 3 * SIZE, x[0] + (which * TIME + t) * IN, x[2], a);
    add_product(SIZE, 3 * SIZE, old, x[3], p);
    for (int j = 0; j < SIZE; j++) {
      double r = sigmoid(a[j] + p[j]), z = sigmoid(a[SIZE + j] + p[SIZE + j]);
      h[j] = (1 - z) * tanh(a[2 * SIZE + j] + r * p[2 * SIZE + j]) + z * old[j];
    }
  }
}

static void test_recurrent (void **state) {
  (void) state;
  for (int lstm = 0; lstm < 2; lstm++) {
    peri_scope scope = peri_scope_open();
    int width = (lstm ? 4 : 3) * SIZE;
    peri_tensor *x = leaf(dims(3, BATCH, TIME, IN), 1), *h = leaf(dims(2, BATCH, SIZE), 1);
    peri_tensor *c = leaf(dims(2, BATCH, SIZE), 1), *wx = leaf(dims(2, IN, width), 0.2);
    peri_tensor *wh = leaf(dims(2, SIZE, width), 0.15), *b = leaf(dims(1, width), 0.5);
    peri_tensor *bh = leaf(dims(1, width), 0.5);
    peri_tensor *y = lstm ? peri_lstm(x, h, c, wx, wh, b) : peri_gru(x, h, wx, wh, b, bh);
    peri_tensor *list[] = {x, h, lstm ? c : wx, lstm ? wx : wh, lstm ? wh : b, lstm ? b : bh};
    double *in[6], *out = calloc((size_t) y->count, sizeof *out);
    expect_no_failure("a recurrent network");
    for (int i = 0; i < 6; i++) in[i] = as_double(list[i]);
    for (int i = 0; i < BATCH; i++) {
      double *own = out + i * TIME * SIZE;
      if (lstm) lstm_loop(in, i, own, own + BATCH * TIME * SIZE);
      else gru_loop(in, i, own);
    }
    expect_close(lstm ? "lstm" : "gru", y, out);
    for (int i = 0; i < 6; i++) free(in[i]);
    free(out);
    peri_scope_close(scope);
  }
}

/* The fused gradient of a call is what the composed one, which is differentiable, gives. */
static void test_recurrent_gradients (void **state) {
  (void) state;
  for (int lstm = 0; lstm < 2; lstm++) {
    peri_scope scope = peri_scope_open();
    int width = (lstm ? 4 : 3) * SIZE;
    peri_tensor *in = leaf(dims(3, BATCH, TIME, IN), 1), *h = leaf(dims(2, BATCH, SIZE), 1);
    peri_tensor *c = leaf(dims(2, BATCH, SIZE), 1), *wx = leaf(dims(2, IN, width), 0.2);
    peri_tensor *wh = leaf(dims(2, SIZE, width), 0.15), *b = leaf(dims(1, width), 0.5);
    peri_tensor *x[] = {in, h, wx, wh, b, lstm ? c : leaf(dims(1, width), 0.5)}, *g[6], *want[6];
    peri_tensor *y = lstm ? peri_lstm(in, h, c, wx, wh, b) : peri_gru(in, h, wx, wh, b, x[5]);
    peri_tensor *w = random_tensor(peri_shape_of(y), PERI_IN_REAL, PACKED);
    peri_grad(y, w, 6, x, PERI_KEEP_GRAPH, g);
    peri_grad(y, w, 6, x, PERI_CREATE_GRAPH, want);
    expect_no_failure("gradients");
    for (int i = 0; i < 6; i++) {
      double *numbers = as_double(want[i]);
      expect_close(lstm ? "lstm's gradient" : "gru's gradient", g[i], numbers);
      free(numbers);
    }
    peri_scope_close(scope);
  }
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_attention), cmocka_unit_test(test_recurrent),
    cmocka_unit_test(test_recurrent_gradients)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
