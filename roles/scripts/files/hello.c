/* The least a CGI script can do: one short answer. */
#include <stdio.h>

int main(void)
{
    return fputs("Content-Type: text/plain\r\n\r\nhello\n", stdout) < 0;
}
