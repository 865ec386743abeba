/* Images and their like, (batch, 1 to 3 spatial axes.., channels): windows over their axes, and
   matrices applied to one axis after the other. */
#ifndef PERI_SPATIAL_H
#define PERI_SPATIAL_H

#include "kernel/taps.h"
#include "op/op.h"

enum { PERI__SPATIAL = 3 };

/* What windows cover: window o of axis a is start + k step for k < size, clipped to 0..n-1; an
   adaptive one is floor(o n / m) .. ceil((o + 1) n / m). */
typedef struct {
  int axes;
  bool adaptive;
  int64_t n[PERI__SPATIAL], m[PERI__SPATIAL];          /* sizes of x and of the result */
  int64_t size[PERI__SPATIAL], stride[PERI__SPATIAL], step[PERI__SPATIAL], low[PERI__SPATIAL];
} peri__windows;

/* Number of spatial axes of x; 0 with a failure naming op. */
int peri__spatial_axes (const char *op, peri_dims x);
/* The pooling windows of call c on an image of that shape; every one covers something. */
bool peri__pool_windows (const peri_call *c, peri_dims x, peri__windows *w);
/* The same with as many windows as sizes say. */
bool peri__adaptive_windows (const char *op, peri_dims x, peri_dims sizes, peri__windows *w);
/* Entries first, first + step, .. , before last that window o of an axis covers. */
void peri__window_range (const peri__windows *w, int axis, int64_t o, int64_t *first, int64_t *last);

/* Fill the taps of one axis: sums of m from n entries. */
typedef bool peri__tapping (const void *arg, int axis, int64_t n, int64_t m, peri__taps *t);
/* x with a matrix applied to each spatial axis, from sizes n to m, or, adjoint, its transpose: then x
   has the sizes m and the result n. */
peri_tensor *peri__along_axes (peri_tensor *x, int axes, const int64_t *n, const int64_t *m,
                               bool adjoint, peri__tapping *tapping, const void *arg);
peri__tapping peri__average_taps;                      /* arg: the peri__windows */

#endif
