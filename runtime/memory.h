/* Where every byte of the runtime comes from: a cache of freed blocks by size class, per thread. */
#ifndef PERI_MEMORY_H
#define PERI_MEMORY_H

#include "perigee/tensor.h"

/* At least `size` bytes aligned to 64, or NULL with a recorded failure. */
void *peri__alloc (size_t size);
void peri__free (void *p, size_t size);

/* Account for tensor bytes that come alive (or, negative, die) and for objects. */
void peri__count_bytes (ptrdiff_t bytes);
void peri__count_object (int n);

#endif
