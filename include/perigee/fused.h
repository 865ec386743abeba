/* Updates in place, each one pass over memory: optimizers, moving averages, the gradients' norm.
   Nothing here is differentiable.  Every call takes whole lists and checks them before it writes,
   so on failure nothing is changed.  What it writes must be real, packed leaves that share no
   storage; their versions are bumped, so a graph that saved one refuses to run.  Gradients may be
   strided. */
#ifndef PERIGEE_FUSED_H
#define PERIGEE_FUSED_H

#include "tensor.h"

/* In all of them `scale` multiplies the gradients on the way in: clipping without a pass.  rates,
   unless NULL, holds a factor of lr for each parameter, and decays what stands for decay there. */
typedef struct {
  double lr, beta1, beta2, eps;
  double decay;         /* decoupled weight decay: p (1 - lr decay) before the step */
  double scale;
  const double *rates, *decays;
  bool eps_hat;         /* eps is added to sqrt(v) before its bias is corrected */
} peri_adam;

typedef struct {
  double lr, momentum;
  double decay;         /* g + decay p: the gradient of decay/2 |p|^2 */
  double scale;
  const double *rates, *decays;
  bool nesterov;
} peri_sgd;

typedef struct {
  double lr, rho, eps, momentum, scale;
  double decay;         /* as for peri_sgd */
  const double *rates, *decays;
  bool eps_inside;      /* sqrt(v + eps) instead of sqrt(v) + eps */
} peri_rmsprop;

/* For Adagrad, Adadelta (rho), Adamax and Lion (beta1, beta2); each reads its own. */
typedef struct {
  double lr, rho, beta1, beta2, eps, scale;
  double decay;         /* as for peri_sgd; for Lion as for peri_adam */
  const double *rates, *decays;
} peri_adaptive;

/* m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
   p = p - lr m^ / (sqrt(v^) + eps),  m^ = m / (1 - beta1^t),  v^ = v / (1 - beta2^t),  t = 1, ...
   Kingma & Ba 2015, Algorithm 1.  With eps_hat the form at the end of their section 2:
   p - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps).
   decay: Loshchilov & Hutter 2019, Algorithm 2.
   Given `top` (else NULL) the largest v so far divides in place of v: AMSGrad, Reddi et al. 2018,
   Algorithm 2, with v^ = top / (1 - beta2^t).
   Given `last` (else NULL), which keeps the step d = lr m^ / (sqrt(v^) + eps) before: p - 2 d + last.
   Daskalakis et al. 2018, Algorithm 1 (optimistic Adam). */
peri_status peri_adam_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                            peri_tensor *const *m, peri_tensor *const *v,
                            peri_tensor *const *top, peri_tensor *const *last,
                            const peri_adam *options, int64_t t);

/* u = momentum u + g;  p = p - lr u, or with nesterov p - lr (g + momentum u).
   Sutskever et al. 2013, in the form that keeps p where the gradient was taken.
   u may be NULL when momentum is 0. */
peri_status peri_sgd_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                           peri_tensor *const *u, const peri_sgd *options);

/* v = rho v + (1 - rho) g^2;  d = g / (sqrt(v) + eps);  p = p - lr d.
   Tieleman & Hinton 2012, lecture 6.5.  Given `mean` (else NULL) it is centered, as in Graves 2013,
   eq. 38-45: mean = rho mean + (1 - rho) g, and v - mean^2 stands for v.  Given u (else NULL):
   u = momentum u + d and p - lr u. */
peri_status peri_rmsprop_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                               peri_tensor *const *v, peri_tensor *const *mean,
                               peri_tensor *const *u, const peri_rmsprop *options);

/* v = v + g^2;  p = p - lr g / (sqrt(v) + eps).  Duchi et al. 2011, diagonal form (sec. 1.3). */
peri_status peri_adagrad_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                               peri_tensor *const *v, const peri_adaptive *options);

/* v = rho v + (1 - rho) g^2;  d = sqrt(x + eps) / sqrt(v + eps) g;  x = rho x + (1 - rho) d^2;
   p = p - lr d.  Zeiler 2012, Algorithm 1, where lr is 1. */
peri_status peri_adadelta_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                                peri_tensor *const *v, peri_tensor *const *x,
                                const peri_adaptive *options);

/* m = beta1 m + (1 - beta1) g;  u = max(beta2 u, |g|);  p = p - lr / (1 - beta1^t) m / (u + eps).
   Kingma & Ba 2015, Algorithm 2; eps, which they lack, keeps 0 / 0 away. */
peri_status peri_adamax_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                              peri_tensor *const *m, peri_tensor *const *u,
                              const peri_adaptive *options, int64_t t);

/* p = (1 - lr decay) p - lr sign(beta1 m + (1 - beta1) g);  m = beta2 m + (1 - beta2) g.
   Chen et al. 2023, Algorithm 2. */
peri_status peri_lion_step (int n, peri_tensor *const *p, peri_tensor *const *g,
                            peri_tensor *const *m, const peri_adaptive *options);

/* x = x + factor y: sums of gradients. */
peri_status peri_accumulate (int n, peri_tensor *const *x, peri_tensor *const *y, double factor);

/* a = a + (1 - decay) (x - a), decay in [0, 1]. */
peri_status peri_ema_update (int n, peri_tensor *const *a, peri_tensor *const *x, double decay);

/* x and y exchange their contents. */
peri_status peri_swap (int n, peri_tensor *const *x, peri_tensor *const *y);

/* The Euclidean norm of all elements of all tensors, accumulated in double in a fixed order. */
peri_status peri_global_norm (int n, peri_tensor *const *x, double *norm);

#endif
