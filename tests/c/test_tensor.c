/* Ownership and errors: scopes, references, storage shared by views, versions, consumed graphs, the
   sticky error, very deep graphs, and the allocator's cache. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

static int64_t objects (void) {
  return peri_memory_now().objects;
}

static peri_tensor *leaf_of (int n) {
  peri_tensor *x = random_tensor(dims(1, n), PERI_IN_REAL, PACKED);
  peri_require_grad(x, true);
  return x;
}

static peri_tensor *total (peri_tensor *x) {
  return peri_sum(x, dims(0), false);
}

/* Every test starts clean and must leave nothing behind. */
static int begin (void **state) {
  static int64_t before;
  peri_clear();
  peri_set_recording(true);
  peri_fail_allocation(0);
  seed_numbers(5);
  before = objects();
  *state = &before;
  return 0;
}

static int finish (void **state) {
  return peri_error() || objects() != *(int64_t *) *state ? -1 : 0;
}

/* --- scopes and references --- */

static void test_scope_drops (void **state) {
  (void) state;
  int64_t before = objects();
  peri_scope outer = peri_scope_open();
  peri_tensor *x = peri_number(1);
  int64_t one = objects();
  peri_scope inner = peri_scope_open();
  for (int i = 0; i < 100; i++) peri_add(x, x);
  assert_true(objects() > one);
  peri_scope_close(inner);
  assert_int_equal(objects(), one);
  assert_true(value(x, 0) == 1);
  peri_scope_close(outer);
  assert_int_equal(objects(), before);
}

static void test_keep_outlives_scope (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_keep(peri_full(PERI_REAL, dims(1, 3), 7));
  assert_int_equal(x->ref, 2);
  peri_scope_close(s);
  assert_int_equal(x->ref, 1);
  assert_true(value(x, 2) == 7);
  peri_drop(x);
}

static void test_keep_takes_null (void **state) {
  (void) state;
  assert_null(peri_keep(NULL));
  peri_drop(NULL);
  assert_int_equal(peri_error(), PERI_OK);
}

static void test_view_shares_storage (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = random_tensor(dims(2, 3, 4), PERI_IN_REAL, PACKED);
  peri_tensor *views[] = {
    peri_transpose(x, 0, 1), peri_slice(x, 1, 1, 3, 1), peri_reshape(x, dims(1, 12)),
    peri_permute(x, dims(2, 1, 0)), peri_expand(x, dims(3, 2, 3, 4)), peri_detach(x)};
  size_t n = sizeof views / sizeof views[0];
  assert_int_equal(x->storage->ref, 1 + (int) n);
  for (size_t i = 0; i < n; i++) assert_ptr_equal(views[i]->storage, x->storage);
  *element(x, 1) = 123;
  assert_true(value(views[0], 3) == 123 && value(views[1], 0) == 123 && value(views[2], 1) == 123);
  assert_ptr_not_equal(peri_clone(x)->storage, x->storage);
  assert_ptr_not_equal(peri_contiguous(x)->storage, x->storage);
  peri_scope_close(s);
}

static void test_view_keeps_storage_alive (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *row = peri_keep(peri_slice(peri_full(PERI_REAL, dims(2, 50, 4), 3), 0, 7, 8, 1));
  peri_scope_close(s);
  assert_true(value(row, 3) == 3);
  peri_drop(row);
}

static void test_live_bytes (void **state) {
  (void) state;
  size_t before = peri_memory_now().live;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_full(PERI_REAL, dims(1, 1000), 0);
  assert_int_equal(peri_memory_now().live, before + 1000 * sizeof(peri_real));
  peri_transpose(peri_reshape(x, dims(2, 10, 100)), 0, 1);
  assert_int_equal(peri_memory_now().live, before + 1000 * sizeof(peri_real));
  assert_true(peri_memory_now().peak >= peri_memory_now().live);
  peri_scope_close(s);
  assert_int_equal(peri_memory_now().live, before);
}

static void test_cache_reuse_and_trim (void **state) {
  (void) state;
  peri_memory_trim();
  assert_int_equal(peri_memory_now().cached, 0);
  peri_scope s = peri_scope_open();
  const void *first = peri_full(PERI_REAL, dims(1, 10000), 1)->data;
  peri_scope_close(s);
#if !defined(__SANITIZE_ADDRESS__)               /* under it every block goes back at once */
  size_t cached = peri_memory_now().cached;
  assert_true(cached >= 10000 * sizeof(peri_real));
  s = peri_scope_open();
  assert_ptr_equal(peri_full(PERI_REAL, dims(1, 10000), 2)->data, first);
  peri_scope_close(s);
  assert_int_equal(peri_memory_now().cached, cached);
#endif
  (void) first;
  peri_memory_trim();
  assert_int_equal(peri_memory_now().cached, 0);
}

