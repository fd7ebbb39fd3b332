/* Writes a body of QUERY_STRING bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    const char *query = getenv("QUERY_STRING");
    long left = query ? strtol(query, NULL, 10) : 0;
    char block[16384];

    memset(block, 'x', sizeof(block));
    if (fputs("Content-Type: application/octet-stream\r\n\r\n", stdout) < 0)
        return 1;
    for (size_t n; left > 0; left -= (long)n) {
        n = left < (long)sizeof(block) ? (size_t)left : sizeof(block);
        if (fwrite(block, 1, n, stdout) != n)
            return 1;
    }
    return fflush(stdout) != 0;
}
