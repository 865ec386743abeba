/* Special functions in double: inverses, recurrences and the C library's own functions, over their
   whole range; poles, infinities and NaN; derivatives of high order. */
#include <math.h>
#include <stdio.h>

#include "harness.h"

static double call (peri_tensor *(*f) (peri_tensor *), double x) {
  peri_scope s = peri_scope_open();
  double y = value(f(peri_number(x)), 0);
  expect_no_failure("a special function");
  peri_scope_close(s);
  return y;
}

static double psi (int n, double x) {
  peri_scope s = peri_scope_open();
  double y = value(peri_polygamma(peri_number(x), n), 0);
  expect_no_failure("polygamma");
  peri_scope_close(s);
  return y;
}

static void near (const char *what, double x, double got, double want, double tolerance) {
  if (!(fabs(got - want) <= tolerance * fabs(want)))
    fail_msg("%s at %.17g: %.17g, want %.17g", what, x, got, want);
}

/* 10^e for e drawn between the two */
static double draw_power (double low, double high) {
  return pow(10, draw_number(low, high));
}

static void test_normal (void **state) {
  (void) state;
  for (int i = 0; i < 3000; i++) {
    double x = draw_number(-37, 9), p = (double) (erfcl(-(long double) x / sqrtl(2)) / 2);
    near("ndtr", x, call(peri_ndtr, x), p, 2e-15);
    near("log_ndtr", x, call(peri_log_ndtr, x), x < 5 ? log(p) : log1p(-erfc(x / sqrt(2)) / 2),
         x < 5 ? 2e-15 + 3e-16 / fabs(log(p)) : 1e-13);
    double density = exp(-x * x / 2) / sqrt(2 * acos(-1));
    near("ndtr_hazard", x, call(peri_ndtr_hazard, x), density / p, 1e-12);
    assert_true(fabs(call(peri_ndtr, x) + call(peri_ndtr, -x) - 1) < 3e-16);
  }
  /* far out Phi underflows; Mills' series does not: -x^2/2 - log(-x sqrt(2 pi)) - 1/x^2 */
  for (int i = 0; i < 1000; i++) {
    double x = -draw_power(4, 150), want = -x * x / 2 - log(-x * sqrt(2 * acos(-1)));
    near("log_ndtr", x, call(peri_log_ndtr, x), want, 1e-15);
    near("ndtr_hazard", x, call(peri_ndtr_hazard, x), -x, 2e-8);
  }
}

static void test_inverses (void **state) {
  (void) state;
  for (int i = 0; i < 3000; i++) {
    double p = i % 2 ? draw_number(0, 1) : draw_power(-300, -1), z = call(peri_ndtri, p);
    near("ndtr(ndtri)", p, call(peri_ndtr, z), p, 4e-16 * fmax(4, 2 * z * z));
    double x = i % 2 ? draw_number(-1, 1) : draw_power(-300, 0);
    near("erf(erfinv)", x, erf(call(peri_erfinv, x)), x, 2e-15);
    double u = i % 2 ? draw_number(-30, 30) : draw_number(-1, 1);
    near("logit(sigmoid)", u, call(peri_logit, call(peri_sigmoid, u)), u,
         1e-15 * (2 + exp(u) + 2 / fabs(u)));
  }
  assert_true(call(peri_ndtri, 0.5) == 0 && call(peri_erfinv, 0) == 0 && call(peri_logit, 0.5) == 0);
}

/* lgamma against the C library; psi_n(x + 1) = psi_n(x) + (-1)^n n! / x^(n+1), on both sides of 0;
   psi(1) = -gamma, psi_1(1) = pi^2/6, psi_3(1) = pi^4/15 */
