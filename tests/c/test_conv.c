/* Convolution against plain loops, the laws that tie its three operations together, sizes, a worked
   example, and what is refused. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

static bool is_ours (peri_opcode op) {
  return op == PERI_OP_conv || op == PERI_OP_conv_transpose || op == PERI_OP_conv_weight;
}

static void test_loops (peri_opcode op) {
  test_case c;
  if (!is_ours(op)) return;
  for (int number = 0; ; number++) {
    peri_scope scope = peri_scope_open();
    bool more = make_case(op, 0, number, SMALL_SIZES, &c);
    if (more) {
      peri_tensor *y = run_case(&c);
      expect_no_failure(c.name);
      double *want = reference_conv(&c, y), error = relative_error(y, want);
      if (!(error <= 1e-13)) fail_msg("%s, case '%s': off by %.3g", peri_ops[op].name, c.name, error);
      free(want);
    }
    peri_scope_close(scope);
    if (!more) break;
  }
}

static void expect_close (double got, double want, double tolerance) {
  if (!(fabs(got - want) <= tolerance)) fail_msg("%.17g, want %.17g", got, want);
}

static double inner (const peri_tensor *x, const peri_tensor *y) {
  double sum = 0;
  assert_int_equal(x->count, y->count);
  for (int64_t k = 0; k < x->count; k++) sum += value(x, k) * value(y, k);
  return sum;
}

/* x . conv_transpose(y, w) = conv(x, w) . y = w . conv_weight(x, y), for every case of conv. */
static void test_adjoint (void **state) {
  (void) state;
  test_case c;
  for (int number = 0; ; number++) {
    peri_scope scope = peri_scope_open();
    bool more = make_case(PERI_OP_conv, 0, number, SMALL_SIZES, &c);
    if (more) {
      peri_window back = c.a.window, weight = c.a.window;
      c.in[2] = peri_number(0);
      for (int i = 0; i < 2; i++) c.in[i] = random_tensor(peri_shape_of(c.base[i]), PERI_IN_REAL, PACKED);
      peri_tensor *x = c.in[0], *w = c.in[1], *y = peri_conv(x, w, c.in[2], c.a.window);
      if (!y) {                         /* a view in the graph has another shape than its base */
        peri_clear();
      } else {
        for (int a = 0; a < x->ndim - 2; a++) {
          back.size[a] = (int32_t) x->shape[a + 1];
          weight.size[a] = (int32_t) w->shape[a];
        }
        peri_tensor *r = random_tensor(peri_shape_of(y), PERI_IN_REAL, PACKED);
        double one = inner(y, r), tolerance = 1e-12 * (1 + fabs(one));
        expect_close(inner(x, peri_conv_transpose(r, w, c.in[2], back)), one, tolerance);
        expect_close(inner(w, peri_conv_weight(x, r, weight)), one, tolerance);
      }
      expect_no_failure(c.name);
    }
    peri_scope_close(scope);
    if (!more) break;
  }
}

/* Zeros between the inputs, then an ordinary convolution with the filter turned round: Dumoulin &
   Visin 2016, section 4.5. */
static void test_zero_insertion (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_window w = PERI_WINDOW_ONE, one = PERI_WINDOW_ONE;
  w.stride[0] = 2;
  w.low[0] = w.high[0] = 1;
  one.low[0] = one.high[0] = 2;
  peri_tensor *x = random_tensor(dims(3, 2, 5, 3), PERI_IN_REAL, PACKED);
  peri_tensor *f = random_tensor(dims(3, 4, 2, 3), PERI_IN_REAL, PACKED);
  peri_tensor *y = peri_conv_transpose(x, f, peri_number(0), w);
  peri_tensor *spread = peri_unslice(x, 1, 0, 2, 9);
  peri_tensor *z = peri_conv(spread, peri_flip(peri_transpose(f, 1, 2), 0), peri_number(0), one);
  expect_no_failure("zero insertion");
  assert_int_equal(y->count, z->count);
  for (int64_t k = 0; k < y->count; k++) expect_close(value(y, k), value(z, k), 1e-14);
  peri_scope_close(s);
}

/* A 2x2 input spread by a 3x3 filter: each entry is a sum of at most four products. */
static void test_worked_example (void **state) {
  (void) state;
  const peri_real x[] = {1, 2, 3, 4}, w[] = {10, 20, 30, 40, 50, 60, 30, 20, 10};
  const double want[] = {10, 40, 70, 60, 70, 230, 330, 240, 150, 390, 430, 260, 90, 180, 110, 40};
  peri_scope s = peri_scope_open();
  peri_window one = PERI_WINDOW_ONE;
  peri_tensor *y = peri_conv_transpose(peri_copy_of(PERI_REAL, dims(4, 1, 2, 2, 1), x),
                                       peri_copy_of(PERI_REAL, dims(4, 3, 3, 1, 1), w),
                                       peri_number(0), one);
  expect_no_failure("the worked example");
  assert_int_equal(y->count, 16);
  for (int64_t k = 0; k < 16; k++) assert_true(value(y, k) == want[k]);
  peri_scope_close(s);
}

