/* Files: what goes in comes out, and whatever is cut, changed or too large is a failure that leaves
   the old file whole.  HDF5 has a suite of its own. */

#include <errno.h>
#include <fcntl.h>
#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "files.h"

/* --- hashes -------------------------------------------------------------------------------- */

static void sha256_of (const char *s, size_t n, size_t step, char hex[65]) {
  peri_sha256 h;
  peri_sha256_init(&h);
  for (size_t at = 0; at < n; at += step)
    peri_sha256_add(&h, s + at, n - at < step ? n - at : step);
  peri_sha256_hex(&h, hex);
}

/* The examples of FIPS 180-4, and: how the bytes are cut into calls does not matter. */
static void test_sha256 (void **state) {
  static char million[1000000];
  char hex[65], whole[65];
  (void) state;
  sha256_of("abc", 3, 3, hex);
  assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  sha256_of("", 0, 1, hex);
  assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  memset(million, 'a', sizeof million);
  sha256_of(million, sizeof million, 4096, hex);
  assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  for (size_t n = 0; n < 300; n++) {
    for (size_t i = 0; i < n; i++) million[i] = (char) (i * 7 + n);
    sha256_of(million, n, n + 1, whole);
    for (size_t step = 1; step < n; step += 13) {
      sha256_of(million, n, step, hex);
      assert_string_equal(hex, whole);
    }
  }
  put_file("hashed", million, 300);
  sha256_of(million, 300, 300, whole);
  assert_int_equal(peri_sha256_file(in_folder("hashed"), hex), PERI_OK);
  assert_string_equal(hex, whole);
  expect_refusal(peri_sha256_file(in_folder("none"), hex), PERI_E_SYSTEM, "No such file");
  expect_refusal(peri_sha256_file(folder, hex), PERI_E_SYSTEM, "folder");
}

/* The check value of the polynomial, and crc(a b) continues crc(a) with b. */
static void test_crc32c (void **state) {
  uint8_t data[200];
  (void) state;
  assert_int_equal(peri_crc32c(0, "123456789", 9), 0xe3069283);
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t) (i * i);
  uint32_t whole = peri_crc32c(0, data, sizeof data);
  for (size_t cut = 0; cut <= sizeof data; cut++)
    assert_int_equal(peri_crc32c(peri_crc32c(0, data, cut), data + cut, sizeof data - cut), whole);
  for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
    data[bit / 8] ^= (uint8_t) (1 << bit % 8);
    assert_int_not_equal(peri_crc32c(0, data, sizeof data), whole);
    data[bit / 8] ^= (uint8_t) (1 << bit % 8);
  }
}

/* Strides do not matter; dtype, shape, every bit and the order in the chain do. */
static void test_digest (void **state) {
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_tensor *x = noise(PERI_REAL, 2, 5, 7), *t = peri_transpose(x, 0, 1);
  peri_tensor *packed = peri_copy_of(PERI_REAL, peri_shape(2, (int64_t) 7, (int64_t) 5), x->data);
  for (int64_t i = 0; i < 5; i++)
    for (int64_t j = 0; j < 7; j++)
      ((peri_real *) packed->data)[j * 5 + i] = ((peri_real *) x->data)[i * 7 + j];
  uint64_t d = peri_digest(3, x);
  assert_true(peri_digest(3, t) == peri_digest(3, packed));
  assert_true(peri_digest(3, t) != d);
  assert_true(peri_digest(3, peri_reshape(x, peri_shape(1, (int64_t) 35))) != d);
  assert_true(peri_digest(4, x) != d);
  assert_true(peri_digest(peri_digest(0, x), t) != peri_digest(peri_digest(0, t), x));
  assert_true(peri_digest(0, peri_full(PERI_INDEX, peri_shape(1, (int64_t) 4), 0)) !=
              peri_digest(0, peri_full(PERI_REAL, peri_shape(1, (int64_t) 4), 0)));
  for (size_t bit = 0; bit < 35 * 32; bit++) {
    ((uint32_t *) x->data)[bit / 32] ^= 1u << bit % 32;
    assert_true(peri_digest(3, x) != d);
    ((uint32_t *) x->data)[bit / 32] ^= 1u << bit % 32;
  }
  assert_true(peri_digest(3, x) == d);
  assert_true(peri_digest(9, NULL) == 9);
  peri_scope_close(scope);
}