/* --- errors --- */

static void test_first_failure_wins (void **state) {
  (void) state;
  peri_fail(PERI_E_SHAPE, "the first: %d", 1);
  peri_fail(PERI_E_MEMORY, "the second");
  assert_int_equal(peri_error(), PERI_E_SHAPE);
  assert_string_equal(peri_message(), "the first: 1");
  peri_clear();
  assert_int_equal(peri_error(), PERI_OK);
  assert_string_equal(peri_message(), "");
}

static void test_status_words (void **state) {
  (void) state;
  for (int i = 1; i < PERI_NSTATUS; i++)
    for (int k = 1; k < i; k++)
      assert_string_not_equal(peri_status_word((peri_status) -i),
                              peri_status_word((peri_status) -k));
  assert_string_equal(peri_status_word(PERI_E_SHAPE), "shape");
}

/* NULL in, NULL out, and no other failure is recorded on top. */
static void test_null_propagates (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = random_tensor(dims(2, 2, 3), PERI_IN_REAL, PACKED), *bad, *g;
  peri_require_grad(x, true);
  bad = peri_add(x, random_tensor(dims(2, 4, 5), PERI_IN_REAL, PACKED));
  assert_null(bad);
  assert_null(peri_exp(bad));
  assert_null(peri_add(x, bad));
  assert_null(peri_where(bad, x, x));
  assert_null(peri_sum(bad, dims(0), false));
  assert_null(peri_reshape(bad, dims(1, 4)));
  assert_null(peri_concat(2, (peri_tensor *[]) {x, bad}, 0));
  assert_null(peri_clone(bad));
  assert_null(peri_detach(bad));
  assert_null(peri_cast(bad, PERI_BYTE));
  assert_true(peri_require_grad(bad, true) != PERI_OK);
  assert_true(peri_assign(bad, x) != PERI_OK);
  assert_true(peri_assign(x, bad) != PERI_OK);
  assert_true(peri_grad(bad, NULL, 1, &x, 0, &g) != PERI_OK);
  assert_null(g);
  expect_failure(PERI_E_SHAPE, "add", "(2, 3)", "(4, 5)", NULL);
  peri_scope_close(s);
}

static void test_bad_shapes (void **state) {
  (void) state;
  assert_null(peri_full(PERI_REAL, dims(2, 3, -1), 0));
  expect_failure(PERI_E_SHAPE, "(3, -1)", "negative", NULL);
  int64_t large = (int64_t) 1 << 31;
  assert_null(peri_empty(PERI_REAL, peri_shape(3, large, large, large)));
  expect_failure(PERI_E_MEMORY, "(2147483648, 2147483648, 2147483648)", NULL);
  assert_null(peri_empty(PERI_BYTE, peri_shape(2, INT64_MAX, (int64_t) 3)));
  expect_failure(PERI_E_MEMORY, "9223372036854775807", NULL);
  assert_null(peri_empty(PERI_REAL, (peri_dims) {.n = 9}));
  expect_failure(PERI_E_SHAPE, "9", NULL);
}

/* An empty tensor of an absurd shape is still empty. */
static void test_huge_empty (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_empty(PERI_REAL, peri_shape(2, (int64_t) 0, (int64_t) 1 << 30));
  assert_non_null(x);
  assert_int_equal(x->count, 0);
  peri_scope_close(s);
}

/* --- values in and out --- */

static void test_coordinates (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  for (test_layout l = PACKED; l < NLAYOUTS; l++) {
    peri_tensor *x = random_tensor(dims(3, 2, 3, 4), PERI_IN_REAL, l);
    int64_t at[PERI_MAXDIM];
    for (int64_t k = 0; k < x->count; k++) {
      coordinates(peri_shape_of(x), k, at);
      assert_true(peri_at(x, at) == value(x, k));
      assert_true(value(peri_clone(x), k) == value(x, k));
    }
    assert_true(peri_is_contiguous(x) == (l == PACKED));
    assert_true(peri_is_contiguous(peri_clone(x)));
  }
  char text[PERI_SHAPETEXT];
  assert_string_equal(peri_shape_text(peri_number(1), text), "()");
  assert_string_equal(peri_shape_text(peri_empty(PERI_BYTE, dims(2, 2, 0)), text), "(2, 0)");
  peri_scope_close(s);
}

