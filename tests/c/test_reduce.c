/* Reductions and scans against plain loops: every subset of axes, kept or not, on every layout;
   long axes; ties, NaN, infinities and axes without elements. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

/* What a reduction keeps of the numbers it has seen, in the widest type there is. */
typedef struct { long double sum, largest, smallest; int64_t n; bool nan; } tally;

static void count_in (tally *t, double x) {
  if (t->n == 0 || x > t->largest) t->largest = x;
  if (t->n == 0 || x < t->smallest) t->smallest = x;
  t->sum += x;
  t->nan |= isnan(x);
  t->n++;
}

/* Where in the reduced tensor element k of x goes. */
static int64_t target_of (const peri_tensor *x, int mask, int64_t k) {
  int64_t at[PERI_MAXDIM], to = 0;
  coordinates(peri_shape_of(x), k, at);
  for (int i = 0; i < x->ndim; i++)
    if (!(mask >> i & 1)) to = to * x->shape[i] + at[i];
  return to;
}

static int mask_of (const test_case *c) {
  int mask = 0, ndim = c->in[0]->ndim;
  for (int i = 0; i < c->a.dims.n; i++)
    mask |= 1 << (c->a.dims.at[i] < 0 ? c->a.dims.at[i] + ndim : c->a.dims.at[i]);
  return c->a.dims.n ? mask : (1 << ndim) - 1;
}

static void expect_shape (const test_case *c, const peri_tensor *y, int mask, bool keep) {
  peri_dims d = {.n = 0};
  const peri_tensor *x = c->in[0];
  for (int i = 0; i < x->ndim; i++) {
    if (!(mask >> i & 1)) d.at[d.n++] = x->shape[i];
    else if (keep) d.at[d.n++] = 1;
  }
  if (y->ndim != d.n || memcmp(y->shape, d.at, (size_t) d.n * sizeof d.at[0]) != 0)
    fail_msg("%s, case '%s': the result has the wrong shape", peri_ops[c->op].name, c->name);
}

static void expect_close (const test_case *c, double got, double want) {
  if (isnan(want) ? !isnan(got) : isinf(want) ? got != want
                                : !(fabs(got - want) <= 1e-12 * fmax(1, fabs(want))))
    fail_msg("%s, case '%s': %.17g, want %.17g", peri_ops[c->op].name, c->name, got, want);
}

enum { MAXRESULTS = 100000 };

static double result_of (const tally *t, peri_opcode op) {
  if (op == PERI_OP_sum) return (double) t->sum;
  if (op == PERI_OP_mean) return (double) (t->sum / t->n);
  if (t->nan) return NAN;
  return (double) (op == PERI_OP_max ? t->largest : t->smallest);
}

static void check_fold (test_case *c, peri_tensor *y) {
  static tally t[MAXRESULTS];
  const peri_tensor *x = c->in[0];
  int mask = mask_of(c);
  expect_shape(c, y, mask, c->a.keep);
  assert_true(y->count <= MAXRESULTS);
  memset(t, 0, (size_t) y->count * sizeof t[0]);
  for (int64_t k = 0; k < x->count; k++) count_in(&t[target_of(x, mask, k)], value(x, k));
  for (int64_t k = 0; k < y->count; k++) expect_close(c, value(y, k), result_of(&t[k], c->op));
}

static void check_logsumexp (test_case *c, peri_tensor *y) {
  static long double sum[MAXRESULTS];
  const peri_tensor *x = c->in[0];
  int mask = mask_of(c);
  expect_shape(c, y, mask, c->a.keep);
  memset(sum, 0, (size_t) y->count * sizeof sum[0]);
  for (int64_t k = 0; k < x->count; k++) sum[target_of(x, mask, k)] += expl(value(x, k));
  for (int64_t k = 0; k < y->count; k++) expect_close(c, value(y, k), (double) logl(sum[k]));
}

/* Does the line along the axis through element k begin there?  Its elements are *step apart. */
static bool starts_line (const peri_tensor *x, int axis, int64_t k, int64_t *step) {
  *step = 1;
  for (int i = axis + 1; i < x->ndim; i++) *step *= x->shape[i];
  return k / *step % x->shape[axis] == 0;
}