/* --- replacing files ----------------------------------------------------------------------- */

static void test_replace (void **state) {
  (void) state;
  assert_int_equal(peri_file_replace(in_folder("a"), "first", 5), PERI_OK);
  expect_content("a", "first", 5);
  assert_int_equal(peri_file_replace(in_folder("a"), "", 0), PERI_OK);
  expect_content("a", "", 0);
  put_file("a.tmp", "left by a process that was killed", 33);
  assert_int_equal(peri_file_replace(in_folder("a"), "second", 6), PERI_OK);
  expect_content("a", "second", 6);
  assert_int_not_equal(access(in_folder("a.tmp"), F_OK), 0);
  expect_refusal(peri_file_replace(in_folder("no/b"), "x", 1), PERI_E_SYSTEM, "No such file");
  expect_refusal(peri_file_replace(folder, "x", 1), PERI_E_SYSTEM, "directory");
}

static void test_full_disk (void **state) {
  static char much[100000];
  (void) state;
  put_file("old", "precious", 8);
  limit_files(5000);
  expect_refusal(peri_file_replace(in_folder("old"), much, sizeof much), PERI_E_SYSTEM,
                 "too large");
  limit_files(0);
  expect_content("old", "precious", 8);
  assert_int_not_equal(access(in_folder("old.tmp"), F_OK), 0);
}

/* --- logs ---------------------------------------------------------------------------------- */

static peri_bytes seen;

static bool note (void *arg, const void *data, size_t n) {
  int *count = arg;
  assert_int_equal(peri_bytes_add(&seen, data, n), PERI_OK);
  return --*count > 0;
}

/* The records of a log in one piece, at most `most` of them. */
static void read_log (const char *name, int most, const char *want) {
  peri_bytes_free(&seen);
  assert_int_equal(peri_log_read(in_folder(name), note, &most), PERI_OK);
  assert_int_equal(seen.n, strlen(want));
  assert_memory_equal(seen.n ? seen.data : "", want, seen.n);
  peri_bytes_free(&seen);
}

static void append_log (const char *name, const char *text) {
  peri_logfile *log = peri_log_open(in_folder(name));
  assert_non_null(log);
  assert_int_equal(peri_log_append(log, text, strlen(text)), PERI_OK);
  assert_int_equal(peri_log_sync(log), PERI_OK);
  peri_log_close(log);
}

static void test_log (void **state) {
  (void) state;
  append_log("log", "one,");
  append_log("log", "two,");
  append_log("log", "three");
  read_log("log", 99, "one,two,three");
  read_log("log", 2, "one,two,");
  peri_logfile *log = peri_log_open(in_folder("log"));
  expect_refusal(peri_log_append(log, "", 0), PERI_E_ARGUMENT, "1 to");
  peri_log_close(log);
  expect_refusal(peri_log_read(in_folder("none"), note, NULL), PERI_E_SYSTEM, "No such file");
  assert_null(peri_log_open(in_folder("no/log")));
  expect_recorded(PERI_E_SYSTEM, "No such file");
}

/* Cut anywhere, and changed at any byte: whole records before it are read, and appending goes on
   from there. */
static void test_torn_log (void **state) {
  static const char *const after[] = {"", "one,", "one,two,", "one,two,three"};
  static const char *const then[] = {"x", "one,x", "one,two,x", "one,two,threex"};
  peri_bytes whole;
  (void) state;
  append_log("whole", "one,");
  append_log("whole", "two,");
  append_log("whole", "three");
  whole = get_file("whole");
  size_t end[] = {8 + 13, 8 + 13 + 12, 8 + 13 + 24, 8 + 13 + 24 + 13};
  assert_int_equal(whole.n, end[3]);
  for (size_t cut = 0; cut <= whole.n; cut++) {
    int k = cut >= end[3] ? 3 : cut >= end[2] ? 2 : cut >= end[1] ? 1 : 0;
    put_file("torn", whole.data, cut);
    read_log("torn", 99, after[k]);
    append_log("torn", "x");
    read_log("torn", 99, then[k]);
  }
  for (size_t at = end[0]; at < whole.n; at++) {
    whole.data[at] ^= 0x40;
    put_file("torn", whole.data, whole.n);
    read_log("torn", 99, after[at < end[1] ? 0 : at < end[2] ? 1 : 2]);
    whole.data[at] ^= 0x40;
  }
  char zeros[64] = {0};
  put_file("torn", whole.data, whole.n);
  FILE *f = fopen(in_folder("torn"), "ab");
  fwrite(zeros, 1, sizeof zeros, f);
  fclose(f);
  read_log("torn", 99, after[3]);
  peri_bytes_free(&whole);
}

