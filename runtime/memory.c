/* The caching allocator.  Freed blocks wait in a list of their size class for the next request, so
   a training loop settles on one set of blocks.  Per thread, hence without locks; a block may be
   freed by another thread than the one that took it.  No tensors in here. */

#include "memory.h"

#include <stdlib.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define CACHING 0               /* let the sanitizer see every block die */
#else
#define CACHING 1
#endif

/* Four classes to each power of two: at most a quarter of a block is unused. */
enum { NCLASSES = 4 * 42, MINSHIFT = 6 };
#define CACHE_LIMIT ((size_t) 1 << 30)

typedef struct block { struct block *next; } block;

static _Thread_local struct {
  block *list[NCLASSES];
  peri_memory now;
  int64_t fail_in;
} heap;

static int class_of (size_t size, size_t *rounded) {
  if (size <= (size_t) 1 << MINSHIFT) {
    *rounded = (size_t) 1 << MINSHIFT;
    return 0;
  }
  int shift = 63 - __builtin_clzll(size - 1);         /* 2^shift < size <= 2^(shift + 1) */
  size_t step = (size_t) 1 << (shift - 2);
  size_t quarter = (size - 1 - ((size_t) 1 << shift)) / step;
  *rounded = ((size_t) 1 << shift) + (quarter + 1) * step;
  return 4 * (shift - MINSHIFT) + (int) quarter + 1;
}

/* Large blocks lie on huge pages where the system has them: reading 64 MB then takes two thirds of
   the time. */
static void *new_block (size_t rounded) {
  const size_t huge = (size_t) 1 << 21;
  if (rounded < huge) return aligned_alloc(64, (rounded + 63) & ~(size_t) 63);
  void *p = aligned_alloc(huge, (rounded + huge - 1) & ~(huge - 1));
  if (p) madvise(p, rounded, MADV_HUGEPAGE);
  return p;
}

void *peri__alloc (size_t size) {
  size_t rounded;
  int c;
  if (size > (size_t) 1 << 46) return peri_null(PERI_E_MEMORY, "out of memory: %zu bytes", size);
  c = class_of(size, &rounded);
  if (heap.fail_in > 0 && --heap.fail_in == 0)
    return peri_null(PERI_E_MEMORY, "out of memory: %zu bytes (test hook)", size);
  if (CACHING && heap.list[c]) {
    block *b = heap.list[c];
    heap.list[c] = b->next;
    heap.now.cached -= rounded;
    return b;
  }
  void *p = new_block(rounded);
  if (!p) {
    peri_memory_trim();
    p = new_block(rounded);
  }
  return p ? p : peri_null(PERI_E_MEMORY, "out of memory: %zu bytes", size);
}

void peri__free (void *p, size_t size) {
  size_t rounded;
  int c = class_of(size, &rounded);
  if (!CACHING || heap.now.cached + rounded > CACHE_LIMIT) {
    free(p);
    return;
  }
  block *b = p;
  b->next = heap.list[c];
  heap.list[c] = b;
  heap.now.cached += rounded;
}

void peri_memory_trim (void) {
  for (int c = 0; c < NCLASSES; c++) {
    while (heap.list[c]) {
      block *b = heap.list[c];
      heap.list[c] = b->next;
      free(b);
    }
  }
  heap.now.cached = 0;
}

void peri__count_bytes (ptrdiff_t bytes) {
  heap.now.live = (size_t) ((ptrdiff_t) heap.now.live + bytes);
  if (heap.now.live > heap.now.peak) heap.now.peak = heap.now.live;
}

void peri__count_object (int n) {
  heap.now.objects += n;
}

peri_memory peri_memory_now (void) {
  return heap.now;
}

void peri_fail_allocation (int64_t n) {
  heap.fail_in = n;
}