static void test_casts (void **state) {
  (void) state;
  const double data[] = {0, 1.9, -1.9, 255, 300, NAN};
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_copy_of(PERI_REAL, dims(1, 6), data);
  peri_tensor *i = peri_cast(peri_slice(x, 0, 0, 5, 1), PERI_INDEX);
  assert_true(value(i, 1) == 1 && value(i, 2) == -1 && value(i, 4) == 300);
  assert_true(value(peri_cast(peri_slice(x, 0, 0, 2, 1), PERI_BYTE), 1) == 1);
  assert_true(value(peri_cast(i, PERI_REAL), 2) == -1);
  assert_null(peri_cast(x, PERI_INDEX));
  expect_failure(PERI_E_ARGUMENT, "index", "nan", NULL);
  assert_null(peri_cast(i, PERI_BYTE));
  expect_failure(PERI_E_ARGUMENT, "byte", "-1", NULL);
  const int32_t big[] = {INT32_MAX, 123456789};
  peri_tensor *wide = peri_copy_of(PERI_INDEX, dims(1, 2), big);
  assert_true(value(peri_cast(peri_cast(wide, PERI_INDEX), PERI_REAL), 1) == 123456789);
  peri_scope_close(s);
}

/* --- in-place updates and versions --- */

static void test_assign (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = random_tensor(dims(2, 3, 3), PERI_IN_REAL, PACKED), *y = peri_clone(x);
  peri_tensor *z = random_tensor(dims(2, 3, 3), PERI_IN_REAL, TRANSPOSED);
  uint32_t version = x->storage->version;
  assert_int_equal(peri_assign(x, z), PERI_OK);
  assert_true(x->storage->version != version);
  for (int64_t k = 0; k < 9; k++) assert_true(value(x, k) == value(z, k));
  assert_int_equal(peri_assign(x, y), PERI_OK);
  assert_int_equal(peri_assign(x, peri_transpose(x, 0, 1)), PERI_OK);      /* overlapping */
  for (int64_t k = 0; k < 9; k++) assert_true(value(x, k) == value(y, k % 3 * 3 + k / 3));
  version = x->storage->version;
  assert_true(peri_assign(x, peri_number(1)) != PERI_OK);
  expect_failure(PERI_E_SHAPE, "(3, 3)", "()", NULL);
  assert_true(peri_assign(x, peri_full(PERI_BYTE, dims(2, 3, 3), 1)) != PERI_OK);
  expect_failure(PERI_E_TYPE, "real", "byte", NULL);
  peri_require_grad(y, true);
  assert_true(peri_assign(peri_exp(y), x) != PERI_OK);
  expect_failure(PERI_E_GRAPH, "detach", NULL);
  assert_int_equal(x->storage->version, version);                         /* nothing is changed */
  peri_scope_close(s);
}

static void expect_stale (peri_tensor *(*make) (peri_tensor *), bool stale) {
  peri_scope s = peri_scope_open();
  peri_tensor *x = leaf_of(3), *y = total(make(x)), *g;
  assert_int_equal(peri_assign(x, peri_full(PERI_REAL, dims(1, 3), 1)), PERI_OK);
  peri_status status = peri_grad(y, NULL, 1, &x, 0, &g);
  if (stale) {
    assert_int_equal(status, PERI_E_GRAPH);
    assert_null(g);
    expect_failure(PERI_E_GRAPH, "changed in place", NULL);
  } else {
    assert_int_equal(status, PERI_OK);
  }
  peri_scope_close(s);
}

static peri_tensor *twice (peri_tensor *x) { return peri_add(x, x); }
static peri_tensor *view_squared (peri_tensor *x) {
  return peri_square(peri_reshape(x, dims(2, 3, 1)));
}
static peri_tensor *exp_only (peri_tensor *x) { return peri_exp(x); }

/* A leaf that was saved and then changed makes the graph refuse; one that nobody reads does not. */
static void test_saved_leaf_changed (void **state) {
  (void) state;
  expect_stale(peri_square, true);
  expect_stale(view_squared, true);
  expect_stale(twice, false);
  expect_stale(exp_only, false);
}

/* A view of a leaf's storage without a graph may be assigned to: that changes the leaf as well. */
static void test_changed_through_detached (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = leaf_of(3), *y = total(peri_square(x)), *g;
  assert_int_equal(peri_assign(peri_detach(x), peri_full(PERI_REAL, dims(1, 3), 1)), PERI_OK);
  assert_int_equal(peri_grad(y, NULL, 1, &x, 0, &g), PERI_E_GRAPH);
  expect_failure(PERI_E_GRAPH, "square", "in place", NULL);
  peri_scope_close(s);
}

