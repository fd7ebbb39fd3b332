/* Asks an HTTP/1.1 server, whatever it does with the connections: a closed loop, or an open one by a schedule.
 *
 *     steady [--uses MICROSECONDS] CLIENTS SECONDS ROWS ADDRESS PORT PATH
 *     steady --schedule DUE SENT SECONDS ROWS ADDRESS PORT PATH
 *     ... - FILE                                                in place of PATH
 *
 * FILE has a path a line: whichever client is next asks for the next one, and after the last one for the first.
 *
 * Closed: each client sends its next request as soon as it has its answer, on the same connection as long as the server keeps it.
 * A connection that was kept and is closed before a byte of the answer came is renewed and the request sent again, as
 * browsers and proxies do: its time goes on counting. Every answer is a row of ROWS: when its request was first sent
 * (microseconds since 1970), status, and how long it took (microseconds). At the end standard output says how many
 * requests were answered and how many were not (refused, broken off, or without an answer for 30 s), and how many
 * connections were renewed. Requests of a closed loop that are out at the end are in neither. With --uses, it uses so much CPU time of
 * its own after each answer, before it does anything else: a generator that is known to limit.
 *
 * Open: DUE has a line for each request, the microseconds from the start at which it is due, in their order (lines that begin
 * with # are notes). Each is sent then, whatever became of the others: on a connection that nobody waits for an answer on, or on a
 * new one. Its row begins when it was due, so that time which it lost here counts too. SENT gets a line for each: when it was due
 * (microseconds since 1970), and by how many microseconds it was sent later. It ends when all are answered or lost, or after SECONDS;
 * what has no answer by then is unanswered. A request that was never sent makes it fail. It runs before the server where that is
 * allowed, and says how it does: on a machine that both share it could not send a burst otherwise while the server serves it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { HEAD = 16384, PATIENCE_US = 30000000, AGAIN_US = 10000, LOOK_US = 100000, AT_ONCE = 32 };
enum state { HEADERS, LENGTH, CHUNK_SIZE, CHUNK, CHUNK_END, TRAILER, UNTIL_CLOSE };

struct request {
    char *text;
    size_t size;
};

struct client {
    int fd;
    int used;          /* answers had on this connection */
    int connected;
    uint32_t watched;  /* events that the kernel is to tell of */
    int closes;        /* the server said that it will close */
    int status;
    enum state state;
    long long left;    /* of a body or a chunk */
    size_t head;       /* bytes in line[]: of the headers, or of a chunk's size */
    size_t sent;
    int got;           /* bytes of the answer came */
    int64_t first_us;  /* since 1970, when the request was first sent; in an open loop when it was due */
    int64_t begin_us;  /* the same by the steady clock */
    int64_t wait_us;   /* steady clock: connect again then; 0: not waiting */
    const struct request *asks; /* NULL: no request is out */
    struct client *below; /* open loop: in the stack of connections, or of clients, that are free */
    char line[HEAD];
};

static struct request *requests;
static size_t request_count, next_request;
static struct sockaddr_in server;
static int poller;
static FILE *rows, *sent_log; /* sent_log: of an open loop alone */
static long long answered, unanswered, renewed;
static int64_t uses_us;
static int64_t epoch_us; /* open loop: what to add to the steady clock for microseconds since 1970 */
static struct client *idle, *unused; /* open loop: connections without a request, and clients without a connection */

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
    if (how == EPOLL_CTL_MOD && events == c->watched) return;
    c->watched = events;
    if (epoll_ctl(poller, how, c->fd, &event) < 0) fail("epoll_ctl");
}

static void push(struct client **stack, struct client *c) {
    c->asks = NULL;
    c->below = *stack;
    *stack = c;
}

static struct client *pop(struct client **stack) {
    struct client *c = *stack;
    if (c) *stack = c->below;
    return c;
}

