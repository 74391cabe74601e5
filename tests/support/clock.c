/* Preloaded into a test's server: moves the clocks that it reads by what a shared file says.
 *
 * The file holds two numbers of 64 bits, microseconds to add: to the time of day, and to the time since boot. Nothing
 * else is touched; above all not CLOCK_MONOTONIC, by which the server and its threads wait. Reading takes no lock and
 * no memory, so that signal handlers may ask for the time as well.
 *
 * PGSEAL_TEST_CLOCK   path of that file
 * PGSEAL_TEST_BOOT    path of a file that is opened instead of the kernel's boot id
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static const volatile int64_t *offsets;
static const char *boot_id;

__attribute__((constructor)) static void find(void)
{
	const char *path = getenv("PGSEAL_TEST_CLOCK");
	int file = path ? (int) syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
	void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);

	if (mapped == MAP_FAILED)
		abort();
	close(file);
	offsets = mapped;
	/* A copy: the server writes its title over the environment that it was started with. */
	path = getenv("PGSEAL_TEST_BOOT");
	boot_id = path ? strdup(path) : NULL;
}

static int64_t offset(clockid_t id)
{
	if (!offsets)
		return 0;
	if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)
		return offsets[0];
	return id == CLOCK_BOOTTIME ? offsets[1] : 0;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
	int failed = (int) syscall(SYS_clock_gettime, id, now);
	int64_t more = failed ? 0 : offset(id);

	if (more) {
		int64_t micros = now->tv_nsec / 1000 + more % SECOND + SECOND;

		now->tv_sec += more / SECOND + micros / SECOND - 1;
		now->tv_nsec = micros % SECOND * 1000 + now->tv_nsec % 1000;
	}
	return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec exact;

	(void) zone;
	if (clock_gettime(CLOCK_REALTIME, &exact))
		return -1;
	now->tv_sec = exact.tv_sec;
	now->tv_usec = exact.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *seconds)
{
	struct timespec exact;

	clock_gettime(CLOCK_REALTIME, &exact);
	if (seconds)
		*seconds = exact.tv_sec;
	return exact.tv_sec;
}

static int open_file(const char *path, int flags, va_list rest)
{
	int makes = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
	mode_t mode = makes ? va_arg(rest, mode_t) : 0;

	if (boot_id && strcmp(path, BOOT_ID) == 0)
		path = boot_id;
	return (int) syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name) \
	int name(const char *path, int flags, ...) \
	{ \
		va_list rest; \
		va_start(rest, flags); \
		int file = open_file(path, flags, rest); \
		va_end(rest); \
		return file; \
	}

OPEN(open)
OPEN(open64)
