/* Waits QUERY_STRING milliseconds without using CPU, then answers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(void)
{
    const char *query = getenv("QUERY_STRING");
    long ms = query ? strtol(query, NULL, 10) : 0;
    struct timespec left = { ms / 1000, ms % 1000 * 1000000L };

    while (ms > 0 && nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    return fputs("Content-Type: text/plain\r\n\r\nslept\n", stdout) < 0;
}
