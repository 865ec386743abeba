/* peri.h5: HDF5 files for scripts.  A file is either under construction (create ... commit) or open
   for reading; the reading methods work on both. */

#include <string.h>

#include "lhold.h"

static const char class[] = "perigee.h5";

typedef struct { peri_h5 *f; } file_box;

static peri_h5 *check_file (lua_State *L) {
  file_box *b = luaL_checkudata(L, 1, class);
  if (!b->f) luaL_error(L, "this HDF5 file is closed");
  return b->f;
}

/* A string without a zero byte: names and labels. */
static const char *check_name (lua_State *L, int i) {
  size_t n;
  const char *s = luaL_checklstring(L, i, &n);
  if (strlen(s) != n) peri__bad_argument(L, i, "a name or text cannot contain a zero byte");
  return s;
}

static int push_file (lua_State *L, peri_h5 *(*open) (const char *)) {
  const char *path = peri__check_path(L, 1);
  file_box *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->f = NULL;
  luaL_setmetatable(L, class);
  b->f = open(path);
  return b->f ? 1 : peri__refuse(L);
}

/* create(path) -> file | nil, message, code.  Nothing reaches the disk before file:commit(). */
static int l_create (lua_State *L) { return push_file(L, peri_h5_create); }
/* open(path) -> file to read | nil, message, code */
static int l_open (lua_State *L) { return push_file(L, peri_h5_open); }

/* file:close(); without commit what was written is forgotten.  A second time does nothing. */
static int l_close (lua_State *L) {
  file_box *b = luaL_checkudata(L, 1, class);
  peri_h5_close(b->f);
  b->f = NULL;
  return 0;
}

/* file:commit() -> true | nil, message, code; closes either way */
static int l_commit (lua_State *L) {
  peri_h5 *f = check_file(L);
  ((file_box *) lua_touserdata(L, 1))->f = NULL;
  return peri__answer(L, peri_h5_commit(f));
}

/* --- writing ------------------------------------------------------------------------------- */

/* file:write(name, tensor or text [, {compress = true}]) -> true */
static int l_write (lua_State *L) {
  peri_h5 *f = check_file(L);
  const char *name = check_name(L, 2);
  bool compress = false;
  if (lua_type(L, 3) == LUA_TSTRING) {
    size_t n;
    const char *text = lua_tolstring(L, 3, &n);
    return peri__answer(L, peri_h5_write_text(f, name, text, n));
  }
  if (!peri__is_box(L, 3))
    return peri__bad_argument(L, 3, "tensor or string expected, got %s; lists of numbers are for "
                              "write_f64, write_i64 and write_u64", luaL_typename(L, 3));
  if (!lua_isnoneornil(L, 4)) {
    luaL_checktype(L, 4, LUA_TTABLE);
    lua_pushliteral(L, "compress");
    lua_rawget(L, 4);
    compress = lua_toboolean(L, -1);
  }
  /* last: collecting garbage can close a forgotten scope, and a tensor with it */
  const peri_tensor *x = peri__check_tensor(L, 3);
  return peri__answer(L, peri_h5_write(f, name, x, compress));
}

/* The numbers of the table at 3 in a userdata on the stack; 8 bytes each. */
static void *check_numbers (lua_State *L, bool floats, int64_t *n) {
  luaL_checktype(L, 3, LUA_TTABLE);
  *n = (int64_t) lua_rawlen(L, 3);
  union { double f; int64_t i; } *out = lua_newuserdatauv(L, sizeof *out * (size_t) *n + 1, 0);
  for (int64_t i = 0; i < *n; i++) {
    int good = lua_rawgeti(L, 3, i + 1) == LUA_TNUMBER;
    if (good && floats) out[i].f = lua_tonumber(L, -1);
    else if (good) out[i].i = lua_tointegerx(L, -1, &good);
    if (!good)
      peri__bad_argument(L, 3, "entry %d of the list is a %s, not %s", (int) i + 1,
                         luaL_typename(L, -1), floats ? "a number" : "an integer of 64 bits");
    lua_pop(L, 1);
  }
  return out;
}

/* file:write_f64(name, {numbers}) -> true; the other two take integers */
static int l_write_f64 (lua_State *L) {
  int64_t n;
  peri_h5 *f = check_file(L);
  const char *name = check_name(L, 2);
  const double *x = check_numbers(L, true, &n);
  return peri__answer(L, peri_h5_write_f64(f, name, x, n));
}

