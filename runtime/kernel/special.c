/* Special functions that are computed a number at a time, in double. */

#include "kernel/special.h"

#include <math.h>

/* x to the power n >= 1, by squaring. */
static double power (double x, int n) {
  double y = 1;
  for (; n; n >>= 1, x *= x)
    if (n & 1) y *= x;
  return y;
}

static double factorial (int n) {
  double y = 1;
  for (int i = 2; i <= n; i++) y *= i;
  return y;
}

/* zeta(s, q) = sum over k >= 0 of (q + k)^-s, s >= 2, q > 0: terms up to q >= 10 + s, the rest by
   Euler and Maclaurin.  What follows the tenth Bernoulli number is below 1e-16 of the sum. */
static double hurwitz_zeta (int s, double q) {
  static const double bernoulli[] = {                 /* B_2j / (2j)! */
    1.0 / 12, -1.0 / 720, 1.0 / 30240, -1.0 / 1209600, 1.0 / 47900160,
    -691.0 / 1307674368000, 1.0 / 74724249600, -3617.0 / 10670622842880000,
    43867.0 / 5109094217170944000, -174611.0 / 802857662698291200000.0};
  double sum = 0;
  for (; q < 10 + s; q += 1) sum += 1 / power(q, s);
  double first = 1 / power(q, s - 1), last = first / q;      /* q^s may overflow before q^(s-1) */
  double tail = first / (s - 1) + last / 2;
  double term = last * s / q;                         /* s (s+1) .. (s+2j-2) / q^(s+2j-1) */
  for (int j = 0; j < 10; j++) {
    tail += bernoulli[j] * term;
    term *= (s + 2 * j + 1) / q * ((s + 2 * j + 2) / q);
  }
  return sum + tail;
}

/* The n-th derivative of pi cot(pi t), |t| <= 1/2: a polynomial in cot whose coefficients have
   one sign, so nothing cancels. */
static double cotangent_derivative (int n, double t) {
  double c[PERI__MAXORDER + 2] = {0, 1}, pi = 3.14159265358979323846;
  for (int k = 1; k <= n; k++) {                      /* p becomes -(1 + x^2) p' */
    double next[PERI__MAXORDER + 2] = {0};
    for (int i = 1; i <= k; i++) {
      next[i - 1] -= i * c[i];
      next[i + 1] -= i * c[i];
    }
    for (int i = 0; i <= k + 1; i++) c[i] = next[i];
  }
  double x = 1 / tan(pi * t), y = 0, scale = power(pi, n + 1);
  for (int i = n + 1; i >= 0; i--) y = y * x + c[i];
  return y * scale;
}

/* (-1)^(n+1) n! zeta(n + 1, x); below 0 from psi_n(1 - x) - (-1)^n psi_n(x) = (-1)^n d^n/dx^n
   pi cot(pi x)  (DLMF 5.15.6) */
double peri__polygamma (int n, double x) {
  double sign = n % 2 ? 1 : -1;
  if (x != x || x == -INFINITY) return NAN;
  if (x == INFINITY) return 0;
  if (x > 0) return sign * factorial(n) * hurwitz_zeta(n + 1, x);
  double t = x - nearbyint(x);
  if (t == 0) return sign * INFINITY;
  return -factorial(n) * hurwitz_zeta(n + 1, 1 - x) - cotangent_derivative(n, t);
}
