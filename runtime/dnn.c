/* Loading oneDNN.  It runs on OpenMP, whose threads would be neither ours nor independent of their
   number, so every thread that calls it is first told to use itself alone. */

#include "dnn.h"

#include <dlfcn.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *library;
static void (*set_threads) (int);
static char name[128] = "not loaded";
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The name tells which kernels run. */
static const char *isa_name (dnnl_cpu_isa_t isa) {
  switch ((int) isa) {
    case dnnl_cpu_isa_sse41: return "sse41";
    case dnnl_cpu_isa_avx: return "avx";
    case dnnl_cpu_isa_avx2: return "avx2";
    case dnnl_cpu_isa_avx2_vnni: return "avx2_vnni";
    default: return isa >= dnnl_cpu_isa_avx512_core ? "avx512_core" : "baseline";
  }
}

static void load (void) {
  const char *wish = getenv("PERIGEE_ONEDNN");
  if (wish && strcmp(wish, "off") == 0) {
    snprintf(name, sizeof name, "off, as PERIGEE_ONEDNN says");
    return;
  }
  library = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(name, sizeof name, "missing: %s", dlerror());
    return;
  }
  const dnnl_version_t *(*version) (void);
  dnnl_cpu_isa_t (*isa) (void);
  *(void **) &version = dlsym(library, "dnnl_version");
  *(void **) &isa = dlsym(library, "dnnl_get_effective_cpu_isa");
  *(void **) &set_threads = dlsym(library, "omp_set_num_threads");
  if (!version || !isa || !set_threads) {
    snprintf(name, sizeof name, "missing: libdnnl.so.2 is not an OpenMP build of oneDNN 2");
    library = NULL;
    return;
  }
  snprintf(name, sizeof name, "oneDNN %d.%d.%d (%s)", version()->major, version()->minor,
           version()->patch, isa_name(isa()));
}

bool peri__dnn_ready (void) {
  static _Thread_local bool alone;
  pthread_once(&once, load);
  if (library && !alone) {
    set_threads(1);
    alone = true;
  }
  return library != NULL;
}

void *peri__dnn_find (const char *function) {
  return peri__dnn_ready() ? dlsym(library, function) : NULL;
}

const char *peri__dnn_name (void) {
  pthread_once(&once, load);
  return name;
}