static void test_gamma (void **state) {
  (void) state;
  double pi = acos(-1);
  near("digamma", 1, call(peri_digamma, 1), -0.57721566490153286061, 4e-16);
  near("polygamma 1", 1, psi(1, 1), pi * pi / 6, 1e-15);
  near("polygamma 3", 1, psi(3, 1), pi * pi * pi * pi / 15, 2e-15);
  for (int i = 0; i < 3000; i++) {
    double x = i % 3 == 0 ? draw_number(0, 20) : i % 3 == 1 ? draw_power(-20, 20) : draw_number(-9, 0);
    double want = lgamma(x);
    assert_true(fabs(call(peri_lgamma, x) - want) <= 2e-15 * fmax(1, fabs(want)));
    if (x > 1e4 || fabs(x) < 1e-9 || fabs(x - nearbyint(x)) < 1e-3) continue;
    double up = call(peri_digamma, x + 1), down = call(peri_digamma, x);
    assert_true(fabs(up - down - 1 / x) <= 1e-12 * (1 + fabs(up) + fabs(1 / x)));
    double factor = 1;
    for (int n = 1; n <= 6; n++) {
      factor *= -n;
      double step = factor / pow(x, n + 1), a = psi(n, x + 1), b = psi(n, x);
      if (!(fabs(a - b - step) <= 1e-10 * (fabs(a) + fabs(b) + fabs(step))))
        fail_msg("polygamma(%g, %d): %.17g - %.17g is not %.17g", x, n, a, b, step);
    }
  }
  /* psi_n(2 x) = 2^-(n+1) (psi_n(x) + psi_n(x + 1/2)), n >= 1: the duplication formula */
  for (int i = 0; i < 1000; i++) {
    double x = draw_power(-2, 3);
    for (int n = 1; n <= 20; n++)
      near("duplication", x, pow(2, -n - 1) * (psi(n, x) + psi(n, x + 0.5)), psi(n, 2 * x), 2e-14 * n);
  }
}

/* The integral (1/pi) int_0^pi e^(x (cos t - 1)) cos(n t) dt by the trapezium rule, which is exact to
   rounding on a period. */
static double bessel (int n, double x) {
  enum { POINTS = 400 };
  double sum = 0, pi = acos(-1);
  for (int i = 0; i < POINTS; i++) {
    double t = 2 * pi * (i + 0.5) / POINTS;
    sum += exp(x * (cos(t) - 1)) * cos(n * t);
  }
  return sum / POINTS;
}

static void test_bessel (void **state) {
  (void) state;
  for (int i = 0; i < 1000; i++) {
    double x = draw_number(0, 1) * (i % 2 ? 3 : 600);
    near("i0e", x, call(peri_i0e, x), bessel(0, x), 1e-12);
    assert_true(fabs(call(peri_i1e, x) - bessel(1, x)) < 2e-14);
    assert_true(call(peri_i0e, -x) == call(peri_i0e, x) && call(peri_i1e, -x) == -call(peri_i1e, x));
    assert_true(fabs(call(peri_log_i0, x) - (x + log(bessel(0, x)))) < 1e-12 * (1 + x));
  }
  double small = 1e-100;                           /* I1 ~ x/2, log I0 ~ x^2/4 */
  near("i1e", small, call(peri_i1e, small), small / 2, 4e-16);
  near("log_i0", small, call(peri_log_i0, small), small * small / 4, 4e-16);
}

static void test_logarithms (void **state) {
  (void) state;
  for (int i = 0; i < 2000; i++) {
    double x = -draw_power(-15, 2.5), y = draw_number(-800, 800), z = draw_number(-800, 800);
    long double p = expl((long double) x);
    near("log1mexp", x, call(peri_log1mexp, x), (double) (x > -1 ? logl(-expm1l(x)) : log1pl(-p)), 4e-16 * 2);
    peri_scope s = peri_scope_open();
    double got = value(peri_logaddexp(peri_number(y), peri_number(z)), 0), high = fmax(y, z);
    assert_true(fabs(got - high - log1p(exp(-fabs(y - z)))) <= 4e-16 * (1 + fabs(high)));
    peri_scope_close(s);
  }
  peri_scope s = peri_scope_open();
  peri_tensor *low = peri_number(-INFINITY), *high = peri_number(INFINITY), *x = peri_number(3);
  assert_true(value(peri_logaddexp(low, low), 0) == -INFINITY);
  assert_true(value(peri_logaddexp(low, x), 0) == 3);
  assert_true(value(peri_logaddexp(high, low), 0) == INFINITY);
  assert_true(isnan(value(peri_logaddexp(peri_number(NAN), low), 0)));
  const double pairs[][3] = {{-INFINITY, 3, 0}, {3, -INFINITY, 1}, {INFINITY, -INFINITY, 1},
                             {-INFINITY, -INFINITY, 0.5}};
  for (int i = 0; i < 4; i++) {                  /* a masked term takes no gradient, and no NaN */
    peri_tensor *in[] = {peri_full(PERI_REAL, dims(0), pairs[i][0]),
                         peri_full(PERI_REAL, dims(0), pairs[i][1])}, *g[2];
    peri_require_grad(in[0], true);
    peri_require_grad(in[1], true);
    peri_grad(peri_logaddexp(in[0], in[1]), NULL, 2, in, 0, g);
    expect_no_failure("logaddexp");
    assert_true(value(g[0], 0) == pairs[i][2] && value(g[1], 0) == 1 - pairs[i][2]);
  }
  peri_scope_close(s);
}

