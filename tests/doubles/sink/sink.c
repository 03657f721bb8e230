/* A replica that holds connections and says what it is told: it stands in for Telemt where HAProxy, the
 * kernel and their limits are measured, and where a proxy's own work would hide them.
 *
 *     sink CONFIG                                   as Telemt is started: reads telemt.toml
 *     sink healthcheck CONFIG [--mode MODE]         asks the API of the one that runs; status 0 or 1
 *     sink --listen unix:PATH|ADDRESS:PORT [--backlog N] [--proxy]
 *
 * It takes a PROXY header (v1 or v2) off, where the configuration has one sent. A client whose first
 * bytes are "BULK" is sent zeros without end; everybody else is sent back what they say. It speaks no
 * MTProto, knows no user, and has no connection to a data centre. Its page /beobachten counts a client when
 * its connection ends, as Telemt does, by the address that a PROXY header v2 brought.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CHUNK = 65536, EVENTS = 512, ACCEPTS = 64, MOST_DOORS = 64 };

/* Edges, so that half a PROXY header waits for its other half without a turn of the loop. */
static const unsigned HEARS = EPOLLIN | EPOLLRDHUP | EPOLLET;

/* What a descriptor is; a held connection costs its byte here, four for its address, and a pointer. */
enum { FREE, CLIENTS, API_DOOR, HEADER, FIRST, ECHO, BULK, ASKED };

struct rest {
    size_t length, sent;
    char bytes[];
};

static unsigned char *kind;
static uint32_t *came_from; /* the IPv4 address that a PROXY header v2 brought; 0: none did */
static struct rest **unsent;
static int doors[MOST_DOORS], ways_in; /* where clients come in: a unix socket, or TCP ports */
static int tables, poller, paused;
static long held, most = 1 << 30, proxied;
static volatile sig_atomic_t stop;
static char chunk[CHUNK], zeros[CHUNK];

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "sink: %s %s: %s\n", what, name, strerror(errno));
    exit(1);
}

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void watch(int fd, unsigned what, int operation)
{
    struct epoll_event event = {what, {.fd = fd}};
    if (epoll_ctl(poller, operation, fd, &event))
        perror("sink: epoll_ctl");
}

enum { COUNTED = 4096, PAGE = COUNTED * 32 };
static struct {
    uint32_t address, times;
} counted[COUNTED];
static char page[PAGE];

static void count_client(uint32_t address)
{
    for (uint32_t i = 0, at = ntohl(address) * 2654435761u; i < COUNTED; i++, at++) {
        if (counted[at % COUNTED].times && counted[at % COUNTED].address != address)
            continue;
        counted[at % COUNTED].address = address;
        counted[at % COUNTED].times++;
        return;
    }
}

static void end(int fd)
{
    if (kind[fd] != ASKED)
        held--;
    if (came_from[fd])
        count_client(came_from[fd]);
    came_from[fd] = 0;
    kind[fd] = FREE;
    free(unsent[fd]);
    unsent[fd] = NULL;
    close(fd);
    if (paused) { /* It was out of descriptors: now there is one. */
        paused = 0;
        for (int i = 0; i < ways_in; i++)
            watch(doors[i], EPOLLIN, EPOLL_CTL_ADD);
    }
}

/* --- addresses ------------------------------------------------------------------------------------ */

static struct sockaddr_in tcp_address(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64];
    const char *colon = strrchr(text, ':');
    if (colon && (size_t)(colon - text) < sizeof host) {
        memcpy(host, text, (size_t)(colon - text));
        host[colon - text] = 0;
        address.sin_port = htons((unsigned short)atoi(colon + 1));
        if (inet_pton(AF_INET, host, &address.sin_addr) == 1 && address.sin_port)
            return address;
    }
    fprintf(stderr, "sink: %s is no ADDRESS:PORT\n", text);
    exit(2);
}

static int listen_at(const char *where, int backlog)
{
    int fd, one = 1;
    if (!strncmp(where, "unix:", 5)) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (strlen(where + 5) >= sizeof address.sun_path) {
            errno = ENAMETOOLONG;
            fail("listen", where);
        }
        strcpy(address.sun_path, where + 5);
        unlink(address.sun_path);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) ||
            chmod(address.sun_path, 0660) || listen(fd, backlog))
            fail("listen", where);
        return fd;
    }
    struct sockaddr_in address = tcp_address(where);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, backlog))
        fail("listen", where);
    return fd;
}

