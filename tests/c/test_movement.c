/* Movement and indexing: where every element of a result comes from, on every case and for every
   dtype; and ranges, shapes and indices that must be refused. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

static int axis_of (const test_case *c, int axis) {
  return axis < 0 ? axis + c->in[0]->ndim : axis;
}

/* --- what element `at` of the result must be --- */

static double moved (const test_case *c, const peri_tensor *y, const int64_t *at) {
  const peri_tensor *x = c->in[0];
  int64_t from[PERI_MAXDIM];
  int axis = axis_of(c, c->a.axis), other = axis_of(c, c->a.other);
  memcpy(from, at, sizeof from);
  switch (c->op) {
    case PERI_OP_contiguous: break;
    case PERI_OP_expand:
      for (int i = 0, lead = y->ndim - x->ndim; i < x->ndim; i++)
        from[i] = x->shape[i] == 1 ? 0 : at[i + lead];
      break;
    case PERI_OP_permute:
      for (int i = 0; i < x->ndim; i++) from[axis_of(c, (int) c->a.dims.at[i])] = at[i];
      break;
    case PERI_OP_transpose:
      from[axis] = at[other];
      from[other] = at[axis];
      break;
    case PERI_OP_slice: from[axis] = c->a.i[0] + at[axis] * c->a.i[2]; break;
    case PERI_OP_flip: from[axis] = x->shape[axis] - 1 - at[axis]; break;
    case PERI_OP_unslice: {
      int64_t past = at[axis] - c->a.i[0];
      if (past < 0 || past % c->a.i[1] || past / c->a.i[1] >= x->shape[axis]) return 0;
      from[axis] = past / c->a.i[1];
      break;
    }
    case PERI_OP_roll: {
      int64_t n = x->shape[axis];
      from[axis] = ((at[axis] - c->a.i[0]) % n + n) % n;
      break;
    }
    case PERI_OP_tile:
      for (int i = 0, lead = y->ndim - x->ndim; i < x->ndim; i++) from[i] = at[i + lead] % x->shape[i];
      break;
    case PERI_OP_tril: if (at[x->ndim - 1] > at[x->ndim - 2] + c->a.i[0]) return 0; break;
    case PERI_OP_triu: if (at[x->ndim - 1] < at[x->ndim - 2] + c->a.i[0]) return 0; break;
    case PERI_OP_pad: {
      int64_t n = x->shape[axis], k = at[axis] - c->a.i[0];
      bool inside = k >= 0 && k < n;
      if (!inside && c->a.mode == 0) return 0;
      if (!inside && c->a.mode == 1) k = k < 0 ? -k : 2 * (n - 1) - k;
      if (!inside && c->a.mode == 2) k = k < 0 ? 0 : n - 1;
      from[axis] = (k + n) % n;
      break;
    }
    default: fail();
  }
  return peri_at(x, from);
}

/* Pixel p, q of block i, j and channel k: channel (k r + p) r + q of pixel i, j. */
static double folded (const test_case *c, const peri_tensor *y, const int64_t *at) {
  int64_t r = c->a.i[0], from[PERI_MAXDIM] = {at[0]};
  (void) y;
  for (int i = 1; i < 3; i++) {
    int64_t rest = i == 1 ? at[3] / r % r : at[3] % r;
    from[i] = c->op == PERI_OP_space_to_depth ? at[i] * r + rest : at[i] / r;
  }
  from[3] = c->op == PERI_OP_space_to_depth ? at[3] / (r * r)
                                            : (at[3] * r + at[1] % r) * r + at[2] % r;
  return peri_at(c->in[0], from);
}

static double reshaped (const test_case *c, const peri_tensor *y, const int64_t *at) {
  int64_t k = 0;
  for (int i = 0; i < y->ndim; i++) k = k * y->shape[i] + at[i];
  return value(c->in[0], k);
}

