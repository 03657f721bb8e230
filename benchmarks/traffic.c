/* Clients as cheap as they can be, told by lines of stdin what to do: one process, epoll.
 *
 *     traffic ADDRESS PORT SOURCE SOURCES
 *
 * Connection n comes from address SOURCE + n % SOURCES; SOURCE "-" leaves that to the kernel. Each
 * line is answered with one of JSON; the end of stdin ends it, and resets what is held.
 *
 *     open COUNT IN_FLIGHT SECONDS echo|bulk   open so many more and hold them; open is what a byte
 *                                              came back on, of bulk none is ever read
 *     churn SECONDS IN_FLIGHT                  open, ask, be answered, reset, again
 *     messages SECONDS SIZE                    round trips, one at a time on each that is held
 *     read SECONDS                             read what comes on those that are held
 *     held                                     how many are open still, and the kernel's memory
 *                                              for what they have not read
 *
 * `late` counts those that took over 900 ms: a SYN was sent again. `cpu` is this process's own.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { EVENTS = 512, CHUNK = 1 << 20, LATE = 900000 };
enum { FREE, CONNECTING, ASKED, HELD };

static struct sockaddr_in target, source;
static unsigned sources;
static int poller, tables, under_way, causes[256];
static long made, held, opened, failed, late, samples;
static unsigned char *state;
static long *since;
static unsigned *took;
static char buffer[CHUNK];

static long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static double cpu(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void over(int fd, int cause)
{
    if (state[fd] == HELD) {
        held--;
    } else {
        under_way--;
        failed++;
        causes[cause & 255]++;
    }
    state[fd] = FREE;
    close(fd);
}

static void begin(void)
{
    struct linger reset = {1, 0};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || fd >= tables) {
        failed++;
        causes[EMFILE]++;
        return;
    }
    under_way++;
    state[fd] = CONNECTING;
    since[fd] = now();
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (sources) {
        struct sockaddr_in own = source;
        own.sin_addr.s_addr = htonl(ntohl(own.sin_addr.s_addr) + (unsigned)(made % sources));
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, (struct sockaddr *)&own, sizeof own)) {
            over(fd, errno);
            return;
        }
    }
    made++;
    if (connect(fd, (struct sockaddr *)&target, sizeof target) && errno != EINPROGRESS) {
        over(fd, errno);
        return;
    }
    struct epoll_event wanted = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.fd = fd}};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &wanted);
}

/* What happened to a connection that is being opened; true: its answer is here. */
static int answered(int fd, unsigned event, int bulk)
{
    if (state[fd] == CONNECTING) {
        state[fd] = ASKED;
        if (send(fd, bulk ? "BULK" : "hello\n", bulk ? 4 : 6, MSG_NOSIGNAL) < 0)
            over(fd, errno);
        return 0;
    }
    if (!(event & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP)))
        return 0;
    ssize_t got = recv(fd, buffer, 64, bulk ? MSG_PEEK : 0);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got <= 0) {
        over(fd, got ? errno : ECONNABORTED); /* aborted stands for an end without an answer */
        return 0;
    }
    long spent = now() - since[fd];
    if (samples < 1 << 20)
        took[samples++] = (unsigned)spent;
    late += spent > LATE;
    opened++;
    under_way--;
    state[fd] = HELD;
    held++;
    return 1;
}

static int by_size(const void *a, const void *b)
{
    unsigned left = *(const unsigned *)a, right = *(const unsigned *)b;
    return (left > right) - (left < right);
}

static void reset_counts(void)
{
    opened = failed = late = samples = 0;
    memset(causes, 0, sizeof causes);
}

static void tell_opened(double seconds, double used)
{
    qsort(took, (size_t)samples, sizeof *took, by_size);
    printf("{\"opened\": %ld, \"failed\": %ld, \"late\": %ld, \"held\": %ld, \"seconds\": %.6f, "
           "\"cpu\": %.6f, \"p50\": %u, \"p99\": %u, \"max\": %u, \"causes\": {",
           opened, failed, late, held, seconds, used, samples ? took[samples / 2] : 0,
           samples ? took[samples * 99 / 100] : 0, samples ? took[samples - 1] : 0);
    for (int cause = 0, first = 1; cause < 256; cause++)
        if (causes[cause]) {
            printf("%s\"%s\": %d", first ? "" : ", ",
                   cause ? strerrorname_np(cause) : "unknown", causes[cause]);
            first = 0;
        }
    printf("}}\n");
}

