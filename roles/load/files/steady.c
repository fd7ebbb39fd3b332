/* Keeps N clients busy over HTTP/1.1, whatever the server does with their connections: a closed loop.
 *
 *     steady CLIENTS SECONDS ROWS ADDRESS PORT PATH
 *     steady CLIENTS SECONDS ROWS ADDRESS PORT - FILE
 *
 * FILE has a path a line: whichever client is next asks for the next one, and after the last one for the first.
 * Each client sends its next request as soon as it has its answer, on the same connection as long as the server keeps it.
 * A connection that was kept and is closed before a byte of the answer came is renewed and the request sent again, as
 * browsers and proxies do: its time goes on counting. Every answer is a row of ROWS: when its request was first sent
 * (microseconds since 1970), status, and how long it took (microseconds). At the end standard output says how many
 * requests were answered and how many were not (refused, broken off, or without an answer for 30 s), and how many
 * connections were renewed. Requests that are out at the end are in neither.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 16384, PATIENCE_US = 30000000, AGAIN_US = 10000, LOOK_US = 100000 };
enum state { HEADERS, LENGTH, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, UNTIL_CLOSE };

struct request {
    char *text;
    size_t size;
};

struct client {
    int fd;
    int used;          /* answers had on this connection */
    int connected;
    int closes;        /* the server said that it will close */
    int status;
    enum state state;
    long long left;    /* of a body or a chunk */
    size_t head;       /* bytes in line[]: of the headers, or of a chunk's size */
    size_t sent;
    int got;           /* bytes of the answer came */
    int64_t first_us;  /* since 1970, when the request was first sent */
    int64_t begin_us;  /* the same by the steady clock */
    int64_t wait_us;   /* steady clock: connect again then; 0: not waiting */
    const struct request *asks;
    char line[HEAD];
};

static struct request *requests;
static size_t request_count, next_request;
static struct sockaddr_in server;
static int poller;
static FILE *rows;
static long long answered, unanswered, renewed;

static int64_t now_us(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void hang_up(struct client *c) {
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
}

static void expect_answer(struct client *c) {
    c->state = HEADERS;
    c->head = c->sent = 0;
    c->got = c->closes = c->status = 0;
    c->left = 0;
}

static void new_request(struct client *c) {
    expect_answer(c);
    c->asks = &requests[next_request];
    next_request = (next_request + 1) % request_count;
    c->first_us = now_us(CLOCK_REALTIME);
    c->begin_us = now_us(CLOCK_MONOTONIC);
}

static void watch(struct client *c, uint32_t events, int how) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, how, c->fd, &event) < 0) fail("epoll_ctl");
}

static void try_later(struct client *c) {
    unanswered++;
    c->wait_us = now_us(CLOCK_MONOTONIC) + AGAIN_US;
}

static void dial(struct client *c) {
    int one = 1;
    c->used = c->connected = 0;
    c->wait_us = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) fail("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS) {
        hang_up(c);
        try_later(c);
        return;
    }
    watch(c, EPOLLOUT | EPOLLIN, EPOLL_CTL_ADD);
}

/* The connection is of no more use. */
static void lost(struct client *c, int reusable) {
    int renews = reusable && c->used > 0 && !c->got;
    int was_connected = c->connected;
    hang_up(c);
    if (renews) {
        renewed++;
        expect_answer(c); /* the same request: its clock goes on */
        dial(c);
    } else if (was_connected) {
        unanswered++;
        new_request(c);
        dial(c);
    } else {
        try_later(c); /* refused: do not spin */
    }
}

/* Return 0 when the connection was lost. */
static int send_request(struct client *c) {
    while (c->sent < c->asks->size) {
        ssize_t n = send(c->fd, c->asks->text + c->sent, c->asks->size - c->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            watch(c, EPOLLOUT | EPOLLIN, EPOLL_CTL_MOD);
            return 1;
        }
        if (n < 0) {
            lost(c, 1);
            return 0;
        }
        c->sent += (size_t)n;
    }
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
    return 1;
}

static void answer(struct client *c) {
    int64_t took_us = now_us(CLOCK_MONOTONIC) - c->begin_us;
    fprintf(rows, "%lld\t%d\t%lld\n", (long long)c->first_us, c->status, (long long)took_us);
    answered++;
    c->used++;
    int closes = c->closes;
    new_request(c);
    if (closes) {
        hang_up(c);
        renewed++;
        dial(c);
    } else {
        send_request(c);
    }
}

static int header(const char *line, const char *name, const char **value) {
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) || line[n] != ':') return 0;
    line += n + 1;
    while (*line == ' ' || *line == '\t') line++;
    *value = line;
    return 1;
}