static double joined (const test_case *c, const peri_tensor *y, const int64_t *at) {
  int64_t from[PERI_MAXDIM];
  int axis = c->a.axis < 0 ? c->a.axis + y->ndim : c->a.axis, which = 0;
  memcpy(from, at, sizeof from);
  if (c->op == PERI_OP_stack) {
    memmove(from + axis, from + axis + 1, (size_t) (PERI_MAXDIM - axis - 1) * sizeof from[0]);
    return peri_at(c->in[at[axis]], from);
  }
  for (; from[axis] >= c->in[which]->shape[axis]; which++) from[axis] -= c->in[which]->shape[axis];
  return peri_at(c->in[which], from);
}

static double picked (const test_case *c, const peri_tensor *y, const int64_t *at) {
  int64_t from[PERI_MAXDIM];
  int axis = axis_of(c, c->a.axis);
  (void) y;
  memcpy(from, at, sizeof from);
  from[axis] = (int64_t) (c->op == PERI_OP_gather ? peri_at(c->in[1], at)
                                                  : value(c->in[1], at[axis])) - 1;
  return peri_at(c->in[0], from);
}

static double placed (const test_case *c, const peri_tensor *y, const int64_t *at) {
  const peri_tensor *x = c->in[0], *index = c->in[1];
  int64_t from[PERI_MAXDIM];
  int axis = axis_of(c, c->a.axis);
  double sum = 0;
  (void) y;
  memcpy(from, at, sizeof from);
  for (from[axis] = 0; from[axis] < x->shape[axis]; from[axis]++) {
    double to = c->op == PERI_OP_scatter_add ? peri_at(index, from) : value(index, from[axis]);
    if ((int64_t) to == at[axis] + 1) sum += peri_at(x, from);
  }
  return sum;
}

static double hot (const test_case *c, const peri_tensor *y, const int64_t *at) {
  return peri_at(c->in[0], at) == (double) at[y->ndim - 1] + 1;
}

typedef double source (const test_case *c, const peri_tensor *y, const int64_t *at);

static source *source_of (peri_opcode op) {
  switch (op) {
    case PERI_OP_reshape: return reshaped;
    case PERI_OP_concat: case PERI_OP_stack: return joined;
    case PERI_OP_index_select: case PERI_OP_gather: return picked;
    case PERI_OP_index_add: case PERI_OP_scatter_add: return placed;
    case PERI_OP_one_hot: return hot;
    case PERI_OP_expand: case PERI_OP_permute: case PERI_OP_transpose: case PERI_OP_slice:
    case PERI_OP_unslice: case PERI_OP_flip: case PERI_OP_contiguous: case PERI_OP_roll:
    case PERI_OP_tile: case PERI_OP_tril: case PERI_OP_triu: case PERI_OP_pad: return moved;
    case PERI_OP_space_to_depth: case PERI_OP_depth_to_space: return folded;
    default: return NULL;
  }
}

/* Sizes along the axis, or all of them, that the arguments promise. */
static void check_sizes (const test_case *c, const peri_tensor *y) {
  const peri_args *a = &c->a;
  int axis = axis_of(c, a->axis);
  int64_t size = y->ndim && axis < y->ndim ? y->shape[axis] : 0, sum = 0;
  for (int i = 0; i < c->nin && c->op == PERI_OP_concat; i++) sum += c->in[i]->shape[axis];
  switch (c->op) {
    case PERI_OP_reshape: case PERI_OP_expand:
      assert_int_equal(y->ndim, a->dims.n);
      for (int i = 0; i < y->ndim; i++)
        assert_true(a->dims.at[i] == -1 || a->dims.at[i] == y->shape[i]);
      if (c->op == PERI_OP_reshape) assert_int_equal(y->count, c->in[0]->count);
      break;
    case PERI_OP_slice: assert_int_equal(size, (a->i[1] - a->i[0] + a->i[2] - 1) / a->i[2]); break;
    case PERI_OP_unslice: assert_int_equal(size, a->i[2]); break;
    case PERI_OP_pad: assert_int_equal(size, c->in[0]->shape[axis] + a->i[0] + a->i[1]); break;
    case PERI_OP_roll: assert_int_equal(size, c->in[0]->shape[axis]); break;
    case PERI_OP_tile:
      for (int i = 0; i < y->ndim; i++) {
        int of = i - (y->ndim - a->dims.n), to = i - (y->ndim - c->in[0]->ndim);
        assert_int_equal(y->shape[i], (of < 0 ? 1 : a->dims.at[of]) * (to < 0 ? 1 : c->in[0]->shape[to]));
      }
      break;
    case PERI_OP_space_to_depth: case PERI_OP_depth_to_space:
      assert_int_equal(y->count, c->in[0]->count);
      break;
    case PERI_OP_index_add: case PERI_OP_scatter_add: assert_int_equal(size, a->i[0]); break;
    case PERI_OP_one_hot: assert_int_equal(y->shape[y->ndim - 1], a->i[0]); break;
    case PERI_OP_concat: assert_int_equal(size, sum); break;
    case PERI_OP_stack: assert_int_equal(y->count, c->nin * c->in[0]->count); break;
    default: break;
  }
}

