/* What the CPU can do, and which level of kernels that means. */

#include "cpu.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perigee/tensor.h"

static const char *const levels[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4"};
static int level;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void detect (void) {
  const char *wish = getenv("PERIGEE_CPU");
  __builtin_cpu_init();
  level = __builtin_cpu_supports("x86-64-v4") ? 2 : __builtin_cpu_supports("x86-64-v3") ? 1 : 0;
  for (int i = 0; wish && i < level; i++)
    if (strcmp(wish, levels[i]) == 0) level = i;
}

int peri__cpu_level (void) {
  pthread_once(&once, detect);
  return level;
}

const char *peri_cpu_level (void) {
  return levels[peri__cpu_level()];
}

const char *peri_cpu_name (void) {
  static _Thread_local char name[128];
  if (name[0]) return name;
  snprintf(name, sizeof name, "unknown CPU");
  FILE *f = fopen("/proc/cpuinfo", "r");
  char line[256];
  while (f && fgets(line, sizeof line, f)) {
    char *colon = strchr(line, ':');
    if (colon && strncmp(line, "model name", 10) == 0) {
      colon[strcspn(colon, "\n")] = 0;
      snprintf(name, sizeof name, "%s", colon + 2);
      break;
    }
  }
  if (f) fclose(f);
  return name;
}
