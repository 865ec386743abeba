/* Matrix products against three plain loops, in every combination of transposition, stride and
   batch, small and large enough to be cut into pieces; and shapes that do not multiply. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

/* A contiguous copy's element (row, column) of the matrix in the last two axes that stands at `at`
   among the batch axes of the result. */
static const double *matrix_at (const peri_tensor *packed, const peri_dims *batch,
                                const int64_t *at) {
  int64_t which = 0, rows = packed->shape[packed->ndim - 2];
  for (int i = 0, n = packed->ndim - 2; i < n; i++) {
    int64_t size = packed->shape[i];
    which = which * size + (size == 1 ? 0 : at[batch->n - n + i]);
  }
  return (const double *) packed->data + which * rows * packed->shape[packed->ndim - 1];
}

static void expect_product (const test_case *c, double got, double want, double size) {
  if (!(fabs(got - want) <= 1e-14 * fmax(1, size)))
    fail_msg("%s, case '%s': %.17g, want %.17g", peri_ops[c->op].name, c->name, got, want);
}

static void check_rows (const test_case *c, const double *a, const double *b, const double *bias,
                        const double *y, int64_t m, int64_t k, int64_t n) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double sum = bias ? bias[j] : 0, size = 0;
      for (int64_t l = 0; l < k; l++) {
        sum += a[i * k + l] * b[l * n + j];
        size += fabs(a[i * k + l] * b[l * n + j]);
      }
      expect_product(c, y[i * n + j], sum, size);
    }
}

static void check_matmul (test_case *c, peri_tensor *y) {
  peri_tensor *a = peri_clone(c->in[0]), *b = peri_clone(c->in[1]);
  peri_dims batch = {.n = y->ndim - 2};
  int64_t count = 1, at[PERI_MAXDIM] = {0}, m = a->shape[a->ndim - 2], n = b->shape[b->ndim - 1];
  assert_true(y->shape[y->ndim - 2] == m && y->shape[y->ndim - 1] == n);
  for (int i = 0; i < batch.n; i++) count *= batch.at[i] = y->shape[i];
  for (int64_t i = 0; i < count; i++) {
    coordinates(batch, i, at);
    check_rows(c, matrix_at(a, &batch, at), matrix_at(b, &batch, at), NULL,
               (const double *) y->data + i * m * n, m, a->shape[a->ndim - 1], n);
  }
}

static void check_linear (test_case *c, peri_tensor *y) {
  peri_tensor *x = peri_clone(c->in[0]), *w = peri_clone(c->in[1]), *b = c->in[2];
  int64_t rows = 1;
  b = peri_clone(peri_expand(b, (peri_dims) {.n = 1, .at = {w->shape[1]}}));    /* a number, or a row */
  for (int i = 0; i + 1 < x->ndim; i++) {
    assert_int_equal(y->shape[i], x->shape[i]);
    rows *= x->shape[i];
  }
  check_rows(c, x->data, w->data, b->data, y->data, rows, w->shape[0], w->shape[1]);
}

static void test_loops (peri_opcode op) {
  test_case c;
  if (op != PERI_OP_matmul && op != PERI_OP_linear) return;
  int style = find_style(op);
  for (int large = 0; large < 2; large++)
    for (int number = 0; ; number++) {
      peri_scope scope = peri_scope_open();
      bool more = make_case(op, style, number, large ? LARGE_SIZES : SMALL_SIZES, &c);
      peri_tensor *y = more ? run_case(&c) : NULL;
      expect_no_failure(c.name);
      if (more) (op == PERI_OP_linear ? check_linear : check_matmul)(&c, y);
      peri_scope_close(scope);
      if (!more) break;
    }
}

static void test_refused (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_full(PERI_REAL, dims(2, 3, 4), 1);
  peri_tensor *y = peri_full(PERI_REAL, dims(2, 5, 6), 1);
  peri_tensor *v = peri_full(PERI_REAL, dims(1, 4), 1), *b = peri_full(PERI_REAL, dims(1, 6), 1);
  peri_tensor *p = peri_full(PERI_REAL, dims(3, 2, 3, 4), 1);
  peri_tensor *q = peri_full(PERI_REAL, dims(3, 5, 4, 3), 1);
  assert_null(peri_matmul(x, y));
  expect_failure(PERI_E_SHAPE, "^matmul: ", "(3, 4)", "(5, 6)", NULL);
  assert_null(peri_matmul(x, v));
  expect_failure(PERI_E_SHAPE, "^matmul: ", "(3, 4)", "(4)", NULL);
  assert_null(peri_matmul(p, q));
  expect_failure(PERI_E_SHAPE, "^matmul: ", "(2)", "(5)", NULL);
  assert_null(peri_linear(x, y, b));
  expect_failure(PERI_E_SHAPE, "^linear: ", "(3, 4)", "(5, 6)", NULL);
  assert_null(peri_linear(x, y, v));
  expect_failure(PERI_E_SHAPE, "^linear: ", "(5, 6)", "(4)", NULL);
  assert_null(peri_linear(peri_number(1), y, b));
  expect_failure(PERI_E_SHAPE, "^linear: ", "()", NULL);
  peri_scope_close(s);
}

/* NaN and infinity go through as the loops would have it: no skipping of zeros. */
static void test_nan_times_zero (void **state) {
  const double a[] = {0, 0}, b[] = {NAN, INFINITY};
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *y = peri_matmul(peri_copy_of(PERI_REAL, dims(2, 1, 2), a),
                               peri_copy_of(PERI_REAL, dims(2, 2, 1), b));
  assert_true(isnan(value(y, 0)));
  peri_scope_close(s);
}

/* A product asked for many times while two threads share the work is the same every time. */
static void test_many_times (void **state) {
  (void) state;
  int threads = peri_threads();
  peri_set_threads(2);
  for (int transposed = 0; transposed < 4; transposed++) {
    peri_scope s = peri_scope_open();
    peri_tensor *x = random_tensor(dims(3, 6, 8, 8), PERI_IN_REAL, PACKED);
    peri_tensor *y = random_tensor(dims(3, 6, 8, 8), PERI_IN_REAL, PACKED), *first = NULL;
    if (transposed & 1) x = peri_transpose(x, 1, 2);
    if (transposed & 2) y = peri_transpose(y, 1, 2);
    for (int i = 0; i < 3000; i++) {
      peri_scope inner = peri_scope_open();
      peri_tensor *z = peri_matmul(x, y);
      if (!first) first = peri_keep(z);
      bool same = memcmp(z->data, first->data, first->storage->bytes) == 0;
      peri_scope_close(inner);
      if (!same) fail_msg("product %d of form %d differs from the first", i, transposed);
    }
    peri_drop(first);
    peri_scope_close(s);
  }
  peri_set_threads(threads);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_refused), cmocka_unit_test(test_nan_times_zero),
    cmocka_unit_test(test_many_times)};
  int failed = run_rows("plain loops", test_loops) + cmocka_run_group_tests(tests, NULL, NULL);
  return failed != 0;
}
