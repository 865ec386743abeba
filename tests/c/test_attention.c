/* Attention against softmax(q k') v composed of operations, on sizes of many blocks, forward and in
   gradients of orders 1 and 2; its laws; and what it refuses. */
#include <math.h>
#include <string.h>

#include "harness.h"

static peri_tensor *random_leaf (peri_dims shape) {
  peri_tensor *x = random_tensor(shape, PERI_IN_REAL, PACKED);
  peri_require_grad(x, true);
  return x;
}

static double distance (const peri_tensor *x, const peri_tensor *y) {
  double d = 0, n = 0;
  assert_int_equal(x->count, y->count);
  for (int64_t k = 0; k < x->count; k++) {
    d += (value(x, k) - value(y, k)) * (value(x, k) - value(y, k));
    n += value(y, k) * value(y, k);
  }
  return sqrt(d) / fmax(sqrt(n), 1e-300);
}

/* softmax(q k' / sqrt(d) + bias) v */
static peri_tensor *composed (peri_tensor *q, peri_tensor *k, peri_tensor *v, peri_tensor *bias) {
  double u = 1 / sqrt((double) q->shape[q->ndim - 1]);
  peri_tensor *s = peri_matmul(q, peri_transpose(k, -2, -1));
  s = peri_add(peri_mul(s, peri_number(u)), bias);
  return peri_matmul(peri_softmax(s, -1), v);
}

static peri_tensor *causal_bias (int tq, int tk) {
  peri_tensor *b = peri_full(PERI_REAL, dims(2, tq, tk), 0);
  for (int i = 0; i < tq; i++)
    for (int j = i + tk - tq + 1; j < tk; j++) *element(b, i * tk + j) = (peri_real) -INFINITY;
  return b;
}

/* Gradients by q, k and v, and by the same of the sum of their squares. */
static void gradients (peri_tensor *y, peri_tensor *w, peri_tensor **x, peri_tensor **g,
                       peri_tensor **gg) {
  peri_tensor *s = peri_number(0);
  peri_grad(y, w, 3, x, PERI_CREATE_GRAPH, g);
  for (int i = 0; i < 3; i++) s = peri_add(s, peri_sum(peri_square(g[i]), dims(0), false));
  peri_grad(s, NULL, 3, x, 0, gg);
  expect_no_failure("gradients");
}

static void test_composed (void **state) {
  static const struct { int batch, heads, tq, tk, d, dv; bool causal; } sizes[] = {
    {2, 3, 200, 200, 16, 16, true}, {1, 9, 64, 256, 32, 8, false}, {1, 1, 500, 300, 8, 8, false},
    {1, 2, 70, 333, 5, 7, true}, {3, 1, 333, 70, 5, 7, false}};
  (void) state;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    peri_scope scope = peri_scope_open();
    int b = sizes[i].batch, h = sizes[i].heads, tq = sizes[i].tq, tk = sizes[i].tk;
    peri_tensor *x[] = {random_leaf(dims(4, b, h, tq, sizes[i].d)),
                        random_leaf(dims(4, b, h, tk, sizes[i].d)),
                        random_leaf(dims(4, b, h, tk, sizes[i].dv))};
    peri_tensor *w = random_tensor(dims(4, b, h, tq, sizes[i].dv), PERI_IN_REAL, PACKED);
    peri_tensor *zero = peri_number(0), *g[3], *gg[3], *want[3], *wants[3];
    peri_tensor *bias = sizes[i].causal ? causal_bias(tq, tk) : zero;
    peri_tensor *y = peri_attention(x[0], x[1], x[2], zero, sizes[i].causal, 0);
    peri_tensor *z = composed(x[0], x[1], x[2], bias);
    assert_true(distance(y, z) < 1e-13);
    gradients(y, w, x, g, gg);
    gradients(z, w, x, want, wants);
    for (int k = 0; k < 3; k++) {
      assert_true(distance(g[k], want[k]) < 1e-12);
      assert_true(distance(gg[k], wants[k]) < 1e-11);
    }
    peri_scope_close(scope);
  }
}

/* Heads that were cut from one axis give the same numbers, and come back so that joining them again
   copies nothing. */
