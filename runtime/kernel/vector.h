/* Vectors of real for each level, and the functions that formulas in PERI_MAP are written with:
   vexp vlog vtanh ... (SLEEF, at most 1 ulp, or vmath.h), vsqrt vabs vmax vmin vselect vfloor vround vmask. */
#ifndef PERI_VECTOR_H
#define PERI_VECTOR_H

#include <immintrin.h>
#include <math.h>

#include "kernel/dispatch.h"
#include "perigee/tensor.h"

#ifdef PERI_DOUBLE
typedef __m128d real_v2;
typedef __m256d real_v3;
typedef __m512d real_v4;
typedef int64_t peri__lane;
#define PERI__SLEEF_v2(f) Sleef_##f##d2_u10sse4
#define PERI__SLEEF_v3(f) Sleef_##f##d4_u10avx2
#define PERI__SLEEF_v4(f) Sleef_##f##d8_u10avx512f
#define PERI__INTRINSIC(f) f##_pd
#else
typedef __m128 real_v2;
typedef __m256 real_v3;
typedef __m512 real_v4;
typedef int32_t peri__lane;
#define PERI__SLEEF_v2(f) Sleef_##f##f4_u10sse4
#define PERI__SLEEF_v3(f) Sleef_##f##f8_u10avx2
#define PERI__SLEEF_v4(f) Sleef_##f##f16_u10avx512f
#define PERI__INTRINSIC(f) f##_ps
#endif

/* Lanes of 0 or -1, as comparisons give them. */
typedef peri__lane mask_v2 __attribute__((vector_size(16)));
typedef peri__lane mask_v3 __attribute__((vector_size(32)));
typedef peri__lane mask_v4 __attribute__((vector_size(64)));

/* sleef.h shows these only to files compiled for the level as a whole. */
#define PERI__DECLARE(L) \
  real_##L PERI__SLEEF_##L(exp)(real_##L); \
  real_##L PERI__SLEEF_##L(expm1)(real_##L); \
  real_##L PERI__SLEEF_##L(log)(real_##L); \
  real_##L PERI__SLEEF_##L(log1p)(real_##L); \
  real_##L PERI__SLEEF_##L(sin)(real_##L); \
  real_##L PERI__SLEEF_##L(cos)(real_##L); \
  real_##L PERI__SLEEF_##L(tanh)(real_##L); \
  real_##L PERI__SLEEF_##L(erf)(real_##L); \
  real_##L PERI__SLEEF_##L(log2)(real_##L); \
  real_##L PERI__SLEEF_##L(tan)(real_##L); \
  real_##L PERI__SLEEF_##L(asin)(real_##L); \
  real_##L PERI__SLEEF_##L(acos)(real_##L); \
  real_##L PERI__SLEEF_##L(atan)(real_##L); \
  real_##L PERI__SLEEF_##L(sinh)(real_##L); \
  real_##L PERI__SLEEF_##L(cosh)(real_##L); \
  real_##L PERI__SLEEF_##L(asinh)(real_##L); \
  real_##L PERI__SLEEF_##L(acosh)(real_##L); \
  real_##L PERI__SLEEF_##L(atanh)(real_##L); \
  real_##L PERI__SLEEF_##L(lgamma)(real_##L); \
  real_##L PERI__SLEEF_##L(atan2)(real_##L, real_##L); \
  real_##L PERI__SLEEF_##L(pow)(real_##L, real_##L);
PERI__DECLARE(v2)
PERI__DECLARE(v3)
PERI__DECLARE(v4)
#undef PERI__DECLARE

#define PERI__INLINE(L) PERI__TARGET_##L static inline __attribute__((always_inline, unused))