/* --- graphs --- */

static void test_consumed (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = leaf_of(3), *y = total(peri_square(x)), *g;
  for (int i = 0; i < 3; i++)
    assert_int_equal(peri_grad(y, NULL, 1, &x, PERI_KEEP_GRAPH, &g), PERI_OK);
  assert_int_equal(peri_grad(y, NULL, 1, &x, 0, &g), PERI_OK);
  assert_true(value(g, 0) == 2 * value(x, 0));
  assert_int_equal(peri_grad(y, NULL, 1, &x, 0, &g), PERI_E_GRAPH);
  assert_null(g);
  expect_failure(PERI_E_GRAPH, "square", "consumed", "keep_graph", NULL);
  peri_scope_close(s);
}

/* Consuming a graph gives the memory of what it saved back while the result lives on. */
static void test_consumption_frees (void **state) {
  (void) state;
  peri_scope outer = peri_scope_open();
  peri_tensor *x = leaf_of(10000), *y, *g;
  peri_scope s = peri_scope_open();
  size_t before = peri_memory_now().live;
  y = peri_keep(total(peri_mul(peri_exp(x), peri_sin(x))));
  peri_scope_close(s);
  assert_true(peri_memory_now().live >= before + 2 * 10000 * sizeof(peri_real));
  s = peri_scope_open();
  peri_grad(y, NULL, 1, &x, 0, &g);
  peri_scope_close(s);
  assert_true(peri_memory_now().live <= before + 64);
  peri_drop(y);
  peri_scope_close(outer);
}

static void test_no_recording (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = leaf_of(3), *g;
  assert_true(peri_set_recording(false));
  peri_tensor *y = total(peri_square(x));
  assert_false(peri_set_recording(true));
  assert_false(peri_requires_grad(y));
  assert_true(peri_grad(y, NULL, 1, &x, 0, &g) == PERI_E_GRAPH);
  expect_failure(PERI_E_GRAPH, "depends on nothing", NULL);
  assert_false(peri_requires_grad(peri_square(peri_detach(x))));
  peri_require_grad(y = peri_square(x), false);
  assert_false(peri_requires_grad(y));
  peri_scope_close(s);
}

static void test_grad_arguments (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = leaf_of(3), *c = peri_number(2), *y = peri_square(x), *g;
  assert_int_equal(peri_grad(y, NULL, 1, &x, 0, &g), PERI_E_SHAPE);
  expect_failure(PERI_E_SHAPE, "(3)", "one element", NULL);
  assert_int_equal(peri_grad(y, c, 1, &x, 0, &g), PERI_E_SHAPE);
  expect_failure(PERI_E_SHAPE, "()", "(3)", NULL);
  assert_int_equal(peri_grad(total(y), NULL, 1, &c, 0, &g), PERI_E_GRAPH);
  expect_failure(PERI_E_GRAPH, "does not require", NULL);
  assert_int_equal(peri_grad(y, peri_full(PERI_BYTE, dims(1, 3), 1), 1, &x, 0, &g), PERI_E_TYPE);
  expect_failure(PERI_E_TYPE, "byte", NULL);
  assert_true(peri_require_grad(peri_full(PERI_BYTE, dims(1, 3), 1), true) == PERI_E_TYPE);
  expect_failure(PERI_E_TYPE, "byte", NULL);
  peri_scope_close(s);
}

/* Zeros where y does not depend on an input; the same input twice; y itself; an inner result. */
static void test_grad_targets (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = leaf_of(3), *other = leaf_of(2), *inner = peri_square(x);
  peri_tensor *y = total(peri_mul(inner, x));
  peri_tensor *to[] = {x, other, x, inner, y}, *g[5];
  assert_int_equal(peri_grad(y, NULL, 5, to, 0, g), PERI_OK);
  for (int64_t k = 0; k < 3; k++) {
    double v = value(x, k);
    assert_true(fabs(value(g[0], k) - 3 * v * v) < 1e-12);
    assert_true(value(g[2], k) == value(g[0], k));
    assert_true(fabs(value(g[3], k) - v) < 1e-12);
  }
  assert_true(g[1]->count == 2 && value(g[1], 0) == 0 && value(g[1], 1) == 0);
  assert_true(g[4]->ndim == 0 && value(g[4], 0) == 1);
  peri_scope_close(s);
}

