/* oneDNN, loaded when first needed: matrix products and convolutions in float32.  It is never the
   only way: without it, or with PERIGEE_ONEDNN=off in the environment, OpenBLAS and the portable
   convolution serve, with other last bits. */
#ifndef PERI_DNN_H
#define PERI_DNN_H

#include <stdbool.h>

/* Is the library there?  Records no failure.  From the first call on, the calling thread computes
   oneDNN's work alone: Perigee's own chunks are what runs in parallel. */
bool peri__dnn_ready (void);
/* A function of the library by name; NULL when there is none. */
void *peri__dnn_find (const char *function);
/* "oneDNN 2.6.3 (avx512_core)", or why it is missing. */
const char *peri__dnn_name (void);

#endif
