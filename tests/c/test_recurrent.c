/* LSTM and GRU against their equations, written step by step in operations, on sizes of several
   chunks, with gradients of orders 1 and 2; their laws on long sequences; and what they refuse. */
#include <math.h>
#include <string.h>

#include "harness.h"

static double distance (const peri_tensor *x, const peri_tensor *y) {
  double d = 0, n = 0;
  assert_int_equal(x->count, y->count);
  for (int64_t k = 0; k < x->count; k++) {
    d += (value(x, k) - value(y, k)) * (value(x, k) - value(y, k));
    n += value(y, k) * value(y, k);
  }
  return sqrt(d) / fmax(sqrt(n), 1e-300);
}

enum { MOST = 64 };

/* Step t of a sequence as (batch, in), and block k of columns. */
static peri_tensor *step_of (peri_tensor *x, int t) {
  return peri_reshape(peri_slice(x, 1, t, t + 1, 1), dims(2, (int) x->shape[0], (int) x->shape[2]));
}

static peri_tensor *block (peri_tensor *x, int k, int size) {
  return peri_slice(x, -1, k * size, (k + 1) * size, 1);
}

/* c' = f c + i g, h' = o tanh(c');  returns (2, batch, time, hidden) */
static peri_tensor *lstm_by_steps (peri_tensor *const *in) {
  int time = (int) in[0]->shape[1], size = (int) in[1]->shape[1];
  peri_tensor *h = in[1], *c = in[2], *hs[MOST], *cs[MOST];
  for (int t = 0; t < time; t++) {
    peri_tensor *a = peri_matmul(step_of(in[0], t), in[3]);
    a = peri_add(peri_add(a, peri_matmul(h, in[4])), in[5]);
    peri_tensor *i = peri_sigmoid(block(a, 0, size)), *f = peri_sigmoid(block(a, 1, size));
    peri_tensor *g = peri_tanh(block(a, 2, size)), *o = peri_sigmoid(block(a, 3, size));
    cs[t] = c = peri_add(peri_mul(f, c), peri_mul(i, g));
    hs[t] = h = peri_mul(o, peri_tanh(c));
  }
  peri_tensor *both[] = {peri_stack(time, hs, 1), peri_stack(time, cs, 1)};
  return peri_stack(2, both, 0);
}

/* n = tanh(a + r p), h' = n + z (h - n);  returns (batch, time, hidden) */
static peri_tensor *gru_by_steps (peri_tensor *const *in) {
  int time = (int) in[0]->shape[1], size = (int) in[1]->shape[1];
  peri_tensor *h = in[1], *hs[MOST];
  for (int t = 0; t < time; t++) {
    peri_tensor *a = peri_add(peri_matmul(step_of(in[0], t), in[2]), in[4]);
    peri_tensor *p = peri_add(peri_matmul(h, in[3]), in[5]);
    peri_tensor *r = peri_sigmoid(peri_add(block(a, 0, size), block(p, 0, size)));
    peri_tensor *z = peri_sigmoid(peri_add(block(a, 1, size), block(p, 1, size)));
    peri_tensor *n = peri_tanh(peri_add(block(a, 2, size), peri_mul(r, block(p, 2, size))));
    hs[t] = h = peri_add(n, peri_mul(z, peri_sub(h, n)));
  }
  return peri_stack(time, hs, 1);
}

static peri_tensor *call (bool lstm, peri_tensor *const *x) {
  return lstm ? peri_lstm(x[0], x[1], x[2], x[3], x[4], x[5])
              : peri_gru(x[0], x[1], x[2], x[3], x[4], x[5]);
}

/* Inputs of a call, with weights that keep the state in motion. */
static void make_inputs (bool lstm, int batch, int time, int in, int size, peri_tensor **x) {
  int width = (lstm ? 4 : 3) * size;
  peri_dims shape[] = {dims(3, batch, time, in), dims(2, batch, size), dims(2, batch, size),
                       dims(2, in, width), dims(2, size, width), dims(1, width)};
  peri_dims other[] = {shape[0], shape[1], shape[3], shape[4], shape[5], shape[5]};
  for (int i = 0; i < 6; i++) {
    peri_dims s = lstm ? shape[i] : other[i];
    x[i] = random_tensor(s, PERI_IN_REAL, PACKED);
    bool weight = s.n == 2 && s.at[1] == width;
    for (int64_t k = 0; weight && k < x[i]->count; k++)
      *element(x[i], k) /= (peri_real) sqrt((double) s.at[0]);
    peri_require_grad(x[i], true);
  }
}

