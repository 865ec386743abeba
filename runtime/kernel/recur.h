/* Recurrence over a sequence: the steps of an LSTM and of a GRU and their derivatives, one GEMM and
   one pass over the gates at each.  Arrays are packed; no tensors are made here. */
#ifndef PERI_RECUR_H
#define PERI_RECUR_H

#include "perigee/tensor.h"

typedef struct { int64_t batch, time, in, hidden; } peri__sizes;

/* Pre-activations of all steps, x wx + b: x (rows, in), wx (in, out).  Rows are cut
   into pieces. */
bool peri__project (int64_t rows, int64_t in, int64_t out, const peri_real *x, const peri_real *wx,
                    const peri_real *b, peri_real *y);

/* a (batch, time, 4 hidden): pre-activations without wh, replaced by the gates i, f, g, o.  h0, c0
   (batch, hidden), wh (hidden, 4 hidden); h and c (batch, time, hidden) are written. */
bool peri__lstm_steps (const peri__sizes *s, const peri_real *h0, const peri_real *c0,
                       const peri_real *wh, peri_real *a, peri_real *h, peri_real *c);

/* From the gates, c and the gradients gh and gc of the states, the gradient da of the
   pre-activations and those of the first states. */
bool peri__lstm_back (const peri__sizes *s, const peri_real *c0, const peri_real *wh,
                      const peri_real *gates, const peri_real *c, const peri_real *gh,
                      const peri_real *gc, peri_real *da, peri_real *dh0, peri_real *dc0);

/* a (batch, time, 3 hidden): pre-activations x wx + b, replaced by the gates r, z, n; m (batch,
   time, hidden) gets the part of h wh + bh that r multiplies. */
bool peri__gru_steps (const peri__sizes *s, const peri_real *h0, const peri_real *wh,
                      const peri_real *bh, peri_real *a, peri_real *m, peri_real *h);

/* dx: the gradient of x wx + b; dp: that of h wh + bh, both (batch, time, 3 hidden). */
bool peri__gru_back (const peri__sizes *s, const peri_real *h0, const peri_real *wh,
                     const peri_real *gates, const peri_real *m, const peri_real *h,
                     const peri_real *g, peri_real *dx, peri_real *dp, peri_real *dh0);

#endif
