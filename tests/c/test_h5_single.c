/* HDF5 files: what is written is read back, the same calls give the same bytes, mistakes change
   nothing, and a file that is cut, changed or absurd is a failure, never a crash. */

#include <hdf5.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "files.h"

static peri_h5 *create (const char *name) {
  peri_h5 *f = peri_h5_create(in_folder(name));
  if (!f) fail_msg("%s", peri_message());
  return f;
}

static peri_h5 *open_file (const char *name) {
  peri_h5 *f = peri_h5_open(in_folder(name));
  if (!f) fail_msg("%s", peri_message());
  return f;
}

static void fine (peri_status status) {
  if (status != PERI_OK) fail_msg("%s", peri_message());
}

static void commit (peri_h5 *f) {
  fine(peri_h5_commit(f));
}

/* A little of everything that a run's file has. */
static void write_everything (const char *name) {
  static double loss[1500];
  static int64_t step[1500];
  static const uint64_t digest[] = {0, UINT64_MAX, 1ull << 63};
  for (int i = 0; i < 1500; i++) {
    loss[i] = sqrt(i);
    step[i] = 10 * i;
  }
  peri_scope scope = peri_scope_open();
  peri_h5 *f = create(name);
  fine(peri_h5_set_text(f, "/", "format", "perigee-run"));
  fine(peri_h5_set_i64(f, "", "format_version", 1));
  fine(peri_h5_set_f64(f, "/config", "lr", 0.1));
  fine(peri_h5_set_bool(f, "/config", "amsgrad", false));
  fine(peri_h5_set_bool(f, "/config", "nesterov", true));
  fine(peri_h5_set_text(f, "/config", "name", "gr\xc3\xb6\xc3\x9f" "er"));
  fine(peri_h5_write_text(f, "config/resolved", "{\"lr\": 0.1}", 11));
  fine(peri_h5_write_text(f, "config/overrides", "", 0));
  fine(peri_h5_write_i64(f, "metrics/train/step", step, 1500));
  fine(peri_h5_write_f64(f, "metrics/train/loss", loss, 1500));
  fine(peri_h5_scale(f, "metrics/train/loss", "metrics/train/step", "step"));
  fine(peri_h5_write_u64(f, "digest", digest, 3));
  peri_tensor *plain = peri_full(PERI_REAL, (peri_dims) {2, {5, 3}}, 2.5);
  fine(peri_h5_write(f, "p/plain", peri_transpose(plain, 0, 1), false));
  peri_dims size = {3, {9, 8, 3}};
  fine(peri_h5_write_image(f, "images/x/step_1", peri_full(PERI_BYTE, size, 7)));
  commit(f);
  peri_scope_close(scope);
}

/* --- round trips --------------------------------------------------------------------------- */

static void expect_tensor (peri_h5 *f, const char *name, const peri_tensor *x) {
  peri_tensor *y = peri_h5_read(f, name);
  if (!y) fail_msg("%s", peri_message());
  assert_int_equal(y->ndim, x->ndim);
  for (int i = 0; i < x->ndim; i++) assert_int_equal(y->shape[i], x->shape[i]);
  assert_true(same_elements(x, y));
}

static void test_tensors (void **state) {
  (void) state;
  peri_scope scope = peri_scope_open();
  for (int compress = 0; compress < 2; compress++) {
    peri_tensor *x[] = {
      noise(PERI_REAL, 2, 33, 7), noise(PERI_INDEX, 1, 5), noise(PERI_BYTE, 4, 2, 3, 4, 5),
      peri_number(-0.5), noise(PERI_REAL, 2, 0, 3), noise(PERI_REAL, 3, 700, 90, 11),
      peri_transpose(noise(PERI_BYTE, 2, 300, 40), 0, 1), noise(PERI_INDEX, 1, 600000),
      noise(PERI_REAL, 8, 2, 1, 2, 1, 2, 1, 2, 1)};
    enum { N = sizeof x / sizeof *x };
    char name[32];
    peri_h5 *f = create("tensors.h5");
    for (int i = 0; i < N; i++) {
      snprintf(name, sizeof name, "a/group/x%d", i);
      fine(peri_h5_write(f, name, x[i], compress));
      expect_tensor(f, name, x[i]);                /* before it is on disk, too */
    }
    commit(f);
    f = open_file("tensors.h5");
    for (int i = 0; i < N; i++) {
      snprintf(name, sizeof name, "/a/group/x%d", i);
      expect_tensor(f, name, x[i]);
    }
    peri_h5_close(f);
  }
  peri_scope_close(scope);
}