static void test_heads_inside (void **state) {
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_tensor *x[3], *packed[3], *cut[3], *g[3], *want[3], *zero = peri_number(0);
  for (int i = 0; i < 3; i++) {
    x[i] = random_leaf(dims(3, 2, 130, 3 * 8));
    cut[i] = peri_permute(peri_reshape(x[i], dims(4, 2, 130, 3, 8)), dims(4, 0, 2, 1, 3));
    packed[i] = peri_contiguous(cut[i]);
  }
  peri_tensor *y = peri_attention(cut[0], cut[1], cut[2], zero, true, 0);
  peri_tensor *z = peri_attention(packed[0], packed[1], packed[2], zero, true, 0);
  assert_true(distance(y, z) == 0);
  assert_true(peri_is_contiguous(peri_permute(y, dims(4, 0, 2, 1, 3))));
  peri_tensor *w = random_tensor(peri_shape_of(y), PERI_IN_REAL, PACKED);
  peri_grad(y, w, 3, x, 0, g);
  peri_grad(z, w, 3, x, 0, want);
  expect_no_failure("gradients");
  for (int i = 0; i < 3; i++) {
    assert_true(distance(g[i], want[i]) == 0);
    assert_true(peri_is_contiguous(g[i]));
  }
  peri_scope_close(scope);
}

/* A causal result does not depend on what comes later: its gradient there is exactly 0. */
static void test_causal (void **state) {
  enum { T = 150, AT = 77, D = 8 };
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_tensor *x[3], *g[3];
  for (int i = 0; i < 3; i++) x[i] = random_leaf(dims(2, T, D));
  peri_tensor *y = peri_attention(x[0], x[1], x[2], peri_number(0), true, 0);
  peri_tensor *row = peri_slice(y, 0, AT, AT + 1, 1);
  peri_grad(peri_sum(row, dims(0), false), NULL, 3, x, 0, g);
  expect_no_failure("gradient");
  for (int i = 0; i < 3; i++)
    for (int64_t k = 0; k < T * D; k++) {
      bool later = k / D > AT, own = i == 0 && k / D != AT;
      if (later || own) assert_true(value(g[i], k) == 0);
      else if (i > 0) assert_true(value(g[i], k) != 0);
    }
  peri_scope_close(scope);
}

/* The last queries alone, with all keys, are the last rows: what a cache relies on. */
static void test_cached (void **state) {
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_tensor *q = random_tensor(dims(3, 2, 90, 8), PERI_IN_REAL, PACKED), *zero = peri_number(0);
  peri_tensor *k = random_tensor(dims(3, 2, 90, 8), PERI_IN_REAL, PACKED);
  peri_tensor *all = peri_attention(q, k, k, zero, true, 0);
  for (int n = 1; n <= 90; n += 11) {
    peri_tensor *end = peri_attention(peri_slice(q, 1, -n, PERI_END, 1), k, k, zero, true, 0);
    assert_true(distance(end, peri_slice(all, 1, -n, PERI_END, 1)) < 1e-14);
  }
  peri_scope_close(scope);
}

/* Without a mask, keys in another order change nothing, and queries in another order reorder the
   result. */
static void test_permutation (void **state) {
  enum { T = 140 };
  int32_t order[T];
  (void) state;
  peri_scope scope = peri_scope_open();
  for (int i = 0; i < T; i++) order[i] = i * 37 % T + 1;
  peri_tensor *index = peri_copy_of(PERI_INDEX, dims(1, T), order), *zero = peri_number(0);
  peri_tensor *q = random_tensor(dims(2, T, 6), PERI_IN_REAL, PACKED);
  peri_tensor *k = random_tensor(dims(2, T, 6), PERI_IN_REAL, PACKED);
  peri_tensor *v = random_tensor(dims(2, T, 5), PERI_IN_REAL, PACKED);
  peri_tensor *y = peri_attention(q, k, v, zero, false, 0);
  peri_tensor *z = peri_attention(q, peri_index_select(k, index, 0), peri_index_select(v, index, 0),
                                  zero, false, 0);
  assert_true(distance(z, y) < 1e-14);
  z = peri_attention(peri_index_select(q, index, 0), k, v, zero, false, 0);
  assert_true(distance(z, peri_index_select(y, index, 0)) < 1e-14);
  peri_scope_close(scope);
}

/* Rows that see nothing are 0, by bytes or by minus infinity, and so are their gradients; a bias of
   minus infinity is a mask. */