static int l_write_i64 (lua_State *L) {
  int64_t n;
  peri_h5 *f = check_file(L);
  const char *name = check_name(L, 2);
  const int64_t *x = check_numbers(L, false, &n);
  return peri__answer(L, peri_h5_write_i64(f, name, x, n));
}

static int l_write_u64 (lua_State *L) {
  int64_t n;
  peri_h5 *f = check_file(L);
  const char *name = check_name(L, 2);
  const uint64_t *x = check_numbers(L, false, &n);
  return peri__answer(L, peri_h5_write_u64(f, name, x, n));
}

/* file:image(name, byte tensor) -> true */
static int l_image (lua_State *L) {
  peri_h5 *f = check_file(L);
  const char *name = check_name(L, 2);
  return peri__answer(L, peri_h5_write_image(f, name, peri__check_tensor(L, 3)));
}

/* file:scale(dataset, scale, label) -> true: what the rows of the dataset stand for */
static int l_scale (lua_State *L) {
  peri_h5 *f = check_file(L);
  const char *dataset = check_name(L, 2), *scale = check_name(L, 3), *label = check_name(L, 4);
  return peri__answer(L, peri_h5_scale(f, dataset, scale, label));
}

/* file:attr(object, name, number, boolean or string) -> true */
static int l_attr (lua_State *L) {
  peri_h5 *f = check_file(L);
  const char *object = check_name(L, 2), *name = check_name(L, 3);
  switch (lua_type(L, 4)) {
    case LUA_TBOOLEAN:
      return peri__answer(L, peri_h5_set_bool(f, object, name, lua_toboolean(L, 4)));
    case LUA_TNUMBER:
      if (lua_isinteger(L, 4))
        return peri__answer(L, peri_h5_set_i64(f, object, name, lua_tointeger(L, 4)));
      return peri__answer(L, peri_h5_set_f64(f, object, name, lua_tonumber(L, 4)));
    case LUA_TSTRING:
      return peri__answer(L, peri_h5_set_text(f, object, name, check_name(L, 4)));
    default:
      return peri__bad_argument(L, 4, "the attribute %s can be a number, a boolean or a string, "
                                "not %s", name, luaL_typename(L, 4));
  }
}

/* --- reading ------------------------------------------------------------------------------- */

static int read_text (lua_State *L, peri_h5 *f, const char *name) {
  peri_bytes *b = peri__push_bytes(L);
  if (peri_h5_read_text(f, name, b) != PERI_OK) return peri__refuse(L);
  lua_pushlstring(L, b->n ? b->data : "", b->n);
  return 1;
}

