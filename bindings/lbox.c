/* Boxes: the userdata a script knows as a tensor.  Making them, emptying them, their fields, and
   the way in and out of Lua tables.  Operations are in lops.c. */

#include <math.h>
#include <string.h>

#include "lbox.h"

enum { MAGIC = 0x70657269 };

/* --- ownership --- */

static void unlink_box (peri_box *b) {
  if (!b->link) return;
  *b->link = b->next;
  if (b->next) b->next->link = b->link;
  b->link = NULL;
  b->next = NULL;
}

void peri__empty_box (peri_box *b) {
  peri_tensor *x = b->tensor;
  unlink_box(b);
  b->tensor = NULL;
  peri_drop(x);
}

peri_box *peri__push_box (lua_State *L) {
  peri__poll_collector(L);
  peri_box *b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = (peri_box) {.magic = MAGIC};
  lua_rawgetp(L, LUA_REGISTRYINDEX, peri__box_key);
  lua_setmetatable(L, -2);
  return b;
}

void peri__fill_box (lua_State *L, peri_box *b, peri_tensor *t) {
  peri_box **list = peri__open_boxes(L);
  if (!t) return;
  b->tensor = peri_keep(t);
  if (!list) return;
  b->next = *list;
  b->link = list;
  if (b->next) b->next->link = &b->next;
  *list = b;
}

static peri_box *to_box (lua_State *L, int i) {
  if (lua_type(L, i) != LUA_TUSERDATA || lua_rawlen(L, i) != sizeof(peri_box)) return NULL;
  peri_box *b = lua_touserdata(L, i);
  return b->magic == MAGIC ? b : NULL;
}

bool peri__is_box (lua_State *L, int i) {
  return to_box(L, i) != NULL;
}

peri_tensor *peri__check_tensor (lua_State *L, int i) {
  peri_box *b = to_box(L, i);
  if (!b) {
    peri__bad_argument(L, i, "tensor expected, got %s", luaL_typename(L, i));
    return NULL;
  }
  if (!b->tensor)
    peri__bad_argument(L, i, "this tensor is empty: its scope closed; call x:keep() inside the scope "
                       "to use it later");
  return b->tensor;
}

/* --- from Lua --- */

static peri_dtype check_dtype (lua_State *L, int i) {
  const char *name = luaL_optstring(L, i, "real");
  for (int t = 0; t < PERI_NDTYPES; t++)
    if (strcmp(name, peri_dtype_name((peri_dtype) t)) == 0) return (peri_dtype) t;
  peri__bad_argument(L, i, "dtype '%s'; use \"real\", \"index\" or \"byte\"", name);
  return PERI_REAL;
}

static void check_value (lua_State *L, int arg, peri_dtype type, int i) {
  double v = lua_tonumber(L, i);
  if (lua_type(L, i) != LUA_TNUMBER)
    peri__bad_argument(L, arg, "number expected inside, got %s", luaL_typename(L, i));
  double low = type == PERI_BYTE ? 0 : INT32_MIN, high = type == PERI_BYTE ? 255 : INT32_MAX;
  if (type != PERI_REAL && (!(v >= low && v <= high) || v != floor(v)))
    peri__bad_argument(L, arg, "%f does not fit dtype %s", v, peri_dtype_name(type));
}

/* The table on the top has the sizes from `axis` on; raises when ragged. */
static void check_nested (lua_State *L, int arg, peri_dtype type, peri_dims shape, int axis) {
  if (axis == shape.n) {
    check_value(L, arg, type, -1);
    return;
  }
  if (!lua_istable(L, -1))
    peri__bad_argument(L, arg, "nested tables of equal depth expected, got %s at depth %d",
                       luaL_typename(L, -1), axis + 1);
  int64_t n = (int64_t) lua_rawlen(L, -1);
  if (n != shape.at[axis])
    peri__bad_argument(L, arg, "ragged table: sizes %d and %d at depth %d; make them equal",
                       (int) shape.at[axis], (int) n, axis + 1);
  for (int64_t k = 1; k <= n; k++) {
    lua_rawgeti(L, -1, k);
    check_nested(L, arg, type, shape, axis + 1);
    lua_pop(L, 1);
  }
}

static void store (peri_tensor *x, int64_t at, lua_Number v) {
  if (x->dtype == PERI_REAL) ((peri_real *) x->data)[at] = (peri_real) v;
  else if (x->dtype == PERI_INDEX) ((int32_t *) x->data)[at] = (int32_t) v;
  else ((uint8_t *) x->data)[at] = (uint8_t) v;
}

/* Cannot raise: sizes and types were checked. */
static int64_t fill_nested (lua_State *L, peri_tensor *x, int axis, int64_t at) {
  if (axis == x->ndim) {
    store(x, at, lua_tonumber(L, -1));
    return at + 1;
  }
  for (int64_t k = 1; k <= x->shape[axis]; k++) {
    lua_rawgeti(L, -1, k);
    at = fill_nested(L, x, axis + 1, at);
    lua_pop(L, 1);
  }
  return at;
}