/* A file that is no log is neither read nor cut. */
static void test_foreign_log (void **state) {
  (void) state;
  put_file("thesis", "years of work", 13);
  assert_null(peri_log_open(in_folder("thesis")));
  expect_recorded(PERI_E_FORMAT, "not a log");
  int most = 9;
  expect_refusal(peri_log_read(in_folder("thesis"), note, &most), PERI_E_FORMAT, "not a log");
  expect_content("thesis", "years of work", 13);
}

/* A record that does not fit is taken back whole, and smaller ones still go in. */
static void test_full_log (void **state) {
  char much[4000];
  (void) state;
  memset(much, 'm', sizeof much);
  append_log("full", "one,");
  peri_logfile *log = peri_log_open(in_folder("full"));
  limit_files(2000);
  expect_refusal(peri_log_append(log, much, sizeof much), PERI_E_SYSTEM, "too large");
  assert_int_equal(peri_log_append(log, "two", 3), PERI_OK);
  limit_files(0);
  peri_log_close(log);
  read_log("full", 99, "one,two");
}

/* --- images -------------------------------------------------------------------------------- */

static void expect_image (const peri_tensor *x) {
  peri_tensor *y = peri_png_read(in_folder("image.png"));
  if (!y) fail_msg("%s", peri_message());
  int ndim = x->ndim == 3 && x->shape[2] == 1 ? 2 : x->ndim;
  assert_int_equal(y->ndim, ndim);
  for (int i = 0; i < ndim; i++) assert_int_equal(y->shape[i], x->shape[i]);
  assert_true(same_elements(x, y));
}

static void test_png (void **state) {
  static const char *const text[] = {"Title", "samples", "step", "12",
                                     "note", "gr\xc3\xb6\xc3\x9f" "er"};
  (void) state;
  peri_scope scope = peri_scope_open();
  for (int64_t channels = 0; channels <= 4; channels++) {
    if (channels == 2) continue;
    peri_tensor *x = noise(PERI_BYTE, channels ? 3 : 2, 9, 14, (int) channels);
    assert_int_equal(peri_png_write(in_folder("image.png"), x, 3, text), PERI_OK);
    expect_image(x);
    peri_tensor *view = peri_transpose(x, 0, 1);
    assert_int_equal(peri_png_write(in_folder("image.png"), view, 0, NULL), PERI_OK);
    expect_image(view);
  }
  peri_tensor *small = noise(PERI_BYTE, 2, 3, 3);
  assert_int_equal(peri_png_write(in_folder("image.png"), small, 3, text), PERI_OK);
  peri_bytes got = {0};
  assert_int_equal(peri_png_text(in_folder("image.png"), &got), PERI_OK);
  char *p = got.data;
  for (int i = 0; i < 6; i++, p += strlen(p) + 1) assert_string_equal(p, text[i]);
  assert_ptr_equal(p, got.data + got.n);
  peri_bytes_free(&got);
  peri_scope_close(scope);
}

static void expect_pixels (png_image *image, const void *pixels, const void *map, int channels,
                           const uint8_t *want) {
  assert_true(png_image_write_to_file(image, in_folder("foreign.png"), 0, pixels, 0, map));
  peri_tensor *x = peri_png_read(in_folder("foreign.png"));
  if (!x) fail_msg("%s", peri_message());
  assert_int_equal(x->ndim == 2 ? 1 : x->shape[2], channels);
  assert_memory_equal(x->data, want, (size_t) x->count);
}