static int axis_of (const test_case *c) {
  return c->a.axis < 0 ? c->a.axis + c->in[0]->ndim : c->a.axis;
}

static void check_along_axis (test_case *c, peri_tensor *y) {
  const peri_tensor *x = c->in[0];
  int axis = axis_of(c);
  expect_shape(c, y, 0, true);
  for (int64_t k = 0, step; k < x->count; k++) {
    if (!starts_line(x, axis, k, &step)) continue;
    long double all = 0, upto = 0, size = 0;
    for (int64_t i = 0; i < x->shape[axis]; i++) all += expl(value(x, k + i * step));
    for (int64_t i = 0; i < x->shape[axis]; i++) {
      double v = value(x, k + i * step);
      upto += v;
      size += fabsl(v);                   /* what a running sum may be off by is a part of this */
      if (c->op == PERI_OP_cumsum)
        expect_close(c, value(y, k + i * step) / (double) size, (double) (upto / size));
      else
        expect_close(c, value(y, k + i * step), c->op == PERI_OP_softmax ? (double) (expl(v) / all)
                                                : (double) (v - logl(all)));
    }
  }
}

static void check_arg (test_case *c, peri_tensor *y) {
  const peri_tensor *x = c->in[0];
  int axis = axis_of(c);
  expect_shape(c, y, 1 << axis, false);
  assert_int_equal(y->dtype, PERI_INDEX);
  for (int64_t k = 0, step; k < x->count; k++) {
    if (!starts_line(x, axis, k, &step)) continue;
    int64_t at = 0;
    for (int64_t i = 1; i < x->shape[axis]; i++) {
      double v = value(x, k + i * step), best = value(x, k + at * step);
      if (c->op == PERI_OP_argmax ? v > best : v < best) at = i;
    }
    expect_close(c, value(y, target_of(x, 1 << axis, k)), (double) at + 1);
  }
}

static void test_loops (peri_opcode op) {
  void (*check) (test_case *, peri_tensor *) =
    op == PERI_OP_sum || op == PERI_OP_mean || op == PERI_OP_max || op == PERI_OP_min ? check_fold
    : op == PERI_OP_logsumexp ? check_logsumexp
    : op == PERI_OP_softmax || op == PERI_OP_log_softmax || op == PERI_OP_cumsum ? check_along_axis
    : op == PERI_OP_argmax || op == PERI_OP_argmin ? check_arg : NULL;
  test_case c;
  int style = find_style(op);
  for (int number = 0; check; number++) {
    peri_scope scope = peri_scope_open();
    bool more = make_case(op, style, number, number % 11 ? SMALL_SIZES : LARGE_SIZES, &c);
    peri_tensor *y = more ? run_case(&c) : NULL;
    expect_no_failure(c.name);
    if (more) check(&c, y);
    peri_scope_close(scope);
    if (!more) break;
  }
}

/* --- four axes, sizes 1 among them, and axes longer than a piece of work --- */

static void test_subsets (void **state) {
  static const int sizes[][4] = {
    {2, 3, 1, 4}, {1, 5, 2, 1}, {40000, 3, 1, 2}, {3, 1, 50000, 1}, {2, 40, 300, 5}};
  static const peri_opcode ops[] = {PERI_OP_sum, PERI_OP_mean, PERI_OP_max, PERI_OP_min};
  (void) state;
  for (int s = 0; s < 5; s++)
    for (int set = 0; set < 16; set++) {
      peri_scope scope = peri_scope_open();
      peri_tensor *x = random_tensor(dims(4, sizes[s][0], sizes[s][1], sizes[s][2], sizes[s][3]),
                                     PERI_IN_REAL, (test_layout) (set % NLAYOUTS));
      test_case c = {.nin = 1, .base = {x}};
      snprintf(c.name, sizeof c.name, "sizes %d, axes %x", s, set);
      for (int i = 3; i >= 0; i--)
        /* in falling order: it must not matter */
        if (set >> i & 1) c.a.dims.at[c.a.dims.n++] = i;
      c.op = ops[(s + set) % 4];
      c.a.keep = set & 1;
      if (set < 15 || s < 2) {
        peri_tensor *y = run_case(&c);
        expect_no_failure(c.name);
        if (y->count <= MAXRESULTS) check_fold(&c, y);
      }
      peri_scope_close(scope);
    }
}

