/* How one loop becomes three: for x86-64-v2, v3 and v4, chosen at start by what the CPU has. */
#ifndef PERI_DISPATCH_H
#define PERI_DISPATCH_H

#include "cpu.h"

#define PERI__TARGET_v2 __attribute__((target("arch=x86-64-v2")))
#define PERI__TARGET_v3 __attribute__((target("arch=x86-64-v3")))
#define PERI__TARGET_v4 __attribute__((target("arch=x86-64-v4")))

/* Mark a loop body that PERI__DISPATCH compiles for each level. */
#define PERI__BODY static inline __attribute__((always_inline)) void

/* From `PERI__BODY name_body params` make `static void name params`, vectorised for the level in
   use. */
#define PERI__DISPATCH(name, params, args) \
  PERI__TARGET_v2 static void name##_v2 params { name##_body args; } \
  PERI__TARGET_v3 static void name##_v3 params { name##_body args; } \
  PERI__TARGET_v4 static void name##_v4 params { name##_body args; } \
  static void name params { \
    static void (*const level[3]) params = {name##_v2, name##_v3, name##_v4}; \
    level[peri__cpu_level()] args; \
  }

#endif