/* What others write: gray with transparency, palettes, 16 bits. */
static void test_png_foreign (void **state) {
  static const uint8_t gray[] = {0, 255, 100, 7, 200, 0}, index[] = {1, 0, 1};
  static const uint8_t map[] = {1, 2, 3, 4, 9, 8, 7, 255};
  static const uint16_t wide[] = {0, 257 * 5, 65535};
  (void) state;
  peri_scope scope = peri_scope_open();
  png_image image = {.version = PNG_IMAGE_VERSION, .width = 3, .height = 1};
  image.format = PNG_FORMAT_GA;
  expect_pixels(&image, gray, NULL, 4,
                (uint8_t[]) {0, 0, 0, 255, 100, 100, 100, 7, 200, 200, 200, 0});
  image.format = PNG_FORMAT_RGBA_COLORMAP;
  image.colormap_entries = 2;
  expect_pixels(&image, index, map, 4, (uint8_t[]) {9, 8, 7, 255, 1, 2, 3, 4, 9, 8, 7, 255});
  image.format = PNG_FORMAT_RGB_COLORMAP;
  expect_pixels(&image, index, map, 3, (uint8_t[]) {4, 9, 8, 1, 2, 3, 4, 9, 8});
  image.format = PNG_FORMAT_LINEAR_Y;
  expect_pixels(&image, wide, NULL, 1, (uint8_t[]) {0, 5, 255});
  peri_scope_close(scope);
}

static void test_png_refuses (void **state) {
  static const char *const text[] = {" odd", "x"};
  const char *path = in_folder("refused.png");
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_tensor *good = noise(PERI_BYTE, 2, 4, 4);
  peri_tensor *real = noise(PERI_REAL, 2, 4, 4), *two = noise(PERI_BYTE, 3, 4, 4, 2);
  peri_tensor *row = noise(PERI_BYTE, 1, 4), *none = noise(PERI_BYTE, 2, 0, 4);
  expect_refusal(peri_png_write(path, real, 0, NULL), PERI_E_TYPE, "byte tensor");
  expect_refusal(peri_png_write(path, two, 0, NULL), PERI_E_SHAPE, "(4, 4, 2)");
  expect_refusal(peri_png_write(path, row, 0, NULL), PERI_E_SHAPE, "(4)");
  expect_refusal(peri_png_write(path, none, 0, NULL), PERI_E_SHAPE, "(0, 4)");
  expect_refusal(peri_png_write(path, good, 1, text), PERI_E_ARGUMENT, "keyword");
  expect_refusal(peri_png_write(in_folder("no/x"), good, 0, NULL), PERI_E_SYSTEM, "No such file");
  assert_int_not_equal(access(path, F_OK), 0);
  peri_fail(PERI_E_SHAPE, "earlier");
  expect_refusal(peri_png_write(path, NULL, 0, NULL), PERI_E_SHAPE, "earlier");
  put_file("no.png", "GIF89a", 6);
  assert_null(peri_png_read(in_folder("no.png")));
  expect_recorded(PERI_E_FORMAT, "not a PNG");
  peri_scope_close(scope);
}

/* Cut anywhere it is a failure; changed anywhere it is a failure or an image, never a crash. */
static void test_png_damaged (void **state) {
  static const char *const text[] = {"Title", "samples"};
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_tensor *x = noise(PERI_BYTE, 3, 20, 20, 3);
  assert_int_equal(peri_png_write(in_folder("good.png"), x, 1, text), PERI_OK);
  peri_bytes good = get_file("good.png"), out = {0};
  for (size_t n = 0; n < good.n; n++) {
    put_file("bad.png", good.data, n);
    assert_null(peri_png_read(in_folder("bad.png")));
    expect_recorded(PERI_E_FORMAT, "bad.png");
    assert_int_not_equal(peri_png_text(in_folder("bad.png"), &out), PERI_OK);
    peri_clear();
  }
  for (size_t n = 0; n < good.n; n++) {
    char was = good.data[n];
    good.data[n] = (char) ~was;
    put_file("bad.png", good.data, good.n);
    peri_scope inner = peri_scope_open();
    peri_tensor *y = peri_png_read(in_folder("bad.png"));
    assert_true(y ? same_elements(x, y) : peri_error() == PERI_E_FORMAT);
    peri_clear();
    peri_scope_close(inner);
    good.data[n] = was;
  }
  peri_bytes_free(&good);
  peri_bytes_free(&out);
  peri_scope_close(scope);
}

/* --- IDX ----------------------------------------------------------------------------------- */