static int64_t size_after (int64_t size, peri_window w, int64_t k, bool back) {
  peri_tensor *x = random_tensor(dims(3, 1, (int) size, 1), PERI_IN_REAL, PACKED);
  peri_tensor *f = random_tensor(dims(3, (int) k, 1, 1), PERI_IN_REAL, PACKED);
  peri_tensor *y = (back ? peri_conv_transpose : peri_conv)(x, f, peri_number(0), w);
  expect_no_failure("sizes");
  return y->shape[1];
}

/* "same" and "causal" give ceil(size / stride) and back size * stride; a transposed convolution
   undoes the size of the convolution when it is told by output_padding what was cut off. */
static void test_lengths (void **state) {
  (void) state;
  for (int size = 1; size < 14; size++)
    for (int k = 1; k < 6; k++)
      for (int stride = 1; stride < 4; stride++)
        for (int padding = PERI_PAD_GIVEN; padding <= PERI_PAD_CAUSAL; padding++) {
          peri_scope s = peri_scope_open();
          peri_window w = PERI_WINDOW_ONE;
          w.stride[0] = stride;
          w.padding = (uint8_t) padding;
          if (padding != PERI_PAD_GIVEN) {
            assert_int_equal(size_after(size, w, k, false), (size + stride - 1) / stride);
            assert_int_equal(size_after(size, w, k, true), size * stride);
          } else if (size >= k) {
            int64_t y = size_after(size, w, k, false);
            assert_int_equal(y, (size - k) / stride + 1);
            w.extra[0] = (size - k) % stride;
            assert_int_equal(size_after(y, w, k, true), size);
          }
          peri_scope_close(s);
        }
}

/* Of a causal convolution nothing later than t is seen at t. */
static void test_causal (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_window w = PERI_WINDOW_ONE;
  w.padding = PERI_PAD_CAUSAL;
  w.dilation[0] = 3;
  peri_tensor *x = random_tensor(dims(3, 1, 12, 2), PERI_IN_REAL, PACKED);
  peri_tensor *f = random_tensor(dims(3, 3, 2, 2), PERI_IN_REAL, PACKED), *g;
  peri_require_grad(x, true);
  for (int t = 0; t < 12; t++) {
    peri_tensor *y = peri_slice(peri_conv(x, f, peri_number(0), w), 1, t, t + 1, 1);
    peri_grad(peri_sum(y, dims(0), false), NULL, 1, &x, 0, &g);
    for (int64_t k = 0; k < g->count; k++)
      assert_true((value(g, k) != 0) == (k / 2 == t || k / 2 == t - 3 || k / 2 == t - 6));
  }
  peri_scope_close(s);
}

/* --- what is refused --- */

typedef struct { peri_dims x, w; int bias; peri_window window; peri_opcode op; const char *says[3]; } bad;

#define WINDOW(...) {.stride = {1, 1, 1}, .dilation = {1, 1, 1}, .groups = 1, __VA_ARGS__}
#define D(count, ...) {.n = count, .at = {__VA_ARGS__}}
#define CONV PERI_OP_conv
#define BACK PERI_OP_conv_transpose
#define WGHT PERI_OP_conv_weight
#pragma GCC diagnostic ignored "-Woverride-init"