/* Take the whole head of an answer; return 0 for what is no HTTP, 2 for one that another one follows. */
static int take_head(struct client *c) {
    int minor = 0, chunked = 0;
    long long length = -1;
    const char *value;
    c->line[c->head] = 0;
    if (sscanf(c->line, "HTTP/1.%d %d", &minor, &c->status) != 2) return 0;
    if (c->status / 100 == 1) return 2;
    c->closes = minor == 0;
    for (char *line = strstr(c->line, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
        if (header(line + 2, "Content-Length", &value)) length = atoll(value);
        else if (header(line + 2, "Transfer-Encoding", &value)) chunked = !strncasecmp(value, "chunked", 7);
        else if (header(line + 2, "Connection", &value)) c->closes = !strncasecmp(value, "close", 5);
    }
    if (c->status == 204 || c->status == 304) length = 0, chunked = 0;
    c->head = 0;
    if (chunked) c->state = CHUNK_SIZE;
    else if (length >= 0) c->state = LENGTH, c->left = length;
    else c->state = UNTIL_CLOSE, c->closes = 1;
    return 1;
}

/* Take some bytes of an answer. Return 1 at its end, 0 when more is to come, -1 for what is no HTTP. */
static int take(struct client *c, const char *data, size_t size) {
    for (size_t i = 0; i < size;) {
        switch (c->state) {
        case HEADERS:
            if (c->head >= HEAD - 1) return -1;
            c->line[c->head++] = data[i++];
            if (c->head >= 4 && !memcmp(c->line + c->head - 4, "\r\n\r\n", 4)) {
                int found = take_head(c);
                if (!found) return -1;
                if (found == 2) c->head = 0;
                else if (c->state == LENGTH && !c->left) return 1;
            }
            break;
        case LENGTH:
        case CHUNK: {
            long long n = (long long)(size - i) < c->left ? (long long)(size - i) : c->left;
            c->left -= n;
            i += (size_t)n;
            if (!c->left && c->state == LENGTH) return 1;
            if (!c->left) c->state = CHUNK_END;
            break;
        }
        case CHUNK_END:
            if (data[i++] == '\n') c->state = CHUNK_SIZE;
            break;
        case CHUNK_SIZE:
            if (c->head >= 64) return -1;
            c->line[c->head++] = data[i];
            if (data[i++] == '\n') {
                c->line[c->head] = 0;
                c->left = strtoll(c->line, NULL, 16);
                c->head = 0;
                if (c->left < 0) return -1;
                c->state = c->left ? CHUNK : TRAILER;
            }
            break;
        case TRAILER: /* lines up to an empty one */
            if (data[i] == '\n' && !c->head) return 1;
            if (data[i] == '\n') c->head = 0;
            else if (data[i] != '\r') c->head = 1;
            i++;
            break;
        case UNTIL_CLOSE:
            i = size;
            break;
        }
    }
    return 0;
}

static void read_answer(struct client *c) {
    static char data[65536];
    for (;;) {
        ssize_t n = recv(c->fd, data, sizeof data, 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (n <= 0) {
            if (n == 0 && c->state == UNTIL_CLOSE) answer(c);
            else lost(c, 1);
            return;
        }
        c->got = 1;
        int ended = take(c, data, (size_t)n);
        if (ended) {
            if (ended > 0) answer(c);
            else lost(c, 0);
            return;
        }
    }
}

static void ready(struct client *c, uint32_t events) {
    if (c->fd < 0) return;
    if (!c->connected) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error) {
            lost(c, 0);
            return;
        }
        if (!(events & EPOLLOUT)) return;
        c->connected = 1;
    }
    if (c->sent < c->asks->size && !send_request(c)) return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_answer(c);
}

/* What no event tells: a moment to connect again, and patience that is over. */
static void look_after(struct client *c, int64_t now) {
    if (c->wait_us && now >= c->wait_us) {
        new_request(c);
        dial(c);
    } else if (c->fd >= 0 && now - c->begin_us > PATIENCE_US) {
        lost(c, 0);
    }
}

static void add_request(const char *path, char **argv) {
    struct request *more = realloc(requests, (request_count + 1) * sizeof *requests);
    if (!more) fail("steady");
    requests = more;
    int size = asprintf(&requests[request_count].text, "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: steady\r\n\r\n",
                        path, argv[4], argv[5]);
    if (size < 0) fail("steady");
    requests[request_count++].size = (size_t)size;
}

static void read_requests(char **argv) {
    char *line = NULL;
    size_t room = 0;
    FILE *file = fopen(argv[7], "r");
    if (!file) fail(argv[7]);
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\r\n")] = 0;
        if (*line) add_request(line, argv);
    }
    if (ferror(file)) fail(argv[7]);
    fclose(file);
    free(line);
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "--version")) return puts("steady 1.1") < 0;
    if (argc != 7 && argc != 8) return fputs("usage: steady CLIENTS SECONDS ROWS ADDRESS PORT PATH|- [FILE]\n", stderr), 2;
    int count = atoi(argv[1]);
    int64_t end_us = now_us(CLOCK_MONOTONIC) + (int64_t)(atof(argv[2]) * 1e6), looked_us = 0, now;
    rows = fopen(argv[3], "a");
    if (!rows) fail(argv[3]);
    setvbuf(rows, NULL, _IOFBF, 1 << 16);
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)atoi(argv[5]));
    if (count < 1 || inet_pton(AF_INET, argv[4], &server.sin_addr) != 1) return fputs("steady: bad address\n", stderr), 2;
    if (argc == 8) read_requests(argv);
    else add_request(argv[6], argv);
    if (!request_count) return fputs("steady: there is nothing to ask for\n", stderr), 2;
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct client *all = calloc((size_t)count, sizeof *all);
    if (poller < 0 || !all) fail("steady");
    for (int i = 0; i < count; i++) {
        all[i].fd = -1;
        new_request(&all[i]);
        dial(&all[i]);
    }
    while ((now = now_us(CLOCK_MONOTONIC)) < end_us) {
        struct epoll_event events[256];
        int n = epoll_wait(poller, events, 256, end_us - now < 10000 ? 1 : 10);
        if (n < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < n; i++) ready(events[i].data.ptr, events[i].events);
        if (now - looked_us < LOOK_US) continue;
        looked_us = now;
        for (int i = 0; i < count; i++) look_after(&all[i], now);
    }
    if (fclose(rows)) fail(argv[3]);
    printf("steady: %lld answered, %lld unanswered, %lld connections renewed\n", answered, unanswered, renewed);
    return 0;
}