/* peri.tensor(number or nested table [, dtype]) */
static int l_tensor (lua_State *L) {
  peri_dims shape = {.n = 0};
  peri_dtype type = check_dtype(L, 2);
  if (lua_type(L, 1) != LUA_TNUMBER) luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  luaL_checkstack(L, 3 * PERI_MAXDIM, NULL);
  lua_pushvalue(L, 1);
  while (lua_istable(L, -1)) {
    if (shape.n == PERI_MAXDIM) return peri__bad_argument(L, 1, "more than %d axes", PERI_MAXDIM);
    shape.at[shape.n++] = (int64_t) lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 1);
  }
  lua_settop(L, 1);
  check_nested(L, 1, type, shape, 0);
  peri_box *b = peri__push_box(L);
  lua_insert(L, 1);
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_empty(type, shape);
  if (x) fill_nested(L, x, 0, 0);
  peri__fill_box(L, b, x);
  peri_scope_close(s);
  lua_settop(L, 1);
  return x ? 1 : peri__raise(L);
}

static int push_full (lua_State *L, peri_dtype type, peri_dims shape, double value) {
  peri_box *b = peri__push_box(L);
  peri_scope s = peri_scope_open();
  peri__fill_box(L, b, peri_full(type, shape, value));
  peri_scope_close(s);
  return b->tensor ? 1 : peri__raise(L);
}

/* peri.zeros(2, 3 [, dtype]), peri.zeros({2, 3} [, dtype]) */
static int l_zeros (lua_State *L) {
  int after;
  peri_dims shape = peri__check_shape(L, 1, false, &after);
  return push_full(L, check_dtype(L, after), shape, 0);
}

static int l_ones (lua_State *L) {
  int after;
  peri_dims shape = peri__check_shape(L, 1, false, &after);
  return push_full(L, check_dtype(L, after), shape, 1);
}

/* peri.full({2, 3}, value [, dtype]) */
static int l_full (lua_State *L) {
  int after;
  luaL_checktype(L, 1, LUA_TTABLE);
  peri_dims shape = peri__check_shape(L, 1, false, &after);
  lua_Number value = luaL_checknumber(L, 2);
  peri_dtype type = check_dtype(L, 3);
  lua_settop(L, 2);
  check_value(L, 2, type, 2);
  return push_full(L, type, shape, value);
}

/* peri.arange(last) is 1..last, peri.arange(first, last) first..last: an index tensor */
static int l_arange (lua_State *L) {
  lua_Integer first = lua_isnoneornil(L, 2) ? 1 : luaL_checkinteger(L, 1);
  lua_Integer last = luaL_checkinteger(L, lua_isnoneornil(L, 2) ? 1 : 2);
  if (first < INT32_MIN || last > INT32_MAX || last < first - 1)
    return peri__bad_argument(L, 1, "%d..%d is no range of 32-bit integers", (int) first, (int) last);
  peri_box *b = peri__push_box(L);
  peri_scope s = peri_scope_open();
  peri_tensor *x = peri_empty(PERI_INDEX, peri_shape(1, (int64_t) (last - first + 1)));
  for (int64_t i = 0; x && i < x->count; i++) ((int32_t *) x->data)[i] = (int32_t) (first + i);
  peri__fill_box(L, b, x);
  peri_scope_close(s);
  return b->tensor ? 1 : peri__raise(L);
}

/* --- to Lua --- */

static void push_value (lua_State *L, const peri_tensor *x, int64_t at) {
  if (x->dtype == PERI_REAL) lua_pushnumber(L, (lua_Number) ((const peri_real *) x->data)[at]);
  else if (x->dtype == PERI_INDEX) lua_pushinteger(L, ((const int32_t *) x->data)[at]);
  else lua_pushinteger(L, ((const uint8_t *) x->data)[at]);
}

static void push_nested (lua_State *L, const peri_tensor *x, int axis, int64_t at) {
  if (axis == x->ndim) {
    push_value(L, x, at);
    return;
  }
  luaL_checkstack(L, 2, NULL);
  lua_createtable(L, (int) (x->shape[axis] < 1 << 24 ? x->shape[axis] : 0), 0);
  for (int64_t k = 0; k < x->shape[axis]; k++) {
    push_nested(L, x, axis + 1, at + k * x->stride[axis]);
    lua_rawseti(L, -2, k + 1);
  }
}

static int l_tolist (lua_State *L) {
  push_nested(L, peri__check_tensor(L, 1), 0, 0);
  return 1;
}

static int l_item (lua_State *L) {
  peri_tensor *x = peri__check_tensor(L, 1);
  char text[PERI_SHAPETEXT];
  if (x->count != 1)
    return peri__bad_argument(L, 1, "item wants one element, this tensor has shape %s; index or reduce "
                              "it first", peri_shape_text(x, text));
  push_value(L, x, 0);
  return 1;
}

static int l_count (lua_State *L) {
  lua_pushinteger(L, peri__check_tensor(L, 1)->count);
  return 1;
}

/* --- copies --- */

static int push_result (lua_State *L, peri_tensor *(*f) (peri_tensor *)) {
  peri_box *b = peri__push_box(L);
  peri_tensor *x = peri__check_tensor(L, 1);
  peri_scope s = peri_scope_open();
  peri__fill_box(L, b, f(x));
  peri_scope_close(s);
  return b->tensor ? 1 : peri__raise(L);
}

