/* Philox 4x32-10 streams (Salmon et al. 2011): counter based, so a draw is a function of
   (key, time, position) alone, whatever the number of threads and the order of calls. */
#ifndef PERIGEE_RANDOM_H
#define PERIGEE_RANDOM_H

#include "tensor.h"

/* A family of streams shares a clock.  A stream draws at (time of its clock, its position); when
   the clock moves, it starts again from position 0.  A training loop sets the clock to the step, so
   the randomness of step k needs nothing but k to be reproduced. */
typedef struct {
  uint64_t key;
  uint64_t position;        /* in blocks of four 32-bit words */
  uint64_t time;            /* the time that position belongs to */
  const uint64_t *clock;    /* NULL: the stream keeps its own time */
} peri_rng;

peri_rng peri_rng_seed (uint64_t seed, const uint64_t *clock);
peri_rng peri_rng_fork (const peri_rng *r, const char *name);  /* by name only; r is not advanced */
peri_rng peri_rng_at (const peri_rng *r, uint64_t time);        /* pinned to a time of its own */

uint64_t peri_rng_next (peri_rng *r);                           /* 64 random bits */

/* All borrowed from the current scope. */
peri_tensor *peri_rng_uniform (peri_rng *r, peri_dims shape);   /* [0, 1) */
peri_tensor *peri_rng_normal (peri_rng *r, peri_dims shape);    /* N(0, 1), Box-Muller */
peri_tensor *peri_rng_exponential (peri_rng *r, peri_dims shape);   /* rate 1, above 0 */
peri_tensor *peri_rng_gumbel (peri_rng *r, peri_dims shape);        /* location 0, scale 1 */
peri_tensor *peri_rng_bernoulli (peri_rng *r, peri_tensor *p);  /* real 0 or 1 with P(1) = p, p's shape */
peri_tensor *peri_rng_integers (peri_rng *r, peri_dims shape, int64_t low, int64_t high); /* index, inclusive */
peri_tensor *peri_rng_permutation (peri_rng *r, int64_t n);     /* index (n): 1..n shuffled */

/* One draw for each entry of the parameters, real unless said otherwise.  An entry that is no
   parameter of the family, NaN among them, is a failure.  The first n entries of a longer draw are
   the draw of its first n parameters. */
peri_tensor *peri_rng_gamma (peri_rng *r, peri_tensor *shape);       /* scale 1; at least 2^-126 */
/* the logarithm of a gamma draw, exact where the draw itself is 0 */
peri_tensor *peri_rng_log_gamma (peri_rng *r, peri_tensor *shape);
peri_tensor *peri_rng_poisson (peri_rng *r, peri_tensor *rate);
peri_tensor *peri_rng_binomial (peri_rng *r, peri_tensor *n, peri_tensor *p);
peri_tensor *peri_rng_von_mises (peri_rng *r, peri_tensor *kappa);   /* around 0, in [-pi, pi] */
/* index 1..K with P(k) in proportion to exp(logits[.., k]), of the shape without the last axis */
peri_tensor *peri_rng_categorical (peri_rng *r, peri_tensor *logits);

#endif
