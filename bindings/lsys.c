/* peri.sys: folders, locks, signals, time and the terminal.  Programs are started in lspawn.c.
   Whatever the system refuses is nil, message, code; nothing in here ends the process but exit. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lhold.h"

static int refuse (lua_State *L, const char *doing, const char *path) {
  peri_fail(PERI_E_SYSTEM, "cannot %s %s: %s", doing, path, strerror(errno));
  return peri__refuse(L);
}

static int answer (lua_State *L, bool ok, const char *doing, const char *path) {
  if (!ok) return refuse(L, doing, path);
  lua_pushboolean(L, true);
  return 1;
}

/* --- files and folders --------------------------------------------------------------------- */

static bool make_folder (const char *path) {
  struct stat s;
  if (mkdir(path, 0777) == 0) return true;
  int error = errno;
  if (stat(path, &s) == 0 && S_ISDIR(s.st_mode)) return true;
  errno = error;
  return false;
}

/* mkdir(path) -> true | nil, message, code.  With parents; a folder that is there is fine. */
static int l_mkdir (lua_State *L) {
  const char *path = peri__check_path(L, 1);
  size_t n = strlen(path);
  char *part = lua_newuserdatauv(L, n + 1, 0);
  memcpy(part, path, n + 1);
  for (size_t i = 1; i < n; i++) {
    if (part[i] != '/') continue;
    part[i] = 0;
    if (!make_folder(part)) return refuse(L, "make the folder", part);
    part[i] = '/';
  }
  return answer(L, make_folder(path), "make the folder", path);
}

static int by_bytes (const void *a, const void *b) {
  return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Names into `b`, each with its zero byte; -1 with errno. */
static int64_t read_folder (const char *path, peri_bytes *b) {
  int64_t count = 0;
  DIR *folder = opendir(path);
  if (!folder) return -1;
  struct dirent *e;
  for (errno = 0; (e = readdir(folder)); errno = 0) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    if (peri_bytes_add(b, e->d_name, strlen(e->d_name) + 1) != PERI_OK) break;
    count++;
  }
  int error = errno;
  closedir(folder);
  errno = error;
  return error || peri_error() ? -1 : count;
}

