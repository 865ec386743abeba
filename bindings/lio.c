/* peri.io: hashes, images, IDX files and record logs for scripts. */

#include <stdlib.h>
#include <string.h>

#include "lhold.h"

/* --- hashes -------------------------------------------------------------------------------- */

/* sha256(string) -> 64 hexadecimal digits */
static int l_sha256 (lua_State *L) {
  size_t n;
  char hex[65];
  peri_sha256 h;
  const char *s = luaL_checklstring(L, 1, &n);
  peri_sha256_init(&h);
  peri_sha256_add(&h, s, n);
  peri_sha256_hex(&h, hex);
  lua_pushlstring(L, hex, 64);
  return 1;
}

/* sha256_file(path) -> 64 hexadecimal digits | nil, message, code */
static int l_sha256_file (lua_State *L) {
  char hex[65];
  const char *path = peri__check_path(L, 1);
  if (peri_sha256_file(path, hex) != PERI_OK) return peri__refuse(L);
  lua_pushlstring(L, hex, 64);
  return 1;
}

/* digest(chain, tensor) -> the integer that continues the chain with dtype, shape and elements */
static int l_digest (lua_State *L) {
  lua_Integer chain = luaL_checkinteger(L, 1);
  const peri_tensor *x = peri__check_tensor(L, 2);
  uint64_t digest = peri_digest((uint64_t) chain, x);
  if (peri_error()) return peri__raise(L);
  lua_pushinteger(L, (lua_Integer) digest);
  return 1;
}

/* --- images and IDX ------------------------------------------------------------------------ */

static int by_key (const void *a, const void *b) {
  return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* The key, value pairs of the table at i, in order of key; Lua anchors the array on its stack and
   the texts in the table. */
static const char *const *check_texts (lua_State *L, int i, int *n) {
  *n = 0;
  if (lua_isnoneornil(L, i)) return NULL;
  luaL_checktype(L, i, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
      peri__bad_argument(L, i, "the texts of an image are strings by name, got %s = %s",
                         luaL_typename(L, -2), luaL_typename(L, -1));
    if (strlen(lua_tostring(L, -2)) != lua_rawlen(L, -2) ||
        strlen(lua_tostring(L, -1)) != lua_rawlen(L, -1))
      peri__bad_argument(L, i, "the text %s of an image has a zero byte", lua_tostring(L, -2));
    ++*n;
  }
  const char **pair = lua_newuserdatauv(L, 2 * sizeof *pair * (size_t) (*n + 1), 0);
  int at = 0;
  for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
    pair[at++] = lua_tostring(L, -2);
    pair[at++] = lua_tostring(L, -1);
  }
  qsort(pair, (size_t) *n, 2 * sizeof *pair, by_key);
  return pair;
}

/* png_write(path, byte tensor [, {name = text}]) -> true | nil, message, code */
static int l_png_write (lua_State *L) {
  int n;
  const char *path = peri__check_path(L, 1);
  const char *const *text = check_texts(L, 3, &n);
  /* last: collecting garbage can close a forgotten scope, and a tensor with it */
  const peri_tensor *x = peri__check_tensor(L, 2);
  return peri__answer(L, peri_png_write(path, x, n, text));
}

static int push_read (lua_State *L, peri_tensor *(*read) (const char *)) {
  const char *path = peri__check_path(L, 1);
  peri_box *b = peri__push_box(L);
  peri_scope s = peri_scope_open();
  peri__fill_box(L, b, read(path));
  peri_scope_close(s);
  return b->tensor ? 1 : peri__refuse(L);
}

/* png_read(path) -> byte tensor (h, w), (h, w, 3) or (h, w, 4) | nil, message, code */
static int l_png_read (lua_State *L) { return push_read(L, peri_png_read); }
/* idx_read(path) -> byte tensor | nil, message, code */
static int l_idx_read (lua_State *L) { return push_read(L, peri_idx_read); }

/* png_text(path) -> {name = text} | nil, message, code */
static int l_png_text (lua_State *L) {
  const char *path = peri__check_path(L, 1);
  peri_bytes *b = peri__push_bytes(L);
  if (peri_png_text(path, b) != PERI_OK) return peri__refuse(L);
  lua_newtable(L);
  for (const char *p = b->data, *end = p + b->n; b->n && p < end; p += strlen(p) + 1) {
    lua_pushstring(L, p);
    p += strlen(p) + 1;
    lua_pushstring(L, p);
    lua_rawset(L, -3);
  }
  return 1;
}

/* --- logs ---------------------------------------------------------------------------------- */

static const char log_class[] = "perigee.log";

typedef struct { peri_logfile *log; } log_box;

static peri_logfile *check_log (lua_State *L) {
  log_box *b = luaL_checkudata(L, 1, log_class);
  if (!b->log) luaL_error(L, "this log is closed");
  return b->log;
}

/* log_open(path) -> log | nil, message, code.  A torn last record is cut off. */
static int l_log_open (lua_State *L) {
  const char *path = peri__check_path(L, 1);
  log_box *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->log = NULL;
  luaL_setmetatable(L, log_class);
  b->log = peri_log_open(path);
  return b->log ? 1 : peri__refuse(L);
}

/* log:append(text) -> true | nil, message, code */
static int l_append (lua_State *L) {
  size_t n;
  peri_logfile *log = check_log(L);
  const char *s = luaL_checklstring(L, 2, &n);
  return peri__answer(L, peri_log_append(log, s, n));
}

/* log:sync() -> true | nil, message, code: what was appended survives a power cut */
static int l_sync (lua_State *L) {
  return peri__answer(L, peri_log_sync(check_log(L)));
}

/* log:close(); a second time does nothing */
static int l_close (lua_State *L) {
  log_box *b = luaL_checkudata(L, 1, log_class);
  peri_log_close(b->log);
  b->log = NULL;
  return 0;
}

/* Length and text of every record, one behind the other. */
static bool collect (void *arg, const void *data, size_t n) {
  return peri_bytes_add(arg, &n, sizeof n) == PERI_OK && peri_bytes_add(arg, data, n) == PERI_OK;
}

/* log_read(path) -> array of texts | nil, message, code.  Stops at a torn record. */
static int l_log_read (lua_State *L) {
  size_t n;
  lua_Integer i = 0;
  const char *path = peri__check_path(L, 1);
  peri_bytes *b = peri__push_bytes(L);
  if (peri_log_read(path, collect, b) != PERI_OK || peri_error()) return peri__refuse(L);
  lua_newtable(L);
  for (size_t at = 0; at < b->n; at += sizeof n + n) {
    memcpy(&n, b->data + at, sizeof n);
    lua_pushlstring(L, b->data + at + sizeof n, n);
    lua_rawseti(L, -2, ++i);
  }
  return 1;
}

int peri__open_io (lua_State *L) {
  static const luaL_Reg functions[] = {
    {"sha256", l_sha256}, {"sha256_file", l_sha256_file}, {"digest", l_digest},
    {"png_write", l_png_write}, {"png_read", l_png_read}, {"png_text", l_png_text},
    {"idx_read", l_idx_read}, {"log_open", l_log_open}, {"log_read", l_log_read}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
    {"append", l_append}, {"sync", l_sync}, {"close", l_close}, {NULL, NULL}};
  peri__make_class(L, log_class, methods, l_close);
  luaL_newlib(L, functions);
  return 1;
}