static peri_tensor *numbers (int n, const double *x) {
  return peri_copy_of(PERI_REAL, dims(1, n), x);
}

static void test_ties (void **state) {
  const double x[] = {1, 3, 3, 1, 3, 1};
  (void) state;
  peri_scope s = peri_scope_open();
  assert_true(value(peri_argmax(numbers(6, x), 0), 0) == 2);
  assert_true(value(peri_argmin(numbers(6, x), 0), 0) == 1);
  /* the gradient of an extreme is shared by the ties */
  peri_tensor *t = numbers(6, x), *g;
  peri_require_grad(t, true);
  peri_grad(peri_max(t, dims(0), false), NULL, 1, &t, 0, &g);
  expect_no_failure("max");
  for (int k = 0; k < 6; k++) assert_true(fabs(value(g, k) - (x[k] == 3 ? 1.0 / 3 : 0)) < 1e-15);
  peri_scope_close(s);
}

static void test_nan_and_infinity (void **state) {
  const double nan[] = {1, NAN, 3}, low[] = {-INFINITY, -INFINITY};
  const double high[] = {1, INFINITY, -INFINITY};
  const double big[] = {1000, 1000}, far[] = {-1e308, 1e308};
  (void) state;
  peri_scope s = peri_scope_open();
  assert_true(isnan(value(peri_sum(numbers(3, nan), dims(0), false), 0)));
  assert_true(isnan(value(peri_max(numbers(3, nan), dims(0), false), 0)));
  assert_true(isnan(value(peri_min(numbers(3, nan), dims(0), false), 0)));
  assert_true(isnan(value(peri_logsumexp(numbers(3, nan), dims(0), false), 0)));
  assert_true(value(peri_argmax(numbers(3, nan), 0), 0) == 2);
  assert_true(value(peri_argmin(numbers(3, nan), 0), 0) == 2);
  assert_true(value(peri_max(numbers(3, high), dims(0), false), 0) == INFINITY);
  assert_true(value(peri_min(numbers(3, high), dims(0), false), 0) == -INFINITY);
  assert_true(value(peri_max(numbers(2, low), dims(0), false), 0) == -INFINITY);
  assert_true(value(peri_logsumexp(numbers(2, low), dims(0), false), 0) == -INFINITY);
  assert_true(value(peri_logsumexp(numbers(3, high), dims(0), false), 0) == INFINITY);
  double sum = value(peri_logsumexp(numbers(2, big), dims(0), false), 0);
  assert_true(fabs(sum - 1000 - log(2)) < 1e-12);
  assert_true(value(peri_softmax(numbers(2, big), 0), 0) == 0.5);
  assert_true(value(peri_softmax(numbers(2, far), 0), 0) == 0
              && value(peri_softmax(numbers(2, far), 0), 1) == 1);
  assert_true(fabs(value(peri_log_softmax(numbers(2, big), 0), 1) + log(2)) < 1e-15);
  peri_scope_close(s);
}

/* One NaN anywhere wins, along rows and down columns, and its place is that of the extreme. */
static void test_nan_everywhere (void **state) {
  static const int lengths[] = {1, 2, 3, 15, 16, 17, 33, 50, 40000};
  (void) state;
  for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++)
    for (int columns = 1; columns < 4; columns += 2)
      for (int at = 0, n = lengths[l]; at < n; at += n > 50 ? 3999 : 1) {
        peri_scope s = peri_scope_open();
        peri_tensor *x = random_tensor(dims(2, n, columns), PERI_IN_REAL, PACKED);
        *element(x, (int64_t) at * columns) = NAN;
        peri_tensor *high = peri_max(x, dims(1, 0), false), *low = peri_min(x, dims(1, 0), false);
        assert_true(isnan(value(high, 0)) && isnan(value(low, 0)));
        assert_true(value(peri_argmax(x, 0), 0) == at + 1 && value(peri_argmin(x, 0), 0) == at + 1);
        for (int k = 1; k < columns; k++)
          assert_false(isnan(value(high, k)) || isnan(value(low, k)));
        peri_scope_close(s);
      }
}

