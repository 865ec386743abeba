/* Copies between strided arrays, in tiles that stay in the first-level cache. */
#ifndef PERI_COPY_H
#define PERI_COPY_H

#include <stddef.h>
#include <stdint.h>

/* to[i] = from[i] for every index i of a shape of at most PERI_MAXDIM axes.  Strides count elements of
   `size` bytes (1, 4 or 8); those of `to` are not 0 and may be negative, those of `from` may be
   anything.  The arrays do not overlap. */
void peri__copy (int ndim, const int64_t *shape, void *to, const int64_t *to_stride,
                 const void *from, const int64_t *from_stride, size_t size);

#endif
