/* Elementwise operations from a formula: broadcasting, strides, chunks and the three CPU levels. */
#ifndef PERI_MAP_H
#define PERI_MAP_H

#include <string.h>

#include "kernel/vector.h"
#include "node.h"

/* out[i] from in[0][i], in[1][i], ...; arg are the call's numbers. */
typedef void peri__loop (int64_t n, const peri_real *const *in, const double *arg, peri_real *out);

/* Run loop over the broadcast inputs of c into a new tensor of `type` (PERI_REAL or PERI_BYTE). */
peri_tensor *peri__map (const peri_call *c, peri__loop *loop, peri_dtype type);

#define PERI__LOAD1(V, size) V x = {0}; memcpy(&x, in[0] + i, size);
#define PERI__LOAD2(V, size) PERI__LOAD1(V, size) V y = {0}; memcpy(&y, in[1] + i, size);
#define PERI__LOAD3(V, size) PERI__LOAD2(V, size) V z = {0}; memcpy(&z, in[2] + i, size);

#define PERI__LOOP(L, name, nin, formula) \
  PERI__TARGET_##L static void name##_##L (int64_t n, const peri_real *const *in, \
                                           const double *arg, peri_real *out) { \
    typedef real_##L V; \
    const int64_t W = sizeof(V) / sizeof(peri_real); \
    const V zero = {0}, one = zero + 1, a = zero + (peri_real) arg[0], b = zero + (peri_real) arg[1]; \
    int64_t i = 0; \
    (void) one, (void) a, (void) b; \
    for (; i + 2 * W <= n; i += 2 * W) {    /* two at once: a formula is one chain of dependent steps */ \
      V first; \
      { \
        PERI__LOAD##nin(V, sizeof(V)) \
        first = (formula); \
      } \
      i += W; \
      PERI__LOAD##nin(V, sizeof(V)) \
      i -= W; \
      x = (formula); \
      memcpy(out + i, &first, sizeof first); \
      memcpy(out + i + W, &x, sizeof x); \
    } \
    for (; i + W <= n; i += W) { \
      PERI__LOAD##nin(V, sizeof(V)) \
      x = (formula); \
      memcpy(out + i, &x, sizeof x); \
    } \
    if (i < n) {                            /* the rest, padded, so that a value never depends on where it stands */ \
      size_t rest = (size_t) (n - i) * sizeof(peri_real); \
      PERI__LOAD##nin(V, rest) \
      x = (formula); \
      memcpy(out + i, &x, rest); \
    } \
  }

#define PERI__MAP_TO(type, name, nin, formula) \
  PERI__LOOP(v2, name, nin, formula) \
  PERI__LOOP(v3, name, nin, formula) \
  PERI__LOOP(v4, name, nin, formula) \
  peri_tensor *peri__##name##_forward (const peri_call *c) { \
    static peri__loop *const level[] = {name##_v2, name##_v3, name##_v4}; \
    return peri__map(c, level[peri__cpu_level()], type); \
  }

/* PERI_MAP(name, inputs, formula) defines peri__NAME_forward.  The formula sees its inputs as
   vectors x, y, z, the call's numbers as a and b, and one; constants are written K(0.5). */
#define PERI_MAP(name, nin, formula) PERI__MAP_TO(PERI_REAL, name, nin, formula)
/* The formula is 1 or 0; the result is a byte tensor. */
#define PERI_MAP_BYTE(name, nin, formula) PERI__MAP_TO(PERI_BYTE, name, nin, formula)
#define K(c) ((peri_real) (c))

#endif
