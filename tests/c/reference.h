/* What some rows compute, by plain loops in double that share nothing with the runtime. */
#ifndef PERIGEE_REFERENCE_H
#define PERIGEE_REFERENCE_H

#include "harness.h"

/* conv, conv_transpose or conv_weight of a case that ran, whose result has the shape of y: as many
   numbers as y has, which the caller frees. */
double *reference_conv (const test_case *c, const peri_tensor *y);

/* |got - want| / max(1e-30, |want|) in the Euclidean norm */
double relative_error (const peri_tensor *got, const double *want);

#endif
