/* Whole files: bytes that grow in memory, and the one way a file on disk is replaced.
   Nothing in here knows a file format. */

#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shape.h"

peri_status peri__fail_errno (const char *doing, const char *path) {
  return peri_fail(PERI_E_SYSTEM, "cannot %s %s: %s", doing, path, strerror(errno));
}

/* --- bytes --------------------------------------------------------------------------------- */

/* Doubles the room when short of it.  On failure nothing is changed. */
peri_status peri_bytes_add (peri_bytes *b, const void *data, size_t n) {
  if (n > b->room - b->n) {
    size_t room = b->room ? b->room : 256;
    while (room - b->n < n && room <= SIZE_MAX / 2) room *= 2;
    char *grown = room - b->n < n ? NULL : realloc(b->data, room);
    if (!grown) return peri_fail(PERI_E_MEMORY, "out of memory: %zu bytes", room);
    b->data = grown;
    b->room = room;
  }
  if (n) memcpy(b->data + b->n, data, n);
  b->n += n;
  return PERI_OK;
}

void peri_bytes_free (peri_bytes *b) {
  free(b->data);
  *b = (peri_bytes) {0};
}

/* --- replacing a file ---------------------------------------------------------------------- */

/* Open path.tmp for this process alone.  Two writers of one file take turns; the second finds that
   the name it opened was renamed away by the first and opens it anew.  Where the file system cannot
   lock we write without: the last writer wins. */
static int open_temporary (const char *temp) {
  for (int turn = 0; turn < 100; turn++) {
    struct stat opened, named;
    int fd = open(temp, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0) return peri__fail_errno("write", temp), -1;
    bool held = flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    if (held && fstat(fd, &opened) == 0 && stat(temp, &named) == 0 &&
        opened.st_ino == named.st_ino && opened.st_dev == named.st_dev) return fd;
    close(fd);
    if (!held) nanosleep(&(struct timespec) {.tv_nsec = 100000000}, NULL);
  }
  return peri_fail(PERI_E_SYSTEM, "cannot write %s: another process is writing it", temp), -1;
}

/* write may take less than it was given; false with errno when it takes nothing. */
static bool write_all (int fd, const char *data, size_t n) {
  while (n > 0) {
    ssize_t done = write(fd, data, n < (1u << 30) ? n : 1u << 30);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    data += done;
    n -= (size_t) done;
  }
  return true;
}

/* Some file systems know no fsync and say EINVAL or ENOSYS: nothing is to be had there. */
static bool synced (int fd) {
  return fsync(fd) == 0 || errno == EINVAL || errno == ENOSYS;
}

static bool sync_folder (const char *path) {
  const char *slash = strrchr(path, '/');
  char *folder = !slash ? strdup(".") : slash == path ? strdup("/")
                                      : strndup(path, (size_t) (slash - path));
  int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  /* a folder that may be written but not read cannot be synced, and that is no failure */
  bool ok = fd < 0 ? folder && errno == EACCES : synced(fd);
  if (fd >= 0) {
    int error = errno;
    close(fd);
    errno = error;
  }
  free(folder);
  return ok;
}

/* Until the rename the old file is untouched; after a failure path.tmp is gone.  A failure to sync
   the folder comes when the new file is in place and only not yet safe from a power cut. */
peri_status peri_file_replace (const char *path, const void *data, size_t n) {
  size_t size = strlen(path) + sizeof ".tmp";
  char *temp = malloc(size);
  if (!temp) return peri_fail(PERI_E_MEMORY, "out of memory: %zu bytes", size);
  snprintf(temp, size, "%s.tmp", path);
  peri_status status = PERI_OK;
  int fd = open_temporary(temp);
  if (fd < 0) status = peri_error();
  else {
    if (ftruncate(fd, 0) != 0 || !write_all(fd, data, n) || !synced(fd) ||
        rename(temp, path) != 0) {
      status = peri__fail_errno("write", path);
      unlink(temp);
    } else if (!sync_folder(path)) status = peri__fail_errno("sync the folder of", path);
    close(fd);
  }
  free(temp);
  return status;
}

/* --- reading ------------------------------------------------------------------------------- */

int peri__open_file (const char *path, int64_t *size) {
  struct stat s;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);   /* a pipe must not make us wait */
  if (fd < 0 || fstat(fd, &s) != 0) peri__fail_errno("read", path);
  else if (!S_ISREG(s.st_mode)) {
    peri_fail(PERI_E_SYSTEM, "cannot read %s: it is %s", path,
              S_ISDIR(s.st_mode) ? "a folder" : "not a regular file");
  } else {
    *size = s.st_size;
    return fd;
  }
  if (fd >= 0) close(fd);
  return -1;
}

bool peri__check_claim (const char *path, double claimed, double stored) {
  double memory = (double) sysconf(_SC_PHYS_PAGES) * (double) sysconf(_SC_PAGESIZE);
  if (claimed > 1100 * stored + 65536) {     /* deflate never shrinks by more than 1032 */
    peri_fail(PERI_E_FORMAT, "%s is damaged or empty: it claims %.0f bytes of data and stores "
              "%.0f", path, claimed, stored);
    return false;
  }
  if (claimed > memory) {
    peri_fail(PERI_E_MEMORY, "%s holds %.1f GB of data and this machine has %.1f GB of memory",
              path, claimed / 1e9, memory / 1e9);
    return false;
  }
  return true;
}

const void *peri__tensor_bytes (const peri_tensor *x, size_t *n) {
  const peri_tensor *packed = x ? peri__packed((peri_tensor *) x) : NULL;
  *n = packed ? (size_t) packed->count * peri_itemsize(packed->dtype) : 0;
  return !packed ? NULL : *n ? packed->data : "";      /* an empty tensor need not have memory */
}
