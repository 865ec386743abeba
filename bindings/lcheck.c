/* Arguments and errors, shared by every binding. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib.h"

int peri__bad_argument (lua_State *L, int i, const char *format, ...) {
  va_list ap;
  va_start(ap, format);
  const char *text = lua_pushvfstring(L, format, ap);
  va_end(ap);
  return luaL_argerror(L, i, text);
}

const char *peri__describe (lua_State *L, int i) {
  return lua_type(L, i) == LUA_TNUMBER ? luaL_tolstring(L, i, NULL) : luaL_typename(L, i);
}

int peri__raise (lua_State *L) {
  luaL_where(L, 1);
  lua_pushstring(L, peri_message());
  peri_clear();
  lua_concat(L, 2);
  return lua_error(L);
}

int peri__push_failure (lua_State *L) {
  char text[512];
  const char *word = peri_status_word(peri_error());
  snprintf(text, sizeof text, "%s", peri_message());
  peri_clear();                             /* before anything that may raise */
  lua_pushnil(L);
  lua_pushstring(L, text);
  lua_pushstring(L, word);
  return 3;
}

static int64_t check_size (lua_State *L, int arg, int i, bool infer) {
  int isint;
  lua_Integer n = lua_tointegerx(L, i, &isint);
  if (!isint || lua_type(L, i) != LUA_TNUMBER)
    peri__bad_argument(L, arg, "a size must be an integer, got %s", peri__describe(L, i));
  if (n < (infer ? -1 : 0)) peri__bad_argument(L, arg, "a size cannot be %d", (int) n);
  return n;
}

peri_dims peri__check_shape (lua_State *L, int i, bool infer, int *after) {
  peri_dims d = {.n = 0};
  if (lua_istable(L, i)) {
    lua_Unsigned n = lua_rawlen(L, i);
    if (n > PERI_MAXDIM) peri__bad_argument(L, i, "a tensor has at most %d axes", PERI_MAXDIM);
    for (; d.n < (int) n; d.n++) {
      lua_rawgeti(L, i, d.n + 1);
      d.at[d.n] = check_size(L, i, -1, infer);
      lua_pop(L, 1);
    }
    i++;
  } else {
    if (lua_type(L, i) != LUA_TNUMBER && !lua_isnoneornil(L, i))
      peri__bad_argument(L, i, "shape expected, as integers or one table, got %s", luaL_typename(L, i));
    for (; lua_type(L, i) == LUA_TNUMBER; i++) {
      if (d.n == PERI_MAXDIM) peri__bad_argument(L, i, "a tensor has at most %d axes", PERI_MAXDIM);
      d.at[d.n++] = check_size(L, i, i, infer);
    }
  }
  if (after) *after = i;
  return d;
}