/* list(folder) -> {name, ...} in bytewise order | nil, message, code */
static int l_list (lua_State *L) {
  const char *path = peri__check_path(L, 1);
  peri_bytes *b = peri__push_bytes(L);
  int64_t n = read_folder(path, b);
  if (n < 0) return refuse(L, "list", path);
  const char **name = lua_newuserdatauv(L, (size_t) n * sizeof *name + 1, 0), *p = b->data;
  for (int64_t i = 0; i < n; i++, p += strlen(p) + 1) name[i] = p;
  qsort(name, (size_t) n, sizeof *name, by_bytes);
  lua_createtable(L, n < INT_MAX ? (int) n : 0, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_pushstring(L, name[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* stat(path) -> {size = bytes, mtime = unix seconds, kind = "file", "dir" or "other"}
   | nil, message, code */
static int l_stat (lua_State *L) {
  struct stat s;
  const char *path = peri__check_path(L, 1);
  if (stat(path, &s) != 0) return refuse(L, "find", path);
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, s.st_size);
  lua_setfield(L, -2, "size");
  lua_pushnumber(L, (double) s.st_mtim.tv_sec + 1e-9 * (double) s.st_mtim.tv_nsec);
  lua_setfield(L, -2, "mtime");
  lua_pushstring(L, S_ISREG(s.st_mode) ? "file" : S_ISDIR(s.st_mode) ? "dir" : "other");
  lua_setfield(L, -2, "kind");
  return 1;
}

/* rename(from, to) -> true | nil, message, code.  What was at `to` is replaced. */
static int l_rename (lua_State *L) {
  const char *from = peri__check_path(L, 1), *to = peri__check_path(L, 2);
  return answer(L, rename(from, to) == 0, "rename", from);
}

/* remove(path) -> true | nil, message, code.  A file or an empty folder. */
static int l_remove (lua_State *L) {
  const char *path = peri__check_path(L, 1);
  return answer(L, remove(path) == 0, "remove", path);
}

/* realpath(path) -> absolute path without links | nil, message, code */
static int l_realpath (lua_State *L) {
  char real[PATH_MAX];
  const char *path = peri__check_path(L, 1);
  if (!realpath(path, real)) return refuse(L, "find", path);
  lua_pushstring(L, real);
  return 1;
}

/* cwd() -> path | nil, message, code */
static int l_cwd (lua_State *L) {
  char here[PATH_MAX];
  if (!getcwd(here, sizeof here)) return refuse(L, "find", "the working folder");
  lua_pushstring(L, here);
  return 1;
}

/* write_atomic(path, text) -> true | nil, message, code.  The file is the old or the new one. */
static int l_write_atomic (lua_State *L) {
  size_t n;
  const char *path = peri__check_path(L, 1), *text = luaL_checklstring(L, 2, &n);
  return peri__answer(L, peri_file_replace(path, text, n));
}

/* --- locks --------------------------------------------------------------------------------- */

static const char lock_class[] = "perigee.lock";

typedef struct {
  int fd;
  char path[];
} lock_box;

static bool is_file (int fd, const char *path) {
  struct stat a, b;
  return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* 1 taken, 0 held by somebody, -1 with errno.  Locks of an open file work on NFS and end with the
   process; where they are unknown flock serves. */
static int try_lock (int fd) {
  struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  if (fcntl(fd, F_OFD_SETLK, &whole) == 0) return 1;
  if (errno == EINVAL && flock(fd, LOCK_EX | LOCK_NB) == 0) return 1;
  return errno == EAGAIN || errno == EACCES ? 0 : -1;
}

/* As try_lock.  A holder removes its file before it lets go, so what was locked must still be what
   the path names. */
static int take_lock (lock_box *b) {
  for (int turn = 0; turn < 100; turn++) {
    b->fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    if (b->fd < 0) return -1;
    int taken = try_lock(b->fd);
    if (taken <= 0 || is_file(b->fd, b->path)) return taken;
    close(b->fd);
  }
  b->fd = -1;
  errno = EBUSY;
  return -1;
}

static void sign_lock (int fd) {
  char text[320], host[256] = "";
  gethostname(host, sizeof host - 1);
  int n = snprintf(text, sizeof text, "%ld %s\n", (long) getpid(), host);
  /* only what others are told depends on it */
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t) n, 0) != n) return;
}

/* "held by process N on HOST" */
static void name_holder (int fd, char *out, size_t size) {
  char text[320], host[256];
  long pid;
  ssize_t n = pread(fd, text, sizeof text - 1, 0);
  text[n > 0 ? n : 0] = 0;
  if (sscanf(text, "%ld %255s", &pid, host) == 2)
    snprintf(out, size, "held by process %ld on %s", pid, host);
  else snprintf(out, size, "held by another process");
}

/* lock(path) -> lock | nil, "held by process N on HOST", "held" | nil, message, code.
   The lock ends with lock:close() or the process, however that dies. */
static int l_lock (lua_State *L) {
  char holder[320];
  const char *path = peri__check_path(L, 1);
  lock_box *b = lua_newuserdatauv(L, sizeof *b + strlen(path) + 1, 0);
  b->fd = -1;
  strcpy(b->path, path);
  luaL_setmetatable(L, lock_class);
  int taken = take_lock(b), error = errno;
  if (taken > 0) {
    sign_lock(b->fd);
    return 1;
  }
  if (b->fd >= 0) {
    name_holder(b->fd, holder, sizeof holder);
    close(b->fd);
    b->fd = -1;
  }
  errno = error;
  if (taken < 0) return refuse(L, "lock", path);
  lua_pushnil(L);
  lua_pushstring(L, holder);
  lua_pushliteral(L, "held");
  return 3;
}

/* lock:close() gives the lock back and removes its file; a second time does nothing */
static int l_unlock (lua_State *L) {
  lock_box *b = luaL_checkudata(L, 1, lock_class);
  if (b->fd < 0) return 0;
  if (is_file(b->fd, b->path)) unlink(b->path);
  close(b->fd);
  b->fd = -1;
  return 0;
}

/* --- signals ------------------------------------------------------------------------------- */

static const int caught[3] = {SIGINT, SIGTERM, SIGUSR1};
static volatile sig_atomic_t arrived[3];

static void on_signal (int number) {
  for (int i = 0; i < 3; i++)
    if (caught[i] == number) arrived[i] = 1;
}

/* catch_signals([on = true]): from now on INT, TERM and USR1 are only noted, for signal() to tell.
   A second INT ends the process.  Calling it again forgets what arrived; `false` restores what was
   before the first call. */
static int l_catch_signals (lua_State *L) {
  static struct sigaction before[3];
  static bool on;
  bool want = lua_isnoneornil(L, 1) || lua_toboolean(L, 1);
  for (int i = 0; i < 3; i++) {
    struct sigaction ours = {.sa_handler = on_signal};
    ours.sa_flags = (int) (SA_RESTART | (caught[i] == SIGINT ? SA_RESETHAND : 0));
    sigemptyset(&ours.sa_mask);
    arrived[i] = 0;
    if (want) sigaction(caught[i], &ours, on ? NULL : &before[i]);
    else if (on) sigaction(caught[i], &before[i], NULL);
  }
  on = want;
  return 0;
}

/* signal() -> nil, "INT", "TERM" or "USR1": what arrived since catch_signals */
static int l_signal (lua_State *L) {
  static const char *const name[3] = {"INT", "TERM", "USR1"};
  for (int i = 0; i < 3; i++) {
    if (!arrived[i]) continue;
    lua_pushstring(L, name[i]);
    return 1;
  }
  lua_pushnil(L);
  return 1;
}

/* --- time, terminal, process --------------------------------------------------------------- */

static int push_time (lua_State *L, clockid_t which) {
  struct timespec t;
  clock_gettime(which, &t);
  lua_pushnumber(L, (double) t.tv_sec + 1e-9 * (double) t.tv_nsec);
  return 1;
}

/* now() -> seconds since 1970; clock() -> seconds that never go back, for differences */
static int l_now (lua_State *L) { return push_time(L, CLOCK_REALTIME); }
static int l_clock (lua_State *L) { return push_time(L, CLOCK_MONOTONIC); }

/* isatty(fd) -> boolean */
static int l_isatty (lua_State *L) {
  lua_Integer fd = luaL_checkinteger(L, 1);
  lua_pushboolean(L, fd >= 0 && fd <= INT_MAX && isatty((int) fd));
  return 1;
}

/* columns() -> width of the terminal, else of the variable COLUMNS, else 80 */
static int l_columns (lua_State *L) {
  struct winsize w;
  const char *given = getenv("COLUMNS");
  int n = 0;
  for (int fd = 1; n <= 0 && fd <= 2; fd++)
    if (ioctl(fd, TIOCGWINSZ, &w) == 0) n = w.ws_col;
  if (n <= 0 && given) n = atoi(given);
  lua_pushinteger(L, n > 0 ? n : 80);
  return 1;
}

/* hostname() -> text */
static int l_hostname (lua_State *L) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  lua_pushstring(L, host);
  return 1;
}