/* --- telemt.toml, as stackctl writes it ----------------------------------------------------------- */

struct config {
    char listen[MOST_DOORS][160], api[80], metrics[80];
    int ways_in, backlog, proxy;
};

static int value_of(const char *line, const char *key, char *into, size_t room)
{
    size_t length = strlen(key);
    line += strspn(line, " \t{");
    if (strncmp(line, key, length) || strncmp(line + length, " = ", 3))
        return 0;
    line += length + 3;
    if (*line == '"')
        line++;
    size_t size = strcspn(line, "\", \n}");
    if (size >= room)
        size = room - 1;
    memcpy(into, line, size);
    into[size] = 0;
    return 1;
}

static struct config read_config(const char *path)
{
    struct config found = {.backlog = 1024}; /* Telemt's own default */
    char line[1024], section[64] = "", value[160], address[64] = "", port[16] = "";
    FILE *file = fopen(path, "r");
    if (!file)
        fail("read", path);
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '[') {
            snprintf(section, sizeof section, "%.*s", (int)strcspn(line, "\n"), line);
        } else if (!strcmp(section, "[server.api]")) {
            value_of(line, "listen", found.api, sizeof found.api);
        } else if (!strncmp(section, "[server]", 8) || !strncmp(section, "[[server.listeners]]", 20)) {
            if (value_of(line, "listen_unix_sock", value, sizeof value))
                snprintf(found.listen[found.ways_in++], sizeof *found.listen, "unix:%.150s", value);
            if (value_of(line, "ip", value, sizeof value)) {
                snprintf(address, sizeof address, "%.63s", value);
                const char *own = strstr(line, ", "); /* { ip = "A", port = N }: one of several */
                if (own && found.ways_in < MOST_DOORS &&
                    value_of(own + 1, "port", value, sizeof value))
                    snprintf(found.listen[found.ways_in++], sizeof *found.listen, "%.63s:%.15s",
                             address, value);
            }
            if (value_of(line, "port", value, sizeof value))
                snprintf(port, sizeof port, "%.15s", value);
            if (!found.metrics[0])
                value_of(line, "metrics_listen", found.metrics, sizeof found.metrics);
            if (value_of(line, "max_connections", value, sizeof value))
                most = atol(value);
            if (value_of(line, "listen_backlog", value, sizeof value))
                found.backlog = atoi(value);
            if (value_of(line, "proxy_protocol", value, sizeof value))
                found.proxy = !strncmp(value, "true", 4);
        }
    }
    fclose(file);
    if (!found.ways_in && address[0] && port[0])
        snprintf(found.listen[found.ways_in++], sizeof *found.listen, "%s:%s", address, port);
    if (!found.ways_in || !found.api[0]) {
        fprintf(stderr, "sink: %s names no listener or no [server.api] listen\n", path);
        exit(2);
    }
    return found;
}

static int healthcheck(const char *path)
{
    struct config config = read_config(path);
    struct sockaddr_in address = tcp_address(config.api);
    static const char request[] = "GET /v1/health/ready HTTP/1.1\r\nHost: sink\r\n\r\n";
    if (address.sin_addr.s_addr == htonl(INADDR_ANY))
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    alarm(2);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) ||
        write(fd, request, sizeof request - 1) < 0)
        fail("ask", config.api);
    ssize_t length = read(fd, chunk, sizeof chunk - 1);
    return length < 12 || memcmp(chunk, "HTTP/1.1 200", 12);
}

/* --- what is said --------------------------------------------------------------------------------- */

static const char *beobachten(void)
{
    size_t length = 0;
    for (int i = 0; i < COUNTED; i++) {
        char text[INET_ADDRSTRLEN];
        if (counted[i].times) {
            inet_ntop(AF_INET, &counted[i].address, text, sizeof text);
            length += (size_t)snprintf(page + length, PAGE - length, "%s%s-%u\n", length ? "" : "[other]\n",
                                       text, counted[i].times);
        }
    }
    return length ? page : "empty\n";
}