static void test_steps (void **state) {
  static const struct { int batch, time, in, size; } sizes[] = {
    {37, 12, 10, 19}, {70, 5, 3, 8}, {1, 50, 4, 17}, {16, 2, 20, 1}};
  (void) state;
  for (int i = 0; i < 8; i++) {
    peri_scope scope = peri_scope_open();
    bool lstm = i % 2;
    peri_tensor *x[6], *g[6], *want[6], *gg[6], *wants[6], *s = peri_number(0), *u = peri_number(0);
    make_inputs(lstm, sizes[i / 2].batch, sizes[i / 2].time, sizes[i / 2].in, sizes[i / 2].size, x);
    peri_tensor *y = call(lstm, x), *z = lstm ? lstm_by_steps(x) : gru_by_steps(x);
    peri_tensor *w = random_tensor(peri_shape_of(y), PERI_IN_REAL, PACKED);
    assert_true(distance(y, z) < 1e-13);
    peri_grad(y, w, 6, x, PERI_KEEP_GRAPH, g);
    peri_grad(z, w, 6, x, PERI_KEEP_GRAPH, want);
    expect_no_failure("gradients");
    for (int k = 0; k < 6; k++) assert_true(distance(g[k], want[k]) < 1e-11);
    peri_grad(y, w, 6, x, PERI_CREATE_GRAPH, g);
    peri_grad(z, w, 6, x, PERI_CREATE_GRAPH, want);
    for (int k = 0; k < 6; k++) {
      assert_true(distance(g[k], want[k]) < 1e-11);
      s = peri_add(s, peri_sum(peri_square(g[k]), dims(0), false));
      u = peri_add(u, peri_sum(peri_square(want[k]), dims(0), false));
    }
    peri_grad(s, NULL, 6, x, 0, gg);
    peri_grad(u, NULL, 6, x, 0, wants);
    expect_no_failure("second gradients");
    for (int k = 0; k < 6; k++) assert_true(distance(gg[k], wants[k]) < 1e-10);
    peri_scope_close(scope);
  }
}

/* A sequence cut in two, the second half from where the first ended, is the whole. */
static void test_cut (void **state) {
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_tensor *x[6];
  make_inputs(true, 5, 30, 4, 7, x);
  peri_tensor *whole = call(true, x), *in = x[0];
  x[0] = peri_slice(in, 1, 0, 13, 1);
  peri_tensor *first = call(true, x), *end = peri_slice(first, 2, 12, 13, 1);
  x[0] = peri_slice(in, 1, 13, 30, 1);
  x[1] = peri_reshape(peri_slice(end, 0, 0, 1, 1), dims(2, 5, 7));
  x[2] = peri_reshape(peri_slice(end, 0, 1, 2, 1), dims(2, 5, 7));
  peri_tensor *second = call(true, x);
  assert_true(distance(first, peri_slice(whole, 2, 0, 13, 1)) < 1e-14);
  assert_true(distance(second, peri_slice(whole, 2, 13, 30, 1)) < 1e-14);
  peri_scope_close(scope);
}

/* With the input gate shut and the forget gate open, an LSTM carries its cell and the gradient by
   it through thousands of steps (the constant error carousel); a GRU with z = 1 its state. */