static void test_refused (void **state) {
  (void) state;
  static const bad list[] = {
    {D(2, 5, 2), D(2, 3, 2), 0, WINDOW(), CONV, {"(5, 2)", "(3, 2)", "spatial"}},
    {D(6, 1, 2, 2, 2, 2, 2), D(6, 1, 1, 1, 1, 2, 2), 0, WINDOW(), CONV, {"1 to 3 spatial", "reshape"}},
    {D(3, 1, 5, 2), D(4, 3, 3, 2, 2), 0, WINDOW(), CONV, {"(1, 5, 2)", "(3, 3, 2, 2)", "3 axes"}},
    {D(3, 1, 5, 3), D(3, 3, 2, 2), 0, WINDOW(), CONV, {"(1, 5, 3)", "(3, 2, 2)", "in / groups"}},
    {D(3, 1, 5, 3), D(3, 3, 1, 2), 0, WINDOW(.groups = 2), CONV, {"3 channels of x", "2 groups"}},
    {D(3, 1, 5, 4), D(3, 3, 2, 3), 0, WINDOW(.groups = 2), CONV, {"3 channels out of w", "2 groups"}},
    {D(3, 1, 5, 4), D(3, 3, 4, 3), 0, WINDOW(.groups = 0), CONV, {"groups = 0"}},
    {D(3, 1, 5, 2), D(3, 0, 2, 2), 0, WINDOW(), CONV, {"axis 1 of w has size 0"}},
    {D(3, 1, 0, 2), D(3, 3, 2, 2), 0, WINDOW(), CONV, {"axis 1 of x has size 0"}},
    {D(4, 1, 5, 3, 2), D(4, 3, 4, 2, 2), 0, WINDOW(), CONV, {"axis 2", "spans 4", "only 3"}},
    {D(3, 1, 5, 2), D(3, 3, 2, 2), 0, WINDOW(.dilation = {3}), CONV, {"spans 7", "only 5"}},
    {D(3, 1, 5, 2), D(3, 3, 2, 2), 0, WINDOW(.stride = {0}), CONV, {"stride", "at least 1"}},
    {D(3, 1, 5, 2), D(3, 3, 2, 2), 0, WINDOW(.dilation = {0}), CONV, {"dilation", "at least 1"}},
    {D(3, 1, 5, 2), D(3, 3, 2, 2), 0, WINDOW(.low = {-1}), CONV, {"padding", "at least 0"}},
    {D(3, 1, 5, 2), D(3, 3, 2, 2), 0, WINDOW(.listed = 2), CONV, {"2 entries", "1 spatial"}},
    {D(3, 1, 5, 2), D(3, 3, 2, 2), 0, WINDOW(.size = {4}), CONV, {"size 4", "leave it out"}},
    {D(3, 1, 5, 2), D(3, 3, 2, 2), 0, WINDOW(.extra = {1}), CONV, {"output_padding"}},
    {D(3, 1, 5, 2), D(3, 3, 2, 2), 3, WINDOW(), CONV, {"b has shape (3)", "want (2)"}},
    {D(3, 1, 5, 2), D(3, 3, 2, 4), 0, WINDOW(), BACK, {"(1, 5, 2)", "(3, 2, 4)", "in = 2"}},
    {D(3, 1, 5, 3), D(3, 3, 1, 3), 0, WINDOW(.groups = 2), BACK, {"3 channels", "2 groups"}},
    {D(3, 1, 5, 2), D(3, 3, 4, 2), 2, WINDOW(), BACK, {"b has shape (2)", "want (4)"}},
    {D(3, 1, 5, 2), D(3, 3, 4, 2), 0, WINDOW(.stride = {2}, .extra = {2}), BACK,
     {"output_padding 2", "stride 2"}},
    {D(3, 1, 5, 2), D(3, 3, 4, 2), 0, WINDOW(.low = {4}, .high = {4}), BACK, {"size -1", "less padding"}},
    {D(3, 1, 5, 2), D(3, 3, 4, 2), 0, WINDOW(.stride = {2}, .size = {13}), BACK,
     {"size 13", "11 to 12"}},
    {D(3, 1, 5, 2), D(3, 3, 4, 2), 0, WINDOW(.stride = {2}, .size = {11}, .extra = {1}), BACK,
     {"not both"}},
    {D(3, 1, 5, 2), D(3, 1, 3, 4), 0, WINDOW(), WGHT, {"filter's size"}},
    {D(3, 1, 5, 2), D(3, 1, 4, 4), 0, WINDOW(.size = {3}), WGHT, {"(1, 5, 2)", "(1, 4, 4)", "makes 3"}},
    {D(3, 1, 5, 2), D(3, 2, 3, 4), 0, WINDOW(.size = {3}), WGHT, {"batches"}},
    {D(3, 1, 5, 2), D(3, 1, 3, 3), 0, WINDOW(.size = {3}, .groups = 2), WGHT,
     {"3 channels of g", "2 groups"}},
  };
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
    peri_scope s = peri_scope_open();
    const bad *b = &list[i];
    peri_tensor *x = peri_full(PERI_REAL, b->x, 1), *w = peri_full(PERI_REAL, b->w, 1);
    peri_tensor *bias = b->bias ? peri_full(PERI_REAL, dims(1, b->bias), 1) : peri_number(0);
    peri_tensor *z = b->op == CONV ? peri_conv(x, w, bias, b->window)
                   : b->op == BACK ? peri_conv_transpose(x, w, bias, b->window)
                                   : peri_conv_weight(x, w, b->window);
    if (z) fail_msg("bad input %d is taken", (int) i);
    char name[32] = "^";
    strcat(strcat(name, peri_ops[b->op].name), ": ");
    expect_failure(PERI_E_SHAPE, name, b->says[0], b->says[1], b->says[2], NULL);
    peri_scope_close(s);
  }
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_adjoint), cmocka_unit_test(test_zero_insertion),
    cmocka_unit_test(test_worked_example), cmocka_unit_test(test_lengths),
    cmocka_unit_test(test_causal), cmocka_unit_test(test_refused)};
  int failed = run_rows("plain loops", test_loops) + cmocka_run_group_tests(tests, NULL, NULL);
  return failed != 0;
}
