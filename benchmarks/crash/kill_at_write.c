/* Kills a process with SIGKILL at its n-th change of a file below a folder.
 *
 * For LD_PRELOAD on Linux; the process itself (a fork, say) says what and when:
 *
 *   cc -shared -fPIC -o kill_at_write.so kill_at_write.c -ldl
 *
 *   kill_at_change("/folder", 12);
 *
 * A change is a write to a regular file, a truncation, a sync, a rename or an unlink. A write that
 * is the n-th is done to its half when n is odd, and not at all when it is even: what a killed
 * process can leave. With n = 0 nobody is killed, and changes_so_far() counts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char under[PATH_MAX];
static long at;
static atomic_long changes;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void kill_at_change(const char *folder, long number) {
    strncpy(under, folder, sizeof under - 1);
    at = number;
    changes = 0;
}

long changes_so_far(void) { return changes; }

static int is_under(const char *path) {
    char whole[PATH_MAX];
    size_t length = strlen(under);
    if (!length) return 0;
    if (path[0] != '/') {
        if (!getcwd(whole, sizeof whole)) return 0;
        strncat(whole, "/", sizeof whole - strlen(whole) - 1);
        strncat(whole, path, sizeof whole - strlen(whole) - 1);
        path = whole;
    }
    return strncmp(path, under, length) == 0;
}

static int is_ours(int fd) {
    struct stat found;
    char link[64], path[PATH_MAX];
    if (!under[0] || fstat(fd, &found) || !S_ISREG(found.st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_under(path);
}

/* Whether this change is the last one. */
static int is_last(void) { return ++changes == at; }

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

static size_t part(size_t count) { return at % 2 ? count / 2 : 0; }

ssize_t write(int fd, const void *data, size_t count) {
    if (is_ours(fd) && is_last()) {
        if (part(count)) REAL(write)(fd, data, part(count));
        die();
    }
    return REAL(write)(fd, data, count);
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t offset) {
    if (is_ours(fd) && is_last()) {
        if (part(count)) REAL(pwrite)(fd, data, part(count), offset);
        die();
    }
    return REAL(pwrite)(fd, data, count, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset) {
    if (is_ours(fd) && is_last()) {
        if (part(count)) REAL(pwrite64)(fd, data, part(count), offset);
        die();
    }
    return REAL(pwrite64)(fd, data, count, offset);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    if (is_ours(fd) && is_last()) {
        if (at % 2 && count) REAL(writev)(fd, pieces, (count + 1) / 2);
        die();
    }
    return REAL(writev)(fd, pieces, count);
}

int ftruncate(int fd, off_t length) {
    if (is_ours(fd) && is_last()) die();
    return REAL(ftruncate)(fd, length);
}

int ftruncate64(int fd, off64_t length) {
    if (is_ours(fd) && is_last()) die();
    return REAL(ftruncate64)(fd, length);
}

int fsync(int fd) {
    if (is_ours(fd) && is_last()) die();
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    if (is_ours(fd) && is_last()) die();
    return REAL(fdatasync)(fd);
}

int rename(const char *from, const char *to) {
    if (is_under(to) && is_last()) die();
    return REAL(rename)(from, to);
}

int unlink(const char *path) {
    if (is_under(path) && is_last()) die();
    return REAL(unlink)(path);
}