/* (2, 3, 4) unsigned bytes with values 0..23. */
static size_t make_idx (uint8_t out[64]) {
  static const uint8_t head[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4};
  memcpy(out, head, sizeof head);
  for (int i = 0; i < 24; i++) out[16 + i] = (uint8_t) i;
  return 40;
}

static void put_gzip (const char *name, const void *data, size_t n) {
  gzFile gz = gzopen(in_folder(name), "wb");
  assert_int_equal(gzwrite(gz, data, (unsigned) n), n);
  assert_int_equal(gzclose(gz), Z_OK);
}

static void expect_no_idx (const char *name, peri_status code, const char *words) {
  peri_tensor *x = peri_idx_read(in_folder(name));
  if (x) fail_msg("%s was read, want '%s'", name, words);
  expect_recorded(code, words);
}

static void test_idx (void **state) {
  uint8_t file[64];
  size_t n = make_idx(file);
  (void) state;
  peri_scope scope = peri_scope_open();
  put_file("plain", file, n);
  put_gzip("packed", file, n);
  for (int i = 0; i < 2; i++) {
    peri_tensor *x = peri_idx_read(in_folder(i ? "packed" : "plain"));
    if (!x) fail_msg("%s", peri_message());
    assert_int_equal(x->ndim, 3);
    assert_int_equal(x->shape[0] * 100 + x->shape[1] * 10 + x->shape[2], 234);
    assert_memory_equal(x->data, file + 16, 24);
  }
  peri_scope_close(scope);
}

static void test_idx_damaged (void **state) {
  uint8_t file[64];
  size_t n = make_idx(file);
  (void) state;
  peri_scope scope = peri_scope_open();
  for (size_t cut = 0; cut < n; cut++) {
    put_file("cut", file, cut);
    expect_no_idx("cut", PERI_E_FORMAT, "cut is damaged");
    put_gzip("cut", file, cut);
    expect_no_idx("cut", PERI_E_FORMAT, "ends too early");
  }
  put_gzip("packed", file, n);
  peri_bytes packed = get_file("packed");
  for (size_t cut = 20; cut < packed.n; cut++) {
    put_file("cut", packed.data, cut);
    expect_no_idx("cut", PERI_E_FORMAT, "damaged");
  }
  packed.data[packed.n - 8] ^= 1;                       /* the sum of the content */
  put_file("sum", packed.data, packed.n);
  expect_no_idx("sum", PERI_E_FORMAT, "damaged");
  peri_bytes_free(&packed);
  put_file("long", file, n + 1);
  expect_no_idx("long", PERI_E_FORMAT, "its sizes ask for 40 bytes and it has 41");
  put_gzip("long", file, n + 1);
  expect_no_idx("long", PERI_E_FORMAT, "more bytes");
  file[4] = file[8] = file[12] = 0x7f;                  /* sizes beyond every memory */
  put_file("huge", file, n);
  expect_no_idx("huge", PERI_E_FORMAT, "sizes ask for");
  put_gzip("huge", file, n);
  expect_no_idx("huge", PERI_E_FORMAT, "claims");
  file[3] = 9;
  put_file("rank", file, n);
  expect_no_idx("rank", PERI_E_FORMAT, "8 axes");
  file[2] = 0x0d;
  put_file("type", file, n);
  expect_no_idx("type", PERI_E_TYPE, "float32");
  file[0] = 'P';
  put_file("other", file, n);
  expect_no_idx("other", PERI_E_FORMAT, "not an IDX file");
  expect_no_idx("none", PERI_E_SYSTEM, "No such file");
  peri_scope_close(scope);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_sha256), cmocka_unit_test(test_crc32c), cmocka_unit_test(test_digest),
    cmocka_unit_test(test_replace), cmocka_unit_test(test_full_disk), cmocka_unit_test(test_log),
    cmocka_unit_test(test_torn_log), cmocka_unit_test(test_foreign_log),
    cmocka_unit_test(test_full_log), cmocka_unit_test(test_png),
    cmocka_unit_test(test_png_foreign), cmocka_unit_test(test_png_refuses),
    cmocka_unit_test(test_png_damaged), cmocka_unit_test(test_idx),
    cmocka_unit_test(test_idx_damaged)};
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
