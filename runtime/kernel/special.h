/* Special functions of vectors for the formulas in op/special.c, by the fits of polynomials.h, and
   the few that are computed a number at a time. */
#ifndef PERI_SPECIAL_H
#define PERI_SPECIAL_H

#include <math.h>

#include "kernel/vector.h"

/* The n-th derivative of digamma at x, n >= 0, in double. */
enum { PERI__MAXORDER = 100 };
double peri__polygamma (int n, double x);

#ifdef PERI_DOUBLE
#define PERI__HIGH_HALF INT64_C(-0x8000000)
#define FAR_OR_TAIL(r, near) \
  vselect(r > 5, vpoly(r - 5, FAR_P) / vpoly(r - 5, FAR_Q), near)
#else
#define PERI__HIGH_HALF (-0x1000)
#define FAR_OR_TAIL(r, near) near
#endif

#define C(number) ((peri_real) (number))
#define SQRT_2PI C(2.50662827463100050242)
#define SQRT_HALF C(0.70710678118654752440)

/* _Generic wants a function declared for every level before it is used in one, hence two rounds. */
#define PERI__NORMAL(L) \
  /* e^(y^2/2) Phi(-y), y >= 0: Mills' ratio over sqrt(2 pi) */ \
  PERI__INLINE(L) real_##L vmills_##L (real_##L y) { \
    y = vmin(y, (real_##L) {0} + C(1e30)); \
    return vpoly((y - 3) / (y + 3), MILLS) / (2 + SQRT_2PI * y); \
  } \
  /* e^(-y^2/2), the square in two parts: its rounding would be felt y^2 times (Cody 1969) */ \
  PERI__INLINE(L) real_##L vbell_##L (real_##L y) { \
    y = vmin(y, (real_##L) {0} + C(1e4)); \
    real_##L h = (real_##L) ((mask_##L) y & PERI__HIGH_HALF); \
    return vexp(h * h * C(-0.5)) * vexp((y - h) * (y + h) * C(-0.5)); \
  }
PERI__NORMAL(v2)
PERI__NORMAL(v3)
PERI__NORMAL(v4)
#undef PERI__NORMAL
#define vmills(x) PERI__OWN(vmills, x)(x)
#define vbell(x) PERI__OWN(vbell, x)(x)

#define PERI__SPECIAL(L) \
  PERI__INLINE(L) real_##L vndtr_##L (real_##L x) { \
    real_##L y = vabs(x), q = vbell(y) * vmills(y); \
    return vselect(x < 0, q, 1 - q); \
  } \
  PERI__INLINE(L) real_##L vlog_ndtr_##L (real_##L x) { \
    real_##L y = vabs(x), m = vmills(y); \
    return vselect(x < 0, vlog(m) - C(0.5) * x * x, vlog1p(-(vbell(y) * m))); \
  } \
  /* phi(x) / Phi(x) */ \
  PERI__INLINE(L) real_##L vhazard_##L (real_##L x) { \
    real_##L y = vabs(x), m = vmills(y), e = vbell(y); \
    real_##L low = vselect(y > C(1e18), y, 1 / (SQRT_2PI * m)); \
    return vselect(x < 0, low, e / (SQRT_2PI * (1 - e * m))); \
  } \
  /* ndtri(1/2 + q), small = 1/2 - |q| given apart since it must be exact where it is small */ \
  PERI__INLINE(L) real_##L vquantile_##L (real_##L q, real_##L small) { \
    real_##L s = C(0.425 * 0.425) - q * q, middle = q * (vpoly(s, CENTRAL_P) / vpoly(s, CENTRAL_Q)); \
    real_##L r = vsqrt(-vlog(small)), end = (real_##L) {0} + C(INFINITY); \
    real_##L far = FAR_OR_TAIL(r, vpoly(r - C(1.6), TAIL_P) / vpoly(r - C(1.6), TAIL_Q)); \
    far = vselect(small == 0, end, far); \
    return vselect(vabs(q) <= C(0.425), middle, vselect(q < 0, -far, far)); \
  } \
  /* up from (0, 1) by 1/x, down from below 0 by reflection */ \
  PERI__INLINE(L) real_##L vdigamma_##L (real_##L x) { \
    real_##L zero = {0}, y = vselect(x < 0, 1 - x, x), z = vselect(y < 1, y + 1, y), u = 1 / z; \
    real_##L near = vmin(z, zero + 3), d = near - C(DIGAMMA_ROOT) - C(DIGAMMA_ROOT_REST); \
    near = d * (vpoly(near - 1, ROOT_P) / vpoly(near - 1, ROOT_Q)); \
    real_##L far = vlog(z) + u * (vpoly(u, HIGH_P) / vpoly(u, HIGH_Q)); \
    real_##L r = vselect(z < 3, near, far) - vselect(y < 1, 1 / y, zero); \
    d = x - vround(x); \
    real_##L turned = r - C(3.14159265358979323846) / vtan(d * C(3.14159265358979323846)); \
    return vselect(x < 0, vselect(d == 0, zero + C(NAN), turned), r); \
  } \
  /* e^-|x| I0(x), e^-|x| I1(x), log I0(x) */ \
  PERI__INLINE(L) real_##L vi0e_##L (real_##L x) { \
    real_##L ten = (real_##L) {0} + 10, y = vabs(x), s = vmin(y, ten), a = s * s * C(0.25); \
    real_##L u = 1 / vmax(y, ten); \
    return vselect(y < 10, vexp(-s) * (1 + a * vpoly(a, I0)), \
                   vsqrt(u) * vpoly(20 * u - 1, I0_FAR)); \
  } \
  PERI__INLINE(L) real_##L vi1e_##L (real_##L x) { \
    real_##L ten = (real_##L) {0} + 10, y = vabs(x), s = vmin(y, ten), a = s * s * C(0.25); \
    real_##L u = 1 / vmax(y, ten), far = vsqrt(u) * vpoly(20 * u - 1, I1_FAR); \
    return vselect(y < 10, vexp(-s) * (C(0.5) * x * vpoly(a, I1)), vselect(x < 0, -far, far)); \
  } \
  PERI__INLINE(L) real_##L vlog_i0_##L (real_##L x) { \
    real_##L ten = (real_##L) {0} + 10, y = vabs(x), s = vmin(y, ten), a = s * s * C(0.25); \
    real_##L u = 1 / vmax(y, ten), far = vsqrt(u) * vpoly(20 * u - 1, I0_FAR); \
    return vselect(y < 10, vlog1p(a * vpoly(a, I0)), \
                   vselect(y == C(INFINITY), y, y + vlog(far))); \
  }
PERI__SPECIAL(v2)
PERI__SPECIAL(v3)
PERI__SPECIAL(v4)
#undef PERI__SPECIAL
#define vndtr(x) PERI__OWN(vndtr, x)(x)
#define vlog_ndtr(x) PERI__OWN(vlog_ndtr, x)(x)
#define vhazard(x) PERI__OWN(vhazard, x)(x)
#define vquantile(q, small) PERI__OWN(vquantile, q)(q, small)
#define vdigamma(x) PERI__OWN(vdigamma, x)(x)
#define vi0e(x) PERI__OWN(vi0e, x)(x)
#define vi1e(x) PERI__OWN(vi1e, x)(x)
#define vlog_i0(x) PERI__OWN(vlog_i0, x)(x)

#endif
