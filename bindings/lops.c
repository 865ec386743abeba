/* Every row of the table as a Lua function and method.  One C function serves them all: it reads
   the row's signature, so no operation is named here. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lbox.h"

enum { MAXPARAM = 10 };

typedef struct {
  char name[16], type;          /* the letters of kinds.h */
  bool optional;                /* may be absent */
  double value;                 /* when absent */
  const char *words;            /* of an 'm': "zero|reflect", up to a blank */
} param;

typedef struct {
  int n;
  param p[MAXPARAM];
} signature;

static signature signatures[PERI_NOPS];

static void read_signature (const char *text, signature *s) {
  for (s->n = 0; *text; s->n++) {
    param *p = &s->p[s->n];
    size_t n = strcspn(text, ":");
    memcpy(p->name, text, n < sizeof p->name - 1 ? n : sizeof p->name - 1);
    text += n + 1;
    p->type = *text++;
    p->optional = *text == '=' || *text == '?';
    if (*text == '=') {
      char *end;
      p->value = text[1] == 't' ? 1 : strtod(text + 1, &end);
      p->words = text + 1;
    }
    text += strcspn(text, " ");
    text += *text == ' ';
  }
}

/* --- arguments --- */

/* What a call was given, before any C memory is taken: numbers wait to become tensors. */
typedef struct {
  peri_call c;
  peri_tensor *in[PERI_MAXINPUT];
  double number[PERI_MAXINPUT];
  int after;                    /* first argument not read */
  int switches;                 /* booleans read */
} given;

static lua_Integer check_integer (lua_State *L, int i, const param *p) {
  int isint;
  lua_Integer n = lua_tointegerx(L, i, &isint);
  if (!isint || lua_type(L, i) != LUA_TNUMBER)
    peri__bad_argument(L, i, "%s must be an integer, got %s", p->name, peri__describe(L, i));
  return n;
}

/* 1-based, or negative from the end; 0-based or negative for C. */
static int check_axis (lua_State *L, int arg, lua_Integer n) {
  if (n == 0 || n > PERI_MAXDIM || n < -PERI_MAXDIM)
    peri__bad_argument(L, arg, "axis %d; axes count from 1, or from -1 at the end", (int) n);
  return (int) (n > 0 ? n - 1 : n);
}

static peri_dims check_axes (lua_State *L, int i, const param *p) {
  peri_dims d = {.n = 0};
  if (lua_type(L, i) == LUA_TNUMBER) {
    d.at[d.n++] = check_axis(L, i, check_integer(L, i, p));
    return d;
  }
  if (!lua_istable(L, i))
    peri__bad_argument(L, i, "%s must be an axis or a table of axes, got %s", p->name,
                       luaL_typename(L, i));
  lua_Unsigned n = lua_rawlen(L, i);
  if (n > PERI_MAXDIM) peri__bad_argument(L, i, "a tensor has at most %d axes", PERI_MAXDIM);
  for (; d.n < (int) n; d.n++) {
    int isint;
    lua_rawgeti(L, i, d.n + 1);
    lua_Integer axis = lua_tointegerx(L, -1, &isint);
    if (!isint) peri__bad_argument(L, i, "axis %d of the list is no integer", d.n + 1);
    d.at[d.n] = check_axis(L, i, axis);
    lua_pop(L, 1);
  }
  return d;
}

/* The list's tensors, in a block of Lua's that stays on the stack. */
static void check_list (lua_State *L, int i, given *g) {
  luaL_checktype(L, i, LUA_TTABLE);
  lua_Unsigned n = lua_rawlen(L, i);
  if (n > 1000000) peri__bad_argument(L, i, "a list of more than a million tensors");
  peri_tensor **x = lua_newuserdatauv(L, (n + 1) * sizeof *x, 0);
  for (lua_Unsigned k = 0; k < n; k++) {
    lua_rawgeti(L, i, (lua_Integer) k + 1);
    if (!peri__is_box(L, -1))
      peri__bad_argument(L, i, "entry %d is a %s, not a tensor", (int) k + 1, luaL_typename(L, -1));
    x[k] = ((peri_box *) lua_touserdata(L, -1))->tensor;
    if (!x[k]) peri__bad_argument(L, i, "entry %d is empty: its scope closed", (int) k + 1);
    lua_pop(L, 1);
  }
  g->c.in = x;
  g->c.nin = (int) n;
}