/* Opens `count`, or for `seconds` again and again where count is 0. */
static void do_open(long count, int in_flight, double seconds, int bulk)
{
    struct epoll_event events[EVENTS];
    double used = cpu();
    long began = now(), end = began + (long)(seconds * 1e6), started = 0, at = began;
    reset_counts();
    while ((count ? opened + failed < count : 1) && at < end) {
        while (under_way < in_flight && (!count || started < count)) {
            started++;
            begin();
        }
        int number = epoll_wait(poller, events, EVENTS, 20);
        for (int i = 0; i < number; i++) {
            int fd = events[i].data.fd;
            if (state[fd] == HELD) {
                if (events[i].events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
                    over(fd, 0);
            } else if (state[fd] != FREE && answered(fd, events[i].events, bulk) && !count) {
                over(fd, 0);
            }
        }
        at = now();
    }
    double elapsed = (double)(at - began) / 1e6;
    if (count) {
        for (int fd = 0; fd < tables; fd++)
            if (state[fd] == CONNECTING || state[fd] == ASKED)
                over(fd, ETIMEDOUT);
    } else {
        for (int fd = 0; fd < tables; fd++) /* cut short by the clock: they count as nothing */
            if (state[fd] == CONNECTING || state[fd] == ASKED) {
                state[fd] = FREE;
                under_way--;
                close(fd);
            }
    }
    tell_opened(elapsed, cpu() - used);
}

static void do_traffic(double seconds, size_t size)
{
    struct epoll_event events[EVENTS];
    double used = cpu();
    long began = now(), end = began + (long)(seconds * 1e6), at = began, trips = 0, wide = 0;
    size_t *left = size ? calloc((size_t)tables, sizeof *left) : NULL;
    memset(buffer, 'm', size);
    for (int fd = 0; fd < tables; fd++)
        if (state[fd] == HELD) {
            struct epoll_event wanted = {EPOLLIN | EPOLLRDHUP, {.fd = fd}};
            epoll_ctl(poller, EPOLL_CTL_MOD, fd, &wanted);
            if (size) {
                left[fd] = size;
                if (send(fd, buffer, size, MSG_NOSIGNAL) != (ssize_t)size)
                    over(fd, 0);
            }
        }
    while (at < end && held) {
        int number = epoll_wait(poller, events, EVENTS, 20);
        for (int i = 0; i < number; i++) {
            int fd = events[i].data.fd;
            if (state[fd] != HELD)
                continue;
            /* Thrown away by the kernel: what a client copies is no part of the path. */
            ssize_t got = recv(fd, buffer, CHUNK, MSG_TRUNC);
            if (got < 0 && errno == EAGAIN)
                continue;
            if (got <= 0) {
                over(fd, 0);
                continue;
            }
            wide += got;
            if (size && (left[fd] -= (size_t)got) == 0) {
                trips++;
                left[fd] = size;
                if (send(fd, buffer, size, MSG_NOSIGNAL) != (ssize_t)size)
                    over(fd, 0);
            }
        }
        at = now();
    }
    double elapsed = (double)(at - began) / 1e6;
    /* Last answers come in, so that the next command finds nothing on the way. */
    for (long until = now() + 500000; size && now() < until;) {
        int number = epoll_wait(poller, events, EVENTS, 100);
        if (number <= 0)
            break;
        for (int i = 0; i < number; i++)
            if (state[events[i].data.fd] == HELD &&
                recv(events[i].data.fd, buffer, CHUNK, MSG_TRUNC) == 0)
                over(events[i].data.fd, 0);
    }
    free(left);
    printf("{\"trips\": %ld, \"bytes\": %ld, \"held\": %ld, \"seconds\": %.6f, \"cpu\": %.6f}\n", trips,
           wide, held, elapsed, cpu() - used);
}

static void do_held(void)
{
    for (int fd = 0; fd < tables; fd++) {
        struct pollfd asked = {fd, POLLRDHUP, 0};
        if (state[fd] == HELD && poll(&asked, 1, 0) && asked.revents)
            over(fd, 0);
    }
    /* What waits to be read is memory of a client's machine, though here it is this one's. */
    unsigned long waiting = 0;
    for (int fd = 0; fd < tables; fd++) {
        unsigned memory[9] = {0};
        socklen_t size = sizeof memory;
        if (state[fd] == HELD && !getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size))
            waiting += memory[0];
    }
    printf("{\"held\": %ld, \"waiting\": %lu}\n", held, waiting);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2]))};
    source.sin_family = AF_INET;
    sources = strcmp(argv[3], "-") ? (unsigned)atoi(argv[4]) : 0;
    if (inet_pton(AF_INET, argv[1], &target.sin_addr) != 1 ||
        (sources && inet_pton(AF_INET, argv[3], &source.sin_addr) != 1))
        return 2;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    tables = limit.rlim_cur > 2000000 ? 2000000 : (int)limit.rlim_cur;
    state = calloc((size_t)tables, sizeof *state);
    since = calloc((size_t)tables, sizeof *since);
    took = calloc(1 << 20, sizeof *took);
    poller = epoll_create1(EPOLL_CLOEXEC);
    char line[256], what[16];
    while (fgets(line, sizeof line, stdin)) {
        long count;
        int in_flight;
        double seconds;
        size_t size;
        if (sscanf(line, "open %ld %d %lf %15s", &count, &in_flight, &seconds, what) == 4 && count > 0)
            do_open(count, in_flight, seconds, !strcmp(what, "bulk"));
        else if (sscanf(line, "churn %lf %d", &seconds, &in_flight) == 2)
            do_open(0, in_flight, seconds, 0);
        else if (sscanf(line, "messages %lf %zu", &seconds, &size) == 2 && size && size <= CHUNK)
            do_traffic(seconds, size);
        else if (sscanf(line, "read %lf", &seconds) == 1)
            do_traffic(seconds, 0);
        else if (!strncmp(line, "held", 4))
            do_held();
        else
            return 2;
        fflush(stdout);
    }
    return 0;
}
