/* What every fused update shares: lists that are checked, packed, cut into chunks and run. */
#ifndef PERI_UPDATE_H
#define PERI_UPDATE_H

#include "perigee/fused.h"

/* Square root of a real. */
#ifdef PERI_DOUBLE
#define peri__root sqrt
#else
#define peri__root sqrtf
#endif

enum { PERI__NSTATES = 4, PERI__UPDATE_CHUNK = 16384 };

/* n elements of one parameter: written p and s, read g.  A list that was not given is NULL.  rate
   is the parameter's factor of lr, decay its weight decay. */
typedef struct {
  int64_t n;
  double rate, decay;
  peri_real *p, *s[PERI__NSTATES];
  const peri_real *g;
} peri__span;

typedef struct {
  const char *name;                                   /* of the call, for messages */
  int n;
  const char *plabel, *glabel, *slabel[PERI__NSTATES];   /* one entry of each list, for messages */
  peri_tensor *const *p, *const *g, *const *s[PERI__NSTATES];
  const double *rates, *decays;         /* for each parameter, or NULL: 1, and `decay` for all */
  double decay;
  void (*loop) (const void *numbers, const peri__span *span);
  const void *numbers;
} peri__update;

/* Run the loop over all elements of all parameters.  On failure nothing is changed. */
peri_status peri__update_run (const peri__update *u);

/* 0, or a failure that names the option unless low <= value <= high (open at `high` when asked). */
peri_status peri__check_option (const char *name, const char *option, double value, double low,
                                double high, bool open);

#endif