static void check_tensor (lua_State *L, int i, const param *p, given *g) {
  int k = g->c.nin++;
  if (p->optional && lua_isnoneornil(L, i)) {
    g->in[k] = NULL;
    g->number[k] = p->value;
  } else if (p->type == 't' && lua_type(L, i) == LUA_TNUMBER) {
    g->in[k] = NULL;
    g->number[k] = lua_tonumber(L, i);
  } else {
    if (!peri__is_box(L, i))
      peri__bad_argument(L, i, "%s must be a tensor%s, got %s", p->name,
                         p->type == 't' ? " or a number" : "", luaL_typename(L, i));
    g->in[k] = peri__check_tensor(L, i);
  }
}

/* Which of the parameter's words the argument is. */
static int check_word (lua_State *L, int i, const param *p) {
  const char *text = luaL_checkstring(L, i), *word = p->words;
  size_t all = strcspn(p->words, " "), length = strlen(text);
  for (int which = 0; word < p->words + all; which++) {
    size_t n = strcspn(word, "| ");
    if (n == length && memcmp(word, text, n) == 0) return which;
    word += n + 1;
  }
  lua_pushlstring(L, p->words, all);
  return peri__bad_argument(L, i, "%s '%s' is none of %s", p->name, text, lua_tostring(L, -1));
}

/* Read one parameter at g->after into the call. */
static void check_param (lua_State *L, const param *p, given *g, int *ints, int *floats) {
  int i = g->after++;
  bool absent = lua_isnoneornil(L, i);
  peri_args *a = &g->c.a;
  if (absent && !p->optional)
    peri__bad_argument(L, i, "%s is missing", p->name);
  switch (p->type) {
    case 't': case 'i': case 'u': check_tensor(L, i, p, g); break;
    case 'l': check_list(L, i, g); break;
    case 'a':
      *(strcmp(p->name, "other") == 0 ? &a->other : &a->axis) =
        check_axis(L, i, absent ? (lua_Integer) p->value : check_integer(L, i, p));
      break;
    case 'A': if (!absent) a->dims = check_axes(L, i, p); break;
    case 's': a->dims = peri__check_shape(L, i, true, &g->after); break;
    case 'm': a->mode = absent ? 0 : check_word(L, i, p); break;
    case 'w': peri__check_window(L, absent ? 0 : i, 1, &a->window); break;
    case 'W': peri__check_window(L, i, 0, &a->window); break;
    case 'k': {
      bool on = absent ? p->value != 0 : lua_toboolean(L, i);
      if (g->switches++ == 0) a->keep = on;
      else a->i[(*ints)++] = on;
      break;
    }
    case 'n': a->i[(*ints)++] = absent ? (lua_Integer) p->value : check_integer(L, i, p); break;
    case 'b': case 'e': {
      lua_Integer n = absent ? (lua_Integer) p->value : check_integer(L, i, p);
      if (p->type == 'b') {
        if (n == 0) peri__bad_argument(L, i, "%s is 0; positions count from 1", p->name);
        a->i[(*ints)++] = n > 0 ? n - 1 : n;
      } else {
        a->i[(*ints)++] = n == -1 ? PERI_END : n < 0 ? n + 1 : n;
      }
      break;
    }
    default:
      a->f[(*floats)++] = absent ? p->value : luaL_checknumber(L, i);
  }
}

/* --- where a recorded operation stands in the script --- */

/* The names of sources, which outlive every graph: a list that only grows, last used first. */
typedef struct source_name {
  struct source_name *next;
  const char *source;           /* Lua's own text, to be found fast */
  char text[LUA_IDSIZE];
} source_name;

static const char *anchor (const lua_Debug *ar) {
  static _Thread_local source_name *names;
  source_name **p = &names, *found;
  while (*p && ((*p)->source != ar->source || strcmp((*p)->text, ar->short_src) != 0))
    p = &(*p)->next;
  found = *p;
  if (found) {
    *p = found->next;
  } else {
    found = malloc(sizeof *found);
    if (!found) return NULL;
    found->source = ar->source;
    strcpy(found->text, ar->short_src);
  }
  found->next = names;
  names = found;
  return found->text;
}

static void note_place (lua_State *L) {
  lua_Debug ar;
  if (lua_getstack(L, 1, &ar) && lua_getinfo(L, "Sl", &ar)) peri_set_place(anchor(&ar), ar.currentline);
}

static bool is_tracked (const given *g) {
  for (int k = 0; k < g->c.nin; k++)
    if (g->c.in[k] && g->c.in[k]->node) return true;
  return false;
}

