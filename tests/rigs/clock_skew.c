/* A host's clock, off by SKEW_NS: preloaded into every program of one namespace host by tests/rigs/ssh_hosts.py.
 *
 * The kernel has one CLOCK_REALTIME for all namespaces, so the calls that read it are what can be changed. CLOCK_MONOTONIC
 * and the stamps that the kernel itself makes (of files, in /proc) stay true, as they would not on a machine whose
 * clock is wrong; statically linked programs and waits until a time of CLOCK_REALTIME are not covered but sem_timedwait.
 * With STEPPED in place of SKEW_NS the clock is right until a file of that name says by how many hours it steps. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define S_NS 1000000000LL

static long long skew_ns(void) {
#ifdef STEPPED
  char text[8] = "";
  int before = errno, file = open(STEPPED, O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    if (read(file, text, sizeof text - 1) < 0)
      text[0] = 0;
    close(file);
  }
  errno = before;
  return 3600 * S_NS * atoll(text);
#else
  return SKEW_NS;
#endif
}

static int (*next_clock_gettime)(clockid_t, struct timespec *);

static struct timespec moved(struct timespec at, long long by_ns) {
  long long ns = (long long)at.tv_sec * S_NS + at.tv_nsec + by_ns;
  return (struct timespec){.tv_sec = ns / S_NS, .tv_nsec = ns % S_NS};
}

int clock_gettime(clockid_t clock, struct timespec *at) {
  if (!next_clock_gettime)
    next_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int failed = next_clock_gettime(clock, at);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI))
    *at = moved(*at, skew_ns());
  return failed;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &now))
    return -1;
  *at = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
  return 0;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at)
    *at = now.tv_sec;
  return now.tv_sec;
}

int timespec_get(struct timespec *at, int base) {
  return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, at) ? base : 0;
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
  static int (*next)(sem_t *, const struct timespec *);
  struct timespec truly = moved(*until, -skew_ns());
  if (!next)
    next = (int (*)(sem_t *, const struct timespec *))dlsym(RTLD_NEXT, "sem_timedwait");
  return next(semaphore, &truly);
}
