/* Linked to a script, this makes another build of it that takes longer by a share of its own time where somebody
   orders that (cgidhost.interventions.slowed_scripts): at its end it uses more CPU, and waits longer if it waited.
   What this itself uses is a part of that. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifndef SLOWED_ORDER
#define SLOWED_ORDER "/run/cgidlab-slowed"
#endif

/* What the file holds: the order, and what all scripts told. No script may wait for another one here, as in write(). */
struct shared {
    int64_t share_ppm, ending_ns, besides_ns;
    int64_t scripts, own_cpu_ns, own_wait_ns, more_cpu_ns, more_wait_ns;
};

static struct { int64_t cpu_ns, wall_ns; long waits; } began;

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* How often this process let go of its CPU. */
static long waits(void)
{
    struct rusage used;

    getrusage(RUSAGE_SELF, &used);
    return used.ru_nvcsw;
}

/* How long this process could run and was not let: the second number of /proc/PID/schedstat. -1: not said here. */
static int64_t delay_ns(void)
{
    char text[96], *second;
    int fd = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
    ssize_t size;

    if (fd < 0)
        return -1;
    size = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (size <= 0)
        return -1;
    text[size] = '\0';
    strtoll(text, &second, 10);
    return strtoll(second, NULL, 10);
}

/* What it waited for anything but a CPU; what it waited for a CPU before `begin` is taken off too, and looked for only
   where it waited at all. */
static int64_t waited_ns(int64_t cpu_ns, int64_t wall_ns)
{
    int64_t delay = waits() == began.waits ? -1 : delay_ns();
    int64_t ns = wall_ns - began.wall_ns - (cpu_ns - began.cpu_ns) - delay;

    return delay < 0 || ns < 0 ? 0 : ns;
}

__attribute__((constructor)) static void begin(void)
{
    began.waits = waits();
    began.wall_ns = clock_ns(CLOCK_MONOTONIC);
    began.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static void wait_more(int64_t ns)
{
    struct timespec left = { ns / 1000000000, ns % 1000000000 };

    while (ns > 0 && nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static void use_cpu_until(int64_t clock)
{
    volatile unsigned work = 0;

    while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < clock)
        for (int i = 0; i < 500; i++)
            work += (unsigned)i;
}

__attribute__((destructor)) static void end(void)
{
    int64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID), wall_ns = clock_ns(CLOCK_MONOTONIC);
    int64_t own_cpu_ns, own_wait_ns, more_wait_ns, done_ns, until_ns, now_ns;
    struct shared *shared;
    double more;
    int fd = open(SLOWED_ORDER, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED || shared->share_ppm <= 0 || shared->share_ppm >= 1000000)
        return;
    more = shared->share_ppm / (1e6 - shared->share_ppm);
    done_ns = cpu_ns - shared->besides_ns; /* what this build costs already is a part of the more */
    own_cpu_ns = done_ns + shared->ending_ns; /* what the kernel does at its end is the script's own */
    own_wait_ns = waited_ns(cpu_ns, wall_ns);
    more_wait_ns = (int64_t)(more * own_wait_ns);
    until_ns = done_ns + (int64_t)(more * own_cpu_ns);
    now_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    if (now_ns > until_ns)
        until_ns = now_ns;
    __atomic_fetch_add(&shared->own_cpu_ns, own_cpu_ns, __ATOMIC_RELAXED);
    __atomic_fetch_add(&shared->own_wait_ns, own_wait_ns, __ATOMIC_RELAXED);
    __atomic_fetch_add(&shared->more_cpu_ns, until_ns - done_ns, __ATOMIC_RELAXED);
    __atomic_fetch_add(&shared->more_wait_ns, more_wait_ns, __ATOMIC_RELAXED);
    __atomic_fetch_add(&shared->scripts, 1, __ATOMIC_RELEASE);
    munmap(shared, sizeof(*shared)); /* its end is to be that of the script */
    close(fd);
    wait_more(more_wait_ns);
    use_cpu_until(until_ns);
}
