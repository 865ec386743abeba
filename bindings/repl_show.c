/* How the prompt shows results, and its help.  Prints; computes nothing. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "repl.h"

enum { MOST = 30, NESTED = 3 };         /* entries of a table that are shown, and levels */

/* --- values --- */

static void add_value (lua_State *L, luaL_Buffer *b, int value, int level);

/* The text of the value at an index, of which only the first line fits into a table. */
static void add_text (lua_State *L, luaL_Buffer *b, int value) {
  size_t n;
  const char *s;
  if (lua_type(L, value) == LUA_TSTRING) {
    lua_pushfstring(L, "\"%s\"", lua_tostring(L, value));
    s = lua_tolstring(L, -1, &n);
  } else {
    s = luaL_tolstring(L, value, &n);
  }
  size_t line = strcspn(s, "\n");
  lua_pushlstring(L, s, line < n ? line : n);
  lua_remove(L, -2);
  luaL_addvalue(b);
}

static bool is_plain (lua_State *L, int i) {
  if (!lua_istable(L, i)) return false;
  if (!lua_getmetatable(L, i)) return true;
  lua_pop(L, 1);
  if (luaL_getmetafield(L, i, "__tostring") == LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}

/* String keys of the table at `t`, sorted, in a new table on the top. */
static void push_keys (lua_State *L, int t) {
  lua_newtable(L);
  lua_Integer n = 0;
  for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING) {
      lua_pushvalue(L, -2);
      lua_rawseti(L, -4, ++n);
    }
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "table");
  lua_getfield(L, -1, "sort");
  lua_pushvalue(L, -4);
  lua_call(L, 1, 0);
  lua_pop(L, 2);
}

/* {1, 2, name = 3}: the list, then the names in order. */
static void push_table (lua_State *L, int t, int level) {
  luaL_Buffer b;
  lua_Integer shown = 0, n = (lua_Integer) lua_rawlen(L, t);
  luaL_checkstack(L, 20, NULL);
  push_keys(L, t);
  int keys = lua_gettop(L);
  lua_pushnil(L);                       /* the value in hand */
  int value = lua_gettop(L);
  luaL_buffinit(L, &b);
  luaL_addchar(&b, '{');
  for (lua_Integer i = 1; i <= n && shown < MOST; i++, shown++) {
    if (shown) luaL_addstring(&b, ", ");
    lua_rawgeti(L, t, i);
    lua_replace(L, value);
    add_value(L, &b, value, level + 1);
  }
  lua_Integer names = (lua_Integer) lua_rawlen(L, keys);
  for (lua_Integer i = 1; i <= names && shown < MOST; i++, shown++) {
    if (shown) luaL_addstring(&b, ", ");
    lua_rawgeti(L, keys, i);
    lua_pushvalue(L, -1);
    luaL_addvalue(&b);
    lua_rawget(L, t);
    lua_replace(L, value);
    luaL_addstring(&b, " = ");
    add_value(L, &b, value, level + 1);
  }
  if (shown < n + names) luaL_addstring(&b, ", ...");
  luaL_addchar(&b, '}');
  luaL_pushresult(&b);
  lua_replace(L, keys);
  lua_settop(L, keys);
}

static void add_value (lua_State *L, luaL_Buffer *b, int value, int level) {
  if (!is_plain(L, value)) add_text(L, b, value);
  else if (level == NESTED) luaL_addstring(b, "{...}");
  else {
    push_table(L, value, level);
    luaL_addvalue(b);
  }
}

int peri__show_results (lua_State *L) {
  int n = lua_gettop(L);
  luaL_checkstack(L, 20, "too many results");
  for (int i = 1; i <= n; i++) {
    size_t size;
    if (is_plain(L, i)) push_table(L, i, 0);
    else luaL_tolstring(L, i, NULL);
    const char *s = lua_tolstring(L, -1, &size);
    if (i > 1) fputc(memchr(s, '\n', size) ? '\n' : '\t', stdout);
    fwrite(s, 1, size, stdout);
    lua_pop(L, 1);
  }
  if (n > 0) fputc('\n', stdout);
  return 0;
}

/* --- help --- */