static void check_sources (test_case *c) {
  peri_tensor *y = run_case(c);
  expect_no_failure(c->name);
  check_sizes(c, y);
  assert_int_equal(y->dtype, c->op == PERI_OP_one_hot ? PERI_REAL : c->in[0]->dtype);
  int64_t at[PERI_MAXDIM], count = 1;
  for (int i = 0; i < y->ndim; i++) count *= y->shape[i];
  assert_int_equal(count, y->count);
  for (int64_t k = 0; k < y->count; k++) {
    coordinates(peri_shape_of(y), k, at);
    double want = source_of(c->op)(c, y, at), got = value(y, k);
    if (!(fabs(got - want) <= 1e-12))
      fail_msg("%s, case '%s': element %lld is %.17g, want %.17g", peri_ops[c->op].name, c->name,
               (long long) k, got, want);
  }
}

static void test_sources (peri_opcode op) {
  test_case c;
  if (!source_of(op)) return;
  int style = find_style(op);
  for (int number = 0; ; number++) {
    peri_scope scope = peri_scope_open();
    bool more = make_case(op, style, number, SMALL_SIZES, &c);
    if (more) check_sources(&c);
    peri_scope_close(scope);
    if (!more) break;
  }
}

/* A row that takes any dtype moves index and byte elements as well; views are views of them too. */
static void test_dtypes (peri_opcode op) {
  const char *s = peri_ops[op].signature;
  bool any = strncmp(s, "x:u", 3) == 0 || strncmp(s, "list:l", 6) == 0;
  test_case c;
  if (!source_of(op) || !any) return;
  int style = find_style(op);
  for (int number = 0; ; number++) {
    peri_scope scope = peri_scope_open();
    bool more = make_case(op, style, number, SMALL_SIZES, &c), was = peri_set_recording(false);
    for (int type = PERI_INDEX; more && type <= PERI_BYTE; type++) {
      test_case d = c;
      run_case(&c);
      for (int i = 0; i < d.nin; i++) {
        bool is_index = c.in[i]->dtype == PERI_INDEX;
        d.how[i] = AS_IS;
        if (!is_index) {
          peri_tensor *magnitude = peri_floor(peri_mul(peri_abs(c.in[i]), peri_number(40)));
          d.base[i] = peri_cast(magnitude, (peri_dtype) type);
        }
      }
      expect_no_failure("dtypes");
      check_sources(&d);
    }
    peri_set_recording(was);
    peri_scope_close(scope);
    if (!more) break;
  }
}

/* --- refusals --- */

static peri_tensor *index_of (int n, const int32_t *x) {
  return peri_copy_of(PERI_INDEX, dims(1, n), x);
}