/* Upvalue 1 is the number of the row.  The box comes before the checks: pushing one may run the
   collector, and with it a script's finalizer that closes the scope of an argument. */
static int l_operation (lua_State *L) {
  int op = (int) lua_tointeger(L, lua_upvalueindex(1)), ints = 0, floats = 0;
  const signature *s = &signatures[op];
  int top = lua_gettop(L) + s->n;         /* a shape written as numbers takes several places */
  given g;
  memset(&g.c, 0, sizeof g.c);
  g.c.op = (peri_opcode) op;
  g.c.in = g.in;
  g.after = 1;
  g.switches = 0;
  lua_settop(L, top);                     /* what is pushed must not look like an argument */
  peri_box *b = peri__push_box(L);
  for (int k = 0; k < s->n; k++) check_param(L, &s->p[k], &g, &ints, &floats);
  if (is_tracked(&g)) note_place(L);
  peri_scope scope = peri_scope_open();
  if (g.c.in == g.in)
    for (int k = 0; k < g.c.nin; k++)
      if (!g.in[k]) g.in[k] = peri_number(g.number[k]);
  peri__fill_box(L, b, peri_apply(&g.c));
  peri_scope_close(scope);
  lua_settop(L, top + 1);
  return b->tensor ? 1 : peri__raise(L);
}

/* --- help --- */

/* core.operation(name) -> its signature in the letters of kinds.h, and what it computes; nil when
   there is none.  Without a name the list of all names.  lua/perigee/help makes texts of it. */
static int l_describe (lua_State *L) {
  const char *name = luaL_optstring(L, 1, NULL);
  if (!name) lua_createtable(L, PERI_NOPS, 0);
  for (int op = 0; op < PERI_NOPS; op++) {
    if (!name) {
      lua_pushstring(L, peri_ops[op].name);
      lua_rawseti(L, -2, op + 1);
    } else if (strcmp(name, peri_ops[op].name) == 0) {
      lua_pushstring(L, peri_ops[op].signature);
      lua_pushstring(L, peri_ops[op].doc);
      return 2;
    }
  }
  return name ? 0 : 1;
}

/* --- profile --- */

/* peri.profile(f, ...) calls f and returns a list of {name, calls, seconds}, dearest first: the time
   of each operation, backward ones included, without the operations it calls itself. */
static int l_profile (lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  int n = lua_gettop(L);
  peri_profile(true);
  int failed = lua_pcall(L, n - 1, 0, 0);
  peri_profile(false);
  if (failed) return lua_error(L);
  lua_newtable(L);
  bool taken[PERI_NOPS] = {false};
  for (int rank = 1; ; rank++) {
    int best = -1;
    for (int op = 0; op < PERI_NOPS; op++) {
      peri_op_time t = peri_profile_of((peri_opcode) op);
      if (t.calls > 0 && !taken[op]
          && (best < 0 || t.seconds > peri_profile_of((peri_opcode) best).seconds)) best = op;
    }
    if (best < 0) return 1;
    taken[best] = true;
    lua_createtable(L, 0, 3);
    lua_pushstring(L, peri_ops[best].name);
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, peri_profile_of((peri_opcode) best).calls);
    lua_setfield(L, -2, "calls");
    lua_pushnumber(L, peri_profile_of((peri_opcode) best).seconds);
    lua_setfield(L, -2, "seconds");
    lua_rawseti(L, -2, rank);
  }
}

int peri__open_ops (lua_State *L) {
  static const char *const operators[][2] = {{"__add", "add"}, {"__sub", "sub"}, {"__mul", "mul"},
    {"__div", "div"}, {"__pow", "pow"}, {"__unm", "neg"}};
  lua_createtable(L, 0, PERI_NOPS + 1);
  lua_pushcfunction(L, l_describe);
  lua_setfield(L, -2, "operation");
  lua_pushcfunction(L, l_profile);
  lua_setfield(L, -2, "profile");
  lua_rawgetp(L, LUA_REGISTRYINDEX, peri__box_key);
  lua_getfield(L, -1, "methods");
  for (int op = 0; op < PERI_NOPS; op++) {
    read_signature(peri_ops[op].signature, &signatures[op]);
    lua_pushinteger(L, op);
    lua_pushcclosure(L, l_operation, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -5, peri_ops[op].name);
    lua_setfield(L, -2, peri_ops[op].name);
  }
  for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
    lua_getfield(L, -1, operators[i][1]);
    lua_setfield(L, -3, operators[i][0]);
  }
  lua_pop(L, 2);
  return 1;
}