static void answer_api(int fd)
{
    ssize_t length = recv(fd, chunk, sizeof chunk - 1, 0);
    if (length > 0) {
        chunk[length] = 0;
        const char *body = NULL;
        if (!strncmp(chunk, "GET /v1/health/ready", 20))
            body = "{\"ok\":true,\"data\":{\"ready\":true,\"status\":\"ready\",\"admission_open\":true}}";
        else if (!strncmp(chunk, "GET /v1/health", 14))
            body = "{\"ok\":true,\"data\":{\"status\":\"ok\",\"read_only\":true}}";
        else if (!strncmp(chunk, "GET /beobachten", 15))
            body = beobachten();
        int size = snprintf(chunk, sizeof chunk,
                            "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                            body ? "200 OK" : "404 Not Found", body ? strlen(body) : 0);
        send(fd, chunk, (size_t)size, MSG_NOSIGNAL);
        if (body)
            send(fd, body, strlen(body), MSG_NOSIGNAL);
    } else if (length < 0 && errno == EAGAIN) {
        return;
    }
    end(fd);
}

/* The length of the PROXY header at the front; 0: not all of it is here yet; -1: there is none. */
static int header_length(const char *bytes, ssize_t length)
{
    static const char v2[] = "\r\n\r\n\0\r\nQUIT\n";
    ssize_t known = length < 12 ? length : 12;
    if (!memcmp(bytes, v2, (size_t)known)) {
        if (length < 16)
            return 0;
        int whole = 16 + ((unsigned char)bytes[14] << 8 | (unsigned char)bytes[15]);
        return length < whole ? 0 : whole;
    }
    if (memcmp(bytes, "PROXY ", (size_t)(length < 6 ? length : 6)))
        return -1;
    char *line = memmem(bytes, (size_t)length, "\r\n", 2);
    return line ? (int)(line - bytes) + 2 : length < 108 ? 0 : -1;
}

/* Sends; keeps what does not go now. False: the connection has ended. */
static int say(int fd, const char *bytes, size_t length)
{
    ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return 0;
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done < length) {
        struct rest *rest = malloc(sizeof *rest + length - done);
        if (!rest)
            return 0;
        rest->length = length - done;
        rest->sent = 0;
        memcpy(rest->bytes, bytes + done, rest->length);
        unsent[fd] = rest;
        watch(fd, EPOLLOUT, EPOLL_CTL_MOD);
    }
    return 1;
}

/* Whether a client's next bytes may be read: false while some wait to be sent. */
static int flushed(int fd)
{
    struct rest *rest = unsent[fd];
    if (!rest)
        return 1;
    ssize_t sent = send(fd, rest->bytes + rest->sent, rest->length - rest->sent, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        end(fd);
        return 0;
    }
    rest->sent += sent < 0 ? 0 : (size_t)sent;
    if (rest->sent < rest->length)
        return 0;
    free(rest);
    unsent[fd] = NULL;
    watch(fd, HEARS, EPOLL_CTL_MOD);
    return 1;
}

static void pour(int fd)
{
    /* A few chunks a turn, so that all who read get their share. */
    for (int i = 0; i < 8; i++) {
        ssize_t sent = send(fd, zeros, sizeof zeros, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN)
                end(fd);
            return;
        }
        if (sent < (ssize_t)sizeof zeros)
            return;
    }
}

static void hear(int fd)
{
    if (kind[fd] == HEADER) {
        ssize_t length = recv(fd, chunk, 1024, MSG_PEEK);
        if (length < 0 && errno == EAGAIN)
            return;
        int header = length > 0 ? header_length(chunk, length) : -1;
        if (!header)
            return;
        if (header < 0 || recv(fd, chunk, (size_t)header, 0) != header) {
            end(fd);
            return;
        }
        /* TCP over IPv4, and not LOCAL */
        if (chunk[0] == '\r' && header >= 28 && (chunk[12] & 0xf) == 1 && chunk[13] == 0x11)
            memcpy(&came_from[fd], chunk + 16, sizeof *came_from);
        kind[fd] = FIRST;
        if (header == length)
            return;
    }
    ssize_t length;
    do {
        length = recv(fd, chunk, sizeof chunk, 0);
        if (length < 0 && errno == EAGAIN)
            return;
        if (length <= 0) {
            end(fd);
            return;
        }
        if (kind[fd] == FIRST && length >= 4 && !memcmp(chunk, "BULK", 4)) {
            kind[fd] = BULK;
            watch(fd, EPOLLOUT | EPOLLRDHUP, EPOLL_CTL_MOD);
            return;
        }
        kind[fd] = ECHO;
        if (!say(fd, chunk, (size_t)length)) {
            end(fd);
            return;
        }
    } while (length == sizeof chunk && !unsent[fd]);
}

