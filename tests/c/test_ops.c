/* Elementwise rows against the C library, number by number, on every case and on the numbers where
   formulas break; and what every row refuses: wrong dtypes, axes and shapes, each by name.
   Reductions, movement and products have suites of their own. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

/* --- references, written from the rows' help text --- */

typedef struct {
  peri_opcode op;
  double (*f) (double x, double y, double z, const double *a);
} reference;

#define FORMULA(name, formula) \
  static double ref_##name (double x, double y, double z, const double *a) { \
    (void) x, (void) y, (void) z, (void) a; \
    return formula; \
  }

static double sigmoid (double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double softplus (double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double larger (double x, double y) { return x != x ? x : y != y ? y : x > y ? x : y; }
static double smaller (double x, double y) { return -larger(-x, -y); }

#define FORMULAS(F) \
  F(add, x + y) F(sub, x - y) F(mul, x * y) F(div, x / y) F(pow, pow(x, y)) \
  F(maximum, larger(x, y)) F(minimum, smaller(x, y)) F(neg, -x) F(abs, fabs(x)) F(square, x * x) \
  F(reciprocal, 1 / x) F(sqrt, sqrt(x)) F(rsqrt, 1 / sqrt(x)) F(exp, exp(x)) F(expm1, expm1(x)) \
  F(log, log(x)) F(log1p, log1p(x)) F(sin, sin(x)) F(cos, cos(x)) F(erf, erf(x)) \
  F(clamp, smaller(larger(x, a[0]), a[1])) \
  F(relu, larger(x, 0)) F(leaky_relu, x > 0 ? x : a[0] * x) F(elu, x > 0 ? x : a[0] * expm1(x)) \
  F(sigmoid, sigmoid(x)) F(tanh, tanh(x)) F(softplus, softplus(x)) F(log_sigmoid, -softplus(-x)) \
  F(silu, x / (1 + exp(-x))) F(gelu, 0.5 * x * (1 + erf(x * sqrt(0.5)))) \
  F(relu_grad, y > 0 ? x : 0) F(sigmoid_grad, x * y * (1 - y)) F(tanh_grad, x * (1 - y * y)) \
  F(bce_logits, softplus(x) - x * y) F(bce_grad, z * (1 / (1 + exp(-x)) - y)) \
  F(eq, x == y) F(ne, x != y) F(lt, x < y) F(le, x <= y) F(gt, x > y) F(ge, x >= y) \
  F(sign, x != x ? x : (x > 0) - (x < 0)) F(floor, floor(x)) F(round, nearbyint(x)) \
  F(is_finite, isfinite(x) != 0) F(where, x != 0 ? y : z)

FORMULAS(FORMULA)

static const reference references[] = {
#define ENTRY(name, formula) {PERI_OP_##name, ref_##name},
  FORMULAS(ENTRY)
};
enum { NREFERENCES = sizeof references / sizeof references[0] };

static const reference *find_reference (peri_opcode op) {
  for (int i = 0; i < NREFERENCES; i++)
    if (references[i].op == op) return &references[i];
  return NULL;
}

/* Equal, both NaN, or within a few units of the last place (the library promises one; a formula of
   several functions adds them up).  `scale` is what a difference inside the formula is multiplied
   by. */
static bool close_to (double got, double want, double scale) {
  if (isnan(want) || isnan(got)) return isnan(want) && isnan(got);
  if (isinf(want) || isinf(got)) return got == want;
  return fabs(got - want) <= 1e-14 * fabs(want) + 4e-16 * fmax(1, scale);
}

/* --- every case --- */

/* Element of x at the coordinates of a result that x is broadcast to. */
static double broadcast_value (const peri_tensor *x, peri_dims shape, const int64_t *at) {
  int64_t index[PERI_MAXDIM];
  int lead = shape.n - x->ndim;
  for (int i = 0; i < x->ndim; i++) index[i] = x->shape[i] == 1 ? 0 : at[i + lead];
  return peri_at(x, index);
}

static peri_dims broadcast_shape (const test_case *c) {
  peri_dims d = {.n = 0};
  for (int i = 0; i < c->nin; i++)
    if (c->in[i]->ndim > d.n) d.n = c->in[i]->ndim;
  for (int k = 0; k < d.n; k++) {
    d.at[k] = 1;
    for (int i = 0; i < c->nin; i++) {
      int axis = k - d.n + c->in[i]->ndim;
      if (axis >= 0 && c->in[i]->shape[axis] != 1) d.at[k] = c->in[i]->shape[axis];
    }
  }
  return d;
}

static void check_values (test_case *c, const reference *r) {
  const char *row = peri_ops[c->op].name;
  peri_tensor *y = run_case(c);
  expect_no_failure(c->name);
  peri_dims shape = broadcast_shape(c);
  if (y->ndim != shape.n || memcmp(y->shape, shape.at, (size_t) shape.n * sizeof shape.at[0]) != 0)
    fail_msg("%s, case '%s': the result has the wrong shape", row, c->name);
  for (int64_t k = 0; k < y->count; k++) {
    int64_t at[PERI_MAXDIM];
    double in[3] = {0};
    coordinates(shape, k, at);
    for (int i = 0; i < c->nin; i++) in[i] = broadcast_value(c->in[i], shape, at);
    double want = r->f(in[0], in[1], in[2], c->a.f), got = value(y, k);
    if (!close_to(got, want, fabs(in[2])))
      fail_msg("%s, case '%s': f(%.17g, %.17g, %.17g) = %.17g, want %.17g", row, c->name,
               in[0], in[1], in[2], got, want);
  }
}

static void test_values (peri_opcode op) {
  const reference *r = find_reference(op);
  test_case c;
  int style = find_style(op);
  for (int number = 0; r; number++) {
    peri_scope scope = peri_scope_open();
    bool more = make_case(op, style, number, number % 7 ? SMALL_SIZES : LARGE_SIZES, &c);
    if (more) check_values(&c, r);
    peri_scope_close(scope);
    if (!more) break;
  }
}

/* --- where formulas break --- */

static const double edges[] = {
  0.0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 0.5, -0.5, 1.5, -2.5, 2, 3, -3, 1e-300, -1e-300,
  1e300, -1e300, 1e-9, -1e-9, 1e-17, 20, -20, 36.5, -36.5, 709, -709, 745, -745, 1e5, -1e5};
enum { NEDGES = sizeof edges / sizeof edges[0] };

/* All numbers, all pairs or all triples, by broadcasting; where takes any number as condition. */
static void test_edges (peri_opcode op) {
  const reference *r = find_reference(op);
  test_case c;
  int style = find_style(op);
  if (!r) return;
  make_case(op, style, 0, SMALL_SIZES, &c);
  for (int i = 0; i < c.nin; i++) {
    peri_dims shape = dims(c.nin);
    for (int k = 0; k < c.nin; k++) shape.at[k] = k == i ? NEDGES : 1;
    c.base[i] = peri_copy_of(PERI_REAL, shape, edges);
    c.how[i] = AS_IS;
  }
  snprintf(c.name, sizeof c.name, "edges");
  check_values(&c, r);
}

static void test_signed_zero (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *minus = peri_number(-0.0), *plus = peri_number(0.0);
  assert_true(signbit(value(minus, 0)));
  assert_true(signbit(value(peri_neg(plus), 0)) && !signbit(value(peri_neg(minus), 0)));
  assert_false(signbit(value(peri_abs(minus), 0)));
  assert_true(value(peri_reciprocal(minus), 0) < 0);
  assert_true(value(peri_eq(minus, plus), 0) == 1);
  peri_scope_close(s);
}

/* A vector's last elements are computed apart: a value must not depend on where it stands. */
static void test_position_independence (peri_opcode op) {
  const reference *r = find_reference(op);
  test_case c;
  int style = find_style(op);
  if (!r) return;
  for (int n = 1; n < 40; n += 3) {
    peri_scope s = peri_scope_open();
    make_case(op, style, 0, SMALL_SIZES, &c);
    for (int i = 0; i < c.nin; i++) {
      c.how[i] = AS_IS;
      c.base[i] = peri_full(PERI_REAL, dims(1, n), 0.3 + 0.2 * i);
    }
    peri_tensor *y = run_case(&c);
    expect_no_failure(peri_ops[op].name);
    for (int k = 1; k < n; k++)
      if (value(y, k) != value(y, 0)) fail_msg("%s differs at %d of %d", peri_ops[op].name, k, n);
    peri_scope_close(s);
  }
}

/* --- refusals --- */

/* "^name: ": a message begins with the row the user called, not one that it is made of. */
static const char *starts_with_name (peri_opcode op) {
  static char text[64];
  snprintf(text, sizeof text, "^%s: ", peri_ops[op].name);
  return text;
}

/* The types of the tensors in a signature: 't', 'i', 'u' or 'l' each. */
static int tensor_types (const char *signature, char *types) {
  int n = 0;
  for (const char *p = strchr(signature, ':'); p; p = strchr(p + 1, ':'))
    if (strchr("tiul", p[1])) types[n++] = p[1];
  return n;
}

static void test_wrong_types (peri_opcode op) {
  test_case c;
  char types[8];
  int style = find_style(op), n = tensor_types(peri_ops[op].signature, types);
  for (int i = 0; i < n; i++) {
    if (types[i] == 'u') continue;
    make_case(op, style, 0, SMALL_SIZES, &c);
    run_case(&c);
    c.how[i] = AS_IS;
    c.base[i] = peri_full(types[i] == 'i' ? PERI_REAL : PERI_BYTE, peri_shape_of(c.in[i]), 1);
    assert_null(run_case(&c));
    expect_failure(PERI_E_TYPE, starts_with_name(op), types[i] == 'i' ? "real" : "byte",
                   types[i] == 'i' ? "index()" : types[i] == 't' ? "real()" : "convert", NULL);
  }
}

static void test_wrong_axes (peri_opcode op) {
  const char *signature = peri_ops[op].signature;
  test_case c;
  int style = find_style(op);
  for (int axis = -9; axis <= 7; axis += 16)
    for (int which = 0; which < 3; which++) {
      static const char *const letters[] = {"axis:a", "other:a", ":A"};
      if (!strstr(signature, letters[which])) continue;
      for (int number = 0; make_case(op, style, number, SMALL_SIZES, &c); number++)
        if (c.base[0]->ndim > 1) break;
      if (which == 2) c.a.dims.at[0] = axis;
      else *(which ? &c.a.other : &c.a.axis) = axis;
      if (which == 2 && c.a.dims.n == 0) c.a.dims.n = 1;
      assert_null(run_case(&c));
      expect_failure(PERI_E_ARGUMENT, starts_with_name(op), axis < 0 ? "axis -9" : "axis 8", NULL);
    }
}

static void test_wrong_shapes (peri_opcode op) {
  test_case c;
  if (!find_reference(op)) return;
  make_case(op, 0, 0, SMALL_SIZES, &c);
  for (int i = 1; i < c.nin; i++) {
    make_case(op, 0, 0, SMALL_SIZES, &c);
    c.how[i] = AS_IS;
    c.base[i] = random_tensor(dims(2, 5, 7), PERI_IN_REAL, PACKED);
    assert_null(run_case(&c));
    expect_failure(PERI_E_SHAPE, starts_with_name(op), "(3, 4)", "(5, 7)", NULL);
  }
}

/* A row's help must be one line, since the prompt prints it as such. */
static void test_help (peri_opcode op) {
  assert_true(strlen(peri_ops[op].doc) > 1);
  assert_null(strchr(peri_ops[op].doc, '\n'));
}

int main (void) {
  const struct CMUnitTest others[] = {cmocka_unit_test(test_signed_zero)};
  int failed = run_rows("values", test_values) + run_rows("edges", test_edges)
               + run_rows("positions", test_position_independence)
               + run_rows("wrong types", test_wrong_types)
               + run_rows("wrong axes", test_wrong_axes)
               + run_rows("wrong shapes", test_wrong_shapes)
               + run_rows("help", test_help) + cmocka_run_group_tests(others, NULL, NULL);
  return failed != 0;
}
