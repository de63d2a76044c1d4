/* LD_PRELOAD shim: lets the system calls of one directory fail, wait or be recorded. Built and steered by shim.py.
 *
 * SQLite writes with pwrite64, ftruncate64 and fdatasync; Python's os module with the rest. Not seen: SQLite's
 * `-shm` file, which is shared memory and never read again after a power cut.
 *
 *   FAULTS_DIR      absolute directory whose files are concerned
 *   FAULTS_CONTROL  file of `struct control`, mapped by both sides: faults come and go while the process runs
 *   FAULTS_RECORD   every operation that succeeded is appended here, with its data, in order (optional)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The order is that of shim.py. */
struct control {
    int64_t sync_errno, sync_times; /* that many fsyncs fail; -1 = all */
    int64_t sync_delay_us;
    int64_t space; /* bytes files may still grow by before ENOSPC; -1 = unlimited */
    int64_t write_errno; /* every change of a file or a name fails; 0 = none */
    int64_t syncs, writes, bytes, failures; /* counted for the other side */
};

static struct control none = {.space = -1};
static struct control *control = &none;
static char directory[PATH_MAX];
static size_t directory_length;
static int record = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

__attribute__((constructor)) static void start(void) {
    const char *below = getenv("FAULTS_DIR"), *steering = getenv("FAULTS_CONTROL"), *log = getenv("FAULTS_RECORD");
    if (below) directory_length = strlen(strncpy(directory, below, sizeof directory - 1));
    if (steering) {
        int fd = syscall(SYS_openat, AT_FDCWD, steering, O_RDWR | O_CLOEXEC);
        control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (fd < 0 || control == MAP_FAILED) abort();
        syscall(SYS_close, fd);
    }
    if (log) record = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int below(const char *path) {
    size_t length = strlen(path);
    if (!directory_length || strncmp(path, directory, directory_length)) return 0;
    if (path[directory_length] && path[directory_length] != '/') return 0;
    return length < 4 || strcmp(path + length - 4, "-shm");
}

/* Absolute form of `path` as given to an *at call, in `full`; 1 if it is ours. */
static int ours(int at, const char *path, char *full) {
    if (*path == '/') {
        snprintf(full, PATH_MAX, "%s", path);
    } else {
        char link[64], start[PATH_MAX];
        snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
        ssize_t length = readlink(link, start, sizeof start - 1);
        if (length < 0) return 0;
        start[length] = 0;
        if (snprintf(full, PATH_MAX, "%s/%s", start, path) >= PATH_MAX) return 0;
    }
    return below(full);
}

static int ours_fd(int fd) {
    char link[64], full[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = directory_length ? readlink(link, full, sizeof full - 1) : -1;
    if (length < 0) return 0;
    full[length] = 0;
    return below(full);
}

/* One entry of the record: kind, inode, offset or size, then text or data with its length. Called with the lock. */
static void note(char kind, uint64_t inode, int64_t offset, const void *data, uint32_t length) {
    if (record < 0) return;
    struct __attribute__((packed)) { char kind; uint64_t inode; int64_t offset; uint32_t length; } head = {
        kind, inode, offset, length};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, length}};
    if (syscall(SYS_writev, record, parts, 2) != (long)(sizeof head + length)) abort();
}

static void note_name(char kind, uint64_t inode, const char *path) {
    note(kind, inode, 0, path, strlen(path));
}

static uint64_t inode_of(int fd, int64_t *size, int *is_directory) {
    struct stat status = {0};
    if (fstat(fd, &status)) abort();
    if (size) *size = status.st_size;
    if (is_directory) *is_directory = S_ISDIR(status.st_mode);
    return status.st_ino;
}

static int fail(int64_t number) {
    control->failures++;
    errno = (int)number;
    return -1;
}

/* Lets the test say where in the record something happened; for ctypes. */
void faults_mark(const char *text) {
    pthread_mutex_lock(&lock);
    note_name('!', 0, text);
    pthread_mutex_unlock(&lock);
}

/* ---- what reaches the medium */

