/* Convolution by oneDNN in float32: its primitives, made once for a shape and kept. */
#ifndef PERI_DNNCONV_H
#define PERI_DNNCONV_H

#include "convolution/convolution.h"

typedef struct peri__dnnconv peri__dnnconv;

/* A primitive for this task and these sizes, the caller's until it is released; NULL where oneDNN
   has none or only a slow one.  Made as for a bias when `bias` is true (PERI__CONV_OUTPUT only). */
peri__dnnconv *peri__dnnconv_find (peri__conv_task task, const peri__conv *c, bool bias);
void peri__dnnconv_release (peri__dnnconv *p);

/* Bytes of scratch and of the weights in the primitive's own layout. */
size_t peri__dnnconv_scratch (const peri__dnnconv *p);
size_t peri__dnnconv_weights (const peri__dnnconv *p);
bool peri__dnnconv_same_weights (const peri__dnnconv *p, const peri__dnnconv *q);

/* Weights into the primitive's own layout, or back out of it. */
bool peri__dnnconv_reorder (peri__dnnconv *p, bool back, peri_real *plain, peri_real *own);

/* Run it on the calling thread; w lies in the primitive's own layout.  False when oneDNN fails. */
bool peri__dnnconv_run (peri__dnnconv *p, peri_real *x, peri_real *w, peri_real *y,
                        const peri_real *bias, void *scratch);
/* The kernel it runs, as oneDNN names it. */
const char *peri__dnnconv_kernel (const peri__dnnconv *p);

#endif