static bool gather (void *arg, const peri_h5_attribute *a) {
  char *out = arg, value[80];
  if (a->kind == PERI_H5_TEXT) snprintf(value, sizeof value, "'%.*s'", (int) a->n, a->text);
  else if (a->kind == PERI_H5_FLOAT) snprintf(value, sizeof value, "%.17g", *a->f64);
  else if (a->kind == PERI_H5_BOOLEAN) strcpy(value, *a->i64 ? "true" : "false");
  else snprintf(value, sizeof value, "%lld", (long long) *a->i64);
  sprintf(out + strlen(out), "%s=%s ", a->name, value);
  return true;
}

static void test_attributes (void **state) {
  char out[2000] = "", *most = malloc(1 << 16);
  (void) state;
  peri_h5 *f = create("attributes.h5");
  fine(peri_h5_set_i64(f, "/made/on/the/way", "low", INT64_MIN));
  fine(peri_h5_set_f64(f, "made/on/the/way", "exact", 0.1));
  fine(peri_h5_set_f64(f, "made/on/the/way", "infinite", -(double) INFINITY));
  fine(peri_h5_set_bool(f, "made/on/the/way", "no", false));
  fine(peri_h5_set_bool(f, "made/on/the/way", "yes", true));
  fine(peri_h5_set_text(f, "made/on/the/way", "status", "running"));
  fine(peri_h5_set_text(f, "made/on/the/way", "status", "done"));        /* replaces */
  fine(peri_h5_set_text(f, "made/on/the/way", "empty", ""));
  memset(most, 'm', 1 << 16);
  most[65535] = 0;
  fine(peri_h5_set_text(f, "/", "long", most));
  most[65535] = 'm';
  most = realloc(most, (1 << 16) + 1);
  most[65536] = 0;
  expect_refusal(peri_h5_set_text(f, "/", "longer", most), PERI_E_ARGUMENT, "as a dataset");
  commit(f);
  f = open_file("attributes.h5");
  fine(peri_h5_attributes(f, "made/on/the/way", gather, out));
  assert_string_equal(out, "empty='' exact=0.10000000000000001 infinite=-inf "
                      "low=-9223372036854775808 no=false status='done' yes=true ");
  peri_h5_close(f);
  free(most);
}

static void test_numbers_and_texts (void **state) {
  double f64[1500], one;
  int64_t i64[1500], bits[3];
  peri_bytes text = {0};
  peri_h5_info info;
  (void) state;
  write_everything("all.h5");
  peri_h5 *f = open_file("all.h5");
  fine(peri_h5_read_f64(f, "metrics/train/loss", f64, 1500));
  fine(peri_h5_read_i64(f, "metrics/train/step", i64, 1500));
  fine(peri_h5_read_i64(f, "digest", bits, 3));
  for (int i = 0; i < 1500; i++) {
    assert_true(f64[i] == sqrt(i));
    assert_int_equal(i64[i], 10 * i);
  }
  assert_true(bits[0] == 0 && bits[1] == -1 && bits[2] == INT64_MIN);
  expect_refusal(peri_h5_read_f64(f, "digest", &one, 1), PERI_E_SHAPE, "3 numbers");
  fine(peri_h5_read_text(f, "config/resolved", &text));
  assert_int_equal(text.n, 11);
  assert_memory_equal(text.data, "{\"lr\": 0.1}", 11);
  fine(peri_h5_read_text(f, "config/overrides", &text));
  assert_int_equal(text.n, 11);
  peri_bytes_free(&text);
  fine(peri_h5_inspect(f, "digest", &info));
  assert_true(info.kind == PERI_H5_UNSIGNED && info.bytes == 8 && info.shape.at[0] == 3);
  fine(peri_h5_inspect(f, "/", &info));
  assert_int_equal(info.kind, PERI_H5_GROUP);
  peri_h5_close(f);
}