static int synced(int fd, int (*call)(int)) {
    if (!ours_fd(fd)) return call(fd);
    int64_t delay = control->sync_delay_us;
    if (delay) { /* outside the lock: a slow card holds up who asks it, nobody else */
        struct timespec pause = {delay / 1000000, delay % 1000000 * 1000};
        nanosleep(&pause, NULL);
    }
    pthread_mutex_lock(&lock);
    int result;
    control->syncs++;
    if (control->sync_errno && control->sync_times) {
        if (control->sync_times > 0) control->sync_times--;
        result = fail(control->sync_errno);
    } else if (!(result = call(fd))) {
        int is_directory;
        uint64_t inode = inode_of(fd, NULL, &is_directory);
        note(is_directory ? 'D' : 'S', inode, 0, NULL, 0);
    }
    int number = errno;
    pthread_mutex_unlock(&lock);
    errno = number;
    return result;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

/* ---- what changes files */

/* How many of `length` bytes at `offset` may be written: short at the end of space as a file system is; -1 = error. */
static ssize_t room(int fd, size_t length, int64_t offset) {
    int64_t size;
    inode_of(fd, &size, NULL);
    if (control->write_errno) return fail(control->write_errno);
    int64_t growth = offset + (int64_t)length - size;
    if (control->space < 0 || growth <= 0) return length;
    if (growth > control->space) {
        length -= growth - control->space;
        growth = control->space;
        if ((int64_t)length <= 0 || !growth) return fail(ENOSPC);
    }
    control->space -= growth;
    return length;
}

static ssize_t written(int fd, const void *data, size_t length, off_t offset) {
    pthread_mutex_lock(&lock);
    ssize_t result = room(fd, length, offset);
    if (result > 0) result = syscall(SYS_pwrite64, fd, data, result, offset);
    control->writes++;
    if (result > 0) {
        control->bytes += result;
        note('W', inode_of(fd, NULL, NULL), offset, data, result);
    }
    int number = errno;
    pthread_mutex_unlock(&lock);
    errno = number;
    return result;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) {
    return ours_fd(fd) ? written(fd, data, length, offset) : REAL(pwrite64)(fd, data, length, offset);
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return pwrite64(fd, data, length, offset); }

ssize_t write(int fd, const void *data, size_t length) {
    if (!ours_fd(fd)) return REAL(write)(fd, data, length);
    off_t offset = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
    ssize_t result = written(fd, data, length, offset);
    if (result > 0) lseek(fd, offset + result, SEEK_SET);
    return result;
}

/* Cuts or lengthens a file; `allocate`: never cuts, and takes the blocks from the disk. */
static int resized(int fd, int64_t size, int allocate) {
    pthread_mutex_lock(&lock);
    int64_t before;
    uint64_t inode = inode_of(fd, &before, NULL);
    int64_t growth = size > before ? size - before : 0;
    int result = 0;
    if (growth || (size < before && !allocate)) {
        ssize_t possible = room(fd, growth, before);
        result = possible < growth ? fail(possible < 0 ? errno : ENOSPC)
                 : allocate        ? (int)syscall(SYS_fallocate, fd, 0, 0, size)
                                   : (int)syscall(SYS_ftruncate, fd, size);
        if (!result) note('T', inode, size, NULL, 0);
    }
    int number = errno;
    pthread_mutex_unlock(&lock);
    errno = number;
    return result;
}


int ftruncate64(int fd, off_t size) {
    return ours_fd(fd) ? resized(fd, size, 0) : (int)syscall(SYS_ftruncate, fd, size);
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
int posix_fallocate64(int fd, off_t offset, off_t length) {
    if (!ours_fd(fd)) return REAL(posix_fallocate64)(fd, offset, length);
    return resized(fd, offset + length, 1) ? errno : 0;
}

/* Copies inside the kernel would pass unseen: both make Python fall back to reading and writing. */
ssize_t sendfile64(int out, int in, off_t *offset, size_t count) {
    if (!ours_fd(out)) return REAL(sendfile64)(out, in, offset, count);
    errno = ENOTSOCK;
    return -1;
}
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned flags) {
    if (!ours_fd(out)) return REAL(copy_file_range)(in, from, out, to, length, flags);
    errno = EXDEV;
    return -1;
}

/* ---- what changes names */

static int opened(int at, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    if (!ours(at, path, full)) return syscall(SYS_openat, at, path, flags, mode);
    pthread_mutex_lock(&lock);
    int result, exists = !access(full, F_OK), creates = flags & O_CREAT && !exists;
    if (control->write_errno && (creates || flags & (O_WRONLY | O_RDWR | O_TRUNC))) {
        result = fail(control->write_errno);
    } else if (creates && !control->space) {
        result = fail(ENOSPC);
    } else if ((result = syscall(SYS_openat, at, path, flags, mode)) >= 0 && (creates || flags & O_TRUNC)) {
        uint64_t inode = inode_of(result, NULL, NULL);
        if (creates) note_name('C', inode, full);
        else note('T', inode, 0, NULL, 0);
    }
    int number = errno;
    pthread_mutex_unlock(&lock);
    errno = number;
    return result;
}

/* Taken even where none is given: then it is a register's rest, which the kernel does not look at. */
#define MODE(flags, mode) \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = va_arg(rest, mode_t); \
    va_end(rest)

int open64(const char *path, int flags, ...) { MODE(flags, mode); return opened(AT_FDCWD, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags, mode); return opened(at, path, flags, mode); }
int open(const char *path, int flags, ...) { MODE(flags, mode); return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags, mode); return opened(at, path, flags, mode); }

#define NAME_CHANGE(at, path, kind, call) \
    char full[PATH_MAX]; \
    if (!ours(at, path, full)) return call; \
    pthread_mutex_lock(&lock); \
    int result = control->write_errno ? fail(control->write_errno) : (int)(call); \
    if (!result) note_name(kind, 0, full); \
    int number = errno; \
    pthread_mutex_unlock(&lock); \
    errno = number; \
    return result

int unlink(const char *path) { NAME_CHANGE(AT_FDCWD, path, 'U', syscall(SYS_unlinkat, AT_FDCWD, path, 0)); }
int unlinkat(int at, const char *path, int flags) {
    NAME_CHANGE(at, path, flags & AT_REMOVEDIR ? 'X' : 'U', syscall(SYS_unlinkat, at, path, flags));
}
int rmdir(const char *path) { NAME_CHANGE(AT_FDCWD, path, 'X', syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR)); }
int mkdirat(int at, const char *path, mode_t mode) { NAME_CHANGE(at, path, 'M', syscall(SYS_mkdirat, at, path, mode)); }
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int renameat(int from_at, const char *from, int to_at, const char *to) {
    char before[PATH_MAX], after[PATH_MAX], both[2 * PATH_MAX];
    int here = ours(from_at, from, before), there = ours(to_at, to, after);
    if (!here && !there) return syscall(SYS_renameat2, from_at, from, to_at, to, 0);
    pthread_mutex_lock(&lock);
    int result = control->write_errno ? fail(control->write_errno)
                                      : (int)syscall(SYS_renameat2, from_at, from, to_at, to, 0);
    snprintf(both, sizeof both, "%s\n%s", before, after);
    if (!result) note_name('R', 0, both);
    int number = errno;
    pthread_mutex_unlock(&lock);
    errno = number;
    return result;
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }
