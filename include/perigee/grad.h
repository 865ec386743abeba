/* Derivatives of any order.  A derivative is computed by operations, so with
   PERI_CREATE_GRAPH it can itself be differentiated. */
#ifndef PERIGEE_GRAD_H
#define PERIGEE_GRAD_H

#include "tensor.h"

/* Make x a leaf (or, with false, forget what it was computed by).  Only real tensors. */
peri_status peri_require_grad (peri_tensor *x, bool on);
bool peri_requires_grad (const peri_tensor *x);

/* Turn recording on or off for this thread; returns what it was. */
bool peri_set_recording (bool on);

enum { PERI_KEEP_GRAPH = 1, PERI_CREATE_GRAPH = 2 };

/* dx[i] = seed . dy/dx[i], each of x[i]'s shape, borrowed from the current scope; zeros where y
   does not depend on x[i].  seed has y's shape; NULL means 1 and wants a y of one element.  Without
   a flag the graph is consumed on the way.  On failure dx is all NULL and the graph is unharmed,
   except that nodes already walked without a flag stay consumed. */
peri_status peri_grad (peri_tensor *y, peri_tensor *seed, int n, peri_tensor *const *x,
                       int flags, peri_tensor **dx);

/* A place in a script, noted by every node made from now on and named by errors in backward.
   The text must outlive the graph. */
void peri_set_place (const char *source, int line);

#endif