static void let_in(int listener)
{
    int api = kind[listener] == API_DOOR, one = 1;
    for (int i = 0; i < ACCEPTS; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if ((errno == EMFILE || errno == ENFILE) && !api && !paused) {
                paused = 1;
                for (int door = 0; door < ways_in; door++)
                    watch(doors[door], 0, EPOLL_CTL_DEL);
            }
            return;
        }
        if (fd >= tables || (!api && held >= most)) {
            close(fd);
            continue;
        }
        if (!api)
            held++;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* not on a unix socket */
        kind[fd] = api ? ASKED : proxied ? HEADER : FIRST;
        watch(fd, HEARS, EPOLL_CTL_ADD);
    }
}

static void serve(const struct config *config)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    tables = limit.rlim_cur > 4000000 ? 4000000 : (int)limit.rlim_cur;
    kind = calloc((size_t)tables, sizeof *kind);
    came_from = calloc((size_t)tables, sizeof *came_from);
    unsent = calloc((size_t)tables, sizeof *unsent);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!kind || !came_from || !unsent || poller < 0)
        fail("start", "");
    struct sigaction ending = {.sa_handler = on_signal}; /* The first process of a container has none. */
    sigaction(SIGTERM, &ending, NULL);
    sigaction(SIGINT, &ending, NULL);
    proxied = config->proxy;
    for (; ways_in < config->ways_in; ways_in++) {
        int door = doors[ways_in] = listen_at(config->listen[ways_in], config->backlog);
        kind[door] = CLIENTS;
        watch(door, EPOLLIN, EPOLL_CTL_ADD);
        printf("sink: listening on %s\n", config->listen[ways_in]);
    }
    const char *pages[] = {config->api, config->metrics};
    for (int i = 0; i < 2; i++) {
        if (!pages[i][0])
            continue;
        int api = listen_at(pages[i], 128);
        kind[api] = API_DOOR;
        watch(api, EPOLLIN, EPOLL_CTL_ADD);
    }
    fflush(stdout);
    struct epoll_event events[EVENTS];
    while (!stop) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            unsigned what = events[i].events;
            if (kind[fd] == CLIENTS || kind[fd] == API_DOOR)
                let_in(fd);
            else if (kind[fd] == ASKED)
                answer_api(fd);
            else if (what & (EPOLLERR | EPOLLHUP))
                end(fd);
            else if (kind[fd] == BULK)
                what &EPOLLRDHUP ? end(fd) : pour(fd);
            else if (kind[fd] != FREE && flushed(fd))
                hear(fd);
        }
    }
    printf("sink: %ld held at the end\n", held);
}

int main(int argc, char **argv)
{
    struct config config = {.backlog = 65535};
    if (argc >= 3 && !strcmp(argv[1], "healthcheck"))
        return healthcheck(argv[2]);
    if (argc == 2 && argv[1][0] != '-') {
        config = read_config(argv[1]);
    } else {
        for (int i = 1; i < argc; i++) {
            if (!strcmp(argv[i], "--proxy"))
                config.proxy = 1;
            else if (!strcmp(argv[i], "--listen") && i + 1 < argc)
                config.ways_in = 1, snprintf(*config.listen, sizeof *config.listen, "%.159s", argv[++i]);
            else if (!strcmp(argv[i], "--backlog") && i + 1 < argc)
                config.backlog = atoi(argv[++i]);
            else
                config.ways_in = 0, i = argc;
        }
        if (!config.ways_in) {
            fprintf(stderr, "usage: sink CONFIG | sink healthcheck CONFIG | "
                            "sink --listen unix:PATH|ADDRESS:PORT [--backlog N] [--proxy]\n");
            return 2;
        }
    }
    serve(&config);
    return 0;
}
