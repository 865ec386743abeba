/* What the suites about files share; see files.h. */

#include "files.h"

#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

char folder[64];

/* The HDF5 library itself leaks a little when it gives up on a damaged file. */
const char *__lsan_default_suppressions (void);
const char *__lsan_default_suppressions (void) {
  return "leak:libhdf5\n";
}

int make_folder (void **state) {
  (void) state;
  signal(SIGXFSZ, SIG_IGN);                 /* as the interpreter does */
  strcpy(folder, "/tmp/perigee_test_XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_entry (const char *path, const struct stat *s, int type, struct FTW *place) {
  (void) s, (void) type, (void) place;
  return remove(path);
}

int remove_folder (void **state) {
  (void) state;
  return nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *in_folder (const char *name) {
  static char path[4][256];
  static int turn;
  turn = (turn + 1) % 4;
  snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
  return path[turn];
}

void put_file (const char *name, const void *data, size_t n) {
  FILE *f = fopen(in_folder(name), "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(data, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
}

peri_bytes get_file (const char *name) {
  peri_bytes b = {0};
  char part[4096];
  size_t n;
  FILE *f = fopen(in_folder(name), "rb");
  assert_non_null(f);
  while ((n = fread(part, 1, sizeof part, f)) > 0)
    assert_int_equal(peri_bytes_add(&b, part, n), PERI_OK);
  fclose(f);
  return b;
}

void expect_content (const char *name, const void *data, size_t n) {
  peri_bytes b = get_file(name);
  assert_int_equal(b.n, n);
  assert_memory_equal(b.n ? b.data : "", data, n);
  peri_bytes_free(&b);
}

void limit_files (size_t n) {
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = n ? (rlim_t) n : limit.rlim_max;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

void expect_recorded (peri_status code, const char *words) {
  const char *text = peri_message();
  if (peri_error() != code || !strstr(text, words) || strchr(text, '\n'))
    fail_msg("failure '%s' (%s), want '%s' (%s)", text, peri_status_word(peri_error()), words,
             peri_status_word(code));
  peri_clear();
}

void expect_refusal (peri_status status, peri_status code, const char *words) {
  if (status != code) fail_msg("status %d, want %d: '%s'", status, code, words);
  expect_recorded(code, words);
}

peri_tensor *noise (peri_dtype type, int ndim, ...) {
  static uint64_t seed = 1;
  peri_dims shape = {.n = ndim};
  va_list ap;
  va_start(ap, ndim);
  for (int i = 0; i < ndim; i++) shape.at[i] = va_arg(ap, int);
  va_end(ap);
  peri_tensor *x = peri_empty(type, shape);
  assert_non_null(x);
  for (int64_t i = 0; i < x->count; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    uint32_t v = (uint32_t) (seed >> 33);
    if (type == PERI_REAL) ((peri_real *) x->data)[i] = (peri_real) v / 1000 - 7;
    else if (type == PERI_INDEX) ((int32_t *) x->data)[i] = (int32_t) v;
    else ((uint8_t *) x->data)[i] = (uint8_t) v;
  }
  return x;
}

bool same_elements (const peri_tensor *x, const peri_tensor *y) {
  if (x->dtype != y->dtype || x->count != y->count) return false;
  int64_t at[2][PERI_MAXDIM] = {{0}};
  for (int64_t i = 0; i < x->count; i++) {
    if (peri_at(x, at[0]) != peri_at(y, at[1])) return false;
    for (int k = 0; k < 2; k++) {
      const peri_tensor *t = k ? y : x;
      for (int a = t->ndim - 1; a >= 0 && ++at[k][a] == t->shape[a]; a--) at[k][a] = 0;
    }
  }
  return true;
}