/* d/dx of |d sum(x^3)/dx|^2 = d/dx sum 9 x^4 = 36 x^3, and once more: 108 x^2 */
static void test_third_order (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = leaf_of(4), *g, *h, *k;
  peri_tensor *y = total(peri_mul(peri_square(x), x));
  peri_grad(y, NULL, 1, &x, PERI_CREATE_GRAPH, &g);
  peri_grad(total(peri_square(g)), NULL, 1, &x, PERI_CREATE_GRAPH, &h);
  peri_grad(total(h), NULL, 1, &x, 0, &k);
  expect_no_failure("third order");
  for (int64_t i = 0; i < 4; i++) {
    double v = value(x, i);
    assert_true(fabs(value(h, i) - 36 * v * v * v) < 1e-10);
    assert_true(fabs(value(k, i) - 108 * v * v) < 1e-10);
  }
  peri_scope_close(s);
}

/* Each way through a diamond counts: y = (x + x) (x + x) has 8 x. */
static void test_diamond (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = leaf_of(2), *a = peri_add(x, x), *g;
  peri_grad(total(peri_mul(a, a)), NULL, 1, &x, 0, &g);
  for (int64_t k = 0; k < 2; k++) assert_true(fabs(value(g, k) - 8 * value(x, k)) < 1e-12);
  peri_scope_close(s);
}

/* The place of the operation whose derivative fails is named. */
static void test_place_in_message (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_set_place("model.lua", 42);
  peri_tensor *x = leaf_of(3), *y = peri_square(x), *g;
  peri_set_place("model.lua", 43);
  y = total(y);
  peri_set_place(NULL, 0);
  peri_assign(x, peri_full(PERI_REAL, dims(1, 3), 1));
  peri_grad(y, NULL, 1, &x, 0, &g);
  expect_failure(PERI_E_GRAPH, "square", "model.lua:42", NULL);
  peri_scope_close(s);
}

enum { DEEP = 100000 };

/* A chain of 100,000 results: neither the walk nor the tear-down may need stack for each. */
static void test_deep_graph (void **state) {
  (void) state;
  for (int walk = 0; walk < 3; walk++) {
    peri_scope s = peri_scope_open();
    peri_tensor *x = leaf_of(1), *y = peri_keep(x), *g;
    for (int i = 0; i < DEEP; i++) {
      peri_scope inner = peri_scope_open();
      peri_tensor *next = peri_keep(i % 2 ? peri_neg(y) : peri_mul(y, x));
      peri_scope_close(inner);
      peri_drop(y);
      y = next;
      if (i % 1000 == 0) *element(y, 0) = 1;       /* stays finite */
    }
    if (walk) {
      assert_int_equal(peri_grad(y, NULL, 1, &x, walk == 2 ? PERI_KEEP_GRAPH : 0, &g), PERI_OK);
      assert_int_equal(g->count, 1);
    }
    peri_drop(y);
    peri_scope_close(s);
  }
}

/* One result read by 1,000 others, and a list of 1,000 inputs. */
static void test_wide_graph (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  static peri_tensor *list[1000];
  peri_tensor *x = leaf_of(3), *g;
  for (int i = 0; i < 1000; i++) list[i] = peri_mul(x, peri_number(i));
  peri_grad(total(peri_concat(1000, list, 0)), NULL, 1, &x, 0, &g);
  expect_no_failure("wide graph");
  for (int64_t k = 0; k < 3; k++) assert_true(value(g, k) == 499500);
  peri_scope_close(s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int main (void) {
  const struct CMUnitTest tests[] = {
    TEST(test_scope_drops), TEST(test_keep_outlives_scope), TEST(test_keep_takes_null),
    TEST(test_view_shares_storage), TEST(test_view_keeps_storage_alive), TEST(test_live_bytes),
    TEST(test_cache_reuse_and_trim), TEST(test_first_failure_wins), TEST(test_status_words),
    TEST(test_null_propagates), TEST(test_bad_shapes), TEST(test_huge_empty),
    TEST(test_coordinates), TEST(test_casts), TEST(test_assign), TEST(test_saved_leaf_changed),
    TEST(test_changed_through_detached), TEST(test_consumed), TEST(test_consumption_frees),
    TEST(test_no_recording), TEST(test_grad_arguments), TEST(test_grad_targets),
    TEST(test_third_order), TEST(test_diamond), TEST(test_place_in_message),
    TEST(test_deep_graph), TEST(test_wide_graph)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
