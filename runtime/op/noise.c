/* How draws move with their parameters, where no formula gives the draw: implicit
   reparameterisation, dz/da = -(dF/da) / f with F the cumulative probability and f the density
   (Figurnov, Mohamed & Mnih 2018, eq. 5). */

#include <math.h>

#include "kernel/map.h"
#include "op/op.h"

enum { MAXTERMS = 20000 };

/* d log Gamma(a) / da, a > 0: the recurrence up to 10, then the asymptotic series. */
static double digamma (double a) {
  double low = 0;
  for (; a < 10; a++) low -= 1 / a;
  double w = 1 / (a * a);
  return low + log(a) - 0.5 / a
       - w * (1.0 / 12 - w * (1.0 / 120 - w * (1.0 / 252 - w * (1.0 / 240 - w / 132))));
}

/* F = z^a e^-z S / Gamma(a + 1) with S = sum z^n / ((a + 1) .. (a + n)), so that
   d log z / da = -(S (log z - digamma(a + 1)) + dS/da) / a. */
static double by_series (double a, double y) {
  double z = exp(y), term = 1, slope = 0, sum = 1, sum_slope = 0;
  for (int n = 1; n < MAXTERMS && term > 1e-17 * sum; n++) {
    term *= z / (a + n);
    slope -= 1 / (a + n);
    sum += term;
    sum_slope += term * slope;
  }
  return -(sum * (y - digamma(a + 1)) + sum_slope) / a;
}

/* 1 - F = z^a e^-z C / Gamma(a) with C the continued fraction
   1 / (z + 1 - a - 1 (1 - a) / (z + 3 - a - 2 (2 - a) / ..)), so that
   d log z / da = C (log z - digamma(a)) + dC/da.  Lentz's method, each quantity with its
   derivative. */
static double by_fraction (double a, double y) {
  double z = exp(y), b = z + 1 - a, d = 1 / b, dd = d * d, c = 1e300, dc = 0, h = d, dh = dd;
  for (int n = 1; n < MAXTERMS; n++) {
    double an = n * (a - n), from = b + 2 * n;                      /* their slopes: n and -1 */
    double t = an * d + from, dt = n * d + an * dd - 1;
    double s = from + an / c, ds = -1 + n / c - an / c * (dc / c);
    d = 1 / t, dd = -dt * d * d;
    c = s, dc = ds;
    double step = d * c, dstep = dd * c + d * dc;
    dh = dh * step + h * dstep;
    h *= step;
    if (fabs(step - 1) < 1e-15 && fabs(dstep) < 1e-15) break;
  }
  return h * (y - digamma(a)) + dh;
}

/* z = a (1 - 1 / (9 a) + e / (3 sqrt(a)))^3 with e ~ N(0, 1), which holds for large a: Wilson &
   Hilferty 1931. */
static double by_cube (double a, double y) {
  double w = exp((y - log(a)) / 3), e = 3 * sqrt(a) * (w - 1 + 1 / (9 * a));
  return 1 / a + 3 / w * (1 / (9 * a * a) - e / (6 * a * sqrt(a)));
}

static double slope_of (double a, double y) {
  if (!(a > 0 && a < INFINITY) || !(y < 700)) return NAN;
  if (a > 1e5) return by_cube(a, y);
  return exp(y) < a + 1 ? by_series(a, y) : by_fraction(a, y);
}

static void gamma_loop (int64_t n, const peri_real *const *in, const double *arg, peri_real *out) {
  (void) arg;
  for (int64_t i = 0; i < n; i++)
    out[i] = (peri_real) slope_of((double) in[0][i], (double) in[1][i]);
}

peri_tensor *peri__gamma_grad_forward (const peri_call *c) {
  return peri__map(c, gamma_loop, PERI_REAL);
}