static bool name_member (void *arg, const char *name, peri_h5_kind kind) {
  sprintf((char *) arg + strlen(arg), "%s%s ", name, kind == PERI_H5_GROUP ? "/" : "");
  return true;
}

static void test_list (void **state) {
  char out[200] = "";
  (void) state;
  peri_h5 *f = create("list.h5");
  static const char *const names[] = {"b", "a10", "a2", "B", "a/x", "~", "encoder.1.weight"};
  for (int i = 0; i < 7; i++) fine(peri_h5_write_i64(f, names[i], NULL, 0));
  commit(f);
  f = open_file("list.h5");
  fine(peri_h5_list(f, "/", name_member, out));
  assert_string_equal(out, "B a/ a10 a2 b encoder.1.weight ~ ");
  assert_true(peri_h5_has(f, "a") && peri_h5_has(f, "/a/x") && peri_h5_has(f, ""));
  assert_false(peri_h5_has(f, "a/y") || peri_h5_has(f, "b/x") || peri_h5_has(f, "c/d/e") ||
               peri_h5_has(f, "a//x"));
  expect_refusal(peri_h5_list(f, "b", name_member, out), PERI_E_FORMAT, "no group b");
  peri_h5_close(f);
}

/* --- bytes --------------------------------------------------------------------------------- */

static herr_t expect_no_time (hid_t object, const char *name, const H5O_info_t *info, void *arg) {
  (void) object, (void) arg;
  if (info->mtime || info->ctime || info->btime) fail_msg("%s notes when it was made", name);
  return 0;
}

