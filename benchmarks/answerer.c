/* Answers every HTTP request at once: a server that is never the limit of a driver. `answerer keep` or `answerer close`;
 * prints its port on loopback. A request is what ends with an empty line in one read. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int closes = argc == 2 && !strcmp(argv[1], "close"), one = 1;
    const char *answer = closes ? "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nhi\n"
                                : "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poller = epoll_create1(0);
    struct epoll_event events[256], event = {.events = EPOLLIN, .data.fd = listener};
    static char data[65536];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 65535)) return perror("listen"), 1;
    if (getsockname(listener, (struct sockaddr *)&address, &size) || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event)) return 1;
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    event.data.fd = fd;
                    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
                }
                continue;
            }
            ssize_t got = recv(fd, data, sizeof data, 0);
            if (got > 0 && send(fd, answer, strlen(answer), MSG_NOSIGNAL) > 0 && !closes) continue;
            close(fd);
        }
    }
}