static void test_blind (void **state) {
  enum { T = 5 };
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_tensor *x[3], *g[3], *want[3];
  for (int i = 0; i < 3; i++) x[i] = random_leaf(dims(2, T, 3));
  peri_tensor *mask = peri_full(PERI_BYTE, dims(2, T, T), 1), *bias;
  for (int j = 0; j < T; j++) ((uint8_t *) mask->data)[2 * T + j] = 0;
  ((uint8_t *) mask->data)[4 * T + 1] = 0;
  bias = peri_where(mask, peri_number(0), peri_number(-INFINITY));
  peri_tensor *y = peri_attention(x[0], x[1], x[2], mask, false, 0);
  peri_tensor *z = peri_attention(x[0], x[1], x[2], bias, false, 0);
  for (int64_t k = 0; k < y->count; k++) {
    assert_true(value(y, k) == value(z, k));
    if (k / 3 == 2) assert_true(value(y, k) == 0);
  }
  peri_tensor *w = random_tensor(peri_shape_of(y), PERI_IN_REAL, PACKED);
  peri_grad(y, w, 3, x, 0, g);
  peri_grad(z, w, 3, x, 0, want);
  expect_no_failure("gradients");
  for (int i = 0; i < 3; i++) assert_true(distance(g[i], want[i]) == 0);
  for (int64_t k = 6; k < 9; k++) assert_true(value(g[0], k) == 0);
  peri_scope_close(scope);
}

/* Large scores do not overflow, and NaN shows. */
static void test_extremes (void **state) {
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_tensor *q = peri_full(PERI_REAL, dims(2, 3, 4), 1e154), *zero = peri_number(0);
  peri_tensor *v = random_tensor(dims(2, 3, 2), PERI_IN_REAL, PACKED);
  peri_tensor *y = peri_attention(q, peri_full(PERI_REAL, dims(2, 3, 4), 1e150), v, zero, false, 1);
  for (int64_t k = 0; k < y->count; k++)
    assert_true(fabs(3 * value(y, k) - value(v, k % 2) - value(v, k % 2 + 2) - value(v, k % 2 + 4))
                < 5e-15);
  *element(q, 5) = (peri_real) NAN;
  y = peri_attention(q, q, v, zero, true, 0);
  assert_true(isnan(value(y, 2)) && isnan(value(y, 3)));
  peri_scope_close(scope);
}

static peri_tensor *filled (peri_dims shape) {
  return peri_full(PERI_REAL, shape, 1);
}

static void test_refused (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *q = filled(dims(4, 2, 3, 5, 4)), *k = filled(dims(4, 2, 3, 6, 4));
  peri_tensor *zero = peri_number(0), *v = filled(dims(4, 2, 3, 6, 7));
  assert_null(peri_attention(q, filled(dims(4, 2, 3, 6, 3)), v, zero, false, 0));
  expect_failure(PERI_E_SHAPE, "^attention: ", "(2, 3, 5, 4)", "(2, 3, 6, 3)", NULL);
  assert_null(peri_attention(q, k, q, zero, false, 0));
  expect_failure(PERI_E_SHAPE, "^attention: ", "(2, 3, 6, 4)", "(2, 3, 5, 4)", NULL);
  assert_null(peri_attention(q, filled(dims(4, 2, 2, 6, 4)), v, zero, false, 0));
  expect_failure(PERI_E_SHAPE, "^attention: ", "(2, 3)", "(2, 2)", NULL);
  assert_null(peri_attention(q, k, v, filled(dims(2, 6, 5)), false, 0));
  expect_failure(PERI_E_SHAPE, "^attention: ", "mask", "(6, 5)", "(2, 3, 5, 6)", NULL);
  assert_null(peri_attention(q, k, v, filled(dims(5, 1, 1, 1, 1, 1)), false, 0));
  expect_failure(PERI_E_SHAPE, "^attention: ", "mask", NULL);
  assert_null(peri_attention(q, k, v, peri_full(PERI_INDEX, dims(2, 5, 6), 1), false, 0));
  expect_failure(PERI_E_TYPE, "^attention: ", "mask", NULL);
  assert_null(peri_attention(filled(dims(1, 4)), k, v, zero, false, 0));
  expect_failure(PERI_E_SHAPE, "^attention: ", "(4)", NULL);
  assert_null(peri_attention_grad(q, k, v, zero, q, false, 0));
  expect_failure(PERI_E_SHAPE, "^attention_grad: ", "(2, 3, 5, 4)", "(2, 3, 5, 7)", NULL);
  peri_scope_close(s);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_composed), cmocka_unit_test(test_heads_inside),
    cmocka_unit_test(test_causal), cmocka_unit_test(test_cached),
    cmocka_unit_test(test_permutation), cmocka_unit_test(test_blind),
    cmocka_unit_test(test_extremes), cmocka_unit_test(test_refused)};
  return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
