/* Convolution of packed channels-last arrays, as three products of one form
     sum over n, o, k, i, c of  x[n, o stride + k dilation - low, i] w[k, i, c] y[n, o, c]:
   each task computes one of x, w, y from the other two. */
#ifndef PERI_CONVOLUTION_H
#define PERI_CONVOLUTION_H

#include "perigee/tensor.h"

typedef enum {
  PERI__CONV_OUTPUT,            /* y (batch, y.., out) from x and w, plus a bias of `out` numbers */
  PERI__CONV_INPUT,             /* x (batch, x.., in) from y and w, plus a bias of `in` numbers */
  PERI__CONV_WEIGHT             /* w (k.., in/groups, out) from x and y */
} peri__conv_task;

/* Three spatial axes, of which the first ones may be there for the form only (sizes 1).  Positions
   of x that lie outside it count as 0. */
typedef struct {
  int64_t axes;                 /* that are there for more than the form: the last ones */
  int64_t batch, in, out, groups;
  int64_t x[3], y[3], k[3], stride[3], dilation[3], low[3];
} peri__conv;

/* How many positions a filter spans along an axis. */
static inline int64_t peri__conv_reach (const peri__conv *c, int axis) {
  return (c->k[axis] - 1) * c->dilation[axis] + 1;
}

/* All sizes at least 1; `bias` may be NULL.  Runs on the threads there are, with a result that does
   not depend on their number.  False with a failure named `op`. */
bool peri__convolve (const char *op, peri__conv_task task, const peri__conv *c, peri_real *x,
                     peri_real *w, peri_real *y, const peri_real *bias);

/* For tests: from now on compute without oneDNN. */
void peri__conv_portable_only (bool only);

#endif