/* The strings of the list on the top without their first `skip` characters, in columns. */
static void print_columns (lua_State *L, size_t skip) {
  int width = 0, column = 0;
  lua_Integer n = (lua_Integer) lua_rawlen(L, -1);
  for (int print = 0; print < 2; print++)
    for (lua_Integer i = 1; i <= n; i++) {
      size_t size;
      lua_rawgeti(L, -1, i);
      const char *name = lua_tolstring(L, -1, &size) + skip;
      if (print) {
        if (column > 0 && column + 2 + width > 78) {
          putchar('\n');
          column = 0;
        }
        column += printf("  %-*s", width, name);
      } else if ((int) (size - skip) > width) {
        width = (int) (size - skip);
      }
      lua_pop(L, 1);
    }
  if (n > 0) putchar('\n');
}

static int close_file (lua_State *L) {
  luaL_Stream *s = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  fclose(s->f);
  return 0;
}

/* A file that Lua closes, whatever is raised; NULL when it cannot be opened. */
static FILE *open_source (lua_State *L, const char *path) {
  luaL_Stream *s = lua_newuserdatauv(L, sizeof *s, 0);
  s->closef = NULL;
  luaL_setmetatable(L, LUA_FILEHANDLE);
  s->f = fopen(path, "r");
  if (s->f) s->closef = close_file;
  return s->f;
}

/* The comment right above line `last` of a source, and that line. */
static bool print_comment (lua_State *L, const char *path, int last) {
  char line[512];
  luaL_Buffer b;
  FILE *f = open_source(L, path);
  if (!f) return false;
  lua_pushliteral(L, "");
  for (int at = 1; at < last && fgets(line, sizeof line, f); at++) {
    if (strncmp(line, "--", 2) != 0) {
      lua_pop(L, 1);
      lua_pushliteral(L, "");
      continue;
    }
    lua_pushfstring(L, "  %s", line + 2 + strspn(line + 2, "- "));
    lua_concat(L, 2);
  }
  if (fgets(line, sizeof line, f)) {
    luaL_buffinit(L, &b);
    luaL_addstring(&b, line);
    luaL_pushresult(&b);
    printf("%s%s", lua_tostring(L, -1), lua_tostring(L, -2));
  }
  return true;
}

/* A function of the library is explained by the comment above it. */
static void print_function (lua_State *L, const char *name) {
  lua_Debug ar;
  lua_pushvalue(L, -1);
  lua_getinfo(L, ">S", &ar);
  if (ar.source[0] != '@' || !print_comment(L, ar.source + 1, ar.linedefined))
    printf("%s is a function\n", name);
}

/* peri.help of the core for the last part of a name: "x:sum", "peri.sum" and "sum" are one. */
static bool print_operation (lua_State *L, const char *name) {
  const char *last = name + strlen(name);
  while (last > name && last[-1] != '.' && last[-1] != ':') last--;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "perigee.core");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "help");
  if (*name) lua_pushstring(L, last);
  lua_call(L, *name ? 1 : 0, 1);
  if (!*name) {
    puts("? NAME explains an operation, a function or a table:"
         " ? sum, ? peri.nn.linear, ? peri.optim");
    puts("operations, as peri.NAME(x, ...) and x:NAME(...):");
    if (lua_istable(L, -1)) print_columns(L, 0);
    return true;
  }
  const char *text = lua_tostring(L, -1);
  if (text) puts(text);
  return text != NULL;
}

static void print_named (lua_State *L, const char *name) {
  peri__push_named(L, name, strlen(name));
  if (lua_isnil(L, -1)) {
    printf("nothing is known of '%s'; `?` lists the operations\n", name);
  } else if (lua_isfunction(L, -1) && !lua_iscfunction(L, -1)) {
    print_function(L, name);
  } else if (lua_istable(L, -1)) {
    printf("%s is a table of\n", name);
    lua_pushcfunction(L, peri__complete);
    lua_pushfstring(L, "%s.", name);
    lua_call(L, 1, 1);
    print_columns(L, strlen(name) + 1);
  } else {
    printf("%s is a %s\n", name, luaL_typename(L, -1));
  }
}

/* An operation unless the name leads deeper than peri: peri.nn.linear is no operation. */
int peri__show_help (lua_State *L) {
  const char *name = luaL_checkstring(L, 1), *dot = strchr(name, '.');
  bool deep = dot && (strncmp(name, "peri.", 5) != 0 || strchr(dot + 1, '.'));
  if (deep || !print_operation(L, name)) print_named(L, name);
  return 0;
}