#define PERI__DEFINE(L, prefix, round_to) \
  PERI__INLINE(L) real_##L vselect_##L (mask_##L m, real_##L a, real_##L b) { \
    return (real_##L) ((m & (mask_##L) a) | (~m & (mask_##L) b)); \
  } \
  PERI__INLINE(L) real_##L vabs_##L (real_##L x) { \
    return vselect_##L(x < 0, -x, x + (peri_real) 0); \
  } \
  PERI__INLINE(L) real_##L vmax_##L (real_##L x, real_##L y) { \
    return vselect_##L((x >= y) | (x != x), x, y); \
  } \
  PERI__INLINE(L) real_##L vmin_##L (real_##L x, real_##L y) { \
    return vselect_##L((x <= y) | (x != x), x, y); \
  } \
  /* x within [low, high]; NaN stays, since the instruction gives its second operand then */ \
  PERI__INLINE(L) real_##L vlimit_##L (real_##L x, peri_real low, peri_real high) { \
    x = PERI__INTRINSIC(prefix##_max)((real_##L) {0} + low, x); \
    return PERI__INTRINSIC(prefix##_min)((real_##L) {0} + high, x); \
  } \
  PERI__INLINE(L) real_##L vsqrt_##L (real_##L x) { return PERI__INTRINSIC(prefix##_sqrt)(x); } \
  PERI__INLINE(L) real_##L vfloor_##L (real_##L x) { \
    return PERI__INTRINSIC(prefix##_##round_to)(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); \
  } \
  PERI__INLINE(L) real_##L vround_##L (real_##L x) { \
    return PERI__INTRINSIC(prefix##_##round_to)(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); \
  }
PERI__DEFINE(v2, _mm, round)
PERI__DEFINE(v3, _mm256, round)
PERI__DEFINE(v4, _mm512, roundscale)
#undef PERI__DEFINE

/* The function for the level of vector x. */
#define PERI__BY_LEVEL(x, v2, v3, v4) _Generic((x), real_v2: v2, real_v3: v3, real_v4: v4)
#define PERI__OWN(f, x) PERI__BY_LEVEL(x, f##_v2, f##_v3, f##_v4)
#define PERI__LIBRARY(f, x) \
  PERI__BY_LEVEL(x, PERI__SLEEF_v2(f), PERI__SLEEF_v3(f), PERI__SLEEF_v4(f))

#define vexp(x) PERI__LIBRARY(exp, x)(x)
#define vexpm1(x) PERI__LIBRARY(expm1, x)(x)
#define vlog(x) PERI__LIBRARY(log, x)(x)
#define vlog1p(x) PERI__LIBRARY(log1p, x)(x)
#define vsin(x) PERI__LIBRARY(sin, x)(x)
#define vcos(x) PERI__LIBRARY(cos, x)(x)
#define vtanh(x) PERI__LIBRARY(tanh, x)(x)
#define verf(x) PERI__LIBRARY(erf, x)(x)
#define vlog2(x) PERI__LIBRARY(log2, x)(x)
#define vtan(x) PERI__LIBRARY(tan, x)(x)
#define vasin(x) PERI__LIBRARY(asin, x)(x)
#define vacos(x) PERI__LIBRARY(acos, x)(x)
#define vatan(x) PERI__LIBRARY(atan, x)(x)
#define vsinh(x) PERI__LIBRARY(sinh, x)(x)
#define vcosh(x) PERI__LIBRARY(cosh, x)(x)
#define vasinh(x) PERI__LIBRARY(asinh, x)(x)
#define vacosh(x) PERI__LIBRARY(acosh, x)(x)
#define vatanh(x) PERI__LIBRARY(atanh, x)(x)
#define vlgamma(x) PERI__LIBRARY(lgamma, x)(x)
#define vatan2(y, x) PERI__LIBRARY(atan2, x)(y, x)
#define vpow(x, y) PERI__LIBRARY(pow, x)(x, y)
#define vsqrt(x) PERI__OWN(vsqrt, x)(x)
#define vabs(x) PERI__OWN(vabs, x)(x)
#define vfloor(x) PERI__OWN(vfloor, x)(x)
#define vround(x) PERI__OWN(vround, x)(x)
#define vmax(x, y) PERI__OWN(vmax, x)(x, y)
#define vmin(x, y) PERI__OWN(vmin, x)(x, y)
/* a where the comparison m holds, else b; b must be a vector */
#define vselect(m, a, b) PERI__OWN(vselect, b)(m, a, b)
/* 1 where the comparison m holds, else 0; for formulas, which know one and zero */
#define vmask(m) vselect(m, one, zero)

#include "kernel/vmath.h"

#endif
