/* The thread's record of its first failure, and how text gets into it. */

#include <stdarg.h>
#include <stdio.h>

#include "perigee/tensor.h"

static _Thread_local struct {
  peri_status code;
  char text[512];
} record;

peri_status peri_fail (peri_status code, const char *format, ...) {
  if (!record.code) {
    va_list ap;
    va_start(ap, format);
    vsnprintf(record.text, sizeof record.text, format, ap);
    va_end(ap);
    record.code = code;
  }
  return code;
}

peri_status peri_error (void) {
  return record.code;
}

const char *peri_message (void) {
  return record.code ? record.text : "";
}

void peri_clear (void) {
  record.code = PERI_OK;
}

const char *peri_status_word (peri_status code) {
  static const char *const word[] = {
    "ok",
#define PERI_STATUS(name, word) word,
#include "perigee/status.def"
#undef PERI_STATUS
  };
  return -code >= 0 && -code < PERI_NSTATUS ? word[-code] : "unknown";
}
