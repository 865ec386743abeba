/* Perigee: tensors with derivatives of any order, for deep generative models.

   LAYERS    experiments (Lua) > lua/perigee > bindings > runtime/op > runtime > runtime/kernel.
             Arrows point down only.  Kernels are loops over numbers; operations join a kernel and
             its derivative; the runtime knows tensors, graphs, threads and files, and no Lua.

   OWNERSHIP 1. A tensor returned by a call is borrowed from the innermost scope.
             2. peri_keep makes it yours, peri_drop gives it back; nothing else frees.
             3. A graph node owns what its row says the derivative reads, never its output's handle;
                peri_grad consumes the graph as it walks unless told to keep or create one.
             4. A Lua box owns exactly one keep.  A box whose scope closed is empty and says so.
             5. Kernels own nothing.

   ERRORS    No call prints, exits, aborts or jumps.  A call that makes a tensor returns NULL and
             records the first failure of the thread (peri_error, peri_message, peri_clear); given
             NULL it returns NULL, so a formula is written whole and checked once.  Every other call
             returns 0 or a negative peri_status.

   THREADS   A tensor belongs to the thread that made it.  Work inside one call is split into chunks
             that depend on shapes only, so results are the same to the last bit for any number of
             threads.

   NUMBERS   real is float32 (double in the library the tests link), index is int32 and counts from
             1, byte is uint8.  Layout is channels last.  Random numbers are an argument, never global. */
#ifndef PERIGEE_H
#define PERIGEE_H

#define PERIGEE_VERSION "0.1.0"

#include "grad.h"
#include "io.h"
#include "ops.h"
#include "random.h"
#include "tensor.h"

#endif