/* Large logits must not cost digits: x - m - log sum e^(x - m), not x - (m + log sum e^(x - m)). */
static void test_large_logits (void **state) {
  const double x[] = {0, -1.5, 2, -0.25}, shifted[] = {4096, 4094.5, 4098, 4095.75};
  (void) state;
  peri_scope s = peri_scope_open();
  for (int k = 0; k < 4; k++) {
    double p = value(peri_softmax(numbers(4, x), 0), k);
    double q = value(peri_softmax(numbers(4, shifted), 0), k);
    assert_true(fabs(q - p) <= 1e-15 * p);
    double l = value(peri_log_softmax(numbers(4, x), 0), k);
    assert_true(fabs(value(peri_log_softmax(numbers(4, shifted), 0), k) - l) <= 2e-15 * fabs(l));
  }
  peri_scope_close(s);
}

static void test_empty_axes (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_full(PERI_REAL, dims(2, 3, 0), 0);
  peri_tensor *y = peri_sum(x, dims(1, 1), false);
  assert_true(y->count == 3 && value(y, 2) == 0);
  assert_true(value(peri_sum(x, dims(0), false), 0) == 0);
  assert_int_equal(peri_max(x, dims(1, 0), false)->count, 0);
  assert_int_equal(peri_cumsum(x, 1)->count, 0);
  assert_int_equal(peri_softmax(x, 0)->count, 0);
  peri_tensor *(*const folds[]) (peri_tensor *, peri_dims, bool) = {peri_mean, peri_max, peri_min};
  for (int i = 0; i < 3; i++) {
    assert_null(folds[i](x, dims(1, 1), false));
    expect_failure(PERI_E_SHAPE, "(3, 0)", NULL);
    assert_null(folds[i](x, dims(0), false));
    expect_failure(PERI_E_SHAPE, "(3, 0)", NULL);
  }
  assert_null(peri_logsumexp(x, dims(1, 1), false));
  expect_failure(PERI_E_SHAPE, "(3, 0)", NULL);
  assert_null(peri_argmax(x, 1));
  expect_failure(PERI_E_SHAPE, "argmax", "axis 2", NULL);
  peri_scope_close(s);
}

static void test_axis_twice (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  assert_null(peri_sum(peri_full(PERI_REAL, dims(2, 3, 4), 1), dims(2, 1, -1), false));
  expect_failure(PERI_E_ARGUMENT, "^sum: ", "axis 2", "twice", NULL);
  peri_scope_close(s);
}

/* A naive sum of a million numbers is off by 1e-11; lanes and pieces keep it a hundred times
   nearer. */
static void test_long_sum (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_full(PERI_REAL, dims(1, 1 << 20), 0.1);
  double want = (double) ((long double) 0.1 * (1 << 20));
  assert_true(fabs(value(peri_sum(x, dims(0), false), 0) - want) <= 1e-13 * want);
  assert_true(fabs(value(peri_mean(x, dims(0), false), 0) - 0.1) <= 1e-14);
  peri_scope_close(s);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_subsets), cmocka_unit_test(test_ties),
    cmocka_unit_test(test_nan_and_infinity), cmocka_unit_test(test_nan_everywhere),
    cmocka_unit_test(test_large_logits), cmocka_unit_test(test_empty_axes),
    cmocka_unit_test(test_axis_twice), cmocka_unit_test(test_long_sum)};
  int failed = run_rows("plain loops", test_loops) + cmocka_run_group_tests(tests, NULL, NULL);
  return failed != 0;
}