/* A list of float64 or 64-bit integers, or one such number. */
static int read_numbers (lua_State *L, peri_h5 *f, const char *name, const peri_h5_info *info) {
  int64_t n = info->shape.n ? info->shape.at[0] : 1;
  bool floats = info->kind == PERI_H5_FLOAT;
  union { double f; int64_t i; } *x = lua_newuserdatauv(L, sizeof *x * (size_t) n + 1, 0);
  peri_status status = floats ? peri_h5_read_f64(f, name, &x->f, n)
                              : peri_h5_read_i64(f, name, &x->i, n);
  if (status != PERI_OK) return peri__refuse(L);
  if (info->shape.n) lua_createtable(L, n < INT32_MAX ? (int) n : 0, 0);
  for (int64_t i = 0; i < n; i++) {
    if (floats) lua_pushnumber(L, x[i].f);
    else lua_pushinteger(L, x[i].i);
    if (info->shape.n) lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* file:read(name) -> tensor, text, or numbers (float64 and 64-bit integers of at most one axis)
   | nil, message, code */
static int l_read (lua_State *L) {
  peri_h5_info info;
  peri_h5 *f = check_file(L);
  const char *name = check_name(L, 2);
  if (peri_h5_inspect(f, name, &info) != PERI_OK) return peri__refuse(L);
  if (info.kind == PERI_H5_TEXT) return read_text(L, f, name);
  bool numbers = info.kind >= PERI_H5_FLOAT && info.kind <= PERI_H5_UNSIGNED;
  if (numbers && info.bytes == 8 && info.shape.n <= 1) return read_numbers(L, f, name, &info);
  peri_box *b = peri__push_box(L);
  peri_scope s = peri_scope_open();
  peri__fill_box(L, b, peri_h5_read(f, name));
  peri_scope_close(s);
  return b->tensor ? 1 : peri__refuse(L);
}

/* file:has(name) -> boolean */
static int l_has (lua_State *L) {
  peri_h5 *f = check_file(L);
  lua_pushboolean(L, peri_h5_has(f, check_name(L, 2)));
  return 1;
}

static bool collect_member (void *arg, const char *name, peri_h5_kind kind) {
  char sort = kind == PERI_H5_GROUP ? 'g' : kind == PERI_H5_NONE ? 'o' : 'd';
  return peri_bytes_add(arg, &sort, 1) == PERI_OK &&
         peri_bytes_add(arg, name, strlen(name) + 1) == PERI_OK;
}

/* file:list([group]) -> {{name =, kind = "group", "dataset" or "other"}, ...} in order of name
   | nil, message, code */
static int l_list (lua_State *L) {
  peri_h5 *f = check_file(L);
  const char *group = lua_isnoneornil(L, 2) ? "" : check_name(L, 2);
  peri_bytes *b = peri__push_bytes(L);
  if (peri_h5_list(f, group, collect_member, b) != PERI_OK || peri_error()) return peri__refuse(L);
  lua_newtable(L);
  lua_Integer i = 0;
  for (size_t at = 0; at < b->n; at += strlen(b->data + at) + 1) {
    char sort = b->data[at++];
    lua_createtable(L, 0, 2);
    lua_pushstring(L, b->data + at);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, sort == 'g' ? "group" : sort == 'd' ? "dataset" : "other");
    lua_setfield(L, -2, "kind");
    lua_rawseti(L, -2, ++i);
  }
  return 1;
}

/* One attribute as C keeps it between reading and pushing: this, then the name, then the value. */
typedef struct {
  peri_h5_kind kind;
  bool array;
  size_t name, n, bytes;
} record;

static bool collect_attribute (void *arg, const peri_h5_attribute *a) {
  size_t n = (size_t) a->n;
  record r = {a->kind, a->array, strlen(a->name) + 1, n, a->kind == PERI_H5_TEXT ? n : 8 * n};
  return peri_bytes_add(arg, &r, sizeof r) == PERI_OK &&
         peri_bytes_add(arg, a->name, r.name) == PERI_OK &&
         peri_bytes_add(arg, a->kind == PERI_H5_TEXT ? (const void *) a->text : a->i64,
                        r.bytes) == PERI_OK;
}

static void push_number (lua_State *L, peri_h5_kind kind, const char *at) {
  union { double f; int64_t i; } x;
  memcpy(&x, at, sizeof x);
  if (kind == PERI_H5_FLOAT) lua_pushnumber(L, x.f);
  else if (kind == PERI_H5_BOOLEAN) lua_pushboolean(L, x.i != 0);
  else lua_pushinteger(L, x.i);
}

static void push_attribute (lua_State *L, const record *r, const char *value) {
  if (r->kind == PERI_H5_TEXT) lua_pushlstring(L, value, r->n);
  else if (!r->array) push_number(L, r->kind, value);
  else {
    lua_newtable(L);
    for (size_t i = 0; i < r->n; i++) {
      push_number(L, r->kind, value + 8 * i);
      lua_rawseti(L, -2, (lua_Integer) i + 1);
    }
  }
}

/* file:attrs([object]) -> {name = number, boolean, string or list} | nil, message, code */
static int l_attrs (lua_State *L) {
  peri_h5 *f = check_file(L);
  const char *object = lua_isnoneornil(L, 2) ? "" : check_name(L, 2);
  peri_bytes *b = peri__push_bytes(L);
  if (peri_h5_attributes(f, object, collect_attribute, b) != PERI_OK || peri_error())
    return peri__refuse(L);
  lua_newtable(L);
  for (size_t at = 0; at < b->n;) {
    record r;
    memcpy(&r, b->data + at, sizeof r);
    at += sizeof r;
    lua_pushstring(L, b->data + at);
    push_attribute(L, &r, b->data + at + r.name);
    lua_rawset(L, -3);
    at += r.name + r.bytes;
  }
  return 1;
}

int peri__open_h5 (lua_State *L) {
  static const luaL_Reg functions[] = {{"create", l_create}, {"open", l_open}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
    {"write", l_write}, {"write_f64", l_write_f64}, {"write_i64", l_write_i64},
    {"write_u64", l_write_u64}, {"image", l_image}, {"scale", l_scale}, {"attr", l_attr},
    {"commit", l_commit}, {"close", l_close}, {"read", l_read}, {"has", l_has}, {"list", l_list},
    {"attrs", l_attrs}, {NULL, NULL}};
  peri__make_class(L, class, methods, l_close);
  luaL_newlib(L, functions);
  return 1;
}
