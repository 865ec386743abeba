/* float32 elementary functions against double, on the whole range of floats: the largest error in
   units of the last place, and the numbers where formulas break. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

static double logistic (double x) { return 1 / (1 + exp(-x)); }
static double softplus (double x) { return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x)); }
static double silu (double x) { return x / (1 + exp(-x)); }
static double gelu (double x) { return x * erfc(-x / sqrt(2)) / 2; }
static double phi (double x) { return erfc(-x / sqrt(2)) / 2; }

static const struct {
  const char *name;
  peri_tensor *(*f) (peri_tensor *);
  double (*want) (double);
  double ulps;
} list[] = {
  {"exp", peri_exp, exp, 1}, {"expm1", peri_expm1, expm1, 1.5}, {"log", peri_log, log, 1},
  {"log1p", peri_log1p, log1p, 1.5}, {"tanh", peri_tanh, tanh, 1.5}, {"erf", peri_erf, erf, 2},
  {"sigmoid", peri_sigmoid, logistic, 2.5}, {"softplus", peri_softplus, softplus, 2},
  {"silu", peri_silu, silu, 3}, {"gelu", peri_gelu, gelu, 6}, {"ndtr", peri_ndtr, phi, 6}};
enum { NLIST = sizeof list / sizeof list[0], STEP = 12799 };

/* Distance in units of the last place of the wanted value; below the normal numbers, of theirs. */
static double ulps (float got, double want) {
  float rounded = (float) want;
  if (isnan(want) || isnan(got)) return isnan(want) && isnan(got) ? 0 : INFINITY;
  if (isinf(got) || isinf(rounded)) return got == rounded ? 0 : INFINITY;
  int e = ilogb(fmax(fabs(want), 0x1p-126));
  return fabs((double) got - want) / ldexp(1, e - 23);
}

/* Every STEP-th of all floats, of both signs. */
static void test_range (void **state) {
  enum { COUNT = (0x7f800000u / STEP + 1) * 2 };
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_empty(PERI_REAL, dims(1, COUNT));
  float *p = x->data;
  (void) state;
  for (uint32_t bits = 0, i = 0; i < COUNT; i += 2, bits += STEP)
    for (uint32_t sign = 0; sign < 2; sign++) {
      uint32_t word = bits | sign << 31;
      memcpy(p + i + sign, &word, sizeof word);
    }
  for (int k = 0; k < NLIST; k++) {
    const float *y = list[k].f(x)->data;
    double worst = 0;
    int at = 0;
    expect_no_failure(list[k].name);
    for (int i = 0; i < COUNT; i++) {
      double d = ulps(y[i], list[k].want((double) p[i]));
      /* 1 / (1 + e^-x) gives 0 where the result would be denormal */
      if (fabs(list[k].want((double) p[i])) < 0x1p-120 && fabsf(y[i]) < 0x1p-119f) continue;
      if (d > worst) worst = d, at = i;
    }
    printf("%-9s %.2f ulp at %.9g\n", list[k].name, worst, (double) p[at]);
    if (worst > list[k].ulps)
      fail_msg("%s(%.9g) = %.9g is off by %.3g ulp", list[k].name, (double) p[at], (double) y[at], worst);
  }
  peri_scope_close(s);
}

static void test_edges (void **state) {
  static const float edges[] = {0, -0.0f, 1, -1, INFINITY, -INFINITY, NAN, 0x1p-149f, -0x1p-149f,
                                0x1.fffffep127f, -0x1.fffffep127f, 88.72283f, 88.8f, -103.9f, -110};
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_copy_of(PERI_REAL, dims(1, 15), edges);
  for (int k = 0; k < NLIST; k++) {
    const float *y = list[k].f(x)->data;
    for (int i = 0; i < 15; i++) {
      double want = list[k].want((double) edges[i]);
      if (list[k].want == silu && edges[i] < -1e30f) continue;       /* -inf e^-inf is NaN or 0 */
      if (list[k].want == gelu && isinf(edges[i])) continue;
      if (ulps(y[i], want) > list[k].ulps && fabs(want) > 0x1p-120)
        fail_msg("%s(%g) = %.9g, want %.9g", list[k].name, (double) edges[i], (double) y[i], want);
    }
  }
  peri_scope_close(s);
}

int main (void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_range), cmocka_unit_test(test_edges)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
