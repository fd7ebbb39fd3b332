/* Linked to a script, this makes another build of it that takes longer by a share of its own time where somebody
   orders that (cgidhost.interventions.slowed_scripts): at its end it uses more CPU, and waits longer if it waited.
   What this itself uses is a part of that. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifndef SLOWED_ORDER
#define SLOWED_ORDER "/run/cgidlab-slowed"
#endif
#define LEAST_WAIT_NS 200000 /* what is shorter may be clocks that are read one after the other */

/* The file begins with the order, and each script adds what it told. */
static struct { int64_t share_ppm, ending_ns; } order;
static struct { int64_t own_cpu_ns, own_wait_ns, more_cpu_ns, more_wait_ns; } told;
static struct { int64_t cpu_ns, wall_ns, delay_ns, looking_ns; } began;

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* How long this process could run and was not let: the second number of proc_pid_schedstat(5). -1: not said here. */
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

__attribute__((constructor)) static void begin(void)
{
    int64_t before_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

    began.delay_ns = delay_ns();
    began.wall_ns = clock_ns(CLOCK_MONOTONIC);
    began.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    began.looking_ns = began.cpu_ns - before_ns;
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
    int64_t waited_ns, until_ns, now_ns;
    double more;
    int fd = open(SLOWED_ORDER, O_RDWR | O_APPEND | O_CLOEXEC);

    if (fd < 0)
        return;
    if (began.delay_ns < 0 || pread(fd, &order, sizeof(order), 0) != sizeof(order) || order.share_ppm <= 0
        || order.share_ppm >= 1000000)
        return;
    more = order.share_ppm / (1e6 - order.share_ppm);
    waited_ns = wall_ns - began.wall_ns - (cpu_ns - began.cpu_ns) - (delay_ns() - began.delay_ns);
    told.own_cpu_ns = cpu_ns - began.looking_ns + order.ending_ns;
    told.own_wait_ns = waited_ns < LEAST_WAIT_NS ? 0 : waited_ns;
    told.more_wait_ns = (int64_t)(more * told.own_wait_ns);
    until_ns = told.own_cpu_ns - order.ending_ns + (int64_t)(more * told.own_cpu_ns);
    now_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    if (now_ns > until_ns)
        until_ns = now_ns;
    told.more_cpu_ns = until_ns - (told.own_cpu_ns - order.ending_ns);
    if (write(fd, &told, sizeof(told)) == sizeof(told)) {
        wait_more(told.more_wait_ns);
        use_cpu_until(until_ns);
    }
    close(fd);
}