/* pid() -> integer */
static int l_pid (lua_State *L) {
  lua_pushinteger(L, getpid());
  return 1;
}

/* exit([code = 0]): closes the Lua state, so that locks and files are given back, and ends */
static int l_exit (lua_State *L) {
  lua_Integer code = luaL_optinteger(L, 1, 0);
  if (code < 0 || code > 255) return peri__bad_argument(L, 1, "an exit code is 0 to 255");
  lua_close(L);
  exit((int) code);
}

int peri__open_sys (lua_State *L) {
  static const luaL_Reg functions[] = {
    {"mkdir", l_mkdir}, {"list", l_list}, {"stat", l_stat}, {"rename", l_rename},
    {"remove", l_remove}, {"realpath", l_realpath}, {"cwd", l_cwd},
    {"write_atomic", l_write_atomic}, {"lock", l_lock}, {"catch_signals", l_catch_signals},
    {"signal", l_signal}, {"now", l_now}, {"clock", l_clock}, {"isatty", l_isatty},
    {"columns", l_columns}, {"hostname", l_hostname}, {"pid", l_pid}, {"run", peri__spawn},
    {"exit", l_exit}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"close", l_unlock}, {NULL, NULL}};
  /* a file beyond the limit of its size is then an error of write, not the end of the process */
  signal(SIGXFSZ, SIG_IGN);
  peri__make_class(L, lock_class, methods, l_unlock);
  luaL_newlib(L, functions);
  return 1;
}