/* The message names the index and what it may be. */
static void test_index_out_of_range (void **state) {
  static const int32_t zero[] = {1, 0}, above[] = {2, 5}, below[] = {-1, 1};
  static const struct { const int32_t *index; const char *names; } bad[] = {
    {zero, "0"}, {above, "5"}, {below, "-1"}};
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_full(PERI_REAL, dims(1, 4), 1), *two = peri_full(PERI_REAL, dims(1, 2), 1);
  for (int i = 0; i < 3; i++) {
    assert_null(peri_index_select(x, index_of(2, bad[i].index), 0));
    expect_failure(PERI_E_ARGUMENT, "^index_select: ", bad[i].names, "1..4", NULL);
    assert_null(peri_gather(x, index_of(2, bad[i].index), 0));
    expect_failure(PERI_E_ARGUMENT, "^gather: ", bad[i].names, "1..4", NULL);
    assert_null(peri_index_add(two, index_of(2, bad[i].index), 0, 4));
    expect_failure(PERI_E_ARGUMENT, "^index_add: ", bad[i].names, "1..4", NULL);
    assert_null(peri_scatter_add(two, index_of(2, bad[i].index), 0, 4));
    expect_failure(PERI_E_ARGUMENT, "^scatter_add: ", bad[i].names, "1..4", NULL);
    assert_null(peri_one_hot(index_of(2, bad[i].index), 4));
    expect_failure(PERI_E_ARGUMENT, "^one_hot: ", bad[i].names, "1..4", NULL);
  }
  peri_scope_close(s);
}

static void test_index_shapes (void **state) {
  static const int32_t ones[] = {1, 1, 1, 1, 1, 1};
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_full(PERI_REAL, dims(2, 2, 3), 1);
  peri_tensor *list = index_of(3, ones), *table = peri_reshape(index_of(6, ones), dims(2, 3, 2));
  assert_null(peri_index_select(x, table, 0));
  expect_failure(PERI_E_SHAPE, "^index_select: ", "(3, 2)", NULL);
  assert_null(peri_gather(x, list, 0));
  expect_failure(PERI_E_SHAPE, "^gather: ", "(3)", "(2, 3)", NULL);
  assert_null(peri_gather(x, table, 0));
  expect_failure(PERI_E_SHAPE, "(3, 2)", "(2, 3)", NULL);
  assert_null(peri_index_add(x, list, 0, 5));
  expect_failure(PERI_E_SHAPE, "^index_add: ", "3", "2", NULL);
  assert_null(peri_scatter_add(x, table, 0, 5));
  expect_failure(PERI_E_SHAPE, "^scatter_add: ", "(3, 2)", "(2, 3)", NULL);
  assert_null(peri_index_add(x, index_of(2, ones), 0, -1));
  expect_failure(PERI_E_ARGUMENT, "-1", NULL);
  assert_null(peri_one_hot(list, 0));
  expect_failure(PERI_E_ARGUMENT, "^one_hot: ", "0 classes", NULL);
  peri_scope_close(s);
}

static void test_slice_ranges (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_full(PERI_REAL, dims(2, 2, 5), 1);
  static const int64_t bad[][3] = {{0, 5, 0}, {0, 5, -1}, {4, 2, 1}, {0, 6, 1}};
  for (int i = 0; i < 4; i++) {
    assert_null(peri_slice(x, 1, bad[i][0], bad[i][1], bad[i][2]));
    expect_failure(PERI_E_ARGUMENT, "^slice: ", i < 2 ? "step" : "5", NULL);
  }
  assert_int_equal(peri_slice(x, 1, 5, 5, 1)->count, 0);
  assert_int_equal(peri_slice(x, 1, 0, 5, 100)->count, 2);
  assert_null(peri_unslice(x, 1, 1, 1, 5));
  expect_failure(PERI_E_ARGUMENT, "^unslice: ", "5", NULL);
  assert_null(peri_unslice(x, 1, 0, 0, 5));
  expect_failure(PERI_E_ARGUMENT, "^unslice: ", NULL);
  assert_null(peri_unslice(x, 1, 0, INT64_MAX / 2, INT64_MAX));
  expect_failure(PERI_E_ARGUMENT, "^unslice: ", NULL);
  peri_scope_close(s);
}