static peri_tensor *to_real (peri_tensor *x) { return peri_cast(x, PERI_REAL); }
static peri_tensor *to_index (peri_tensor *x) { return peri_cast(x, PERI_INDEX); }
static peri_tensor *to_byte (peri_tensor *x) { return peri_cast(x, PERI_BYTE); }

static int l_real (lua_State *L) { return push_result(L, to_real); }
static int l_index (lua_State *L) { return push_result(L, to_index); }
static int l_byte (lua_State *L) { return push_result(L, to_byte); }
static int l_clone (lua_State *L) { return push_result(L, peri_clone); }
static int l_detach (lua_State *L) { return push_result(L, peri_detach); }

/* x:assign(y): in place, for leaves; returns x */
static int l_assign (lua_State *L) {
  peri_tensor *x = peri__check_tensor(L, 1), *y = peri__check_tensor(L, 2);
  if (peri_assign(x, y)) return peri__raise(L);
  lua_settop(L, 1);
  return 1;
}

/* x:keep() takes x out of the scope it was made in; returns x */
static int l_keep (lua_State *L) {
  peri__check_tensor(L, 1);
  unlink_box(lua_touserdata(L, 1));
  lua_settop(L, 1);
  return 1;
}

/* --- the metatable --- */

static int l_collect (lua_State *L) {
  peri_box *b = to_box(L, 1);
  if (b) peri__empty_box(b);
  return 0;
}

/* x[i]: entry i of the first axis */
static int push_entry (lua_State *L) {
  peri_box *b = peri__push_box(L);
  peri_tensor *x = peri__check_tensor(L, 1);
  int isint;
  lua_Integer i = lua_tointegerx(L, 2, &isint);
  if (!isint) return peri__bad_argument(L, 2, "an index must be an integer");
  if (x->ndim == 0) return peri__bad_argument(L, 1, "a tensor of shape () has no entries; use item");
  if (i == 0 || i > x->shape[0] || i < -x->shape[0])
    return peri__bad_argument(L, 2, "entry %d is outside 1..%d", (int) i, (int) x->shape[0]);
  int64_t at = i > 0 ? i - 1 : i + x->shape[0];
  peri_scope s = peri_scope_open();
  peri_dims shape = {.n = x->ndim - 1};
  for (int d = 1; d < x->ndim; d++) shape.at[d - 1] = x->shape[d];
  peri__fill_box(L, b, peri_reshape(peri_slice(x, 0, at, at + 1, 1), shape));
  peri_scope_close(s);
  return b->tensor ? 1 : peri__raise(L);
}

/* Methods first (upvalue 1), then fields, then entries. */
static int l_field (lua_State *L) {
  if (lua_type(L, 2) == LUA_TNUMBER) return push_entry(L);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  const char *name = lua_tostring(L, 2);
  peri_tensor *x = peri__check_tensor(L, 1);
  if (!name) return peri__bad_argument(L, 2, "a tensor has no field of type %s", luaL_typename(L, 2));
  if (strcmp(name, "shape") == 0) {
    lua_createtable(L, x->ndim, 0);
    for (int i = 0; i < x->ndim; i++) {
      lua_pushinteger(L, x->shape[i]);
      lua_rawseti(L, -2, i + 1);
    }
  } else if (strcmp(name, "ndim") == 0) {
    lua_pushinteger(L, x->ndim);
  } else if (strcmp(name, "dtype") == 0) {
    lua_pushstring(L, peri_dtype_name(x->dtype));
  } else {
    return luaL_error(L, "a tensor has no field or method '%s'; fields are shape, ndim and dtype", name);
  }
  return 1;
}

static int l_length (lua_State *L) {
  peri_tensor *x = peri__check_tensor(L, 1);
  lua_pushinteger(L, x->ndim ? x->shape[0] : 0);
  return 1;
}

const char *const peri__box_key = "perigee.tensor";

int peri__open_tensor (lua_State *L) {
  static const luaL_Reg makers[] = {{"tensor", l_tensor}, {"zeros", l_zeros}, {"ones", l_ones},
    {"full", l_full}, {"arange", l_arange}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"tolist", l_tolist}, {"item", l_item}, {"count", l_count},
    {"real", l_real}, {"index", l_index}, {"byte", l_byte}, {"clone", l_clone}, {"detach", l_detach},
    {"assign", l_assign}, {"keep", l_keep}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", l_collect}, {"__len", l_length},
    {"__tostring", peri__tensor_text}, {NULL, NULL}};
  luaL_newlib(L, makers);
  lua_newtable(L);
  luaL_setfuncs(L, meta, 0);
  lua_pushliteral(L, "perigee.tensor");
  lua_setfield(L, -2, "__name");
  luaL_newlib(L, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "methods");
  lua_pushcclosure(L, l_field, 1);
  lua_setfield(L, -2, "__index");
  lua_rawsetp(L, LUA_REGISTRYINDEX, peri__box_key);
  return 1;
}
