/* Work split into chunks.  What a chunk covers depends on shapes only, never on the number of
   threads. */
#ifndef PERI_PARALLEL_H
#define PERI_PARALLEL_H

#include <stdint.h>

/* Run f(arg, 0) .. f(arg, chunks - 1), each exactly once, in any order, on the threads there
   are. */
void peri__parallel (int64_t chunks, void (*f) (void *arg, int64_t chunk), void *arg);

#endif