static void test_shapes_refused (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_full(PERI_REAL, dims(2, 2, 3), 1);
  peri_tensor *y = peri_full(PERI_REAL, dims(2, 3, 3), 1);
  const peri_dims bad[] = {dims(1, 5), dims(2, -1, 4), dims(2, -1, -1), dims(2, -1, 0), dims(1, -2),
                           peri_shape(2, INT64_MAX, (int64_t) 4)};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_null(peri_reshape(x, bad[i]));
    expect_failure(PERI_E_SHAPE, "^reshape: ", "(2, 3)", NULL);
  }
  assert_null(peri_expand(x, dims(2, 4, 3)));
  expect_failure(PERI_E_SHAPE, "(2, 3)", "(4, 3)", NULL);
  assert_null(peri_expand(x, dims(1, 3)));
  expect_failure(PERI_E_SHAPE, "^expand: ", "(2, 3)", "(3)", NULL);
  assert_null(peri_expand(peri_number(1), dims(1, -1)));
  expect_failure(PERI_E_SHAPE, "^expand: ", NULL);
  assert_null(peri_expand(peri_number(1), peri_shape(2, (int64_t) 1 << 40, (int64_t) 1 << 40)));
  expect_failure(PERI_E_SHAPE, "^expand: ", "1099511627776", NULL);
  assert_null(peri_permute(x, dims(1, 0)));
  expect_failure(PERI_E_ARGUMENT, "^permute: ", NULL);
  assert_null(peri_permute(x, dims(2, 0, 0)));
  expect_failure(PERI_E_ARGUMENT, "^permute: ", "twice", NULL);
  assert_null(peri_concat(2, (peri_tensor *[]) {x, y}, 1));
  expect_failure(PERI_E_SHAPE, "^concat: ", "(2, 3)", "(3, 3)", NULL);
  assert_null(peri_stack(2, (peri_tensor *[]) {x, y}, 0));
  expect_failure(PERI_E_SHAPE, "^stack: ", "(2, 3)", "(3, 3)", NULL);
  assert_null(peri_concat(0, NULL, 0));
  expect_failure(PERI_E_ARGUMENT, "^concat: ", "empty", NULL);
  peri_tensor *most = peri_full(PERI_REAL, dims(8, 1, 1, 1, 1, 1, 1, 1, 1), 1);
  assert_null(peri_stack(1, &most, 0));
  expect_failure(PERI_E_SHAPE, "^stack: ", "8", NULL);
  peri_scope_close(s);
}

/* --- laws --- */

/* Undoing a movement gives the same elements: slice of unslice, flip of flip, permute and back. */
static void test_inverses (void **state) {
  (void) state;
  for (test_layout l = PACKED; l < NLAYOUTS; l++) {
    peri_scope s = peri_scope_open();
    peri_tensor *x = random_tensor(dims(3, 2, 3, 4), PERI_IN_REAL, l);
    peri_tensor *same[] = {
      peri_slice(peri_unslice(x, 1, 2, 3, 12), 1, 2, 9, 3), peri_flip(peri_flip(x, -1), 2),
      peri_permute(peri_permute(x, dims(3, 1, 2, 0)), dims(3, 2, 0, 1)),
      peri_transpose(peri_transpose(x, 0, 2), 2, 0),
      peri_reshape(peri_reshape(x, dims(1, -1)), dims(3, 2, 3, 4)),
      peri_concat(2, (peri_tensor *[]) {peri_slice(x, 1, 0, 1, 1), peri_slice(x, 1, 1, 3, 1)}, 1)};
    expect_no_failure("inverses");
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
      for (int64_t k = 0; k < x->count; k++) assert_true(value(same[i], k) == value(x, k));
    peri_scope_close(s);
  }
}

/* A reshape of a strided view is a copy, of a packed tensor a view. */
static void test_reshape_copies_when_it_must (void **state) {
  (void) state;
  peri_scope s = peri_scope_open();
  peri_tensor *x = random_tensor(dims(2, 3, 4), PERI_IN_REAL, PACKED), *t = peri_transpose(x, 0, 1);
  assert_ptr_equal(peri_reshape(x, dims(1, 12))->storage, x->storage);
  assert_ptr_not_equal(peri_reshape(t, dims(1, 12))->storage, x->storage);
  peri_scope_close(s);
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_index_out_of_range), cmocka_unit_test(test_index_shapes),
    cmocka_unit_test(test_slice_ranges), cmocka_unit_test(test_shapes_refused),
    cmocka_unit_test(test_inverses), cmocka_unit_test(test_reshape_copies_when_it_must)};
  int failed = run_rows("sources", test_sources) + run_rows("dtypes", test_dtypes)
               + cmocka_run_group_tests(tests, NULL, NULL);
  return failed != 0;
}