static void test_long (void **state) {
  enum { TIME = 5000, SIZE = 3 };
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_tensor *x[6], *g[6];
  make_inputs(true, 2, TIME, 1, SIZE, x);
  for (int i = 3; i < 6; i++) x[i] = peri_full(PERI_REAL, peri_shape_of(x[i]), 0);
  for (int k = 0; k < SIZE; k++) {
    *element(x[5], k) = -60;
    *element(x[5], SIZE + k) = 60;
  }
  peri_tensor *y = call(true, x);
  peri_tensor *end = peri_slice(peri_slice(y, 2, -1, PERI_END, 1), 0, 1, 2, 1);
  assert_true(distance(end, x[2]) < 1e-12);
  peri_grad(peri_sum(end, dims(0), false), NULL, 1, &x[2], 0, g);
  expect_no_failure("gradient");
  for (int k = 0; k < 2 * SIZE; k++) assert_true(fabs(value(g[0], k) - 1) < 1e-12);
  make_inputs(false, 2, TIME, 1, SIZE, x);
  for (int i = 2; i < 6; i++) x[i] = peri_full(PERI_REAL, peri_shape_of(x[i]), 0);
  for (int k = 0; k < SIZE; k++) *element(x[4], SIZE + k) = 60;
  y = peri_slice(call(false, x), 1, -1, PERI_END, 1);
  assert_true(distance(y, x[1]) < 1e-12);
  peri_grad(peri_sum(y, dims(0), false), NULL, 1, &x[1], 0, g);
  expect_no_failure("gradient");
  for (int k = 0; k < 2 * SIZE; k++) assert_true(fabs(value(g[0], k) - 1) < 1e-12);
  peri_scope_close(scope);
}

/* Large pre-activations saturate and do not overflow; NaN stays in its own sequence. */
static void test_extremes (void **state) {
  (void) state;
  for (int lstm = 0; lstm < 2; lstm++) {
    peri_scope scope = peri_scope_open();
    peri_tensor *x[6], *g[6];
    make_inputs(lstm, 2, 4, 3, 2, x);
    for (int64_t k = 0; k < x[0]->count; k++) *element(x[0], k) *= 1e300;
    peri_tensor *y = call(lstm, x);
    for (int64_t k = 0; k < y->count; k++) assert_true(fabs(value(y, k)) <= 6);
    peri_grad(y, y, 6, x, 0, g);
    expect_no_failure("gradient");
    for (int64_t k = 0; k < g[1]->count; k++) assert_true(isfinite(value(g[1], k)));
    *element(x[0], 0) = (peri_real) NAN;
    y = call(lstm, x);
    assert_true(isnan(value(y, 0)) && isfinite(value(y, y->count - 1)));
    peri_scope_close(scope);
  }
}

/* What the derivative reads cannot be changed behind its back. */
static void test_in_place (void **state) {
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_tensor *x[6], *g[6];
  make_inputs(false, 2, 3, 3, 2, x);
  peri_tensor *y = call(false, x);
  assert_int_equal(peri_assign(peri_detach(y), peri_full(PERI_REAL, peri_shape_of(y), 0)), PERI_OK);
  assert_true(peri_grad(peri_sum(y, dims(0), false), NULL, 6, x, 0, g) != PERI_OK);
  expect_failure(PERI_E_GRAPH, "^gru: ", "in place", NULL);
  peri_scope_close(scope);
}

static void test_refused (void **state) {
  static const struct { int which; const char *text; } lists[] = {
    {1, "h (2, 9)"}, {2, "c has shape"}, {3, "wx has shape"}, {4, "wh has shape"},
    {5, "b has shape"}};
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_tensor *x[6];
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    make_inputs(true, 3, 4, 5, 6, x);
    x[lists[i].which] = peri_full(PERI_REAL, dims(2, 2, 9), 1);
    assert_null(call(true, x));
    expect_failure(PERI_E_SHAPE, "^lstm: ", lists[i].text, "(2, 9)", "(3, 4, 5)", NULL);
  }
  make_inputs(false, 3, 4, 5, 6, x);
  x[5] = peri_full(PERI_REAL, dims(1, 24), 1);
  assert_null(call(false, x));
  expect_failure(PERI_E_SHAPE, "^gru: bh ", "(24)", "(18)", NULL);
  x[0] = peri_full(PERI_REAL, dims(2, 4, 5), 1);
  assert_null(call(false, x));
  expect_failure(PERI_E_SHAPE, "^gru: ", "(4, 5)", "(batch, time, in)", NULL);
  peri_scope_close(scope);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_steps), cmocka_unit_test(test_cut), cmocka_unit_test(test_long),
    cmocka_unit_test(test_extremes), cmocka_unit_test(test_in_place),
    cmocka_unit_test(test_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
