/* Elementary functions of float32 vectors, inlined into formulas, where a call of the library costs
   more than the memory traffic of what it computes.  At most 2 units in the last place; double
   stays with the library.  Included by vector.h alone. */
#ifndef PERI_VMATH_H
#define PERI_VMATH_H

#include "kernel/polynomials.h"

/* c[0] + c[1] x + ..., even and odd powers apart: half the latency of one chain. */
#define PERI__POLYNOMIAL(L) \
  PERI__INLINE(L) real_##L vpoly_##L (real_##L x, const peri_real *c, int n) { \
    real_##L s = x * x, even = (real_##L) {0} + c[(n - 1) & ~1], odd = (real_##L) {0} + c[(n - 2) | 1]; \
    _Pragma("GCC unroll 16") \
    for (int i = ((n - 1) & ~1) - 2; i >= 0; i -= 2) even = even * s + c[i]; \
    _Pragma("GCC unroll 16") \
    for (int i = ((n - 2) | 1) - 2; i >= 1; i -= 2) odd = odd * s + c[i]; \
    return even + x * odd; \
  }
PERI__POLYNOMIAL(v2)
PERI__POLYNOMIAL(v3)
PERI__POLYNOMIAL(v4)
#undef PERI__POLYNOMIAL
#define vpoly(x, table) \
  PERI__OWN(vpoly, x)(x, table, (int) (sizeof table / sizeof table[0]))

#ifndef PERI_DOUBLE

/* log(2) in two parts; the first has nine bits, so small multiples of it are exact. */
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f

#define PERI__EXPONENTIAL(L) \
  /* x = k log 2 + r; 2^k in two factors, so that denormal results are rounded once */ \
  PERI__INLINE(L) real_##L vexp_own_##L (real_##L x) { \
    x = vlimit_##L(x, -104, 89); \
    real_##L n = vround(x * 1.44269504088896340736f), r = x - n * LN2_HIGH - n * LN2_LOW; \
    mask_##L k = __builtin_convertvector(n, mask_##L), h = k >> 1; \
    real_##L y = 1 + (r + r * r * vpoly(r, EXP)); \
    return y * (real_##L) ((h + 127) << 23) * (real_##L) ((k - h + 127) << 23); \
  } \
  PERI__INLINE(L) real_##L vexpm1_own_##L (real_##L x) { \
    real_##L y = vlimit_##L(x, -20, 89), n = vround(y * 1.44269504088896340736f); \
    real_##L r = y - n * LN2_HIGH - n * LN2_LOW, q = r + r * r * vpoly(r, EXP); \
    mask_##L k = __builtin_convertvector(n, mask_##L); \
    real_##L half = (real_##L) ((k + 126) << 23); \
    return vselect(n == 0, q, 2 * (half * q + (half - 0.5f))); \
  } \
  /* log(2^k (1 + f)) for 1 + f between sqrt(1/2) and sqrt(2) */ \
  PERI__INLINE(L) real_##L vlog_sum_##L (real_##L k, real_##L f) { \
    real_##L s = f * f; \
    return k * LN2_HIGH + (f + (k * LN2_LOW + (s * f * vpoly(f, LOG) - 0.5f * s))); \
  } \
  PERI__INLINE(L) real_##L vlog_own_##L (real_##L x) { \
    real_##L zero = {0}, tiny = vselect(x < 0x1p-126f, x * 0x1p23f, x); \
    mask_##L i = ((mask_##L) tiny & 0x7fffffff) - 0x3f3504f3, k = i >> 23; \
    real_##L f = (real_##L) ((i & 0x7fffff) + 0x3f3504f3) - 1; \
    real_##L e = __builtin_convertvector(k, real_##L) - vselect(x < 0x1p-126f, zero + 23, zero); \
    real_##L edge = vselect(x == 0, zero - INFINITY, vselect(x < 0, zero + NAN, x)); \
    return vselect((x > 0) & (x < INFINITY), vlog_sum_##L(e, f), edge); \
  } \
  /* the rounding of 1 + x is put back into f */ \
  PERI__INLINE(L) real_##L vlog1p_own_##L (real_##L x) { \
    real_##L zero = {0}, u = 1 + x, c = vselect(x > 1, 1 - (u - x), x - (u - 1)); \
    mask_##L i = (mask_##L) vlimit_##L(u, 0, INFINITY) - 0x3f3504f3, k = i >> 23; \
    real_##L f = (real_##L) ((i & 0x7fffff) + 0x3f3504f3) - 1; \
    f = f + 0.25f * c * (real_##L) ((129 - k) << 23); \
    real_##L y = vlog_sum_##L(__builtin_convertvector(k, real_##L), f); \
    real_##L edge = vselect(x == -1, zero - INFINITY, vselect(x < -1, zero + NAN, x)); \
    return vselect((x > -1) & (x < INFINITY) & (u != 1), y, edge); \
  }
PERI__EXPONENTIAL(v2)
PERI__EXPONENTIAL(v3)
PERI__EXPONENTIAL(v4)
#undef PERI__EXPONENTIAL

#define PERI__SIGMOIDAL(L) \
  PERI__INLINE(L) real_##L vtanh_own_##L (real_##L x) { \
    real_##L s = x * x, y = vlimit_##L(vabs(x), 0, 9.1f), e = vexp_own_##L(2 * y); \
    real_##L far = 1 - 2 / (e + 1); \
    return vselect(y < 0.625f, x + x * (s * vpoly(s, TANH)), vselect(x < 0, -far, far)); \
  } \
  PERI__INLINE(L) real_##L verf_own_##L (real_##L x) { \
    real_##L s = x * x, y = vlimit_##L(vabs(x), 0, 4); \
    real_##L far = 1 - vexp_own_##L(vpoly(y, LOG_ERFC)); \
    real_##L near = x + x * (0.12837916709551257390f + s * vpoly(s, ERF));  /* 2/sqrt(pi) - 1 */ \
    return vselect(y < 0.92f, near, vselect(x < 0, -far, far)); \
  }
PERI__SIGMOIDAL(v2)
PERI__SIGMOIDAL(v3)
PERI__SIGMOIDAL(v4)
#undef PERI__SIGMOIDAL

#undef vexp
#undef vexpm1
#undef vlog
#undef vlog1p
#undef vtanh
#undef verf
#define vexp(x) PERI__OWN(vexp_own, x)(x)
#define vexpm1(x) PERI__OWN(vexpm1_own, x)(x)
#define vlog(x) PERI__OWN(vlog_own, x)(x)
#define vlog1p(x) PERI__OWN(vlog1p_own, x)(x)
#define vtanh(x) PERI__OWN(vtanh_own, x)(x)
#define verf(x) PERI__OWN(verf_own, x)(x)

#endif

#endif