static void test_poles (void **state) {
  (void) state;
  static const struct { peri_tensor *(*f) (peri_tensor *); double x, want; } list[] = {
    {peri_ndtr, -INFINITY, 0}, {peri_ndtr, INFINITY, 1}, {peri_log_ndtr, -INFINITY, -INFINITY},
    {peri_log_ndtr, INFINITY, 0}, {peri_ndtr_hazard, -INFINITY, INFINITY},
    {peri_ndtri, 0, -INFINITY}, {peri_ndtri, 1, INFINITY}, {peri_ndtri, -0.1, NAN},
    {peri_ndtri, 1.1, NAN}, {peri_erfinv, -1, -INFINITY}, {peri_erfinv, 1, INFINITY},
    {peri_erfinv, 1.5, NAN}, {peri_lgamma, 0, INFINITY}, {peri_lgamma, -3, INFINITY},
    {peri_lgamma, 1, 0}, {peri_lgamma, 2, 0}, {peri_lgamma, INFINITY, INFINITY},
    {peri_digamma, 0, -INFINITY}, {peri_digamma, -0.0, INFINITY}, {peri_digamma, -2, NAN},
    {peri_digamma, INFINITY, INFINITY}, {peri_digamma, -INFINITY, NAN},
    {peri_i0e, 0, 1}, {peri_i0e, INFINITY, 0}, {peri_i1e, INFINITY, 0},
    {peri_log_i0, INFINITY, INFINITY}, {peri_log1mexp, 0, -INFINITY}, {peri_log1mexp, 1, NAN},
    {peri_log1mexp, -INFINITY, 0}, {peri_logit, 0, -INFINITY}, {peri_logit, 1, INFINITY},
    {peri_logit, 2, NAN}, {peri_softsign, INFINITY, 1}, {peri_softsign, -INFINITY, -1}};
  for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
    double got = call(list[i].f, list[i].x), want = list[i].want;
    if (isnan(want) ? !isnan(got) : got != want)
      fail_msg("entry %d at %g: %g, want %g", (int) i, list[i].x, got, want);
    assert_true(isnan(call(list[i].f, NAN)));
  }
  for (int n = 1; n < 5; n++)
    assert_true(isinf(psi(n, 0)) && isinf(psi(n, -2)) && psi(n, INFINITY) == 0 && isnan(psi(n, NAN)));
}

/* The fifth derivative of lgamma is psi_4. */
static void test_high_order (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_full(PERI_REAL, dims(0), 1.7), *g = x;
  peri_require_grad(x, true);
  peri_tensor *y = peri_lgamma(x);
  for (int i = 0; i < 5; i++, y = g) {
    peri_grad(y, NULL, 1, &x, PERI_CREATE_GRAPH, &g);
    expect_no_failure("lgamma");
  }
  near("lgamma'''''", 1.7, value(g, 0), psi(4, 1.7), 1e-14);
  peri_scope_close(s);
}

static void test_refusals (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  assert_null(peri_polygamma(peri_number(1), -1));
  expect_failure(PERI_E_ARGUMENT, "^polygamma: ", "-1", "0..100", NULL);
  assert_null(peri_polygamma(peri_number(1), 101));
  expect_failure(PERI_E_ARGUMENT, "^polygamma: ", "101", NULL);
  assert_true(psi(0, 2) == call(peri_digamma, 2));
  peri_scope_close(s);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_normal), cmocka_unit_test(test_inverses), cmocka_unit_test(test_gamma),
    cmocka_unit_test(test_bessel), cmocka_unit_test(test_logarithms), cmocka_unit_test(test_poles),
    cmocka_unit_test(test_high_order), cmocka_unit_test(test_refusals)};
  seed_numbers(11);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
