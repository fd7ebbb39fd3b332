/* Uses QUERY_STRING milliseconds of CPU time (not of wall time), then answers. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

int main(void)
{
    const char *query = getenv("QUERY_STRING");
    double want_ms = query ? strtod(query, NULL) : 0;
    volatile unsigned work = 0;

    while (cpu_ms() < want_ms)
        for (int i = 0; i < 10000; i++)
            work += (unsigned)i;
    return fputs("Content-Type: text/plain\r\n\r\nburnt\n", stdout) < 0;
}