static void test_same_bytes (void **state) {
  (void) state;
  write_everything("one.h5");
  write_everything("two.h5");
  hid_t f = H5Fopen(in_folder("one.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
  assert_true(H5Ovisit(f, H5_INDEX_NAME, H5_ITER_INC, expect_no_time, NULL) >= 0);
  H5Fclose(f);
  peri_bytes one = get_file("one.h5");
  expect_content("two.h5", one.data, one.n);
  peri_bytes_free(&one);
  assert_int_not_equal(access(in_folder("two.h5.tmp"), F_OK), 0);
}

/* Two files under construction at once, of one name, do not know of each other; the last wins. */
static void test_two_at_once (void **state) {
  (void) state;
  peri_h5 *a = create("both.h5"), *b = create("both.h5");
  fine(peri_h5_write_text(a, "who", "a", 1));
  fine(peri_h5_write_text(b, "who", "b", 1));
  commit(b);
  peri_h5 *reader = open_file("both.h5");            /* keeps what it opened */
  commit(a);
  peri_bytes text = {0};
  fine(peri_h5_read_text(reader, "who", &text));
  peri_h5_close(reader);
  reader = open_file("both.h5");
  fine(peri_h5_read_text(reader, "who", &text));
  peri_h5_close(reader);
  assert_memory_equal(text.data, "ba", 2);
  peri_bytes_free(&text);
}

/* --- mistakes ------------------------------------------------------------------------------ */

static void test_mistakes (void **state) {
  const int64_t n[] = {1, 2, 3};
  (void) state;
  peri_scope scope = peri_scope_open();
  peri_h5 *f = create("mistakes.h5");
  fine(peri_h5_write_i64(f, "a/x", n, 3));
  fine(peri_h5_write_i64(f, "step", n, 2));
  expect_refusal(peri_h5_write_i64(f, "a/x", n, 3), PERI_E_ARGUMENT, "a/x is written already");
  expect_refusal(peri_h5_write_i64(f, "a", n, 3), PERI_E_ARGUMENT, "a is written already");
  expect_refusal(peri_h5_write_i64(f, "a/x/y", n, 3), PERI_E_ARGUMENT, "part of its path");
  expect_refusal(peri_h5_set_i64(f, "a/x/y", "k", 1), PERI_E_ARGUMENT, "part of its path");
  static const char *const bad[] = {"", "/", "a//b", "a/", ".", "a/../b", "//"};
  for (int i = 0; i < 7; i++) {
    assert_int_equal(peri_h5_write_i64(f, bad[i], n, 3), PERI_E_ARGUMENT);
    peri_clear();
  }
  expect_refusal(peri_h5_set_i64(f, "a", "", 1), PERI_E_ARGUMENT, "name");
  expect_refusal(peri_h5_scale(f, "a/x", "step", "s"), PERI_E_SHAPE, "3 rows");
  expect_refusal(peri_h5_scale(f, "a/x", "none", "s"), PERI_E_ARGUMENT, "none is not a dataset");
  expect_refusal(peri_h5_write_text(f, "t", "a\0b", 3), PERI_E_ARGUMENT, "zero byte");
  expect_refusal(peri_h5_write_image(f, "i", noise(PERI_REAL, 2, 3, 3)), PERI_E_TYPE, "byte");
  expect_refusal(peri_h5_write_image(f, "i", noise(PERI_BYTE, 3, 3, 3, 4)), PERI_E_SHAPE,
                 "(3, 3, 4)");
  peri_fail(PERI_E_SHAPE, "earlier");
  expect_refusal(peri_h5_write(f, "z", NULL, false), PERI_E_SHAPE, "earlier");
  commit(f);                                         /* none of this has broken the file */
  f = open_file("mistakes.h5");
  char out[100] = "";
  fine(peri_h5_list(f, "", name_member, out));
  assert_string_equal(out, "a/ step ");
  expect_refusal(peri_h5_write_i64(f, "more", n, 3), PERI_E_ARGUMENT, "open for reading");
  expect_refusal(peri_h5_set_i64(f, "", "more", 3), PERI_E_ARGUMENT, "open for reading");
  assert_null(peri_h5_read(f, "none"));
  expect_recorded(PERI_E_FORMAT, "there is no none in");
  assert_null(peri_h5_read(f, "a"));
  expect_recorded(PERI_E_FORMAT, "is a group");
  expect_refusal(peri_h5_commit(f), PERI_E_ARGUMENT, "reading");
  assert_null(peri_h5_create(in_folder("no/x.h5")));
  expect_recorded(PERI_E_SYSTEM, "No such file");
  assert_null(peri_h5_create(folder));
  expect_recorded(PERI_E_SYSTEM, "directory");
  peri_scope_close(scope);
}

static void test_full_disk (void **state) {
  (void) state;
  peri_scope scope = peri_scope_open();
  put_file("old.h5", "precious", 8);
  for (int i = 0; i < 3; i++) {
    peri_h5 *f = create("old.h5");
    fine(peri_h5_write(f, "x", noise(PERI_REAL, 2, 100, 100), false));
    limit_files(20000);
    expect_refusal(peri_h5_commit(f), PERI_E_SYSTEM, "old.h5: File too large");
    limit_files(0);
    expect_content("old.h5", "precious", 8);
    assert_int_not_equal(access(in_folder("old.h5.tmp"), F_OK), 0);
  }
  assert_int_equal(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL), 0);        /* nothing stays open */
  peri_scope_close(scope);
}

/* A part that could not be written, for want of memory, must not be missing from a file on disk. */
static void test_broken_part (void **state) {
  (void) state;
  peri_scope scope = peri_scope_open();
  put_file("broken.h5", "precious", 8);
  peri_tensor *x = peri_transpose(noise(PERI_REAL, 2, 10, 10), 0, 1);
  peri_h5 *f = create("broken.h5");
  peri_fail_allocation(1);
  expect_refusal(peri_h5_write(f, "x", x, false), PERI_E_MEMORY, "memory");
  peri_fail_allocation(0);
  expect_refusal(peri_h5_commit(f), PERI_E_SYSTEM, "not written");
  expect_content("broken.h5", "precious", 8);
  peri_scope_close(scope);
}

/* --- damage -------------------------------------------------------------------------------- */

static bool skip_attribute (void *arg, const peri_h5_attribute *a) {
  (void) arg, (void) a;
  return true;
}

/* Read all that write_everything wrote; true when every call succeeded. */
static bool read_everything (peri_h5 *f) {
  static const char *const data[] = {"metrics/train/step", "metrics/train/loss", "digest",
                                     "p/plain", "images/x/step_1"};
  peri_bytes text = {0};
  bool good = true;
  for (int i = 0; i < 5; i++) {
    peri_tensor *x = peri_h5_read(f, data[i]);
    bool wide = !x && strstr(peri_message(), "beyond 32 bits");
    good = (x || wide) && good;
    peri_clear();
  }
  good = peri_h5_read_text(f, "config/resolved", &text) == PERI_OK && good;
  peri_clear();
  good = peri_h5_attributes(f, "", skip_attribute, NULL) == PERI_OK && good;
  peri_clear();
  good = peri_h5_attributes(f, "config", skip_attribute, NULL) == PERI_OK && good;
  peri_clear();
  peri_bytes_free(&text);
  return good;
}

static bool open_and_read (const char *name) {
  peri_scope scope = peri_scope_open();
  peri_h5 *f = peri_h5_open(in_folder(name));
  if (!f && peri_error() != PERI_E_FORMAT) fail_msg("%s", peri_message());
  if (!f && strchr(peri_message(), '\n')) fail_msg("%s", peri_message());
  peri_clear();
  bool good = f && read_everything(f);
  peri_h5_close(f);
  peri_scope_close(scope);
  return good;
}

static void test_damaged (void **state) {
  unsigned random = 1;
  (void) state;
  write_everything("good.h5");
  assert_true(open_and_read("good.h5"));
  peri_bytes good = get_file("good.h5");
  for (size_t n = 0; n < good.n; n += n < 100 ? 1 : 97) {
    put_file("bad.h5", good.data, n);
    assert_false(open_and_read("bad.h5"));
  }
  put_file("bad.h5", good.data, good.n / 2);
  assert_null(peri_h5_open(in_folder("bad.h5")));
  expect_recorded(PERI_E_FORMAT, "bad.h5 is truncated");
  put_file("bad.h5", "years of work", 13);
  assert_null(peri_h5_open(in_folder("bad.h5")));
  expect_recorded(PERI_E_FORMAT, "bad.h5 is not an HDF5 file");
  for (int turn = 0; turn < 150; turn++) {
    peri_bytes bad = {0};
    fine(peri_bytes_add(&bad, good.data, good.n));
    for (int i = 0; i < 6; i++) {
      random = random * 1664525 + 1013904223;
      bad.data[(random >> 8) % bad.n] ^= (char) (1 + (random & 127));
    }
    put_file("bad.h5", bad.data, bad.n);
    open_and_read("bad.h5");                           /* survived is all that is asked */
    peri_bytes_free(&bad);
  }
  peri_bytes_free(&good);
}

/* Takes over `space`; writes nothing where `from` is negative. */
static void add (hid_t f, const char *name, hid_t type, hid_t space, hid_t how, hid_t from,
                 const void *data) {
  hid_t d = H5Dcreate2(f, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
  assert_true(d >= 0);
  if (from >= 0) assert_true(H5Dwrite(d, from, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
  H5Dclose(d);
  H5Sclose(space);
}

/* What a careless or hostile writer may put in a file, made with the library itself. */
static void test_foreign (void **state) {
  hsize_t huge[] = {1000000000, 1000000}, chunk[] = {1000, 1000}, most[] = {UINT64_MAX / 2, 0};
  hsize_t two[] = {2}, ones[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
  const int64_t beyond[] = {1, 1ll << 40};
  const int16_t small[] = {-5, 300};
  (void) state;
  hid_t f = H5Fcreate(in_folder("foreign.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  hid_t chunked = H5Pcreate(H5P_DATASET_CREATE), outside = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(chunked, 2, chunk);
  H5Pset_deflate(chunked, 9);
  H5Pset_external(outside, "/etc/passwd", 0, 2);
  hid_t record = H5Tcreate(H5T_COMPOUND, 8);
  H5Tinsert(record, "a", 0, H5T_STD_I64LE);
  hid_t of_two = H5Screate_simple(1, two, NULL);
  add(f, "huge", H5T_IEEE_F32LE, H5Screate_simple(2, huge, NULL), chunked, -1, NULL);
  add(f, "rank", H5T_STD_U8LE, H5Screate_simple(9, ones, NULL), H5P_DEFAULT, -1, NULL);
  add(f, "none", H5T_STD_U8LE, H5Screate(H5S_NULL), H5P_DEFAULT, -1, NULL);
  add(f, "most", H5T_STD_U8LE, H5Screate_simple(2, most, NULL), H5P_DEFAULT, -1, NULL);
  add(f, "file", H5T_STD_U8LE, H5Scopy(of_two), outside, -1, NULL);
  add(f, "record", record, H5Scopy(of_two), H5P_DEFAULT, -1, NULL);
  add(f, "beyond", H5T_STD_I64BE, H5Scopy(of_two), H5P_DEFAULT, H5T_NATIVE_INT64, beyond);
  add(f, "small", H5T_STD_I16BE, of_two, H5P_DEFAULT, H5T_NATIVE_INT16, small);
  H5Lcreate_external("/etc/passwd", "/x", f, "link", H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_soft("/small", f, "soft", H5P_DEFAULT, H5P_DEFAULT);
  hid_t group = H5Gcreate2(f, "circle", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Lcreate_hard(f, "/", group, "home", H5P_DEFAULT, H5P_DEFAULT);
  H5Gclose(group);
  H5Tclose(record);
  H5Pclose(chunked);
  H5Pclose(outside);
  H5Fclose(f);
  static const char *const want[][2] = {
    {"huge", "claims"}, {"rank", "8 axes"}, {"none", "no data"}, {"file", "other files"},
    {"record", "records"}, {"most", "foreign.h5"}, {"beyond", "32 bits"}, {"link", "a link"},
    {"link/y", "a link"}, {"soft", "a link"}, {"circle/home/circle", "a group"}};
  peri_scope scope = peri_scope_open();
  peri_h5 *h = open_file("foreign.h5");
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    if (peri_h5_read(h, want[i][0])) fail_msg("%s was read", want[i][0]);
    expect_recorded(PERI_E_FORMAT, want[i][1]);
  }
  peri_tensor *x = peri_h5_read(h, "small");
  if (!x) fail_msg("%s", peri_message());
  assert_true(x->dtype == PERI_INDEX && ((int32_t *) x->data)[0] == -5);
  peri_h5_close(h);
  assert_int_equal(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
  peri_scope_close(scope);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_tensors), cmocka_unit_test(test_attributes),
    cmocka_unit_test(test_numbers_and_texts), cmocka_unit_test(test_list),
    cmocka_unit_test(test_same_bytes), cmocka_unit_test(test_two_at_once),
    cmocka_unit_test(test_mistakes), cmocka_unit_test(test_full_disk),
    cmocka_unit_test(test_broken_part), cmocka_unit_test(test_damaged),
    cmocka_unit_test(test_foreign)};
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