static void try_later(struct client *c) {
    unanswered++;
    if (sent_log) {
        push(&unused, c);
        return;
    }
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
        if (errno == EADDRNOTAVAIL) fail("no port is left here");
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
    if (sent_log && !c->asks) return; /* it is in the stack of idle ones, and found closed there */
    if (renews) {
        renewed++;
        expect_answer(c); /* the same request: its clock goes on */
        dial(c);
    } else if (sent_log) {
        try_later(c); /* its place in the schedule does not come again */
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

/* By the clock of its own CPU time: it is not let off where it was stopped or had no CPU. */
static void use_cpu(int64_t until_us) {
    while (now_us(CLOCK_PROCESS_CPUTIME_ID) < until_us)
        ;
}

static void answer(struct client *c) {
    int64_t took_us = now_us(CLOCK_MONOTONIC) - c->begin_us;
    fprintf(rows, "%lld\t%d\t%lld\n", (long long)c->first_us, c->status, (long long)took_us);
    answered++;
    c->used++;
    int closes = c->closes;
    if (sent_log) {
        if (closes) hang_up(c);
        push(closes ? &unused : &idle, c);
        return;
    }
    if (uses_us) use_cpu(now_us(CLOCK_PROCESS_CPUTIME_ID) + uses_us);
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
    if (sent_log && !c->asks) {
        lost(c, 1); /* nothing but a close can come on an idle connection */
        return;
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

static void add_request(const char *path, const char *address, const char *port) {
    struct request *more = realloc(requests, (request_count + 1) * sizeof *requests);
    if (!more) fail("steady");
    requests = more;
    int size = asprintf(&requests[request_count].text, "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: steady\r\n\r\n",
                        path, address, port);
    if (size < 0) fail("steady");
    requests[request_count++].size = (size_t)size;
}

static void read_requests(const char *name, const char *address, const char *port) {
    char *line = NULL;
    size_t room = 0;
    FILE *file = fopen(name, "r");
    if (!file) fail(name);
    while (getline(&line, &room, file) > 0) {
        line[strcspn(line, "\r\n")] = 0;
        if (*line) add_request(line, address, port);
    }
    if (ferror(file)) fail(name);
    fclose(file);
    free(line);
}

static void wait_for(int most_ms) {
    struct epoll_event events[256];
    int n = epoll_wait(poller, events, 256, most_ms);
    if (n < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr) ready(events[i].data.ptr, events[i].events);
}

static void closed_loop(int count, int64_t end_us) {
    int64_t looked_us = 0, now;
    struct client *all = calloc((size_t)count, sizeof *all);
    if (!all) fail("steady");
    for (int i = 0; i < count; i++) {
        all[i].fd = -1;
        new_request(&all[i]);
        dial(&all[i]);
    }
    while ((now = now_us(CLOCK_MONOTONIC)) < end_us) {
        wait_for(end_us - now < 10000 ? 1 : 10);
        if (now - looked_us < LOOK_US) continue;
        looked_us = now;
        for (int i = 0; i < count; i++) look_after(&all[i], now);
    }
}

/* Send the request that was due at a moment of the steady clock. */
static void send_due(int64_t due_us) {
    struct client *c;
    while ((c = pop(&idle)) && c->fd < 0) push(&unused, c);
    if (!c && !(c = pop(&unused))) {
        c = calloc(1, sizeof *c);
        if (!c) fail("steady");
        c->fd = -1;
    }
    new_request(c);
    int64_t late_us = now_us(CLOCK_MONOTONIC) - due_us;
    c->first_us = due_us + epoch_us;
    c->begin_us = due_us;
    fprintf(sent_log, "%lld\t%lld\n", (long long)c->first_us, (long long)late_us);
    if (c->fd >= 0) send_request(c);
    else dial(c);
}

static int64_t *read_schedule(const char *path, size_t *count) {
    FILE *file = fopen(path, "r");
    char line[256];
    size_t room = 0;
    int64_t *due = NULL;
    if (!file) fail(path);
    for (*count = 0; fgets(line, sizeof line, file);) {
        if (*line == '#') continue;
        if (*count == room && !(due = realloc(due, (room = room ? 2 * room : 1024) * sizeof *due))) fail("steady");
        due[(*count)++] = atoll(line);
    }
    fclose(file);
    return due;
}

/* Run before the server where that is allowed: who comes does not wait until those before are served. */
static void take_precedence(void) {
    struct sched_param first = {.sched_priority = 1};
    if (!sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first)) puts("steady: runs before all that is not real-time");
    else if (!setpriority(PRIO_PROCESS, 0, -15)) puts("steady: runs at a nice value of -15");
    else puts("steady: runs like everybody else");
}

/* Return how many were never sent. */
static size_t open_loop(const int64_t *due, size_t count, int64_t begin_us, int64_t end_us) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event wake = {.events = EPOLLIN | EPOLLET};
    size_t next = 0;
    int64_t now, set_us = 0;
    take_precedence();
    if (timer < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, timer, &wake) < 0) fail("timer");
    while ((now = now_us(CLOCK_MONOTONIC)) < end_us && (next < count || answered + unanswered < (long long)count)) {
        /* A few at a time: answers that came meanwhile must not wait for the end of a burst. */
        for (int n = 0; n < AT_ONCE && next < count && begin_us + due[next] <= now; n++) send_due(begin_us + due[next++]);
        int64_t at = next < count ? begin_us + due[next] : end_us;
        if (at > now && at != set_us) {
            set_us = at;
            struct itimerspec when = {.it_value = {at / 1000000, at % 1000000 * 1000}};
            if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL) < 0) fail("timer");
        }
        wait_for(at > now ? 10 : 0);
    }
    unanswered = (long long)next - answered;
    return count - next;
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "--version")) return puts("steady 2.1") < 0;
    if (argc > 3 && !strcmp(argv[1], "--uses")) {
        uses_us = atoll(argv[2]);
        argv += 2;
        argc -= 2;
    }
    int open = argc > 3 && !strcmp(argv[1], "--schedule");
    char **rest = argv + (open ? 4 : 2); /* SECONDS ROWS ADDRESS PORT PATH, or - and FILE */
    int listed = argv + argc - rest == 6 && !strcmp(rest[4], "-");
    if (argv + argc - rest != 5 + listed || (open && uses_us))
        return fprintf(stderr, "usage: steady {[--uses MICROSECONDS] CLIENTS | --schedule DUE SENT} SECONDS ROWS ADDRESS PORT {PATH | - FILE}\n"), 2;
    size_t count = open ? 0 : (size_t)atoi(argv[1]), unsent = 0;
    int64_t *due = open ? read_schedule(argv[2], &count) : NULL;
    rows = fopen(rest[1], "a");
    if (!rows) fail(rest[1]);
    setvbuf(rows, NULL, _IOFBF, 1 << 16);
    if (open) {
        sent_log = fopen(argv[3], "w");
        if (!sent_log) fail(argv[3]);
        setvbuf(sent_log, NULL, _IOFBF, 1 << 16);
    }
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)atoi(rest[3]));
    if ((int)count < 1) return fputs("steady: nothing to send\n", stderr), 2;
    if (inet_pton(AF_INET, rest[2], &server.sin_addr) != 1) return fputs("steady: bad address\n", stderr), 2;
    if (listed) read_requests(rest[5], rest[2], rest[3]);
    else add_request(rest[4], rest[2], rest[3]);
    if (!request_count) return fputs("steady: there is nothing to ask for\n", stderr), 2;
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) fail("steady");
    int64_t begin_us = now_us(CLOCK_MONOTONIC), end_us = begin_us + (int64_t)(atof(rest[0]) * 1e6);
    epoch_us = now_us(CLOCK_REALTIME) - now_us(CLOCK_MONOTONIC);
    if (open) unsent = open_loop(due, count, begin_us, end_us);
    else closed_loop((int)count, end_us);
    if (fclose(rows)) fail(rest[1]);
    if (sent_log && fclose(sent_log)) fail(argv[3]);
    printf("steady: %lld answered, %lld unanswered, %lld connections renewed\n", answered, unanswered, renewed);
    if (unsent) return fprintf(stderr, "steady: %zu requests of the schedule were never sent\n", unsent), 1;
    return 0;
}
